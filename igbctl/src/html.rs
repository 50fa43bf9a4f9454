//! A page by itself: no script, no address outside it.

use crate::table::Table;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}summary{font-family:monospace;\
white-space:pre-wrap}table{border-collapse:collapse;margin:.5em 0 1em 1.5em}td,th{border:1px solid #999;padding:.1em .5em;\
text-align:left;vertical-align:top}details p{margin:.3em 1.5em}";

/// A page that is being written.
pub(crate) struct Page(String);

impl Page {
    /// A page with this title.
    pub(crate) fn new(title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        ))
    }

    /// A heading.
    pub(crate) fn title(&mut self, level: u8, text: &str) {
        let _ = writeln!(self.0, "<h{level}>{}</h{level}>", escape(text));
    }

    /// A paragraph.
    pub(crate) fn line(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p>{}</p>", escape(text));
    }

    /// A line that opens to a paragraph and a table.
    pub(crate) fn details(&mut self, summary: &str, text: &str, table: &Table) {
        let _ = writeln!(self.0, "<details><summary>{}</summary>\n<p>{}</p>", escape(summary), escape(text));
        self.table(table);
        self.0.push_str("</details>\n");
    }

    /// A table, unless nothing stands under its heading.
    pub(crate) fn table(&mut self, table: &Table) {
        if table.is_empty() {
            return;
        }
        self.0.push_str("<table>\n");
        for (at, row) in table.rows().iter().enumerate() {
            let tag = if at == 0 { "th" } else { "td" };
            let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
            let _ = writeln!(self.0, "<tr>{cells}</tr>");
        }
        self.0.push_str("</table>\n");
    }

    /// The whole page.
    pub(crate) fn end(mut self) -> String {
        self.0.push_str("</body>\n</html>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}
