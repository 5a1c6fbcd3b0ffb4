//! What is kept of a client's newest evidence, so that hundreds of clients can be shown from a few reads of the table.
//!
//! A summary is made of the committed bytes alone and written in the transaction that commits them. It never decides anything: statuses are computed
//! from it at reading, by the function that computes every other status.

use super::calendar::Calendar;
use super::controls::Evidence;
use super::evidence::Metric;
use super::id::{ClientId, ConnectionId, RuleId, RunId};
use super::policy::{Outcome, PolicyRef, Verdict, training};
use super::product::Product;
use super::sat::signal::{Signal, SignalValues};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Days of the line that a portfolio shows.
pub const TREND_DAYS: u64 = 30;

/// The days of a client that a connection no longer measures are kept for so long after its last evidence; where that is is kept for ever.
const KEPT: TimeDelta = TimeDelta::days(45);

/// The newest evidence of a client from one connection, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Whose evidence.
    pub client: ClientId,
    /// The product that it is from.
    pub product: Product,
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The run that made it.
    pub run_id: RunId,
    /// The fencing token that it was committed under.
    pub token: u64,
    /// What each rule said.
    pub rules: Vec<RuleOutcome>,
    /// Critical incidents that are open; `None` where the evidence does not say.
    pub open_critical: Option<u64>,
    /// The share of the workforce that is trained, in percent with one decimal; `None` where the evidence does not say.
    pub coverage_pct: Option<String>,
    /// The outcomes of the last days.
    pub trend: Trend,
    /// The leaf of the evidence log that is about it; `None` where there is none, or an earlier release wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// How many records its bundle needed beside the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_pieces: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a rule said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Evidence, RuleId, Outcome)", into = "(Evidence, RuleId, Outcome)")]
pub struct RuleOutcome {
    /// What it is about.
    pub evidence: Evidence,
    /// The rule.
    pub rule: RuleId,
    /// What it said.
    pub outcome: Outcome,
}

impl From<(Evidence, RuleId, Outcome)> for RuleOutcome {
    fn from((evidence, rule, outcome): (Evidence, RuleId, Outcome)) -> Self {
        Self { evidence, rule, outcome }
    }
}

impl From<RuleOutcome> for (Evidence, RuleId, Outcome) {
    fn from(RuleOutcome { evidence, rule, outcome }: RuleOutcome) -> Self {
        (evidence, rule, outcome)
    }
}

/// The worst outcome of each day that has evidence: days of the calendar that evidence was committed under.
///
/// ```
/// use evidence_domain::{policy::Outcome, portfolio::Trend};
/// let day = |text: &str| text.parse().unwrap();
/// let mut trend = Trend::default();
/// trend.set(day("2026-03-20"), Outcome::Fail);
/// trend.set(day("2026-03-22"), Outcome::Pass);
/// assert_eq!(serde_json::to_string(&trend).unwrap(), r#""2026-03-22:f-p""#);
/// let line = trend.line(day("2026-03-23"));
/// assert_eq!((line.len(), &line[26..]), (30, &[Some(Outcome::Fail), None, Some(Outcome::Pass), None][..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trend(BTreeMap<NaiveDate, Outcome>);

/// A text that is no trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a trend is its last day, a colon, and a letter for each day up to it")]
pub struct InvalidTrend;

const LETTERS: [(Outcome, char); 6] = [
    (Outcome::Fail, 'f'),
    (Outcome::Inconclusive, 'i'),
    (Outcome::Warning, 'w'),
    (Outcome::NotEvaluated, 'n'),
    (Outcome::Pass, 'p'),
    (Outcome::NotApplicable, 'a'),
];

const NO_EVIDENCE: char = '-';

impl From<Trend> for String {
    fn from(Trend(days): Trend) -> String {
        let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value()) else {
            return String::new();
        };
        let mut text = format!("{last}:");
        for day in first.iter_days().take_while(|day| day <= last) {
            let letter = days.get(&day).and_then(|it| LETTERS.iter().find(|(outcome, _)| outcome == it));
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", letter.map_or(NO_EVIDENCE, |(_, letter)| *letter));
        }
        text
    }
}

