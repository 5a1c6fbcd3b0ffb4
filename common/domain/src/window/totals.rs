//! The sums of a window.

use super::row::{NoEvidence, WindowRow};
use super::{ConnectionHistory, WindowBounds};
use crate::id::ConnectionId;
use crate::policy::Outcome;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The sums of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WindowTotals {
    /// Its days.
    pub days: u64,
    /// Days with evidence, by connection.
    pub covered: BTreeMap<ConnectionId, u64>,
    /// Rows with evidence, by their worst outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// The most days in a row without evidence, of any connection. Days whose sync lies ahead count in none.
    pub longest_gap_days: u64,
    /// Days at whose end an exception of the client was in force; none that lies ahead.
    pub exception_days: u64,
    /// The policies that the evidence was evaluated under, `name version`.
    pub policies: Vec<String>,
    /// Days with evidence from before the log.
    pub unlogged_days: u64,
}

impl WindowTotals {
    pub(super) fn of(
        bounds: &WindowBounds,
        rows: &[WindowRow],
        connections: &[ConnectionHistory],
        exception_at: impl Fn(DateTime<Utc>) -> bool,
    ) -> Self {
        let mut covered: BTreeMap<_, u64> = connections.iter().map(|it| (it.connection.clone(), 0)).collect();
        let mut gaps: BTreeMap<&ConnectionId, (u64, u64)> = BTreeMap::new();
        let mut outcomes = BTreeMap::new();
        let (mut policies, mut unlogged) = (BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let (gap, longest) = gaps.entry(&row.connection).or_default();
            match row.reason {
                Some(NoEvidence::NotYet) => {}
                Some(_) => *gap += 1,
                None => *gap = 0,
            }
            *longest = (*longest).max(*gap);
            if row.is_covered() {
                *covered.entry(row.connection.clone()).or_default() += 1;
            }
            if let Some(outcome) = row.outcome {
                *outcomes.entry(outcome).or_default() += 1;
            }
            if row.unlogged {
                unlogged.insert(row.day);
            }
            policies.extend(row.policies.iter().map(|policy| (&policy.policy, policy.version)));
        }
        let today = bounds.calendar.day_of(bounds.at);
        // An instant before the first of the next day: an exception until the end of a day is in force at that day's end.
        let at_the_end = |day| exception_at(bounds.calendar.end_of(day) - chrono::TimeDelta::nanoseconds(1));
        let exception_days = bounds.days().take_while(|day| *day <= today).filter(|day| at_the_end(*day)).count();
        Self {
            days: u64::try_from(bounds.days().count()).unwrap_or(0),
            covered,
            outcomes,
            longest_gap_days: gaps.values().map(|(_, longest)| *longest).max().unwrap_or(0),
            exception_days: u64::try_from(exception_days).unwrap_or(0),
            policies: policies.into_iter().map(|(name, version)| format!("{name} {version}")).collect(),
            unlogged_days: u64::try_from(unlogged.len()).unwrap_or(0),
        }
    }
}
