//! The audit window: what there is for each day and connection of a client, or why there is nothing.

mod row;
mod totals;

pub use row::{NoEvidence, RowEvidence, WindowFailure, WindowRow};
pub use totals::WindowTotals;

use super::calendar::{self, Calendar, DayRange};
use super::connection::AUTH_BACKOFF;
use super::control_status::age_of;
use super::failure::FailureCode;
use super::id::{ConnectionId, RunId};
use super::policy::{Outcome, PolicyRef};
use super::product::Product;
use super::run::LONGEST_RUN;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A period that has begun and may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(DateTime<Utc>, Option<DateTime<Utc>>)", into = "(DateTime<Utc>, Option<DateTime<Utc>>)")]
pub struct Period {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it; `None` while it lasts.
    pub to: Option<DateTime<Utc>>,
}

impl Period {
    /// Whether `instant` lies in it.
    #[must_use]
    pub fn contains(&self, instant: DateTime<Utc>) -> bool {
        self.from <= instant && self.to.is_none_or(|to| instant < to)
    }
}

impl From<(DateTime<Utc>, Option<DateTime<Utc>>)> for Period {
    fn from((from, to): (DateTime<Utc>, Option<DateTime<Utc>>)) -> Self {
        Self { from, to }
    }
}

impl From<Period> for (DateTime<Utc>, Option<DateTime<Utc>>) {
    fn from(period: Period) -> Self {
        (period.from, period.to)
    }
}

/// A daily tick of the stack. It names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tick {
    /// When it was due.
    pub due: DateTime<Utc>,
    /// When the stack took it; a day has a tick if one was taken on it.
    pub handled: DateTime<Utc>,
}

/// What a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// Evidence.
    Evidence {
        /// The client's bundle; `None` when the run committed none for it.
        bundle: Option<BundleSummary>,
    },
    /// None.
    Failure {
        /// The closed code.
        code: FailureCode,
        /// The request that failed.
        request: Option<String>,
    },
}

/// What the window says of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleSummary {
    /// The worst outcome of its verdicts; `not_evaluated` without any.
    pub outcome: Outcome,
    /// The policies that gave them.
    pub policies: Vec<PolicyRef>,
    /// Whether it was committed before the evidence log began.
    pub unlogged: bool,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    /// Its id.
    pub run: RunId,
    /// Its first start, the instant of its evidence; when it was asked for, if it never started.
    pub as_of: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// What it left.
    pub end: RunEnd,
}

/// What is known of one connection of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionHistory {
    /// Its id.
    pub connection: ConnectionId,
    /// The product that it reads.
    pub product: Product,
    /// When it was saved first.
    pub connected_at: DateTime<Utc>,
    /// When the daily tick passed it over because somebody paused it.
    pub pauses: Vec<Period>,
    /// When it was removed, until it was saved again.
    pub disconnections: Vec<Period>,
    /// Its runs.
    pub runs: Vec<EndedRun>,
}

/// A window that cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// Its end is before its start.
    #[error("the window ends on {to}, before it begins on {from}: swap --from and --to")]
    Backwards {
        /// Its first day.
        from: NaiveDate,
        /// Its last day.
        to: NaiveDate,
    },
    /// It begins after today.
    #[error("the window begins on {from}, which lies ahead (today is {today}): give days that have begun")]
    Future {
        /// Its first day.
        from: NaiveDate,
        /// The day of the reading.
        today: NaiveDate,
    },
    /// It is longer than ten years.
    #[error("the window has {0} days: at most {MOST_DAYS} are shown at once")]
    TooLong(i64),
}

/// A window has no more days than this, ten years.
pub const MOST_DAYS: i64 = 3_660;

/// The days of a window as they stood at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowBounds {
    /// The calendar that they are of.
    pub calendar: Calendar,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// What is later than this instant is not known.
    pub at: DateTime<Utc>,
}

