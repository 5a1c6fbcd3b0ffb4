//! Days as a strip of cells: a row for each connection, months apart, with a letter and a texture for what each day was.

use super::{Picture, Table};
use crate::console::layout::escaped;
use chrono::{Datelike, NaiveDate};
use std::fmt::Write;

const CELL: i64 = 15;
const LEFT: i64 = 78;

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Which.
    pub day: NaiveDate,
    /// Its kind, as states are named; `missing` where there is no evidence.
    pub kind: &'static str,
    /// A letter for it.
    pub letter: char,
    /// What it was, in words.
    pub text: String,
    /// Where more is told, if anywhere.
    pub href: Option<String>,
}

/// The days of a window, by week: a column a week, a row a weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// What it shows.
    pub caption: String,
    /// The days, one after the other.
    pub cells: Vec<Cell>,
    /// Their numbers, where the page has them nowhere else.
    pub table: Table,
}

impl Strip {
    /// The drawing: a column for each month's days, and its numbers.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        let (first, last) = (self.cells.first()?, self.cells.last()?);
        let months = month_of(last.day) - month_of(first.day) + 1;
        let (width, height) = (LEFT + 31 * CELL + 4, 18 + months * (CELL + 3));
        let mut svg = format!(
            r#"<svg class="picture" viewBox="0 0 {width} {height}" role="group" aria-label="{}">"#,
            escaped(&self.caption)
        );
        // Writing to a string cannot fail.
        for day in [1, 10, 20, 31] {
            let _ = write!(
                svg,
                r#"<text x="{}" y="11" text-anchor="middle">{day}</text>"#,
                LEFT + (day - 1) * CELL + CELL / 2
            );
        }
        let mut month = None;
        for cell in &self.cells {
            let top = 16 + (month_of(cell.day) - month_of(first.day)) * (CELL + 3);
            if month != Some(month_of(cell.day)) {
                month = Some(month_of(cell.day));
                let _ = write!(svg, r#"<text x="0" y="{}">{}</text>"#, top + 12, cell.day.format("%Y-%m"));
            }
            let left = LEFT + i64::from(cell.day.day0()) * CELL;
            let _ = draw(&mut svg, cell, left, top);
        }
        svg.push_str("</svg>");
        Some(Picture { caption: self.caption.clone(), summary: self.summary(), svg, table: self.table.clone() })
    }

    fn summary(&self) -> String {
        let mut counts: Vec<(char, &str, usize)> = Vec::new();
        for cell in &self.cells {
            match counts.iter_mut().find(|(letter, ..)| *letter == cell.letter) {
                Some((_, _, count)) => *count += 1,
                None => counts.push((cell.letter, &cell.text, 1)),
            }
        }
        let told: Vec<String> = counts
            .iter()
            .map(|(letter, text, count)| format!("{letter} {} on {}", short(text), days(*count)))
            .collect();
        format!("{}: {}.", days(self.cells.len()), told.join("; "))
    }
}

fn days(count: usize) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// The part of a text that tells its kind.
fn short(text: &str) -> &str {
    text.split(['(', ':', ',']).next().unwrap_or(text).trim()
}

fn month_of(day: NaiveDate) -> i64 {
    i64::from(day.year()) * 12 + i64::from(day.month0())
}

fn draw(svg: &mut String, cell: &Cell, left: i64, top: i64) -> std::fmt::Result {
    let Cell { day, kind, letter, text, href } = cell;
    let title = format!("{day}: {}", escaped(text));
    if let Some(href) = href {
        write!(svg, r#"<a href="{}" aria-label="{title}">"#, escaped(href))?;
    }
    write!(svg, r#"<g><title>{title}</title>"#)?;
    write!(svg, r#"<rect class="k {kind}" x="{left}" y="{top}" width="{CELL}" height="{CELL}"/>"#)?;
    let pattern = match *kind {
        "fail" => Some("cross"),
        "warning" | "missing" => Some("hatch"),
        "inconclusive" => Some("dots"),
        _ => None,
    };
    if let Some(pattern) = pattern {
        write!(
            svg,
            r#"<rect class="over {kind}" x="{left}" y="{top}" width="{CELL}" height="{CELL}" fill="url(#{pattern})" opacity=".3"/>"#
        )?;
    }
    let class = if *kind == "pass" { "on" } else { "off" };
    write!(
        svg,
        r#"<text class="{class}" x="{}" y="{}" text-anchor="middle">{letter}</text></g>"#,
        left + CELL / 2,
        top + 12
    )?;
    if href.is_some() {
        svg.push_str("</a>");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_its_cell_with_a_letter_and_what_it_was() {
        let first: NaiveDate = "2026-02-27".parse().unwrap();
        let cell = |(index, day): (usize, NaiveDate)| Cell {
            day,
            kind: if index == 1 { "missing" } else { "pass" },
            letter: if index == 1 { '!' } else { 'P' },
            text: if index == 1 { "failed: <the sync>".to_owned() } else { "pass".to_owned() },
            href: (index != 1).then(|| "/x".to_owned()),
        };
        let cells = first.iter_days().take(4).enumerate().map(cell).collect();
        let picture = Strip { caption: "Days".to_owned(), cells, table: Table::default() }.picture().unwrap();
        assert_eq!(picture.svg.matches("<rect class=\"k ").count(), 4);
        assert_eq!(picture.svg.matches("url(#hatch)").count(), 1);
        assert!(picture.svg.contains("2026-02-28: failed: &lt;the sync&gt;") && picture.svg.contains(">2026-03<"));
        assert_eq!(picture.summary, "4 days: P pass on 3 days; ! failed on 1 day.");
        let empty = Strip { caption: String::new(), cells: Vec::new(), table: Table::default() };
        assert_eq!(empty.picture(), None);
    }
}
