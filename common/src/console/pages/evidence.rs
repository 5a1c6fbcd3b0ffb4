//! `/clients/{client}/evidence/{product}/{run}`: one piece of evidence, down to its bytes.

use crate::api::{Method, Problem, Route, Scope};
use crate::console::layout::{At, Frame, State as Mark, age_at, cut, name};
use crate::console::{ClientViewer, EvidencePages, html, words};
use crate::domain::completeness::ListCompleteness;
use crate::domain::evidence::{EdrBundle, Metric};
use crate::domain::id::RunId;
use crate::domain::log::LogId;
use crate::domain::policy::Verdict;
use crate::domain::product::Product;
use crate::domain::quality::QualityEntry;
use crate::domain::sat::bundle::SatBundle;
use crate::pack::render::NOT_PROVED;
use crate::store::{EvidenceOwner, StoredEvidence};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::SecondsFormat;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] = &[
    Route::new(Method::Get, "/clients/{client}/evidence/{product}/{run}", Scope::EvidenceRead, |method| {
        on(method, show)
    }),
    Route::new(Method::Get, "/clients/{client}/evidence/{product}/{run}/bytes", Scope::EvidenceRead, |method| {
        on(method, bytes)
    }),
];

#[derive(Deserialize)]
struct OfRun {
    product: String,
    run: String,
}

#[derive(askama::Template)]
#[template(path = "evidence.html")]
struct EvidencePage {
    frame: Frame,
    client: String,
    product: &'static str,
    connection: String,
    run: String,
    as_of: At,
    /// The same in an address.
    instant: String,
    age: String,
    committed_at: At,
    path: String,
    sha256: String,
    size: usize,
    api_calls: u64,
    took_ms: u64,
    truncated: bool,
    log: LogPlace,
    verdicts: Vec<VerdictRow>,
    values: Vec<ValueRow>,
    lists: Vec<ListRow>,
    quality: Vec<QualityRow>,
    derivation: String,
    not_proved: &'static [&'static str],
}

/// Where it is in the evidence log.
struct LogPlace {
    leaf: Option<u64>,
    bundle: Option<u64>,
    path: usize,
    /// The newest checkpoint that covers it.
    checkpoint: Option<SignedCheckpoint>,
}

struct SignedCheckpoint {
    size: u64,
    signed_at: At,
    note: String,
}

/// Something that was odd about the source.
struct QualityRow {
    code: String,
    count: u64,
    detail: String,
}

struct VerdictRow {
    mark: Mark,
    rule: String,
    metric: String,
    value: String,
    limit: String,
    policy: String,
    sha256: String,
    reason: Option<String>,
}

struct ValueRow {
    key: String,
    name: String,
    value: String,
    reason: Option<String>,
}

/// When the first and the last page of a list were read.
pub(super) struct Observed {
    pub(super) from: At,
    pub(super) to: At,
}

/// How a list was read.
pub(super) struct ListRow {
    pub(super) list: String,
    pub(super) request: String,
    pub(super) pages: u64,
    pub(super) records: u64,
    unique: u64,
    dropped: String,
    pub(super) observed: Option<Observed>,
    pub(super) whole: bool,
    pub(super) other: Option<String>,
    pub(super) matches: Mark,
}

async fn stored(
    console: &EvidencePages,
    ClientViewer { viewer, client }: &ClientViewer,
    OfRun { product, run }: &OfRun,
) -> Result<StoredEvidence, Problem> {
    let product = Product::parse(product).ok_or_else(|| Problem::not_found("evidence"))?;
    let run = RunId::parse(run.as_str()).map_err(|_| Problem::not_found("evidence"))?;
    let owner = EvidenceOwner::Client(client.clone());
    Ok(console.evidence.of_run(viewer.company(), &owner, product, &run, viewer.span()).await?)
}

/// The committed bytes, which never change.
async fn bytes(
    State(console): State<Arc<EvidencePages>>,
    of: ClientViewer,
    Path(named): Path<OfRun>,
) -> Result<Response, Problem> {
    let stored = stored(&console, &of, &named).await?;
    let file = format!("attachment; filename=\"{}-{}-{}.json\"", of.client, stored.product, stored.run_id);
    let headers = [
        (ETAG, format!("\"sha256-{}\"", stored.sha256)),
        (CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned()),
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_DISPOSITION, file),
    ];
    Ok((headers, stored.body).into_response())
}

/// What both kinds of bundles tell.
struct Told {
    verdicts: Vec<Verdict>,
    values: Vec<ValueRow>,
    completeness: Vec<ListCompleteness>,
    quality: Vec<QualityEntry>,
    derivation: serde_json::Value,
    api_calls: u64,
    took_ms: u64,
    truncated: bool,
}

fn of_metric(metric: Metric) -> ValueRow {
    ValueRow {
        name: words::metric(&metric.metric_key),
        value: match metric.metric_value {
            Some(value) => format!("{value} {}", metric.unit).trim().to_owned(),
            None => "not known".to_owned(),
        },
        reason: metric.reason.map(|reason| reason.to_string()),
        key: metric.metric_key,
    }
}

