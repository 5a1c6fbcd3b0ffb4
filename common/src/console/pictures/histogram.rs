//! Counts by a number, with a limit that can be moved.

use super::{Picture, Scale, Table, at, round_up};
use crate::console::layout::escaped;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 40.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 34.0;

/// A bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it counts.
    pub label: String,
    /// How many.
    pub count: u64,
    /// `within` the limit, `beyond` it, or `far` beyond.
    pub kind: &'static str,
}

/// Bars side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// What it shows.
    pub caption: String,
    /// What is counted, as `agents`.
    pub what: &'static str,
    /// What the bars are by, as `since the last call`.
    pub by: &'static str,
    /// The bars.
    pub bars: Vec<Bar>,
    /// Where the limits stand: before which bar, and what they are.
    pub marks: Vec<(usize, String)>,
}

impl Histogram {
    /// The drawing and its numbers; `None` where nothing is counted.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        let most = self.bars.iter().map(|bar| bar.count).max().filter(|most| *most > 0)?;
        let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let top = round_up(number(most));
        let y = Scale { from: 0.0, to: top, start: HEIGHT - BOTTOM, end: TOP };
        let slots = number(u64::try_from(self.bars.len()).unwrap_or(1)).max(1.0);
        let width = (WIDTH - LEFT) / slots;
        let mut svg = format!(
            r#"<svg class="picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            escaped(&self.caption)
        );
        // Writing to a string cannot fail.
        for value in [0.0, top] {
            let place = at(y.place(value));
            let _ = write!(svg, r#"<path class="axis" d="M{LEFT} {place}H{WIDTH}"/>"#);
            let _ =
                write!(svg, r#"<text x="{}" y="{place}" dy="4" text-anchor="end">{}</text>"#, LEFT - 5.0, at(value));
        }
        let mut left = LEFT;
        for bar in &self.bars {
            let high = y.place(number(bar.count));
            let rect = |class: &str, more: &str| {
                format!(
                    r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"{more}/>"#,
                    at(left + 1.0),
                    at(high),
                    at(width - 2.0),
                    at(HEIGHT - BOTTOM - high)
                )
            };
            let _ = write!(
                svg,
                "<g><title>{}: {} {}</title>{}",
                escaped(&bar.label),
                bar.count,
                self.what,
                rect(&format!("bar {}", bar.kind), "")
            );
            match bar.kind {
                "beyond" => svg.push_str(&rect("over", r#" fill="url(#hatch)""#)),
                "far" => svg.push_str(&rect("over far", r#" fill="url(#cross)""#)),
                _ => {}
            }
            let middle = at(left + width / 2.0);
            if bar.count > 0 {
                let _ = write!(
                    svg,
                    r#"<text x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
                    at(high - 4.0),
                    bar.count
                );
            }
            let _ = write!(
                svg,
                r#"<text x="{middle}" y="{}" text-anchor="middle">{}</text></g>"#,
                HEIGHT - BOTTOM + 15.0,
                escaped(&bar.label)
            );
            left += width;
        }
        for (before, label) in &self.marks {
            let place = LEFT + width * number(u64::try_from(*before).unwrap_or(0));
            let anchor = if place > WIDTH / 2.0 { "end" } else { "start" };
            let beside = if place > WIDTH / 2.0 { place - 4.0 } else { place + 4.0 };
            let _ = write!(svg, r#"<path class="chosen" d="M{} {}V{}"/>"#, at(place), 6, HEIGHT - BOTTOM);
            let _ = write!(svg, r#"<text x="{}" y="14" text-anchor="{anchor}">{}</text>"#, at(beside), escaped(label));
        }
        let _ = write!(svg, r#"<text x="{LEFT}" y="{}">{}</text></svg>"#, HEIGHT - 3.0, escaped(self.by));
        Some(Picture { caption: self.caption.clone(), summary: self.summary(), svg, table: self.table() })
    }

    fn summary(&self) -> String {
        let sum = |kind: &str| self.bars.iter().filter(|bar| bar.kind == kind).map(|bar| bar.count).sum::<u64>();
        let all: u64 = self.bars.iter().map(|bar| bar.count).sum();
        let limits: Vec<&str> = self.marks.iter().map(|(_, label)| label.as_str()).collect();
        format!(
            "{all} {}: {} within the limit, {} beyond it (hatched), {} far beyond (crossed). Limits: {}.",
            self.what,
            sum("within"),
            sum("beyond"),
            sum("far"),
            limits.join(", ")
        )
    }

    fn table(&self) -> Table {
        let word = |kind: &str| match kind {
            "beyond" => "beyond the limit",
            "far" => "far beyond the limit",
            _ => "within the limit",
        };
        let row = |bar: &Bar| vec![bar.label.clone(), bar.count.to_string(), word(bar.kind).to_owned()];
        let head = [self.by, self.what, "where"].map(str::to_owned);
        Table { head: head.to_vec(), rows: self.bars.iter().map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_beyond_the_limit_have_a_texture_and_the_table_says_so() {
        let bar = |label: &str, count, kind| Bar { label: label.to_owned(), count, kind };
        let histogram = Histogram {
            caption: "Age".to_owned(),
            what: "agents",
            by: "since the last call",
            bars: vec![bar("≤ 1 h", 80, "within"), bar("1 d", 4, "beyond"), bar("30 d", 3, "far")],
            marks: vec![(1, "online up to 24 h".to_owned())],
        };
        let picture = histogram.picture().unwrap();
        assert_eq!((picture.svg.matches("#hatch").count(), picture.svg.matches("#cross").count()), (1, 1));
        assert!(picture.summary.starts_with("87 agents: 80 within"), "{}", picture.summary);
        assert_eq!(picture.table.rows[2], ["30 d", "3", "far beyond the limit"]);
        assert_eq!(Histogram { bars: Vec::new(), ..histogram }.picture(), None);
    }
}
