//! The pages by noun: each file has its part of the table, `PAGES`, above its functions.

mod audit_log;
pub(super) mod client;
pub(super) mod clients;
mod controls;
mod evidence;
mod exceptions;
mod explain;
mod findings;
mod integrations;
mod login;
mod onboarding;
mod other_limits;
mod over_time;
mod packs;
pub(super) mod refusal;
mod runs;
mod settings;
mod training;
mod what_if;
mod window;

use super::{ConnectionPages, EvidencePages, assets};
use crate::api::{Group, Method, Problem, Route};
use crate::app::decisions::DecisionError;
use crate::app::evidence::EvidenceReader;
use crate::store::StoreError;
use axum::routing::on;
use std::sync::Arc;

/// The pages of evidence, and coming in.
pub const EVIDENCE: Group<Arc<EvidencePages>> = Group {
    function: "console",
    nouns: &[
        ASSETS,
        login::PAGES,
        clients::PAGES,
        client::PAGES,
        over_time::PAGES,
        controls::PAGES,
        window::PAGES,
        evidence::PAGES,
        explain::PAGES,
        findings::PAGES,
        what_if::PAGES,
        exceptions::PAGES,
        audit_log::PAGES,
        packs::PAGES,
    ],
};

/// The pages of integrations, of people, and of what a company has set.
pub const CONNECTIONS: Group<Arc<ConnectionPages>> = Group {
    function: "console-connections",
    nouns: &[integrations::PAGES, runs::PAGES, training::PAGES, settings::PAGES, onboarding::PAGES],
};

const ASSETS: &[Route<Arc<EvidencePages>>] =
    &[Route::public(Method::Get, "/assets/{file}", |method| on(method, assets::serve))];

/// A decision that was not made. What people can put right is told in its own words.
fn undecided(error: DecisionError) -> Problem {
    match error {
        DecisionError::Store(error) => error.into(),
        error if error.is_refusal() => Problem::unprocessable("refused_setting", error.to_string()),
        error => Problem::unavailable(&error),
    }
}

/// The key that checks packs and checkpoints, once something was signed.
async fn log_key(evidence: &EvidenceReader) -> Result<Option<String>, Problem> {
    match evidence.log_key().await {
        Ok(key) => Ok(Some(key.to_string())),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