impl TryFrom<String> for Trend {
    type Error = InvalidTrend;

    fn try_from(text: String) -> Result<Self, InvalidTrend> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (last, letters) = text.split_once(':').ok_or(InvalidTrend)?;
        let mut day: NaiveDate = last.parse().map_err(|_| InvalidTrend)?;
        let mut days = BTreeMap::new();
        for letter in letters.chars().rev() {
            match LETTERS.iter().find(|(_, known)| *known == letter) {
                Some((outcome, _)) => drop(days.insert(day, *outcome)),
                None if letter == NO_EVIDENCE => {}
                None => return Err(InvalidTrend),
            }
            day = day.pred_opt().ok_or(InvalidTrend)?;
        }
        Ok(Self(days))
    }
}

impl Trend {
    /// The outcome of a day is this.
    pub fn set(&mut self, day: NaiveDate, outcome: Outcome) {
        self.0.insert(day, outcome);
        self.trim();
    }

    /// The worse of both on each day.
    pub fn merge(&mut self, other: &Self) {
        for (day, outcome) in &other.0 {
            self.0.entry(*day).and_modify(|own| *own = own.worst([*outcome])).or_insert(*outcome);
        }
    }

    /// The 30 days that end with this one, oldest first; `None` for a day without evidence.
    #[must_use]
    pub fn line(&self, last: NaiveDate) -> Vec<Option<Outcome>> {
        let days = (0..TREND_DAYS).rev().map(|back| last.checked_sub_days(Days::new(back)));
        days.map(|day| self.0.get(&day?).copied()).collect()
    }

    fn trim(&mut self) {
        let last = self.0.last_key_value().map(|(day, _)| *day);
        if let Some(first) = last.and_then(|last| last.checked_sub_days(Days::new(TREND_DAYS - 1))) {
            self.0 = self.0.split_off(&first);
        }
    }
}

/// Where a committed bundle is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whose evidence.
    pub client: ClientId,
    /// The product.
    pub product: Product,
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The run.
    pub run_id: RunId,
    /// The fencing token that it was committed under.
    pub token: u64,
}

#[derive(Deserialize)]
struct Verdicts {
    #[serde(default)]
    verdicts: Option<Vec<Verdict>>,
    #[serde(default)]
    signals: Vec<Signal>,
}

#[derive(Deserialize)]
struct Extended {
    #[serde(default)]
    extended_metrics: Vec<Metric>,
}

/// What the rules in force said of a bundle. One from before there were verdicts has its signals, which were always evaluated under the training preset.
///
/// # Errors
/// Where the bundle is not as expected.
pub fn verdicts(body: &str) -> Result<Vec<Verdict>, serde_json::Error> {
    Ok(verdicts_and_signals(body)?.0)
}

fn verdicts_and_signals(body: &str) -> Result<(Vec<Verdict>, Vec<Signal>), serde_json::Error> {
    let Verdicts { verdicts, signals } = serde_json::from_str(body)?;
    if let Some(verdicts) = verdicts {
        return Ok((verdicts, signals));
    }
    let policy = PolicyRef::from(training().as_ref());
    let of_signal = |signal: &Signal| {
        let kind = Evidence::from(signal.signal_key);
        let rule = training().rules().iter().find(|rule| rule.evidence == kind)?;
        Some(Verdict {
            rule: rule.id.clone(),
            evidence: kind,
            metric: rule.metric.clone(),
            outcome: Outcome::from(signal.status),
            reason: signal.reason,
            value: match &signal.values {
                SignalValues::Coverage(values) => values.coverage_pct.clone(),
                SignalValues::Phishing(values) => values.compromise_rate_pct.clone(),
            },
            limit: rule.limits.clone(),
            policy: policy.policy.clone(),
            version: policy.version,
            policy_sha256: policy.sha256.clone(),
        })
    };
    Ok((signals.iter().filter_map(of_signal).collect(), signals))
}

/// The worst of what rules said; `not_evaluated` where no rule said anything.
#[must_use]
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let mut outcomes = outcomes.into_iter();
    outcomes.next().map_or(Outcome::NotEvaluated, |first| first.worst(outcomes))
}

