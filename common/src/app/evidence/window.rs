//! The audit window of a client, from what the stack recorded.

use super::status::verdicts_of;
use super::{EvidenceError, EvidenceReader};
use crate::domain::calendar::DayRange;
use crate::domain::decisions::{Exception, ExceptionHistory};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::log::statement::{Event, EvidenceLeaf, FailureLeaf};
use crate::domain::policy::{Outcome, PolicyRef, Verdict};
use crate::domain::product::Product;
use crate::domain::run::Run;
use crate::domain::time::Window;
use crate::domain::window::{
    AuditWindow, BundleSummary, ConnectionHistory, EndedRun, InvalidWindow, Period, RunEnd, WindowBounds, audit_window,
};
use crate::store::{ClientSeries, EvidenceOwner, StoreError, StoredEvidence, Timeline};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// A run may begin so long after it was asked for.
const LONGEST_QUEUE: TimeDelta = TimeDelta::days(2);

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The days cannot be used.
    #[error(transparent)]
    Days(#[from] InvalidWindow),
    /// The evidence cannot be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl From<StoreError> for WindowError {
    fn from(error: StoreError) -> Self {
        Self::Evidence(error.into())
    }
}

impl EvidenceReader {
    /// The same for a reader who sees evidence of a span alone: its days, as they stood at its end.
    ///
    /// # Errors
    /// [`WindowError`], which says what to do.
    pub async fn window_within(
        &self,
        company: &CompanyId,
        client: &ClientId,
        days: DayRange,
        at: Option<DateTime<Utc>>,
        span: Window,
    ) -> Result<AuditWindow, WindowError> {
        if span == Window::ALL {
            return self.window(company, client, days, at).await;
        }
        let calendar = self.store.calendar();
        let days = DayRange {
            from: days.from.max(calendar.first_day_from(span.start)),
            to: days.to.min(calendar.day_of(span.end)),
        };
        let at = span.until(at).end.min(self.clock.now());
        self.window(company, client, days, Some(at)).await
    }

    /// A row for each day and connection of a client, as it stands now or stood at `at`.
    ///
    /// # Errors
    /// [`WindowError`], which says what to do.
    pub async fn window(
        &self,
        company: &CompanyId,
        client: &ClientId,
        days: DayRange,
        at: Option<DateTime<Utc>>,
    ) -> Result<AuditWindow, WindowError> {
        let bounds = WindowBounds::new(self.store.calendar(), days, at.unwrap_or_else(|| self.clock.now()))?;
        let window = Window { start: bounds.start(), end: bounds.end() };
        let queued = Window { start: window.start - LONGEST_QUEUE, ..window };
        let owner = EvidenceOwner::Client(client.clone());
        let (ClientSeries { connections, given }, timelines, ticks, decided) = tokio::try_join!(
            self.store.client_series(company, client),
            self.store.timelines(company),
            self.store.ticks(queued),
            self.store.decided(company, client),
        )?;
        let mut timelines: BTreeMap<ConnectionId, Timeline> =
            timelines.into_iter().map(|timeline| (timeline.connection.clone(), timeline)).collect();
        let mut given: Vec<Given> = match given {
            Some(given) => {
                given.into_iter().map(|(connection, at)| Given::new(at.product, connection, at.as_of)).collect()
            }
            None => self.store.latest(company, &owner).await?.iter().map(Given::from).collect(),
        };
        let mut known: BTreeSet<ConnectionId> = given.iter().map(|given| given.connection.clone()).collect();
        for connection in &connections {
            if connection.mapping.clients().contains(&client) {
                known.insert(connection.id.clone());
            }
            timelines.entry(connection.id.clone()).or_insert_with(|| Timeline::of(connection));
        }
        let series: Vec<_> = given.iter().map(|given| (given.product, given.connection.clone())).collect();
        let runs_of = async |id: ConnectionId| {
            let runs = self.store.runs_between(company, &id, queued).await?;
            Ok::<_, StoreError>((id, runs))
        };
        let (history, runs) = tokio::try_join!(
            self.store.history_of(company, &owner, &series, window),
            try_join_all(known.into_iter().map(runs_of)),
        )?;
        let mut bundles: BTreeMap<RunId, BundleSummary> = BTreeMap::new();
        for stored in &history {
            bundles.insert(stored.run_id.clone(), summary(stored)?);
        }
        // The first of the window, or what is newest at all.
        given.splice(0..0, history.iter().map(Given::from));
        let mut histories = Vec::new();
        for (id, runs) in runs {
            let mut runs: Vec<EndedRun> = runs.into_iter().filter_map(|run| ended(run, &bundles)).collect();
            // Records of runs end as evidence does. What is older than all that are left is in the log, if anywhere.
            let since = timelines.get(&id).map_or(window.start, |timeline| timeline.connected_at.max(window.start));
            if runs.iter().map(|run| run.ended_at).min().is_none_or(|first| first > since + LONGEST_QUEUE) {
                runs.extend(self.logged(company, &id, window, &runs).await?);
            }
            let first = || given.iter().find(|given| given.connection == id);
            let timeline = timelines.remove(&id).or_else(|| Some(removed_long_ago(first()?)));
            if let Some(timeline) = timeline {
                histories.push(history_of(timeline, runs));
            }
        }
        let ExceptionHistory { exceptions, reviews } = decided.decisions.into_iter().collect();
        let in_force = |instant| {
            // What was decided after the instant of the reading is not known then.
            let known: Vec<&Exception> = exceptions.iter().filter(|it| it.at <= bounds.at).collect();
            let decided = reviews.iter().filter(|review| review.at <= bounds.at);
            known.iter().any(|exception| exception.is_in_force(decided.clone(), instant))
        };
        Ok(audit_window(&bounds, &ticks, &histories, in_force))
    }
}

