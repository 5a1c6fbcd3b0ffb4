//! Signs the evidence logs of this machine every hour: what the signing function is in AWS.

use chrono::TimeDelta;
use common::app::log::EvidenceLog;
use common::domain::id::CompanyId;
use tokio_util::sync::CancellationToken;

/// How often logs that grew are signed.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Signs the logs that grew, at once and then every hour, until it is stopped. A fault is tried again in the next hour: a log that is not signed in time is
/// signed at its next size.
pub async fn run(log: EvidenceLog, company: CompanyId, stop: CancellationToken) {
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
        let wake = log.clock.now() + HOUR;
        tokio::select! {
            () = stop.cancelled() => return,
            () = log.clock.sleep_until(wake) => {}
        }
    }
}
