//! The register reference: one page a chip, as HTML and as Markdown. Each register with its bits drawn, its fields,
//! its places and its sources. No script, no style sheet of others, no address outside the page.

use super::json::text;
use super::{Files, kind_text, xml_text};
use crate::model::{ChipSet, Field, Place, Register, Spec, Word};
use std::fmt::Write;

/// Index and chips as HTML.
pub fn html(spec: &Spec) -> Files {
    pages(spec, Html::default, "html")
}

/// Index and chips as Markdown.
pub fn markdown(spec: &Spec) -> Files {
    pages(spec, Markdown::default, "md")
}

/// What a page is made of. Text comes unescaped.
trait Page {
    fn begin(&mut self, title: &str);
    fn title(&mut self, level: u8, text: &str, anchor: &str);
    fn line(&mut self, text: &str);
    fn links(&mut self, links: &[(String, String)]);
    /// Bits from the highest down: name, high, low; no name where nothing is described.
    fn bits(&mut self, cells: &[(Option<&str>, u8, u8)]);
    fn table(&mut self, head: &[&str], rows: &[Vec<String>]);
    fn end(self) -> String;
}

fn pages<P: Page>(spec: &Spec, page: fn() -> P, extension: &str) -> Files {
    let mut index = page();
    index.begin("Register reference");
    let link = |chip: &crate::model::Chip| (chip.name.clone(), format!("{}.{extension}", chip.name));
    index.links(&spec.chips.iter().map(link).collect::<Vec<_>>());
    let rows = spec.chips.iter().enumerate().map(|(number, chip)| {
        let registers = spec.registers().filter(|(_, register)| register.chips.contains(number)).count();
        vec![chip.name.clone(), text(&chip.doc), registers.to_string(), chip.source.clone()]
    });
    index.table(&["chip", "", "registers", "source"], &rows.collect::<Vec<_>>());
    index.title(2, "Sources", "sources");
    let rows = spec.sources.iter().map(|(id, source)| vec![id.clone(), source.title.clone()]);
    index.table(&["id", "title"], &rows.collect::<Vec<_>>());
    let chips = spec.chips.iter().enumerate().map(|(number, chip)| {
        (format!("{}.{extension}", chip.name), chip_page(spec, number, page(), extension))
    });
    chips.chain([(format!("index.{extension}"), index.end())]).collect()
}

fn chip_page<P: Page>(spec: &Spec, number: usize, mut page: P, extension: &str) -> String {
    let chip = &spec.chips[number];
    let on = ChipSet(1 << number);
    page.begin(&format!("Registers of the {}", chip.name));
    page.line(&text(&chip.doc));
    page.links(&[("all chips".to_owned(), format!("index.{extension}"))]);
    let has = |register: &&Register| register.chips.contains(number);
    for group in spec.groups.iter().filter(|group| group.registers.iter().any(|register| has(&register))) {
        page.title(2, &format!("{}: {}", group.name, text(&group.doc)), &group.name);
        let links =
            group.registers.iter().filter(has).map(|one| (one.name.clone(), format!("#{}", one.name)));
        page.links(&links.collect::<Vec<_>>());
        for register in group.registers.iter().filter(has) {
            if let Some(place) = register.places.iter().find(|place| place.chips.contains(number)) {
                show_register(spec, on, register, place, &mut page);
            }
        }
    }
    for (folder, groups) in &spec.words {
        let has = |word: &&Word| !word.chips.and(on).is_empty();
        for group in groups.iter().filter(|group| group.words.iter().any(|word| has(&word))) {
            page.title(
                2,
                &format!("{folder}, {}: {}", group.name, text(&group.doc)),
                &format!("{folder}-{}", group.name),
            );
            for word in group.words.iter().filter(has) {
                show_word(on, word, &mut page);
            }
        }
    }
    page.end()
}