impl EvidenceReader {
    /// The runs of a window as the evidence log has them, without those that are known. Their evidence has ended.
    async fn logged(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        window: Window,
        known: &[EndedRun],
    ) -> Result<Vec<EndedRun>, WindowError> {
        let known: BTreeSet<&RunId> = known.iter().map(|run| &run.run).collect();
        let mut runs = Vec::new();
        for event in self.store.logged_events(company, connection).await? {
            let run = match event {
                Event::Evidence(EvidenceLeaf { run_id, as_of, ended_at, .. }) => {
                    EndedRun { run: run_id, as_of, ended_at, end: RunEnd::Evidence { bundle: None } }
                }
                Event::Failure(FailureLeaf { run_id, as_of, ended_at, code, request }) => {
                    EndedRun { run: run_id, as_of, ended_at, end: RunEnd::Failure { code, request } }
                }
                Event::Disconnected { .. } | Event::Reconnected { .. } => continue,
            };
            if window.contains(run.as_of) && !known.contains(&run.run) {
                runs.push(run);
            }
        }
        Ok(runs)
    }
}

/// Evidence that a connection gave.
struct Given {
    product: Product,
    connection: ConnectionId,
    as_of: DateTime<Utc>,
}

impl Given {
    fn new(product: Product, connection: ConnectionId, as_of: DateTime<Utc>) -> Self {
        Self { product, connection, as_of }
    }
}

impl From<&StoredEvidence> for Given {
    fn from(stored: &StoredEvidence) -> Self {
        Self::new(stored.product, stored.connection.clone(), stored.as_of)
    }
}

fn summary(stored: &StoredEvidence) -> Result<BundleSummary, EvidenceError> {
    let verdicts = verdicts_of(stored)?;
    let policies: BTreeSet<PolicyRef> = verdicts
        .iter()
        .map(|Verdict { policy, version, policy_sha256, .. }| PolicyRef {
            policy: policy.clone(),
            version: *version,
            sha256: policy_sha256.clone(),
        })
        .collect();
    let mut outcomes = verdicts.iter().map(|verdict| verdict.outcome);
    let outcome = outcomes.next().map_or(Outcome::NotEvaluated, |first| first.worst(outcomes));
    Ok(BundleSummary { outcome, policies: policies.into_iter().collect(), unlogged: stored.leaf.is_none() })
}

fn ended(run: Run, bundles: &BTreeMap<RunId, BundleSummary>) -> Option<EndedRun> {
    let ended_at = run.finished_at?;
    let end = match run.failure {
        Some(failure) => RunEnd::Failure { code: failure.code, request: failure.request },
        None => RunEnd::Evidence { bundle: bundles.get(&run.id).cloned() },
    };
    Some(EndedRun { run: run.id, as_of: run.as_of.unwrap_or(run.requested_at), ended_at, end })
}

fn history_of(timeline: Timeline, runs: Vec<EndedRun>) -> ConnectionHistory {
    ConnectionHistory {
        connection: timeline.connection,
        product: timeline.product,
        connected_at: timeline.connected_at,
        pauses: timeline.pauses,
        disconnections: timeline.removed,
        runs,
    }
}

/// A connection that was removed by a release that kept no timeline: it was there when it gave evidence.
fn removed_long_ago(evidence: &Given) -> Timeline {
    Timeline {
        connection: evidence.connection.clone(),
        product: evidence.product,
        connected_at: evidence.as_of,
        pauses: Vec::new(),
        removed: vec![Period { from: evidence.as_of + TimeDelta::nanoseconds(1), to: None }],
    }
}
