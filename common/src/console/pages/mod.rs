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

use super::{Console, assets};
use crate::api::{Group, Method, Problem, Route};
use crate::app::decisions::DecisionError;
use crate::store::StoreError;
use axum::routing::on;
use std::sync::Arc;

/// The table of pages.
pub const PAGES: Group<Arc<Console>> = Group {
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
        training::PAGES,
        runs::PAGES,
        integrations::PAGES,
        exceptions::PAGES,
        audit_log::PAGES,
        packs::PAGES,
        settings::PAGES,
        onboarding::PAGES,
    ],
};

const ASSETS: &[Route<Arc<Console>>] =
    &[Route::public(Method::Get, "/assets/{file}", |method| on(method, assets::serve))];

/// Whether there is a page at a path of the table, as it stands there. What is not there yet is in no menu.
pub(super) fn is_page(path: &str) -> bool {
    PAGES.nouns.iter().flat_map(|noun| noun.iter()).any(|route| route.path() == path)
}

/// A decision that was not made. What people can put right is told in its own words.
fn undecided(error: DecisionError) -> Problem {
    match error {
        DecisionError::Store(error) => error.into(),
        error if error.is_refusal() => Problem::unprocessable("refused_setting", error.to_string()),
        error => Problem::unavailable(&error),
    }
}

/// The key that checks packs and checkpoints, once something was signed.
async fn log_key(console: &Console) -> Result<Option<String>, Problem> {
    match console.evidence.log_key().await {
        Ok(key) => Ok(Some(key.to_string())),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
