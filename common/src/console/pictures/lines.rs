//! Values over days, with limits, and with hatching where there is none.

use super::{Picture, Scale, Table, at, round_up, shown};
use crate::console::layout::escaped;
use chrono::NaiveDate;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name, which stands at its end.
    pub label: String,
    /// A value for each day, or none.
    pub values: Vec<Option<f64>>,
}

/// A line that values should keep to.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitLine {
    /// What it is.
    pub label: String,
    /// Where.
    pub value: f64,
    /// Whether it is the one of the warning band.
    pub warning: bool,
}

/// Lines over the same days.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// What they show.
    pub caption: String,
    /// The unit behind a number: ` %`, or nothing.
    pub unit: &'static str,
    /// The days, one after the other.
    pub days: Vec<NaiveDate>,
    /// The lines; at most four.
    pub series: Vec<Series>,
    /// The limits.
    pub limits: Vec<LimitLine>,
    /// Whether the scale ends at 100.
    pub percent: bool,
    /// What a day without a value is, in the table and beside the hatching.
    pub gap: &'static str,
}

const CLASSES: [&str; 4] = ["a", "b", "c", "d"];

/// Days one after the other that have no value.
struct Gap {
    first: usize,
    last: usize,
}

impl Lines {
    /// The drawing and its numbers; `None` where there is no value at all.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        let values = || self.series.iter().flat_map(|series| series.values.iter().flatten().copied());
        values().next()?;
        let limits = self.limits.iter().map(|limit| limit.value);
        let most = values().chain(limits).fold(0.0, f64::max);
        let top = if self.percent { 100.0 } else { round_up(most) };
        let last_day = u32::try_from(self.days.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let x = Scale { from: 0.0, to: f64::from(last_day.max(1)), start: LEFT, end: WIDTH - RIGHT };
        let y = Scale { from: 0.0, to: top, start: HEIGHT - BOTTOM, end: TOP };
        let mut svg = format!(
            r#"<svg class="picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            escaped(&self.caption)
        );
        // Writing to a string cannot fail.
        let _ = self.draw_axis(&mut svg, y, top);
        let _ = self.draw_gaps(&mut svg, x);
        let _ = self.draw_limits(&mut svg, y);
        let _ = self.draw_series(&mut svg, x, y);
        svg.push_str("</svg>");
        Some(Picture { caption: self.caption.clone(), summary: self.summary(), svg, table: self.table() })
    }