impl WindowBounds {
    /// Days of a calendar as they stood at `at`. The last days may lie ahead; the first may not.
    ///
    /// # Errors
    /// [`InvalidWindow`], which says what to do.
    pub fn new(calendar: &Calendar, DayRange { from, to }: DayRange, at: DateTime<Utc>) -> Result<Self, InvalidWindow> {
        if to < from {
            return Err(InvalidWindow::Backwards { from, to });
        }
        let today = calendar.day_of(at);
        if from > today {
            return Err(InvalidWindow::Future { from, today });
        }
        let days = calendar::days_between(from, to) + 1;
        if days > MOST_DAYS {
            return Err(InvalidWindow::TooLong(days));
        }
        Ok(Self { calendar: calendar.clone(), from, to, at })
    }

    /// The first instant of the window.
    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        self.calendar.start_of(self.from)
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        self.calendar.end_of(self.to)
    }

    /// Its days.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        calendar::days(self.from, self.to)
    }
}

/// The window of a client: a row for each day and connection, by day and then by connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditWindow {
    /// The zone that its days are of.
    pub zone: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The instant of the reading.
    pub at: DateTime<Utc>,
    /// The rows.
    pub rows: Vec<WindowRow>,
    /// Their sums.
    pub totals: WindowTotals,
}

/// The window of these connections. `exception_at` says whether an exception of the client was in force at an instant.
///
/// Each day and connection has evidence or exactly one reason, the first that holds in the order of [`NoEvidence`]. Runs that ended after the instant of the
/// reading are not known, nor are later ticks.
#[must_use]
pub fn audit_window(
    bounds: &WindowBounds,
    ticks: &[Tick],
    connections: &[ConnectionHistory],
    exception_at: impl Fn(DateTime<Utc>) -> bool,
) -> AuditWindow {
    let ticks = Ticks::by_day(ticks, bounds);
    let mut known: Vec<KnownConnection<'_>> =
        connections.iter().map(|connection| KnownConnection::of(connection, bounds)).collect();
    known.sort_by(|one, other| one.history.connection.cmp(&other.history.connection));
    let mut rows = Vec::new();
    for day in bounds.days() {
        rows.extend(known.iter().map(|connection| connection.row(day, &ticks)));
    }
    let totals = WindowTotals::of(bounds, &rows, connections, exception_at);
    let zone = bounds.calendar.zone().to_owned();
    AuditWindow { zone, from: bounds.from, to: bounds.to, at: bounds.at, rows, totals }
}

/// The last tick taken on each day.
struct Ticks(BTreeMap<NaiveDate, Tick>);

impl Ticks {
    fn by_day(ticks: &[Tick], bounds: &WindowBounds) -> Self {
        let mut by_day = BTreeMap::<NaiveDate, Tick>::new();
        for tick in ticks.iter().filter(|tick| tick.handled <= bounds.at) {
            let last = by_day.entry(bounds.calendar.day_of(tick.handled)).or_insert(*tick);
            if tick.handled > last.handled {
                *last = *tick;
            }
        }
        Self(by_day)
    }

    fn on(&self, day: NaiveDate) -> Option<Tick> {
        self.0.get(&day).copied()
    }
}

/// A connection with the runs that are known at the instant of the reading, by the day that they are of.
struct KnownConnection<'a> {
    history: &'a ConnectionHistory,
    bounds: &'a WindowBounds,
    by_day: BTreeMap<NaiveDate, Vec<&'a EndedRun>>,
    /// Runs that were refused, by when they ended.
    ended: BTreeMap<DateTime<Utc>, bool>,
}

impl<'a> KnownConnection<'a> {
    fn of(history: &'a ConnectionHistory, bounds: &'a WindowBounds) -> Self {
        let at = bounds.at;
        let mut by_day = BTreeMap::<NaiveDate, Vec<&EndedRun>>::new();
        let mut ended = BTreeMap::new();
        // What is dated ahead of the reading was made by a wrong clock and is passed over.
        for run in history.runs.iter().filter(|run| run.ended_at <= at && age_of(run.as_of, at).is_some()) {
            by_day.entry(bounds.calendar.day_of(run.as_of)).or_default().push(run);
            let refused = matches!(&run.end, RunEnd::Failure { code, .. } if code.is_auth());
            ended.insert(run.ended_at, refused);
        }
        for runs in by_day.values_mut() {
            runs.sort_by(|one, other| (one.as_of, &one.run).cmp(&(other.as_of, &other.run)));
        }
        Self { history, bounds, by_day, ended }
    }

