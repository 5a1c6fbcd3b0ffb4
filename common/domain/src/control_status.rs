//! What a reader sees of a control: the worst outcome of the rules behind it, how old that is, and whether somebody accepted it.
//!
//! The command line, the API, the console, exports and notifications all call this one function.

use super::calendar::Calendar;
use super::policy::{Freshness, Outcome};
use super::time::CLOCK_TOLERANCE;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How old evidence is, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EvidenceAge {
    /// Young enough: at most 26 hours, where no policy says otherwise.
    Fresh,
    /// Older, but it still tells how it was.
    Stale,
    /// So old that it says nothing of today.
    Expired,
    /// There is none.
    None,
}

impl EvidenceAge {
    /// The age of evidence of `as_of` at `now`. Evidence dated more than 5 minutes after `now` is none: a dead clock battery made it.
    ///
    /// ```
    /// use evidence_domain::{control_status::EvidenceAge, policy::Freshness, time::parse};
    /// let age = |now| EvidenceAge::at(parse("2026-03-22T12:00:00Z"), Freshness::DEFAULT, parse(now).unwrap());
    /// assert_eq!(age("2026-03-23T14:00:00Z"), EvidenceAge::Fresh); // 26 hours
    /// assert_eq!(age("2026-03-23T14:00:01Z"), EvidenceAge::Stale);
    /// assert_eq!(age("2026-03-29T12:00:01Z"), EvidenceAge::Expired);
    /// assert_eq!(age("2026-03-22T11:55:00Z"), EvidenceAge::Fresh); // clocks differ
    /// assert_eq!(age("2026-03-22T11:54:59Z"), EvidenceAge::None);
    /// ```
    #[must_use]
    pub fn at(as_of: Option<DateTime<Utc>>, limits: Freshness, now: DateTime<Utc>) -> Self {
        let Some(age) = as_of.and_then(|as_of| age_of(as_of, now)) else { return Self::None };
        if age <= limits.stale_after() {
            Self::Fresh
        } else if age <= limits.expired_after() {
            Self::Stale
        } else {
            Self::Expired
        }
    }

    /// The word as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::None => "none",
        }
    }
}

impl fmt::Display for EvidenceAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The age of evidence; `None` for what lies so far in the future that it is passed over.
#[must_use]
pub fn age_of(as_of: DateTime<Utc>, now: DateTime<Utc>) -> Option<TimeDelta> {
    let age = now.signed_duration_since(as_of);
    (age >= -CLOCK_TOLERANCE).then(|| age.max(TimeDelta::zero()))
}

/// An exception in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Accepted {
    /// The exception.
    pub id: String,
    /// When it ends: the first instant at which it no longer counts.
    pub until: DateTime<Utc>,
}

/// One rule behind a control, as its newest evidence has it; or a kind of evidence that no rule was chosen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// What the rule said; `not_evaluated` where none was chosen.
    pub outcome: Outcome,
    /// The instant of the evidence; `None` when there is none.
    pub as_of: Option<DateTime<Utc>>,
    /// How long evidence is fresh under the rule's policy.
    pub freshness: Freshness,
    /// The exception in force for the rule or for the control, if there is one.
    pub exception: Option<Accepted>,
}

/// The status of a control, or of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlStatus {
    /// The worst outcome. It may be long ago, or accepted: see the other fields.
    pub outcome: Outcome,
    /// The age of the oldest evidence behind it.
    pub freshness: EvidenceAge,
    /// The same in whole hours; null without evidence.
    pub age_hours: Option<i64>,
    /// The exception that accepts the outcome; null when none does.
    pub exception: Option<Accepted>,
    /// All of it in words, e.g. `stale (was pass, 31 h old)`. It is never a bare `pass` unless the evidence is fresh.
    pub text: String,
}

impl ControlStatus {
    /// Whether everything is as it should be, now.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.outcome == Outcome::Pass && self.freshness == EvidenceAge::Fresh
    }
}

/// Whether an exception can accept this outcome. What is inconclusive cannot be accepted: nobody knows what that would be.
#[must_use]
pub fn can_be_accepted(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Warning)
}

