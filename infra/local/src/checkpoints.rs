//! What is done every hour for auditors on this machine: evidence logs are signed, as the signing function does in AWS, and old packs removed, as its bucket does.

use chrono::TimeDelta;
use common::app::log::EvidenceLog;
use common::app::packs::Shelf;
use common::domain::id::CompanyId;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Packs that can be fetched over HTTP.
pub struct Packs {
    /// Where they are kept.
    pub shelf: Arc<Shelf>,
    /// For how long.
    pub kept: TimeDelta,
}

/// Signs the logs that grew and removes old packs, at once and then every hour, until it is stopped. A fault is tried again in the next hour: a log that is not signed in time is
/// signed at its next size.
pub async fn run(log: EvidenceLog, packs: Packs, company: CompanyId, stop: CancellationToken) {
    // Readers may ask for the key before anything is signed.
    if let Err(error) = log.store.keep_log_key(&log.signer.verifier().to_string(), log.clock.now()).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the key of the log was not kept");
    }
    loop {
        match log.sign_all(&company).await {
            Ok(signed) => tracing::info!(signed, "evidence logs signed"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the evidence logs were not signed; it is tried again in an hour");
            }
        }
        match packs.shelf.erase_older(log.clock.now() - packs.kept) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old packs removed"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "old packs were not removed; it is tried again in an hour");
            }
        }
        let wake = log.clock.now() + HOUR;
        tokio::select! {
            () = stop.cancelled() => return,
            () = log.clock.sleep_until(wake) => {}
        }
    }
}
