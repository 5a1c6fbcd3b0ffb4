//! `log-key`: the key that checks checkpoints and packs.

use super::{evidence_log, signer};
use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, open};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::LogKeyAnswer;
use common::app::log::{EvidenceLog, LogSigner};
use common::app::stack::Stack;
use common::domain::note::VerifierKey;
use std::sync::Arc;

/// Arguments of `log-key`.
#[derive(Debug, Args)]
pub struct Options {
    /// Go on under another key, which the old one announces in the company's log; sign all logs by it
    #[arg(long)]
    rotate: bool,
    #[command(flatten)]
    actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let key = if options.rotate {
        rotated(&options, &stack).await
    } else if options.storage.aws {
        let Ok(evidence) = stack.parts.evidence();
        evidence.log_key().await.map_err(|error| CliError::other(format!("{error}: nothing was signed yet")))
    } else {
        signer(&options.storage, &stack).map(|signer| signer.verifier().clone())
    };
    stack.close().await;
    let verifier = key?;
    if options.json {
        return render::json(&LogKeyAnswer::from(verifier));
    }
    render::text(&format!("{verifier}\n"))
}

/// The new key, by which all logs are signed.
async fn rotated(options: &Options, stack: &crate::stack::LocalStack) -> Result<VerifierKey, CliError> {
    if options.storage.aws {
        return Err(CliError::usage(
            "--rotate is for a data folder: the key of a deployed stack is replaced by a deployment, see \"Another key for the logs\" in docs/operations.md",
        ));
    }
    // It is made on first use.
    let log = evidence_log(&options.storage, stack)?;
    let (store, company, now) = (&log.store, &options.storage.company, log.clock.now());
    let path = stack.data().join("log.key");
    let actor = by(&options.actor);
    let signer = LogSigner::replace_file(&path, store, company, &actor, now).await;
    let signer = Arc::new(signer.map_err(|error| CliError::other(error.to_string()))?);
    let log = EvidenceLog { signer: Arc::clone(&signer), ..log };
    log.sign_all(company).await.map_err(|error| CliError::other(error.to_string()))?;
    Ok(signer.verifier().clone())
}
