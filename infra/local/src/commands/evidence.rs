//! Reading stored evidence: the latest, and one metric over time.

use super::open;
use crate::arguments::{History, Metrics};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::connection::{Age, Connection};
use common::domain::evidence::EdrBundle;
use common::domain::failure::Failure;
use common::domain::id::{ClientId, ConnectionId, RunId};
use common::domain::product::Product;
use common::store::{EvidenceOwner, StoreError, StoredEvidence};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

pub(super) fn unusable(error: &StoreError) -> CliError {
    CliError::other(format!("the data file cannot be used: {error}"))
}

/// A stored bundle.
pub(super) fn bundle<B: DeserializeOwned>(evidence: &StoredEvidence) -> Result<B, CliError> {
    serde_json::from_str(&evidence.body)
        .map_err(|error| CliError::other(format!("the evidence of run {} cannot be read: {error}", evidence.run_id)))
}

pub async fn metrics(options: Metrics) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let company = &options.place.company;
    let connections = stack.store.connections(company).await.map_err(|error| unusable(&error))?;
    let named = ConnectionId::parse(&options.subject).ok();
    let is_connection = named.as_ref().is_some_and(|id| connections.iter().any(|connection| connection.id == *id));
    let latest = async |owner: EvidenceOwner| {
        let mut latest = stack.store.latest(company, &owner).await.map_err(|error| unusable(&error))?;
        latest.retain(|evidence| {
            let is_meant = owner != EvidenceOwner::Company || named.as_ref() == Some(&evidence.connection);
            evidence.product == Product::Edr && is_meant
        });
        Ok::<_, CliError>(latest)
    };
    let mut found: Vec<StoredEvidence> = Vec::new();
    if !is_connection {
        let client = ClientId::parse(&options.subject).map_err(|error| CliError::usage(error.to_string()))?;
        found = latest(EvidenceOwner::Client(client)).await?;
    }
    // Also of a connection that was removed: what it has proved stays.
    if found.is_empty() {
        found = latest(EvidenceOwner::Company).await?;
    }
    let latest = found;
    let now = stack.huntress.clock.now();
    stack.close().await;
    if latest.is_empty() {
        return Err(CliError::other(nothing_yet(&options.subject, is_connection)));
    }
    let of = |evidence: &StoredEvidence| connections.iter().find(|connection| connection.id == evidence.connection);
    if options.json {
        let evidence: Result<Vec<_>, CliError> =
            latest.iter().map(|evidence| Entry::<EdrBundle>::of(evidence, of(evidence), now)).collect();
        return render::json(&Entries { evidence: evidence? });
    }
    let mut text = String::new();
    for evidence in &latest {
        text += &format!("{}{}\n", heading(evidence, of(evidence), now), render::metrics(&bundle(evidence)?));
    }
    render::text(&text)
}

fn nothing_yet(subject: &str, is_connection: bool) -> String {
    if is_connection {
        format!("connection {subject} has no evidence yet; see: huntress-evidence runs {subject}")
    } else {
        format!(
            "there is no connection {subject}, and no evidence of a client {subject}; see: huntress-evidence connections"
        )
    }
}

/// Stored evidence of one owner.
#[derive(Serialize)]
pub(super) struct Entries<'a, B> {
    pub evidence: Vec<Entry<'a, B>>,
}

/// Evidence as JSON: the bundle as it was committed, its keys in their own order, with its age.
#[derive(Serialize)]
pub(super) struct Entry<'a, B> {
    connection: &'a ConnectionId,
    product: Product,
    run_id: &'a RunId,
    as_of: DateTime<Utc>,
    committed_at: DateTime<Utc>,
    age_seconds: i64,
    stale: bool,
    last_attempt_at: Option<DateTime<Utc>>,
    last_success_at: Option<DateTime<Utc>>,
    next_run_at: Option<DateTime<Utc>>,
    last_failure: Option<&'a Failure>,
    sha256: &'a str,
    bundle: B,
}