fn show_register(spec: &Spec, on: ChipSet, register: &Register, place: &Place, page: &mut impl Page) {
    page.title(3, &register.name, &register.name);
    page.line(&text(&register.doc));
    let mut facts = runs(register.is_array, &place.pieces);
    if !place.aliases.is_empty() {
        facts += &format!("; also {}", runs(register.is_array, &place.aliases));
    }
    facts += &format!("; {}", kind_text(place.access.unwrap_or(register.access)));
    if let Some(reset) = place.reset {
        facts += &format!("; reset {reset:#010x}");
    }
    let others = register.chips.without(on);
    if !others.is_empty() {
        facts += &format!("; also on {}", spec.names(others).join(", "));
    }
    page.line(&facts);
    let fields: Vec<_> = register.fields.iter().filter(|field| !field.chips.and(on).is_empty()).collect();
    show_fields(32, &fields, register.access, page);
    page.line(&format!("Source: {}.", register.source));
}

fn show_word(on: ChipSet, word: &Word, page: &mut impl Page) {
    page.title(3, &word.name, &word.name);
    page.line(&text(&word.doc));
    let mut facts = format!("{} bits", word.bits);
    for (name, value) in
        [("device", word.device.map(u16::from)), ("page", word.page), ("address", word.address)]
    {
        if let Some(value) = value {
            facts += &format!("; {name} {value:#x}");
        }
    }
    facts += &format!("; {}", kind_text(word.access));
    if let Some(reset) = word.reset {
        facts += &format!("; reset {reset:#x}");
    }
    if let Some(name) = &word.datasheet {
        facts += &format!("; the datasheet's {name}");
    }
    page.line(&facts);
    let fields: Vec<_> = word.fields.iter().filter(|field| !field.chips.and(on).is_empty()).collect();
    show_fields(word.bits, &fields, word.access, page);
    page.line(&format!("Source: {}.", word.source));
}

