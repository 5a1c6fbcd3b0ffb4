//! How much of the workforce completed training within a year.

use super::activity::ActivityTally;
use super::assignment::AssignmentTally;
use super::facts::Learners;
use super::id::LearnerKey;
use super::list::{Inconsistent, SatList, TruncatedList};
use super::status::Status;
use crate::completeness::{Dropped, PagesRead};
use crate::controls::Evidence;
use crate::evidence::Reason;
use crate::number::Ratio;
use crate::policy::{PercentLimits, training_limits};
use crate::quality::{Quality, QualityCode, normalized};
use crate::time::Window;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Completions count for this many days.
pub const WINDOW_DAYS: u32 = 365;

/// From which coverage on, in percent, the signal passes and from which on it warns: the limits of the training preset.
#[must_use]
pub fn limits() -> PercentLimits {
    training_limits(Evidence::WorkforceCoverage)
}

/// What a coverage alone means; `None` without a workforce. The exact value is compared, not the rounded one.
///
/// ```
/// use evidence_domain::sat::{coverage::band, status::Status};
/// assert_eq!(band(90, 100), Some(Status::Pass));
/// assert_eq!(band(89_999, 100_000), Some(Status::Warning)); // shown as 90.0
/// assert_eq!(band(70, 100), Some(Status::Warning));
/// assert_eq!(band(69_999, 100_000), Some(Status::Fail));
/// assert_eq!(band(0, 0), None);
/// ```
#[must_use]
pub fn band(trained: u64, workforce: u64) -> Option<Status> {
    let rate = Ratio::percent(trained, workforce)?;
    let PercentLimits { pass, warning } = limits();
    Some(if rate.at_least(i128::from(pass)) {
        Status::Pass
    } else if rate.at_least(i128::from(warning)) {
        Status::Warning
    } else {
        Status::Fail
    })
}

/// Whether a learner belongs to the workforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnerState {
    /// Does.
    Active,
    /// Does not, or no longer.
    Inactive,
    /// A word that is not known, or none.
    Unknown,
}

/// The state that a learner's status word means.
#[must_use]
pub fn learner_state(status: Option<&str>) -> LearnerState {
    match normalized(status.unwrap_or_default()).as_ref() {
        "active" => LearnerState::Active,
        "inactive" => LearnerState::Inactive,
        _ => LearnerState::Unknown,
    }
}

/// What the source says of one learner. Names and addresses are not read.
#[derive(Debug, Clone, Copy, Default)]
pub struct LearnerFacts<'a> {
    /// Who; a record without an id is dropped.
    pub learner: Option<LearnerKey>,
    /// The status word.
    pub status: Option<&'a str>,
}

/// Everything that one collection has read of completions and learners, at some 20 bytes a learner in each of two sets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CoverageTally {
    window: Window,
    /// The age of each learner's newest completion, in [days](crate::facts::ended::day_since).
    newest: BTreeMap<LearnerKey, u32>,
    unreadable: BTreeSet<LearnerKey>,
    learners: BTreeMap<LearnerKey, LearnerState>,
    learners_read: u64,
    claimed: Option<u64>,
    activity_read: u64,
    activity_cut: Option<TruncatedList>,
    pub(super) quality: Quality,
    /// The pages of the list of learners.
    pub learners_pages: PagesRead,
    pub(super) learners_dropped: Dropped,
    pub(super) activity_pages: PagesRead,
    pub(super) activity_dropped: Dropped,
}

/// Where the number of active learners comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkforceSource {
    /// The account's own count.
    Account,
    /// Active learners of the list, for want of that count.
    LearnerList,
}

/// The evaluated coverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The status.
    pub status: Status,
    /// Why it is not what the rate alone would give, or that the numbers are not whole.
    pub reason: Option<Reason>,
    /// Different learners with a completion in the window.
    pub trained: u64,
    /// Of them, those who are inactive or no longer listed.
    pub departed: u64,
    /// The workforce.
    pub active: u64,
    /// Where that number comes from.
    pub source: WorkforceSource,
}

impl Coverage {
    /// The rate in percent as it is shown: one decimal, at most 100; `None` without a workforce.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        shown_percent(self.trained, self.active)
    }

    /// The same without the learners who left.
    #[must_use]
    pub fn shown_without_departed(&self) -> Option<String> {
        shown_percent(self.trained.saturating_sub(self.departed), self.active)
    }
}