    fn row(&self, day: NaiveDate, ticks: &Ticks) -> WindowRow {
        let runs = self.by_day.get(&day).map_or(&[][..], Vec::as_slice);
        let newest = runs.iter().rev().find_map(|run| match &run.end {
            RunEnd::Evidence { bundle: Some(bundle) } => Some((*run, bundle)),
            _ => None,
        });
        let evidence = match newest {
            Some((run, bundle)) => RowEvidence::There {
                as_of: run.as_of,
                run: run.run.clone(),
                outcome: bundle.outcome,
                policies: bundle.policies.clone(),
                unlogged: bundle.unlogged,
            },
            None => {
                let (reason, failure) = self.reason(day, runs, ticks);
                RowEvidence::Missing { reason, failure }
            }
        };
        WindowRow::new(day, self.history.connection.clone(), self.history.product, evidence)
    }

    /// The first reason that holds.
    fn reason(&self, day: NaiveDate, runs: &[&EndedRun], ticks: &Ticks) -> (NoEvidence, Option<WindowFailure>) {
        let (calendar, at) = (&self.bounds.calendar, self.bounds.at);
        let taken = ticks.on(day);
        // The schedule may have been another one then: what the tick says that was taken comes first.
        let due = taken.map(|taken| taken.due).filter(|due| calendar.day_of(*due) == day);
        let due = due.or_else(|| calendar.tick_of(day, at));
        // On a day that the schedule leaves out, what holds at its end counts.
        let tick = due.unwrap_or_else(|| calendar.end_of(day) - chrono::TimeDelta::nanoseconds(1));
        let is_ahead = at < due.unwrap_or_else(|| calendar.start_of(day));
        let lies_in = |periods: &[Period]| periods.iter().any(|period| period.contains(tick));
        let failed = runs.iter().rev().find_map(|run| match &run.end {
            RunEnd::Failure { code, request } => Some(WindowFailure { code: *code, request: request.clone() }),
            RunEnd::Evidence { .. } => None,
        });
        // Somebody may pause between the time that a tick is for and the moment that it is taken: then that tick, too, passes the connection over.
        let handled = taken.map(|taken| taken.handled);
        let is_paused = |pause: &Period| {
            due.is_some_and(|due| pause.contains(due)) || handled.is_some_and(|handled| pause.contains(handled))
        };
        let reason = if self.history.connected_at > tick && runs.is_empty() {
            NoEvidence::BeforeConnection
        } else if lies_in(&self.history.disconnections) {
            NoEvidence::Disconnected
        } else if is_ahead {
            NoEvidence::NotYet
        } else if self.history.pauses.iter().any(is_paused) {
            NoEvidence::Paused
        } else if failed.is_some() {
            return (NoEvidence::Failed, failed);
        } else if taken.is_some_and(|taken| self.is_passed_over(taken)) {
            NoEvidence::AuthBackoff
        } else if !runs.is_empty() {
            NoEvidence::NotMapped
        } else if let Some(taken) = taken {
            // The run of that tick may be under way: it is given up only after this time.
            let under_way = at <= taken.handled + LONGEST_RUN;
            if under_way { NoEvidence::NotYet } else { NoEvidence::Unexplained }
        } else {
            NoEvidence::NoTick
        };
        (reason, None)
    }

    /// Whether the last run before a tick was refused so shortly before that the tick left the connection alone.
    fn is_passed_over(&self, tick: Tick) -> bool {
        let last = self.ended.range(..=tick.handled).next_back();
        last.is_some_and(|(ended, refused)| *refused && *ended + AUTH_BACKOFF > tick.due)
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
