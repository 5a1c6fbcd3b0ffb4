//! Tables: RFC 4180, UTF-8 without byte-order mark, lines that end with CR LF, and no cell that a spreadsheet takes for a formula.

/// The tables of a pack, by name.
pub const TABLES: [&str; 10] = [
    "attestations",
    "audit-log",
    "completeness",
    "controls",
    "exceptions",
    "findings",
    "metrics",
    "signals",
    "verdicts",
    "window",
];

/// What begins a formula in some spreadsheet, and the full-width forms that some take for the same.
const FORMULA: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '\u{2212}'];

/// A table under construction.
#[derive(Debug, Clone)]
pub struct Table {
    text: String,
    columns: usize,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let mut table = Self { text: String::new(), columns: columns.len() };
        table.row(columns);
        table
    }

    /// Adds a row. A missing value is an empty cell.
    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        debug_assert_eq!(cells.len(), self.columns, "a row has a cell for each column");
        for (place, value) in cells.iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            self.text.push_str(&cell(value.as_ref()));
        }
        self.text.push_str("\r\n");
    }

    /// The file.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// A cell: made harmless where it begins as a formula does, and in quotes where it has to be.
///
/// ```
/// use common::pack::csv::cell;
/// assert_eq!(cell("-1.5"), "-1.5"); // a number
/// assert_eq!(cell("-1+2"), "'-1+2");
/// assert_eq!(cell("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
/// assert_eq!(cell("＝1"), "'＝1");
/// ```
#[must_use]
pub fn cell(value: &str) -> String {
    let harmless = if value.starts_with(FORMULA) && !is_number(value) { format!("'{value}") } else { value.to_owned() };
    if harmless.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", harmless.replace('"', "\"\"")) } else { harmless }
}

/// Whether a text is a number by JSON's grammar.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_takes_for_a_formula_is_made_harmless() {
        for bad in
            ["=1", "+1", "-", "-a", "@x", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", "+1.5", "-1e", "- 1"]
        {
            let safe = cell(bad);
            assert!(safe.trim_start_matches('"').starts_with('\''), "{bad:?} became {safe:?}");
        }
        for good in ["-1", "-1.50", "-2e+10", "0", "a=b", "client-a", "", "'x", "100.0"] {
            assert_eq!(cell(good), good);
        }
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&["x, \"y\"", "two\nlines"]);
        assert_eq!(table.into_bytes(), b"a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\r\n");
    }
}