fn shown_percent(part: u64, whole: u64) -> Option<String> {
    Ratio::percent(part.min(whole), whole).map(|rate| rate.rounded(1).to_string())
}

impl CoverageTally {
    /// An empty tally that evaluates at `as_of`.
    #[must_use]
    pub fn new(as_of: DateTime<Utc>) -> Self {
        Self {
            window: Window::of_days(WINDOW_DAYS, as_of),
            newest: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            learners: BTreeMap::new(),
            learners_read: 0,
            claimed: None,
            activity_read: 0,
            activity_cut: None,
            quality: Quality::default(),
            learners_pages: PagesRead::default(),
            learners_dropped: Dropped::default(),
            activity_pages: PagesRead::default(),
            activity_dropped: Dropped::default(),
        }
    }

    /// The window in which completions count.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// The account's own count of active learners; `None` when it gives none, and then they are counted from the list.
    pub fn claim_active_learners(&mut self, claimed: Option<u64>) {
        self.claimed = claimed;
    }

    /// Adds a listed learner; of two with one id the first counts.
    pub fn add_learner(&mut self, facts: &LearnerFacts<'_>) {
        self.learners_read += 1;
        let Some(learner) = facts.learner else {
            self.quality.note(QualityCode::RecordWithoutId);
            self.learners_dropped.without_id += 1;
            return;
        };
        if self.learners.contains_key(&learner) {
            self.quality.note(QualityCode::DuplicateRecord);
            self.learners_dropped.duplicates += 1;
            return;
        }
        let state = learner_state(facts.status);
        if state == LearnerState::Unknown {
            let word = normalized(facts.status.unwrap_or_default());
            self.quality.note_word(QualityCode::UnknownLearnerStatus, &word);
        }
        self.learners.insert(learner, state);
    }

    /// Adds the activity of one assignment, read to its end or its cap. A learner of several assignments counts once.
    ///
    /// # Errors
    /// [`Inconsistent`] when the list cannot be trusted; then there is no evidence.
    pub fn join(&mut self, activity: ActivityTally) -> Result<(), Inconsistent> {
        activity.check()?;
        let capped = activity.capped();
        self.activity_read += capped.read();
        if capped.is_cut() {
            let cut = self.activity_cut.get_or_insert(TruncatedList {
                list: SatList::LearnerActivity,
                cap: capped.cap(),
                lists: 0,
            });
            cut.lists += 1;
        }
        for (learner, day) in activity.newest {
            self.newest.entry(learner).and_modify(|newest| *newest = day.min(*newest)).or_insert(day);
        }
        self.unreadable.extend(activity.unreadable);
        self.quality.add(&activity.quality);
        self.activity_dropped.add(Dropped::of(&activity.quality));
        self.activity_pages.join(&activity.pages, activity.pages.request());
        Ok(())
    }

    /// Checks the list of learners, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids, and for an empty one where the account claims learners: it would turn
    /// everybody who is trained into somebody who left.
    pub fn check(&self) -> Result<(), Inconsistent> {
        match (self.learners_read, self.claimed) {
            (0, Some(claimed)) if claimed > 0 => Err(Inconsistent::LearnersMissing { claimed }),
            (records, _) if records > 0 && self.learners.is_empty() => {
                Err(Inconsistent::NoIds { list: SatList::Learners, records })
            }
            _ => Ok(()),
        }
    }

    /// Active learners of the account: by its own count, and by the list.
    #[must_use]
    pub fn active_learners(&self) -> (Option<u64>, u64) {
        let listed = self.learners.values().filter(|state| **state == LearnerState::Active).count();
        (self.claimed, listed as u64)
    }

    /// Learners read.
    #[must_use]
    pub fn learners_read(&self) -> u64 {
        self.learners_read
    }

    /// Activity records read.
    #[must_use]
    pub fn activity_read(&self) -> u64 {
        self.activity_read
    }

    /// The activity lists that were cut at their cap.
    #[must_use]
    pub fn activity_cut(&self) -> Option<&TruncatedList> {
        self.activity_cut.as_ref()
    }