/// The status at `now` of what these rules are behind; days in it are those of the calendar.
///
/// The outcome is the worst. A rule that has no evidence, while others have some, is inconclusive. Of several policies the smallest limit of freshness counts,
/// and of several pieces of evidence the oldest. An exception is shown when everything with the worst outcome is accepted; then the text also says what
/// the worst is of that which nobody accepted.
///
/// ```
/// use evidence_domain::{calendar::Calendar, control_status::*, policy::{Freshness, Outcome}, time::parse};
/// let new_york = Calendar::default();
/// let at = |text| parse(text).unwrap();
/// let rule = RuleState { outcome: Outcome::Pass, as_of: Some(at("2026-03-22T12:00:00Z")), freshness: Freshness::DEFAULT, exception: None };
/// assert_eq!(control_status(&[rule.clone()], &new_york, at("2026-03-22T13:00:00Z")).text, "pass");
/// assert_eq!(control_status(&[rule.clone()], &new_york, at("2026-03-23T19:30:00Z")).text, "stale (was pass, 31 h old)");
/// let until = at("2026-12-02T05:00:00Z"); // the end of 1 December in New York
/// let accepted = Some(Accepted { id: "x1".to_owned(), until });
/// let failing = RuleState { outcome: Outcome::Fail, exception: accepted, ..rule };
/// assert_eq!(control_status(&[failing], &new_york, at("2026-03-22T13:00:00Z")).text, "fail, accepted until 2026-12-01");
/// ```
#[must_use]
pub fn control_status(rules: &[RuleState], calendar: &Calendar, now: DateTime<Utc>) -> ControlStatus {
    let age = |rule: &RuleState| rule.as_of.and_then(|as_of| age_of(as_of, now));
    let Some(oldest) = rules.iter().filter_map(age).max() else { return without_evidence() };
    let outcome_of = |rule: &RuleState| if age(rule).is_some() { rule.outcome } else { Outcome::Inconclusive };
    let outcome = Outcome::NotApplicable.worst(rules.iter().map(outcome_of));
    let limits = rules.iter().map(|rule| rule.freshness).reduce(Freshness::smallest).unwrap_or(Freshness::DEFAULT);
    let freshness = EvidenceAge::at(now.checked_sub_signed(oldest), limits, now);

    let in_force = |rule: &RuleState| rule.exception.clone().filter(|exception| now < exception.until);
    let accepted = |rule: &RuleState| can_be_accepted(outcome_of(rule)).then(|| in_force(rule)).flatten();
    let worst: Option<Vec<Accepted>> = rules.iter().filter(|rule| outcome_of(rule) == outcome).map(accepted).collect();
    let exception = worst.and_then(|all| all.into_iter().min_by_key(|exception| exception.until));
    // What is left when the accepted is taken away.
    let rest = rules.iter().filter(|rule| accepted(rule).is_none()).map(outcome_of);
    let rest = Outcome::NotApplicable.worst(rest);

    let age_hours = oldest.num_hours();
    let mut text = match freshness {
        EvidenceAge::Fresh => outcome.to_string(),
        EvidenceAge::Stale | EvidenceAge::Expired => format!("{freshness} (was {outcome}, {age_hours} h old)"),
        EvidenceAge::None => return without_evidence(),
    };
    if let Some(exception) = &exception {
        text = format!("{text}, accepted until {}", calendar.last_day_before(exception.until));
        if rest.rank() < Outcome::Pass.rank() {
            text = format!("{text}; otherwise {rest}");
        }
    }
    ControlStatus { outcome, freshness, age_hours: Some(age_hours), exception, text }
}

