//! What the newest evidence of a client says of each kind of evidence and of each control, at the instant of the pack.

use crate::domain::control_status::{ControlStatus, RuleState, control_status};
use crate::domain::controls::Evidence;
use crate::domain::decisions::{ExceptionHistory, ExceptionSubject, exception_in_force};
use crate::domain::policy::{Freshness, Outcome, PolicyRef, Verdict};
use crate::pack::contents::{Contents, MapRow, PackedBundle};

/// One kind of evidence.
#[derive(Debug, Clone)]
pub struct EvidenceState<'a> {
    /// The kind.
    pub evidence: Evidence,
    /// The newest bundle of its product.
    pub bundle: &'a PackedBundle,
    /// What the rules said; empty where none was chosen.
    pub verdicts: Vec<&'a Verdict>,
}

/// The kinds of evidence that the pack has a bundle for, in the order of the contract.
#[must_use]
pub fn states(contents: &Contents) -> Vec<EvidenceState<'_>> {
    let state = |evidence: Evidence| {
        let bundle = contents.newest(evidence.product()?)?;
        let verdicts = bundle.view.verdicts.iter().filter(|verdict| verdict.evidence == evidence).collect();
        // No record of people is in a pack.
        (evidence != Evidence::PersonTraining).then_some(EvidenceState { evidence, bundle, verdicts })
    };
    Evidence::ALL.into_iter().filter_map(state).collect()
}

impl EvidenceState<'_> {
    /// How long it is fresh under the policies behind it.
    #[must_use]
    pub fn freshness(&self, contents: &Contents) -> Freshness {
        let limits = self.verdicts.iter().map(|verdict| freshness_of(contents, verdict));
        limits.reduce(Freshness::smallest).unwrap_or(Freshness::DEFAULT)
    }

    fn rules(&self, contents: &Contents, control: Option<&str>) -> Vec<RuleState> {
        let as_of = Some(self.bundle.as_of());
        if self.verdicts.is_empty() {
            return vec![RuleState {
                outcome: Outcome::NotEvaluated,
                as_of,
                freshness: Freshness::DEFAULT,
                exception: None,
            }];
        }
        let ExceptionHistory { exceptions, reviews } = contents.exceptions();
        let rule = |verdict: &&Verdict| {
            let mut subjects = vec![ExceptionSubject::Rule(verdict.rule.clone())];
            subjects.extend(control.map(|control| ExceptionSubject::Control(control.to_owned())));
            RuleState {
                outcome: verdict.outcome,
                as_of,
                freshness: freshness_of(contents, verdict),
                exception: exception_in_force(&exceptions, &reviews, &subjects, contents.scope.at),
            }
        };
        self.verdicts.iter().map(rule).collect()
    }

    /// The status for a control, or in general.
    #[must_use]
    pub fn status(&self, contents: &Contents, control: Option<&str>) -> ControlStatus {
        control_status(&self.rules(contents, control), &contents.window.calendar, contents.scope.at)
    }

    /// The status of one rule.
    #[must_use]
    pub fn status_of(&self, contents: &Contents, verdict: &Verdict) -> ControlStatus {
        let alone = EvidenceState { verdicts: vec![verdict], ..self.clone() };
        alone.status(contents, None)
    }
}

fn freshness_of(contents: &Contents, verdict: &Verdict) -> Freshness {
    let of =
        PolicyRef { policy: verdict.policy.clone(), version: verdict.version, sha256: verdict.policy_sha256.clone() };
    contents.policy(&of).map_or(Freshness::DEFAULT, |policy| policy.freshness())
}

/// The rows of the control map that hold, each with the evidence behind it.
#[must_use]
pub fn supported<'a>(contents: &'a Contents, states: &'a [EvidenceState<'a>]) -> Vec<(MapRow, &'a EvidenceState<'a>)> {
    let of = |row: MapRow| {
        let state = states.iter().find(|state| state.evidence == row.evidence)?;
        Some((row, state))
    };
    contents.rows_that_hold().into_iter().filter_map(of).collect()
}

/// A verdict in words: `agents_online_percentage 93.8, pass at least 95`.
#[must_use]
pub fn in_words(verdict: &Verdict) -> String {
    let value = verdict.value.as_deref().unwrap_or("not known");
    let reason = verdict.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {value}{reason}, pass {}", verdict.metric, limit(&verdict.limit.pass))
}

/// A limit in words.
#[must_use]
pub fn limit(limit: &crate::domain::policy::Limit) -> String {
    let direction = if limit.is_at_least() { "at least" } else { "at most" };
    format!("{direction} {}", limit.decimal())
}