    /// What the coverage is computed from, once all lists are read.
    #[must_use]
    pub fn facts(&self, assignments: &AssignmentTally) -> Learners {
        let mut facts = Learners {
            claimed: self.claimed,
            unknown_assignments: assignments.unknown(),
            cut: assignments.capped().is_cut() || self.activity_cut.is_some(),
            ..Learners::default()
        };
        for (learner, state) in &self.learners {
            let heads = match state {
                LearnerState::Active => &mut facts.active,
                LearnerState::Unknown => &mut facts.unknown_status,
                LearnerState::Inactive => continue,
            };
            heads.total += 1;
            let day = self.newest.get(learner).copied();
            if self.unreadable.contains(learner) {
                heads.days_unsure.add(day.unwrap_or(0));
            } else if let Some(day) = day {
                heads.days.add(day);
            }
        }
        for (learner, day) in &self.newest {
            if matches!(self.learners.get(learner), None | Some(LearnerState::Inactive)) {
                facts.departed_days.add(*day);
            }
        }
        facts.guarded()
    }
}

/// The coverage in the last `window_days`.
///
/// The status is that of the rate without learners who left, which is never above the rate itself. What could not be read may raise or
/// lower it: completions with an unreadable time, learners with an unknown status word, completions beyond a cap or in assignments of an
/// unknown status. The status is given when every reading of them agrees, and is else inconclusive.
#[must_use]
pub fn assess(facts: &Learners, window_days: u32) -> Coverage {
    let (active, source) = match facts.claimed {
        Some(claimed) => (claimed, WorkforceSource::Account),
        None => (facts.active.total, WorkforceSource::LearnerList),
    };
    let nobody = is_nobody(facts);
    let Bounds { least, greatest } = bounds(facts, window_days);
    let (worst, best) = if nobody {
        (Status::Warning, Status::Warning)
    } else {
        (
            band(least.trained, least.workforce).unwrap_or(Status::Fail),
            // Unread completions could only lift the rate, and nobody knows how far.
            greatest.map_or(Status::Pass, |Trained { trained, workforce }| {
                band(trained, workforce).unwrap_or(Status::Warning)
            }),
        )
    };
    let best = if facts.cut { Status::Pass } else { best };
    let trained = facts.trained(window_days);
    let reason = if facts.cut {
        Some(Reason::Truncated)
    } else if nobody {
        Some(Reason::NoWorkforce)
    } else if worst != best {
        Some(Reason::UnknownValues)
    } else if band(trained, active).is_some_and(|raw| raw < worst) {
        Some(Reason::InflatedByDepartedLearners)
    } else {
        None
    };
    Coverage {
        status: if worst == best { worst } else { Status::Inconclusive },
        reason,
        trained,
        departed: facts.departed(window_days),
        active,
        source,
    }
}

/// Whether there is no workforce, nor anybody who may belong to it.
#[must_use]
pub fn is_nobody(facts: &Learners) -> bool {
    facts.claimed.unwrap_or(facts.active.total + facts.unknown_status.total) == 0
}

/// Learners who were trained, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trained {
    /// Who was trained.
    pub trained: u64,
    /// Who has to be.
    pub workforce: u64,
}

/// The least and the greatest reading of a coverage, without learners who left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// If what could not be read speaks against it.
    pub least: Trained,
    /// If it speaks for it; `None` where nobody knows how far it goes.
    pub greatest: Option<Trained>,
}

/// What the coverage in the last `window_days` may be.
#[must_use]
pub fn bounds(facts: &Learners, window_days: u32) -> Bounds {
    let Learners { active: listed, unknown_status: unknown, .. } = facts;
    let (low, high) = match facts.claimed {
        Some(claimed) => (claimed, claimed),
        None => (
            listed.total + (unknown.total - unknown.trained(window_days)),
            listed.total + unknown.reachable(window_days),
        ),
    };
    let unread = facts.cut || facts.unknown_assignments > 0;
    let reachable = listed.reachable(window_days) + unknown.reachable(window_days);
    Bounds {
        least: Trained { trained: listed.trained(window_days), workforce: low },
        greatest: (!unread).then_some(Trained { trained: reachable, workforce: high }),
    }
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
