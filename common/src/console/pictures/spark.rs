//! A row's own small line: thirty days of outcomes in the space of a word.

use crate::console::layout::escaped;
use crate::domain::policy::Outcome;
use std::fmt::Write;

/// Outcomes of days, oldest first, as bars of different height: the higher, the better; a day without evidence is a dot.
///
/// Heights tell them apart without colour, and the label has the numbers.
#[must_use]
pub fn spark(outcomes: &[Option<Outcome>]) -> String {
    let label = summary(outcomes);
    let width = outcomes.len() * 4;
    let mut svg =
        format!(r#"<svg class="spark" viewBox="0 0 {width} 20" role="img" aria-label="{}">"#, escaped(&label));
    // A path for each height is much smaller than an element for each day.
    let mut paths: [(&str, u8, String); 4] = [
        ("pass", 18, String::new()),
        ("warning", 12, String::new()),
        ("fail", 6, String::new()),
        ("none", 2, String::new()),
    ];
    for (day, outcome) in outcomes.iter().enumerate() {
        let kind = match outcome {
            Some(Outcome::Pass | Outcome::NotApplicable) => "pass",
            Some(Outcome::Warning | Outcome::Inconclusive) => "warning",
            Some(Outcome::Fail) => "fail",
            Some(Outcome::NotEvaluated) | None => "none",
        };
        if let Some((_, height, path)) = paths.iter_mut().find(|(named, ..)| *named == kind) {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} 20v-{height}", day * 4 + 2);
        }
    }
    for (kind, _, path) in paths.iter().filter(|(_, _, path)| !path.is_empty()) {
        let _ = write!(svg, r#"<path class="s-{kind}" d="{path}"/>"#);
    }
    svg.push_str("</svg>");
    svg
}

fn summary(outcomes: &[Option<Outcome>]) -> String {
    let mut told = Vec::new();
    for outcome in Outcome::WORST_FIRST {
        let days = outcomes.iter().filter(|it| **it == Some(outcome)).count();
        if days > 0 {
            told.push(format!("{outcome} {days}"));
        }
    }
    let without = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    if without > 0 {
        told.push(format!("no evidence {without}"));
    }
    format!("{} days: {}", outcomes.len(), told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_take_less_than_a_kilobyte_and_say_what_they_are() {
        let outcomes: Vec<Option<Outcome>> = (0..30)
            .map(|day| match day % 5 {
                0 => None,
                1 => Some(Outcome::Fail),
                2 => Some(Outcome::Warning),
                _ => Some(Outcome::Pass),
            })
            .collect();
        let svg = spark(&outcomes);
        assert!(svg.len() < 700, "{}", svg.len());
        assert!(svg.contains("30 days: fail 6, warning 6, pass 12, no evidence 6"), "{svg}");
    }
}