impl<'a, B: DeserializeOwned> Entry<'a, B> {
    pub(super) fn of(
        evidence: &'a StoredEvidence,
        connection: Option<&'a Connection>,
        now: DateTime<Utc>,
    ) -> Result<Self, CliError> {
        let age = Age::at(evidence.as_of, now);
        Ok(Self {
            connection: &evidence.connection,
            product: evidence.product,
            run_id: &evidence.run_id,
            as_of: evidence.as_of,
            committed_at: evidence.committed_at,
            age_seconds: age.age.num_seconds(),
            stale: age.stale,
            last_attempt_at: connection.and_then(|connection| connection.last_attempt_at),
            last_success_at: connection.and_then(|connection| connection.last_success_at),
            next_run_at: connection.and_then(|connection| connection.next_run_at),
            last_failure: connection.and_then(|connection| connection.last_failure.as_ref()),
            sha256: &evidence.sha256,
            bundle: bundle(evidence)?,
        })
    }
}

/// Whose evidence it is, how old, and the three times that an auditor asks for.
pub(super) fn heading(evidence: &StoredEvidence, connection: Option<&Connection>, now: DateTime<Utc>) -> String {
    let whose = match &evidence.owner {
        EvidenceOwner::Company => "the company over all its organizations".to_owned(),
        EvidenceOwner::Client(client) => format!("client {client}"),
    };
    let age = Age::at(evidence.as_of, now);
    let stale = if age.stale { ", STALE" } else { "" };
    let mut text = format!(
        "evidence of {whose}, connection {}, run {}\nage {} h{stale}",
        evidence.connection,
        evidence.run_id,
        age.age.num_hours(),
    );
    if let Some(connection) = connection {
        let time = |time: Option<DateTime<Utc>>| time.map_or_else(|| "-".to_owned(), render::time);
        text += &format!(
            " · last attempt {} · last success {} · next run {}",
            time(connection.last_attempt_at),
            time(connection.last_success_at),
            if connection.paused { "paused".to_owned() } else { time(connection.next_run_at) },
        );
        if let Some(failure) = &connection.last_failure {
            text += &format!("\nthe last run failed: {failure}");
        }
    }
    text + "\n\n"
}

/// The evidence of a year is shown where no instant is given.
const YEAR: TimeDelta = TimeDelta::days(365);

pub async fn history(options: History) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let owner = options.client.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
    let to = options.to.unwrap_or_else(|| stack.huntress.clock.now());
    let from = options.from.unwrap_or(to - YEAR);
    let stored = stack.store.history(&options.place.company, &owner, Product::Edr, from, to).await;
    let stored = stored.map_err(|error| unusable(&error))?;
    stack.close().await;
    let mut values = Vec::with_capacity(stored.len());
    for evidence in &stored {
        let bundle: EdrBundle = bundle(evidence)?;
        if let Some(metric) = bundle.metric(&options.metric) {
            values.push((evidence, metric.clone()));
        }
    }
    if values.is_empty() {
        let why =
            if stored.is_empty() { "there is no evidence in that time" } else { "the evidence has no such metric" };
        return Err(CliError::other(format!("no values of {}: {why}", options.metric)));
    }
    if options.json {
        let line = |(evidence, metric): &(&StoredEvidence, common::domain::evidence::Metric)| {
            json!({
                "as_of": evidence.as_of, "metric_value": metric.metric_value, "reason": metric.reason, "unit": metric.unit,
                "connection": evidence.connection, "run_id": evidence.run_id,
            })
        };
        let lines: Vec<_> = values.iter().map(line).collect();
        return render::json(&json!({"metric_key": options.metric, "client_id": options.client, "values": lines}));
    }
    let mut table = render::table(&["as of", &options.metric, "connection", "run"]);
    for (evidence, metric) in &values {
        table.add_row([
            render::time(evidence.as_of),
            render::value(metric),
            evidence.connection.to_string(),
            evidence.run_id.to_string(),
        ]);
    }
    render::text(&format!("{table}\n"))
}