impl ClientSummary {
    /// The summary of one committed bundle; its trend has the bundle's own day of the calendar.
    ///
    /// # Errors
    /// Where the bundle is not as expected.
    pub fn of_bundle(origin: Origin, body: &str, calendar: &Calendar) -> Result<Self, serde_json::Error> {
        let (verdicts, signals) = verdicts_and_signals(body)?;
        let Extended { extended_metrics } = serde_json::from_str(body)?;
        let open_critical = extended_metrics.iter().find(|metric| metric.metric_key == "incidents_open_critical");
        let open_critical = open_critical.and_then(|metric| metric.metric_value.as_deref()?.parse().ok());
        let coverage_pct = signals.into_iter().find_map(|signal| match signal.values {
            SignalValues::Coverage(values) => values.coverage_pct,
            SignalValues::Phishing(_) => None,
        });
        let mut trend = Trend::default();
        trend.set(calendar.day_of(origin.as_of), worst(verdicts.iter().map(|verdict| verdict.outcome)));
        let rule = |Verdict { evidence, rule, outcome, .. }: Verdict| RuleOutcome { evidence, rule, outcome };
        let Origin { client, product, as_of, run_id, token } = origin;
        let rules = verdicts.into_iter().map(rule).collect();
        Ok(Self {
            client,
            product,
            as_of,
            run_id,
            token,
            rules,
            open_critical,
            coverage_pct,
            trend,
            leaf: None,
            more_pieces: 0,
        })
    }
}

/// The summaries of a connection after a run at `as_of` that made `new` ones. What it no longer measures stays: it was proved.
#[must_use]
pub fn updated(before: Vec<ClientSummary>, new: Vec<ClientSummary>, as_of: DateTime<Utc>) -> Vec<ClientSummary> {
    // An id of a connection may have been used for the other product before.
    let mut all: BTreeMap<(ClientId, Product), ClientSummary> = before
        .into_iter()
        .map(|mut summary| {
            if as_of.signed_duration_since(summary.as_of) > KEPT {
                summary.trend = Trend::default();
            }
            ((summary.client.clone(), summary.product), summary)
        })
        .collect();
    for summary in new {
        // It has one day, that of its bundle.
        let own = summary.trend.0.last_key_value().map(|(day, outcome)| (*day, *outcome));
        let key = (summary.client.clone(), summary.product);
        match all.get_mut(&key) {
            // A run of the past adds its day, and what is newer stays.
            Some(there) if there.as_of > summary.as_of => {
                if let Some((day, outcome)) = own.filter(|(day, _)| !there.trend.0.contains_key(day)) {
                    there.trend.set(day, outcome);
                }
            }
            Some(there) => {
                let mut trend = std::mem::take(&mut there.trend);
                if let Some((day, outcome)) = own {
                    trend.set(day, outcome);
                }
                *there = ClientSummary { trend, ..summary };
            }
            None => drop(all.insert(key, summary)),
        }
    }
    all.into_values().collect()
}

/// Of evidence of one client from several connections, what counts for each product: what its present connections gave; only where they gave none, the
/// newest of connections that were removed or measure it no longer.
#[must_use]
pub fn counting<T>(
    pieces: Vec<T>,
    of: impl Fn(&T) -> (Product, ConnectionId, DateTime<Utc>),
    present: &BTreeSet<ConnectionId>,
) -> Vec<T> {
    let mut newest: BTreeMap<Product, (bool, DateTime<Utc>)> = BTreeMap::new();
    for piece in &pieces {
        let (product, connection, as_of) = of(piece);
        let rank = (present.contains(&connection), as_of);
        newest.entry(product).and_modify(|best| *best = rank.max(*best)).or_insert(rank);
    }
    let counts = |piece: &T| {
        let (product, connection, as_of) = of(piece);
        match newest.get(&product) {
            Some((true, _)) => present.contains(&connection),
            Some((false, newest)) => as_of == *newest,
            None => false,
        }
    };
    pieces.into_iter().filter(counts).collect()
}

#[cfg(test)]
#[path = "portfolio_tests.rs"]
mod tests;