    fn draw_axis(&self, svg: &mut String, y: Scale, top: f64) -> std::fmt::Result {
        // Half a device is none.
        let shares: &[f64] = if self.percent || top >= 2.0 { &[0.0, 0.5, 1.0] } else { &[0.0, 1.0] };
        for share in shares.iter().copied() {
            let (value, place) = (top * share, at(y.place(top * share)));
            write!(svg, r#"<path class="axis" d="M{LEFT} {place}H{}"/>"#, WIDTH - RIGHT)?;
            write!(
                svg,
                r#"<text x="{}" y="{place}" dy="4" text-anchor="end">{}{}</text>"#,
                LEFT - 6.0,
                shown(value),
                self.unit
            )?;
        }
        let bottom = HEIGHT - 8.0;
        if let (Some(first), Some(last)) = (self.days.first(), self.days.last()) {
            write!(svg, r#"<text x="{LEFT}" y="{bottom}">{first}</text>"#)?;
            write!(svg, r#"<text x="{}" y="{bottom}" text-anchor="end">{last}</text>"#, WIDTH - RIGHT)?;
        }
        Ok(())
    }

    /// Whether a day has no value in any line.
    fn is_gap(&self, day: usize) -> bool {
        self.series.iter().all(|series| series.values.get(day).copied().flatten().is_none())
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for day in (0..self.days.len()).filter(|day| self.is_gap(*day)) {
            match gaps.last_mut() {
                Some(gap) if gap.last + 1 == day => gap.last = day,
                _ => gaps.push(Gap { first: day, last: day }),
            }
        }
        gaps
    }

    fn draw_gaps(&self, svg: &mut String, x: Scale) -> std::fmt::Result {
        for Gap { first, last } in self.gaps() {
            let edge = |day: usize, half: f64| x.place(f64::from(u32::try_from(day).unwrap_or(0)) + half);
            let (from, to) = (edge(first, -0.5).max(LEFT), edge(last, 0.5).min(WIDTH - RIGHT));
            let (width, height) = (at((to - from).max(1.0)), at(HEIGHT - TOP - BOTTOM));
            write!(
                svg,
                r#"<rect class="gap" x="{}" y="{TOP}" width="{width}" height="{height}" fill="url(#hatch)"/>"#,
                at(from)
            )?;
        }
        Ok(())
    }

    fn draw_limits(&self, svg: &mut String, y: Scale) -> std::fmt::Result {
        for limit in &self.limits {
            let place = at(y.place(limit.value));
            let class = if limit.warning { "limit warn" } else { "limit" };
            write!(svg, r#"<path class="{class}" d="M{LEFT} {place}H{}"/>"#, WIDTH - RIGHT)?;
        }
        self.draw_names(svg, y)
    }

    /// The names at the right edge, of lines and limits, moved apart where they would cover each other.
    fn draw_names(&self, svg: &mut String, y: Scale) -> std::fmt::Result {
        let last_of = |series: &Series| series.values.iter().rev().flatten().next().copied();
        let mut names: Vec<(f64, &str, String)> = Vec::new();
        for (series, class) in self.series.iter().zip(CLASSES) {
            if let Some(value) = last_of(series) {
                names.push((y.place(value), class, format!("{} {}{}", series.label, shown(value), self.unit)));
            }
        }
        for limit in &self.limits {
            names.push((y.place(limit.value), "", limit.label.clone()));
        }
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut lowest = TOP;
        for (place, class, text) in names {
            let place = place.max(lowest).min(HEIGHT - 4.0);
            lowest = place + 13.0;
            write!(
                svg,
                r#"<text class="{class}" x="{}" y="{}" dy="4">{}</text>"#,
                WIDTH - RIGHT + 6.0,
                at(place),
                escaped(&text)
            )?;
        }
        Ok(())
    }

    fn draw_series(&self, svg: &mut String, x: Scale, y: Scale) -> std::fmt::Result {
        for (series, class) in self.series.iter().zip(CLASSES) {
            let (mut path, mut lonely, mut is_drawing) = (String::new(), String::new(), false);
            for (day, value) in (0_u32..).zip(&series.values) {
                let Some(value) = value else {
                    is_drawing = false;
                    continue;
                };
                let (left, top) = (at(x.place(f64::from(day))), at(y.place(*value)));
                let index = usize::try_from(day).unwrap_or(usize::MAX);
                let next = series.values.get(index + 1).copied().flatten();
                if !is_drawing && next.is_none() {
                    write!(lonely, r#"<circle class="dot {class}" cx="{left}" cy="{top}" r="2.6"/>"#)?;
                }
                write!(path, "{}{left} {top}", if is_drawing { "L" } else { "M" })?;
                is_drawing = true;
            }
            write!(svg, r#"<path class="line {class}" d="{path}"/>{lonely}"#)?;
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let of = |series: &Series| {
            let mut values = series.values.iter().flatten();
            let first = values.next().copied()?;
            let last = values.next_back().copied().unwrap_or(first);
            Some(format!(
                "{} went from {}{unit} to {}{unit}",
                series.label,
                shown(first),
                shown(last),
                unit = self.unit
            ))
        };
        let told: Vec<String> = self.series.iter().filter_map(of).collect();
        let gaps = (0..self.days.len()).filter(|day| self.is_gap(*day)).count();
        let days = self.days.len();
        match gaps {
            0 => format!("{} over {days} days.", told.join("; ")),
            _ => format!("{} over {days} days; hatched: {gaps} of them, {}.", told.join("; "), self.gap),
        }
    }

    fn table(&self) -> Table {
        let head = std::iter::once("Day".to_owned())
            .chain(self.series.iter().map(|series| format!("{}{}", series.label, self.unit)));
        let row = |(index, day): (usize, &NaiveDate)| {
            let cell = |series: &Series| {
                series
                    .values
                    .get(index)
                    .copied()
                    .flatten()
                    .map_or_else(|| if self.is_gap(index) { self.gap.to_owned() } else { "–".to_owned() }, shown)
            };
            std::iter::once(day.to_string()).chain(self.series.iter().map(cell)).collect()
        };
        // The newest first: it is what people look for.
        Table { head: head.collect(), rows: self.days.iter().enumerate().rev().map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: &[Option<f64>]) -> Lines {
        let first: NaiveDate = "2026-03-01".parse().unwrap();
        Lines {
            caption: "Coverage".to_owned(),
            unit: " %",
            days: first.iter_days().take(values.len()).collect(),
            series: vec![Series { label: "trained".to_owned(), values: values.to_vec() }],
            limits: vec![LimitLine { label: "pass from 90 %".to_owned(), value: 90.0, warning: false }],
            percent: true,
            gap: "no evidence",
        }
    }

    #[test]
    fn a_gap_breaks_the_line_and_is_hatched_and_told() {
        let picture = lines(&[Some(80.0), Some(81.5), None, None, Some(92.0)]).picture().unwrap();
        assert_eq!(picture.svg.matches("url(#hatch)").count(), 1, "one gap of two days: {}", picture.svg);
        let line = picture.svg.split(r#"class="line a" d=""#).nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((line.matches('M').count(), line.matches('L').count()), (2, 1), "{line}");
        assert!(picture.svg.contains(r#"<circle class="dot a""#), "a day between gaps is a dot");
        assert!(
            picture.summary.contains("from 80 % to 92 %") && picture.summary.contains("hatched: 2"),
            "{}",
            picture.summary
        );
        let cells: Vec<&str> = picture.table.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(cells, ["92", "no evidence", "no evidence", "81.5", "80"]);
        assert!(picture.svg.contains("pass from 90 %"));
    }

    #[test]
    fn without_a_value_there_is_no_picture() {
        assert_eq!(lines(&[None, None]).picture(), None);
        assert_eq!(lines(&[]).picture(), None);
    }

    #[test]
    fn names_do_not_cover_each_other() {
        let mut both = lines(&[Some(90.0), Some(90.0)]);
        both.series.push(Series { label: "other".to_owned(), values: vec![Some(90.0); 2] });
        let svg = both.picture().unwrap().svg;
        let mut places: Vec<f64> = svg
            .split(r#"<text class="#)
            .skip(1)
            .map(|text| text.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 3);
        assert!(places.windows(2).all(|two| two[1] - two[0] >= 12.0), "{places:?}");
    }
}
