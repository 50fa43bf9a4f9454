//! Tables for people: columns as wide as what stands in them, numbers to the right.

use std::fmt::Write;

/// Rows under a heading.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this heading.
    pub(crate) fn new<T: Into<String>>(heading: impl IntoIterator<Item = T>) -> Self {
        Self { rows: vec![heading.into_iter().map(Into::into).collect()] }
    }

    /// One row more.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Its rows, the heading first.
    pub(crate) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether nothing stands under the heading.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The table as lines, each ended by a newline and indented by `indent`.
    pub(crate) fn render(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |text| text.chars().count());
        let widths: Vec<_> = (0..columns)
            .map(|column| self.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0))
            .collect();
        let numeric: Vec<_> = (0..columns)
            .map(|column| {
                column > 0 && self.rows.iter().skip(1).all(|row| row.get(column).is_none_or(|t| is_number(t)))
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, width), numeric) in row.iter().zip(&widths).zip(&numeric) {
                let gap = " ".repeat(width - cell.chars().count());
                let _ = if *numeric { write!(line, "{gap}{cell}  ") } else { write!(line, "{cell}{gap}  ") };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn is_number(text: &str) -> bool {
    text == "-" || text.bytes().all(|b| b.is_ascii_digit() || b",.".contains(&b))
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(["queue", "frames", "note"]);
        table.row(["0".to_owned(), count(12), "a".into()]);
        table.row(["10".to_owned(), count(3456), "bcd".into()]);
        assert_eq!(table.render(1), " queue  frames  note\n 0          12  a\n 10      3,456  bcd\n");
    }
}
