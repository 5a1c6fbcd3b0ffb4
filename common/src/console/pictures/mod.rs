//! Pictures as SVG, from numbers alone: no clock, no table, no request. Each has its numbers as a table beneath, and prints.
//!
//! Nothing is told by colour alone: lines differ by their dashes and end in their names, cells by hatching and letters.

mod histogram;
mod lines;
mod spark;
mod strip;

pub use histogram::{Bar, Histogram};
pub use lines::{LimitLine, Lines, Series};
pub use spark::spark;
pub use strip::{Cell, Strip};

use super::layout::escaped;
use askama::filters::HtmlSafe;
use std::fmt;

/// A picture, with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What it shows.
    pub caption: String,
    /// What one sees in it, for who does not see it.
    pub summary: String,
    /// The drawing: an SVG element.
    pub svg: String,
    /// Its numbers.
    pub table: Table,
}

/// Numbers as a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows; the first cell names the row.
    pub rows: Vec<Vec<String>>,
}

impl HtmlSafe for Picture {}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caption, summary, svg, table } = self;
        let caption = escaped(caption);
        write!(f, "<figure><figcaption>{caption}</figcaption><p class=\"faint\">{}</p>", escaped(summary))?;
        write!(f, "<div class=\"drawing\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\">{svg}</div>")?;
        if !table.rows.is_empty() {
            write!(f, "<details><summary>Numbers: {caption}</summary>{table}</details>")?;
        }
        f.write_str("</figure>")
    }
}

impl HtmlSafe for Table {}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Numbers\"><table><thead><tr>")?;
        for cell in &self.head {
            write!(f, "<th scope=\"col\">{}</th>", escaped(cell))?;
        }
        f.write_str("</tr></thead><tbody>")?;
        // Hundreds of rows may stand here: what ends by itself is not ended.
        for row in &self.rows {
            f.write_str("<tr>")?;
            for (place, cell) in row.iter().enumerate() {
                f.write_str(if place == 0 { "<th scope=row>" } else { "<td>" })?;
                f.write_str(&escaped(cell))?;
            }
        }
        f.write_str("</tbody></table></div>")
    }
}

/// From values to places on a drawing.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        let share = if self.to > self.from { (value - self.from) / (self.to - self.from) } else { 0.0 };
        self.start + share * (self.end - self.start)
    }
}

/// The first round number that is not less: 1, 2 or 5 and zeros.
fn round_up(value: f64) -> f64 {
    if value <= 1.0 {
        return 1.0;
    }
    let tens = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * tens);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

/// A place with one decimal.
fn at(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A value as people write it: no more decimals than it has, and at most one.
fn shown(value: f64) -> String {
    at(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_a_picture_is_escaped() {
        let table = Table { head: vec!["<b>".to_owned()], rows: vec![vec!["<i>".to_owned(), "&".to_owned()]] };
        let picture = Picture { caption: "<script>".to_owned(), summary: "\"".to_owned(), svg: String::new(), table };
        let html = picture.to_string();
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("<td>&amp;</tbody>"));
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([0.0, 1.0, 1.2, 7.0, 87.0, 100.0, 450.0].map(round_up), [1.0, 1.0, 2.0, 10.0, 100.0, 100.0, 500.0]);
        let scale = Scale { from: 0.0, to: 100.0, start: 200.0, end: 0.0 };
        assert_eq!((scale.place(0.0), scale.place(50.0), at(scale.place(33.33))), (200.0, 100.0, "133.3".to_owned()));
        assert_eq!(Scale { from: 5.0, to: 5.0, start: 1.0, end: 9.0 }.place(5.0), 1.0);
    }
}