fn without_evidence() -> ControlStatus {
    ControlStatus {
        outcome: Outcome::NotEvaluated,
        freshness: EvidenceAge::None,
        age_hours: None,
        exception: None,
        text: "no evidence".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;
    use proptest::prelude::*;

    fn now() -> DateTime<Utc> {
        parse("2026-03-22T12:00:00Z").unwrap()
    }

    fn rule(outcome: Outcome, hours_ago: i64) -> RuleState {
        RuleState {
            outcome,
            as_of: Some(now() - TimeDelta::hours(hours_ago)),
            freshness: Freshness::DEFAULT,
            exception: None,
        }
    }

    fn accepted(rule: RuleState, days: i64) -> RuleState {
        RuleState { exception: Some(Accepted { id: format!("x{days}"), until: now() + TimeDelta::days(days) }), ..rule }
    }

    fn text(rules: &[RuleState]) -> String {
        control_status(rules, &Calendar::default(), now()).text
    }

    #[test]
    fn a_pass_is_told_only_while_it_is_fresh() {
        assert_eq!(text(&[rule(Outcome::Pass, 26)]), "pass");
        assert_eq!(text(&[rule(Outcome::Pass, 27)]), "stale (was pass, 27 h old)");
        assert_eq!(text(&[rule(Outcome::Fail, 168)]), "stale (was fail, 168 h old)");
        assert_eq!(text(&[rule(Outcome::Pass, 169)]), "expired (was pass, 169 h old)");
        assert_eq!(text(&[]), "no evidence");
        let status =
            control_status(&[RuleState { as_of: None, ..rule(Outcome::Pass, 0) }], &Calendar::default(), now());
        assert_eq!(
            (status.outcome, status.freshness, status.age_hours),
            (Outcome::NotEvaluated, EvidenceAge::None, None)
        );
    }

    #[test]
    fn of_several_rules_the_worst_and_the_oldest_count_and_the_smallest_limit() {
        let status = control_status(
            &[rule(Outcome::Pass, 1), rule(Outcome::Warning, 30), rule(Outcome::Pass, 2)],
            &Calendar::default(),
            now(),
        );
        assert_eq!((status.text.as_str(), status.age_hours), ("stale (was warning, 30 h old)", Some(30)));
        let tight = Freshness { stale_after_hours: 4, expired_after_days: 1 };
        assert_eq!(
            text(&[rule(Outcome::Pass, 5), RuleState { freshness: tight, ..rule(Outcome::Pass, 3) }]),
            "stale (was pass, 5 h old)"
        );
        assert_eq!(text(&[rule(Outcome::NotApplicable, 1), rule(Outcome::Pass, 1)]), "pass");
        assert_eq!(text(&[rule(Outcome::NotApplicable, 1)]), "not applicable");
        assert_eq!(text(&[rule(Outcome::NotEvaluated, 1), rule(Outcome::Pass, 1)]), "not evaluated");
        // One piece of evidence is there and another is not: nobody knows.
        assert_eq!(
            text(&[RuleState { as_of: None, ..rule(Outcome::Pass, 0) }, rule(Outcome::Pass, 1)]),
            "inconclusive"
        );
        assert_eq!(text(&[RuleState { as_of: None, ..rule(Outcome::Pass, 0) }, rule(Outcome::Fail, 1)]), "fail");
    }

    #[test]
    fn evidence_from_the_future_is_none() {
        let ahead = |minutes| RuleState { as_of: Some(now() + TimeDelta::minutes(minutes)), ..rule(Outcome::Pass, 0) };
        assert_eq!(text(&[ahead(5)]), "pass");
        assert_eq!(control_status(&[ahead(5)], &Calendar::default(), now()).age_hours, Some(0));
        assert_eq!(text(&[ahead(6)]), "no evidence");
        assert_eq!(text(&[ahead(6), rule(Outcome::Pass, 1)]), "inconclusive");
    }

    #[test]
    fn an_exception_accepts_a_failing_outcome_and_changes_none() {
        let failing = accepted(rule(Outcome::Fail, 1), 9);
        let status = control_status(std::slice::from_ref(&failing), &Calendar::default(), now());
        assert_eq!((status.outcome, status.exception.as_ref().unwrap().id.as_str()), (Outcome::Fail, "x9"));
        assert_eq!(status.text, "fail, accepted until 2026-03-31");
        assert_eq!(
            text(&[accepted(rule(Outcome::Warning, 40), 9)]),
            "stale (was warning, 40 h old), accepted until 2026-03-31"
        );
        // Of several the first to end; and what nobody accepted is said.
        assert_eq!(text(&[failing.clone(), accepted(rule(Outcome::Fail, 1), 3)]), "fail, accepted until 2026-03-25");
        assert_eq!(
            text(&[failing.clone(), rule(Outcome::Warning, 1)]),
            "fail, accepted until 2026-03-31; otherwise warning"
        );
        assert_eq!(text(&[failing.clone(), rule(Outcome::Pass, 1)]), "fail, accepted until 2026-03-31");
        // One of two failing rules is accepted: the control is not.
        assert_eq!(text(&[failing.clone(), rule(Outcome::Fail, 1)]), "fail");
        // Nothing to accept.
        let passing = control_status(&[accepted(rule(Outcome::Pass, 1), 9)], &Calendar::default(), now());
        assert_eq!((passing.text.as_str(), passing.exception), ("pass", None));
        assert_eq!(text(&[accepted(rule(Outcome::Inconclusive, 1), 9)]), "inconclusive");
        // Over, by itself.
        assert_eq!(text(&[accepted(rule(Outcome::Fail, 1), 0)]), "fail");
    }

    #[test]
    fn the_last_day_of_an_exception_is_one_of_the_calendar() {
        // The end of 31 March in Los Angeles is in the first of April in New York, and in most other places.
        let los_angeles = Calendar::parse("cron(0 7 * * ? *)", "America/Los_Angeles").unwrap();
        let until = los_angeles.end_of("2026-03-31".parse().unwrap());
        let exception = Some(Accepted { id: "x1".to_owned(), until });
        let failing = [RuleState { exception, ..rule(Outcome::Fail, 1) }];
        assert_eq!(control_status(&failing, &los_angeles, now()).text, "fail, accepted until 2026-03-31");
        assert_eq!(control_status(&failing, &Calendar::default(), now()).text, "fail, accepted until 2026-04-01");
    }

    #[test]
    fn its_form_is_that_of_the_contract() {
        let status = control_status(&[accepted(rule(Outcome::Fail, 1), 9)], &Calendar::default(), now());
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            serde_json::json!({
                "outcome": "fail", "freshness": "fresh", "age_hours": 1,
                "exception": {"id": "x9", "until": "2026-03-31T12:00:00Z"}, "text": "fail, accepted until 2026-03-31",
            })
        );
    }

    fn any_rule() -> impl Strategy<Value = RuleState> {
        let as_of = proptest::option::of((-100_i64..100_000).prop_map(|minutes| now() - TimeDelta::minutes(minutes)));
        (0_usize..6, as_of, proptest::option::of(-3_i64..9)).prop_map(|(index, as_of, days)| {
            let state = RuleState { as_of, ..rule(Outcome::WORST_FIRST[index], 0) };
            match days {
                Some(days) => accepted(state, days),
                None => state,
            }
        })
    }

    proptest! {
        #[test]
        fn a_bare_pass_means_that_everything_passes_and_is_fresh(rules in proptest::collection::vec(any_rule(), 0..5)) {
            let status = control_status(&rules, &Calendar::default(), now());
            if status.text == "pass" {
                prop_assert!(status.is_passing());
                for rule in &rules {
                    let fresh = EvidenceAge::at(rule.as_of, rule.freshness, now()) == EvidenceAge::Fresh;
                    prop_assert!(fresh && matches!(rule.outcome, Outcome::Pass | Outcome::NotApplicable));
                }
            }
            prop_assert!(status.age_hours.is_none_or(|hours| hours >= 0));
            prop_assert_eq!(status.freshness == EvidenceAge::None, status.age_hours.is_none());
        }

        #[test]
        fn a_rule_more_never_makes_it_better(rules in proptest::collection::vec(any_rule(), 1..5), one_more in any_rule()) {
            let before = control_status(&rules, &Calendar::default(), now());
            let after = control_status(&[rules, vec![one_more]].concat(), &Calendar::default(), now());
            if before.freshness != EvidenceAge::None {
                prop_assert!(after.outcome.rank() <= before.outcome.rank() && after.freshness >= before.freshness);
            }
        }
    }
}