fn runs(is_array: bool, pieces: &[crate::model::Piece]) -> String {
    let runs = pieces.iter().map(|piece| {
        if is_array {
            let last = piece.first + piece.count - 1;
            format!("[{}..={last}] at {:#07x} + {:#x} n", piece.first, piece.offset, piece.stride)
        } else {
            format!("at {:#07x}", piece.offset)
        }
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn show_fields(bits: u8, fields: &[&Field], access: crate::model::Access, page: &mut impl Page) {
    if fields.is_empty() {
        return;
    }
    let mut cells = Vec::new();
    let mut next = bits;
    for field in fields.iter().rev() {
        if field.high + 1 < next {
            cells.push((None, next - 1, field.high + 1));
        }
        cells.push((Some(field.name.as_str()), field.high, field.low));
        next = field.low;
    }
    if next > 0 {
        cells.push((None, next - 1, 0));
    }
    page.bits(&cells);
    let rows = fields.iter().map(|field| {
        let mut meaning = text(&field.doc);
        if field.access != access {
            meaning += &format!(" ({})", kind_text(field.access));
        }
        let values = field.values.iter().map(|(name, value)| format!("{value} {name}"));
        let values = values.collect::<Vec<_>>().join(", ");
        let source = field.source.clone().unwrap_or_default();
        vec![span(field.high, field.low), field.name.clone(), meaning, values, source]
    });
    page.table(&["bits", "field", "meaning", "values", "source, if another"], &rows.collect::<Vec<_>>());
}

fn span(high: u8, low: u8) -> String {
    if high == low { high.to_string() } else { format!("{high}:{low}") }
}

#[derive(Default)]
struct Html(String);

const STYLE: &str = "body{font:15px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;margin:.5em 0}td,th{border:1px solid #999;padding:.15em .5em;text-align:left;vertical-align:top}\
table.bits{table-layout:fixed;width:100%;font-size:11px}table.bits td,table.bits th{text-align:center;padding:.1em;overflow:hidden;overflow-wrap:anywhere}\
table.bits td.none{background:#ddd}nav a{margin-right:.6em}h3{margin-top:2em;border-top:1px solid #ccc}";

impl Page for Html {
    fn begin(&mut self, title: &str) {
        let title = xml_text(title);
        let _ = writeln!(
            self.0,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
        );
    }

    fn title(&mut self, level: u8, text: &str, anchor: &str) {
        let _ = writeln!(self.0, "<h{level} id=\"{}\">{}</h{level}>", xml_text(anchor), xml_text(text));
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p>{}</p>", xml_text(text));
    }

    fn links(&mut self, links: &[(String, String)]) {
        let link =
            |(text, to): &(String, String)| format!("<a href=\"{}\">{}</a>", xml_text(to), xml_text(text));
        let _ = writeln!(self.0, "<nav>{}</nav>", links.iter().map(link).collect::<Vec<_>>().join("\n"));
    }

    fn bits(&mut self, cells: &[(Option<&str>, u8, u8)]) {
        let head: String = cells
            .iter()
            .map(|(_, high, low)| {
                let (width, span) = (high - low + 1, span(*high, *low));
                format!("<th colspan=\"{width}\">{span}</th>")
            })
            .collect();
        let names: String = cells
            .iter()
            .map(|(name, high, low)| {
                let width = high - low + 1;
                match name {
                    Some(name) => format!("<td colspan=\"{width}\">{}</td>", xml_text(name)),
                    None => format!("<td colspan=\"{width}\" class=\"none\"></td>"),
                }
            })
            .collect();
        let _ = writeln!(self.0, "<table class=\"bits\">\n<tr>{head}</tr>\n<tr>{names}</tr>\n</table>");
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let head: String = head.iter().map(|one| format!("<th>{}</th>", xml_text(one))).collect();
        let _ = writeln!(self.0, "<table>\n<tr>{head}</tr>");
        for row in rows {
            let row: String = row.iter().map(|one| format!("<td>{}</td>", xml_text(one))).collect();
            let _ = writeln!(self.0, "<tr>{row}</tr>");
        }
        self.0.push_str("</table>\n");
    }

    fn end(mut self) -> String {
        self.0.push_str("</body>\n</html>\n");
        self.0
    }
}

#[derive(Default)]
struct Markdown(String);

/// Widest line of a bit diagram.
const WIDE: usize = 110;

impl Page for Markdown {
    fn begin(&mut self, title: &str) {
        let _ = writeln!(self.0, "# {}\n", super::escape(title));
    }

    fn title(&mut self, level: u8, text: &str, anchor: &str) {
        let _ = writeln!(self.0, "<a id=\"{anchor}\"></a>\n");
        let _ = writeln!(self.0, "{} {}\n", "#".repeat(level.into()), super::escape(text));
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.0, "{}\n", super::escape(text));
    }

    fn links(&mut self, links: &[(String, String)]) {
        let link = |(text, to): &(String, String)| format!("[{}]({to})", super::escape(text));
        let _ = writeln!(self.0, "{}\n", links.iter().map(link).collect::<Vec<_>>().join(" · "));
    }

    fn bits(&mut self, cells: &[(Option<&str>, u8, u8)]) {
        let mut lines = vec![(String::new(), String::new())];
        for (name, high, low) in cells {
            let (span, name) = (span(*high, *low), name.unwrap_or("-"));
            let width = span.len().max(name.chars().count());
            if lines.last().is_some_and(|(head, _)| head.chars().count() + width + 3 > WIDE) {
                lines.push((String::new(), String::new()));
            }
            if let Some((head, names)) = lines.last_mut() {
                let _ = write!(head, "| {span:<width$} ");
                let _ = write!(names, "| {name:<width$} ");
            }
        }
        let drawn = lines.iter().map(|(head, names)| format!("{head}|\n{names}|\n"));
        let _ = writeln!(self.0, "```text\n{}```\n", drawn.collect::<Vec<_>>().join("\n"));
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let cell = |text: &str| super::escape(text).replace('|', "\\|");
        let _ = writeln!(self.0, "| {} |", head.join(" | "));
        let _ = writeln!(self.0, "|{}", "---|".repeat(head.len()));
        for row in rows {
            let _ =
                writeln!(self.0, "| {} |", row.iter().map(|one| cell(one)).collect::<Vec<_>>().join(" | "));
        }
        self.0.push('\n');
    }

    fn end(self) -> String {
        format!("{}\n", self.0.trim_end())
    }
}
