//! What becomes of the coverage if nobody trains again: completions grow older, and leave the window one after the other.

use super::coverage::{self, WINDOW_DAYS};
use super::facts::SatFacts;
use super::measures::{SatRules, measures};
use crate::controls::Evidence;
use crate::number::Ratio;
use crate::policy::{InForce, Outcome};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// The days ahead that are always told.
pub const TOLD_DAYS: [u32; 3] = [30, 60, 90];

/// The coverage on one day, if nobody trains until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CoverageAhead {
    /// Days after the evidence.
    pub days: u32,
    /// The instant.
    pub at: DateTime<Utc>,
    /// Different learners with a completion in the window then.
    pub trained: u64,
    /// How many of these have left since; they count, and the workforce does not have them.
    pub departed: u64,
    /// In percent of the workforce of today; null without one.
    pub coverage_pct: Option<String>,
    /// What the rule in force would say; `not_evaluated` without one.
    pub outcome: Outcome,
}

/// How the coverage lapses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrainingForecast {
    /// The instant of the evidence.
    pub as_of: DateTime<Utc>,
    /// The workforce, which is taken to stay as it is.
    pub active_learners: u64,
    /// The coverage of the evidence.
    pub now: CoverageAhead,
    /// After 30, 60 and 90 days.
    pub ahead: Vec<CoverageAhead>,
    /// The first day on which the outcome is another one; null when it stays.
    pub leaves_band: Option<CoverageAhead>,
    /// Every day on which fewer are trained than on the day before.
    pub lapses: Vec<CoverageAhead>,
    /// Whether there are so few learners that their completions are known to 30 days only.
    pub coarse: bool,
}

/// The coverage of the year after the evidence under the rules in force, if nobody trains again and nobody comes or goes.
///
/// ```
/// use evidence_domain::{policy::{InForce, Outcome}, sat::{facts::{Heads, Learners, SatFacts}, forecast::forecast}, time::parse};
/// // Ten learners, each trained so many days ago; an age is kept as one more.
/// let mut active = Heads { total: 10, ..Heads::default() };
/// [301, 311, 321, 331, 341, 351, 361, 101, 101, 101].iter().for_each(|age| active.days.add(*age));
/// let facts = SatFacts { learners: Learners { active, ..Learners::default() }, ..SatFacts::default() };
/// let forecast = forecast(&facts, &InForce::default(), parse("2026-03-22T12:00:00Z").unwrap());
/// assert_eq!(forecast.now.coverage_pct.as_deref(), Some("100.0"));
/// // The oldest was 360 days old: after five days it is still inside, after six it is not, and two of ten are too many.
/// let first = &forecast.lapses[0];
/// assert_eq!((first.days, first.coverage_pct.as_deref(), first.outcome), (6, Some("90.0"), Outcome::Pass));
/// let leaves = forecast.leaves_band.unwrap();
/// assert_eq!((leaves.days, leaves.coverage_pct.as_deref(), leaves.outcome), (16, Some("80.0"), Outcome::Warning));
/// ```
#[must_use]
pub fn forecast(facts: &SatFacts, in_force: &InForce, as_of: DateTime<Utc>) -> TrainingForecast {
    let rule = in_force.rules().find(|(_, rule)| rule.evidence == Evidence::WorkforceCoverage);
    let on = |days: u32| {
        // What is inside the window in `days` days is today inside one that is so much shorter.
        let window = WINDOW_DAYS.saturating_sub(days);
        let evaluated = coverage::assess(&facts.learners, window);
        let rules = SatRules { coverage_days: window, ..SatRules::default() };
        let outcome = rule.map(|(_, rule)| rule.evaluate(&measures(facts, rules)).outcome);
        CoverageAhead {
            days,
            at: as_of.checked_add_signed(TimeDelta::days(days.into())).unwrap_or(as_of),
            trained: evaluated.trained,
            departed: evaluated.departed,
            coverage_pct: Ratio::percent(evaluated.trained.min(evaluated.active), evaluated.active)
                .map(|rate| rate.rounded(1).to_string()),
            outcome: outcome.unwrap_or(Outcome::NotEvaluated),
        }
    };
    let now = on(0);
    let (mut lapses, mut leaves_band, mut before) = (Vec::new(), None, now.trained);
    for days in 1..=WINDOW_DAYS {
        let day = on(days);
        if leaves_band.is_none() && day.outcome != now.outcome {
            leaves_band = Some(day.clone());
        }
        if day.trained < before {
            before = day.trained;
            lapses.push(day);
        }
    }
    TrainingForecast {
        as_of,
        active_learners: coverage::assess(&facts.learners, WINDOW_DAYS).active,
        ahead: TOLD_DAYS.into_iter().map(on).collect(),
        now,
        leaves_band,
        lapses,
        coarse: facts.learners.coarse,
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Heads, Learners};
    use super::*;
    use crate::time::parse;
    use proptest::prelude::*;

    fn facts(ages: &[u32], total: u64) -> SatFacts {
        let mut active = Heads { total, ..Heads::default() };
        // The code of an age is one more; 0 is none.
        ages.iter().for_each(|age| active.days.add(age + 1));
        SatFacts { learners: Learners { active, ..Learners::default() }, ..SatFacts::default() }
    }

    fn as_of() -> DateTime<Utc> {
        parse("2026-03-22T12:00:00Z").unwrap()
    }

    #[test]
    fn without_a_workforce_nothing_lapses() {
        let forecast = forecast(&SatFacts::default(), &InForce::default(), as_of());
        assert_eq!((forecast.now.coverage_pct, forecast.now.outcome), (None, Outcome::Warning));
        assert_eq!((forecast.leaves_band, forecast.lapses), (None, Vec::new()));
    }

    #[test]
    fn a_completion_counts_on_its_last_day_and_not_on_the_next() {
        let forecast = forecast(&facts(&[365, 0], 2), &InForce::default(), as_of());
        let days: Vec<(u32, u64)> = forecast.lapses.iter().map(|day| (day.days, day.trained)).collect();
        assert_eq!(days, [(1, 1)]);
        assert_eq!(forecast.ahead.iter().map(|day| day.days).collect::<Vec<_>>(), [30, 60, 90]);
        // What was made at the very instant of the evidence is inside for a year.
        assert_eq!(forecast.leaves_band.unwrap().days, 1);
    }

    #[test]
    fn the_departed_are_told_for_as_long_as_their_completions_count() {
        let mut facts = facts(&[10], 2);
        facts.learners.departed_days.add(336);
        let forecast = forecast(&facts, &InForce::default(), as_of());
        let told = |day: &CoverageAhead| (day.trained, day.departed);
        assert_eq!((told(&forecast.now), told(&forecast.ahead[0]), told(&forecast.ahead[1])), ((2, 1), (2, 1), (1, 0)));
    }

    proptest! {
        /// Every day equals an evaluation of the same completions, each so much older.
        #[test]
        fn a_day_ahead_is_the_coverage_of_completions_that_are_older(ages in proptest::collection::vec(0_u32..400, 0..60), days in 0_u32..=365) {
            let ahead = forecast(&facts(&ages, 60), &InForce::default(), as_of());
            let older: Vec<u32> = ages.iter().map(|age| age + days).collect();
            let expected = coverage::assess(&facts(&older, 60).learners, WINDOW_DAYS).trained;
            let last = ahead.lapses.iter().rev().find(|lapse| lapse.days <= days);
            prop_assert_eq!(last.map_or(ahead.now.trained, |lapse| lapse.trained), expected);
        }
    }
}
