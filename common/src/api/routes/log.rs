//! The evidence log: signed checkpoints, leaves, proofs, and the key that checks them.

use super::query::span;
use crate::api::answer::Text;
use crate::api::views::{LogEntryList, LogKeyAnswer, LogProofAnswer};
use crate::api::{CompanyPath, Explained, Method, Parameters, Problem, Route, Scope, path_params, route};
use crate::app::evidence::{EvidenceReader, LEAVES_TOGETHER, LeafRange, Proved};
use crate::domain::id::ConnectionId;
use crate::domain::log::LogId;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Deserialize;
use std::sync::Arc;

const CHECKPOINT: &str = "/v1/companies/{company}/log/{connection}/checkpoint";
const ENTRIES: &str = "/v1/companies/{company}/log/{connection}/entries";
const PROOF: &str = "/v1/companies/{company}/log/{connection}/proof";
const KEY: &str = "/v1/companies/{company}/log-key";

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] = &[
    route!(Method::Get, CHECKPOINT, Scope::EvidenceRead, checkpoint),
    route!(Method::Get, ENTRIES, Scope::EvidenceRead, entries),
    route!(Method::Get, PROOF, Scope::EvidenceRead, proof, fails: [CONFLICT]),
    route!(Method::Get, KEY, Scope::EvidenceRead, key, fails: [NOT_FOUND]),
];

/// What names the company's own log in a path; no connection is called so.
const OF_COMPANY: &str = "_company";

/// A log of the caller's own company that the caller may see.
struct LogPath {
    log: LogId,
    caller: crate::api::Caller,
}

impl FromRequestParts<Arc<EvidenceReader>> for LogPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<EvidenceReader>) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            connection: String,
        }
        let CompanyPath { company, caller } = CompanyPath::from_request_parts(parts, state).await?;
        let Named { connection } = path_params(parts, state).await?;
        let connection = match connection.as_str() {
            OF_COMPANY => None,
            _ => Some(ConnectionId::parse(connection)?),
        };
        let log = LogId { company, connection };
        state.see_log(&log, caller.clients.as_ref()).await?;
        Ok(Self { log, caller })
    }
}

#[cfg(feature = "openapi")]
impl crate::api::openapi::Input for LogPath {
    fn describe(description: &mut crate::api::openapi::Description) {
        CompanyPath::describe(description);
        description.problems(crate::api::kinds::CLIENTS_ONLY);
        description.problems(crate::api::kinds::NOT_FOUND);
    }
}

/// The newest signed checkpoint of a log (c2sp.org/tlog-checkpoint).
async fn checkpoint(
    State(evidence): State<Arc<EvidenceReader>>,
    LogPath { log, .. }: LogPath,
) -> Result<Text, Problem> {
    let kept = evidence.checkpoint(&log).await?;
    Ok(Text(kept.note))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Wanted {
    from: Option<u64>,
    to: Option<u64>,
}

impl Explained for Wanted {
    const WANTED: &str = "from and to must be numbers of leaves, the first one 0";
}

/// The leaves of a log, in order, at most a thousand at once.
async fn entries(
    State(evidence): State<Arc<EvidenceReader>>,
    LogPath { log, caller }: LogPath,
    Parameters(Wanted { from, to }): Parameters<Wanted>,
) -> Result<Json<LogEntryList>, Problem> {
    const { assert!(LEAVES_TOGETHER == 1000, "the documentation says so") };
    let entries = evidence.entries(&log, LeafRange { from: from.unwrap_or(0), to }, span(caller.window)).await?;
    Ok(Json(entries.into()))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Run {
    run: String,
}

impl Explained for Run {
    const WANTED: &str = "run must be the id of a run, or of a decision in the company's own log";
}

/// That a run, or a decision in the company's own log, is in a log, against its newest checkpoint.
async fn proof(
    State(evidence): State<Arc<EvidenceReader>>,
    LogPath { log, caller }: LogPath,
    Parameters(Run { run }): Parameters<Run>,
) -> Result<Json<LogProofAnswer>, Problem> {
    match evidence.proof(&log, &run, span(caller.window)).await? {
        Proved::Proof(proof) => Ok(Json(proof.into())),
        Proved::NotSigned { leaf_index } => Err(Problem::conflict(format!(
            "it is leaf {leaf_index}, and no checkpoint covers it yet: logs are signed every hour"
        ))),
    }
}

/// The key that checks checkpoints and packs.
async fn key(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyPath { .. }: CompanyPath,
) -> Result<Json<LogKeyAnswer>, Problem> {
    Ok(Json(evidence.log_key().await?.into()))
}
