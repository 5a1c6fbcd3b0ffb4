//! A row's own small line: thirty days of outcomes in the space of a word.

use crate::domain::policy::Outcome;
use std::fmt::Write;

/// The height of an outcome: the higher, the better. A day without evidence has none.
fn height(outcome: Option<Outcome>) -> Option<i8> {
    Some(match outcome? {
        Outcome::Pass | Outcome::NotApplicable => 2,
        Outcome::Warning => 5,
        Outcome::Inconclusive => 7,
        Outcome::Fail => 10,
        Outcome::NotEvaluated => return None,
    })
}

/// Outcomes of days, oldest first, as a line in steps that breaks where there is nothing to draw. Hundreds of them stand on one page, so it says no more
/// than it must: a stretch of equal days is one stroke, and the row beside it has the words.
#[must_use]
pub fn spark(outcomes: &[Option<Outcome>]) -> String {
    let mut path = String::new();
    let mut at: Option<i8> = None;
    let mut day = 0;
    for days in outcomes.chunk_by(|one, other| height(*one) == height(*other)) {
        let next = days.first().copied().and_then(height);
        // Writing to a string cannot fail.
        let _ = match (at, next) {
            (_, None) => Ok(()),
            (None, Some(next)) => write!(path, "M{} {next}h{}", day * 2, days.len() * 2),
            (Some(at), Some(next)) => write!(path, "v{}h{}", next - at, days.len() * 2),
        };
        at = next;
        day += days.len();
    }
    format!(r#"<svg><path d="{path}"/></svg>"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_days_are_one_stroke_and_gaps_break_the_line() {
        let of =
            |days: &[Option<Outcome>]| spark(days).split("d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let (pass, fail) = (Some(Outcome::Pass), Some(Outcome::Fail));
        assert_eq!(of(&[pass; 30]), "M0 2h60");
        assert_eq!(of(&[pass, pass, fail, pass]), "M0 2h4v8h2v-8h2");
        assert_eq!(of(&[pass, None, Some(Outcome::NotEvaluated), fail]), "M0 2h2M6 10h2");
        assert_eq!(of(&[None; 30]), "");
    }
}