fn told(stored: &StoredEvidence) -> Result<Told, serde_json::Error> {
    Ok(match stored.product {
        Product::Edr => {
            let bundle: EdrBundle = serde_json::from_str(&stored.body)?;
            let metrics = bundle.metrics.into_iter().chain(bundle.extended_metrics);
            Told {
                verdicts: bundle.verdicts.unwrap_or_default(),
                values: metrics.map(of_metric).collect(),
                completeness: bundle.metadata.completeness,
                quality: bundle.metadata.data_quality,
                derivation: bundle.metadata.derivation,
                api_calls: bundle.metadata.api_calls_made,
                took_ms: bundle.metadata.collection_duration_ms,
                truncated: bundle.metadata.truncated,
            }
        }
        Product::Sat => {
            let bundle: SatBundle = serde_json::from_str(&stored.body)?;
            let mut values = Vec::new();
            let mut derivation = serde_json::Map::new();
            for signal in &bundle.signals {
                if let serde_json::Value::Object(of_signal) = serde_json::to_value(&signal.values)? {
                    values.extend(of_signal.into_iter().map(|(key, value)| ValueRow {
                        name: words::metric(&key),
                        value: match value {
                            serde_json::Value::Null => "not known".to_owned(),
                            serde_json::Value::String(text) => text,
                            number => number.to_string(),
                        },
                        reason: signal.reason.map(|reason| reason.to_string()),
                        key: format!("{}.{key}", signal.signal_key),
                    }));
                }
                derivation.insert(signal.signal_key.to_string(), signal.metadata.derivation.clone());
            }
            Told {
                verdicts: bundle.verdicts.unwrap_or_default(),
                values,
                completeness: bundle.metadata.completeness,
                quality: bundle.metadata.data_quality,
                derivation: derivation.into(),
                api_calls: bundle.metadata.api_calls_made,
                took_ms: bundle.metadata.collection_duration_ms,
                truncated: bundle.metadata.truncated,
            }
        }
    })
}

fn verdict(verdict: Verdict) -> VerdictRow {
    VerdictRow {
        mark: Mark::of_outcome(verdict.outcome),
        metric: words::metric(&verdict.metric),
        value: verdict
            .value
            .map_or_else(|| "no value".to_owned(), |it| format!("{it}{}", words::unit(&verdict.metric))),
        limit: words::limits(&verdict.metric, &verdict.limit),
        policy: format!("{} {}", verdict.policy, verdict.version),
        sha256: verdict.policy_sha256,
        reason: verdict.reason.map(|reason| reason.to_string()),
        rule: verdict.rule.to_string(),
    }
}

pub(super) fn list(list: ListCompleteness) -> ListRow {
    let dropped: Vec<String> =
        list.dropped.iter().map(|(code, count)| format!("{count} {}", words::code(&code_of(code)))).collect();
    let matches = match list.matches {
        Some(true) => Mark::new("pass", "matches"),
        Some(false) => Mark::new("warning", "differs"),
        None => Mark::new("none", "nothing to compare with"),
    };
    ListRow {
        request: if list.request.is_empty() { "not asked for".to_owned() } else { cut(&name(&list.request), 160) },
        list: words::code(&list.list),
        pages: list.pages,
        records: list.records,
        unique: list.unique,
        dropped: if dropped.is_empty() { "none".to_owned() } else { dropped.join(", ") },
        observed: list
            .first_observed_at
            .zip(list.last_observed_at)
            .map(|(from, to)| Observed { from: At(from), to: At(to) }),
        whole: list.whole,
        other: list.expected.map(|it| format!("{} says {}, found {}", code_of(&it.from), it.count, it.found)),
        matches,
    }
}

/// A closed word as records spell it.
fn code_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

async fn show(
    State(console): State<Arc<EvidencePages>>,
    of: ClientViewer,
    Path(named): Path<OfRun>,
) -> Result<Response, Problem> {
    let stored = stored(&console, &of, &named).await?;
    let ClientViewer { viewer, client } = of;
    let told = told(&stored).map_err(|error| Problem::unavailable(&error))?;
    let checkpoint =
        console.evidence.store.kept_checkpoint(&LogId::of_connection(viewer.company(), &stored.connection)).await?;
    // A checkpoint of a later time is none of what a viewer of a window may see.
    let covers = |size: u64| stored.leaf.is_some_and(|leaf| leaf < size);
    let log = LogPlace {
        leaf: stored.leaf,
        bundle: stored.place.as_ref().map(|place| place.index),
        path: stored.place.as_ref().map_or(0, |place| place.path.len()),
        checkpoint: checkpoint.filter(|kept| covers(kept.size)).map(|kept| SignedCheckpoint {
            size: kept.size,
            signed_at: At(kept.signed_at),
            note: kept.note,
        }),
    };
    let page = EvidencePage {
        frame: Frame::of_client("Evidence", &viewer.session, &client, "/evidence"),
        path: super::client::evidence_path(&client, stored.product, &stored.run_id),
        client: client.to_string(),
        product: words::product(stored.product),
        connection: stored.connection.to_string(),
        run: stored.run_id.to_string(),
        as_of: At(stored.as_of),
        instant: stored.as_of.to_rfc3339_opts(SecondsFormat::Millis, true),
        age: age_at(stored.as_of, viewer.span().end.min(console.entrance.clock.now())),
        committed_at: At(stored.committed_at),
        sha256: stored.sha256,
        size: stored.body.len(),
        api_calls: told.api_calls,
        took_ms: told.took_ms,
        truncated: told.truncated,
        log,
        verdicts: told.verdicts.into_iter().map(verdict).collect(),
        values: told.values,
        lists: told.completeness.into_iter().map(list).collect(),
        quality: told
            .quality
            .into_iter()
            .map(|entry| QualityRow {
                code: words::code(&code_of(&entry.code)),
                count: entry.count,
                detail: entry.code.detail().to_owned(),
            })
            .collect(),
        derivation: serde_json::to_string_pretty(&told.derivation).map_err(|error| Problem::unavailable(&error))?,
        not_proved: &NOT_PROVED,
    };
    Ok(html(StatusCode::OK, &page))
}
