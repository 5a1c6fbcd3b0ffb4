//! `attest`: a number that Huntress cannot know.

use super::{day, decider, fault, until};
use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::open;
use crate::outcome::CliError;
use crate::render;
use chrono::NaiveDate;
use clap::Args;
use common::app::stack::Stack;
use common::domain::calendar::Until;
use common::domain::decisions::{AttestationKey, AttestationRequest};
use common::domain::id::ClientId;

#[derive(Debug, Args)]
pub struct Options {
    /// The client
    pub client: ClientId,
    /// What is stated: expected_devices
    pub key: String,
    /// The number
    #[arg(allow_negative_numbers = true)]
    pub value: String,
    /// Where the number comes from
    #[arg(long, value_name = "TEXT")]
    pub source: String,
    /// The day that the source is of
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub dated: NaiveDate,
    /// Until when it counts; a day means its end in the schedule's zone
    #[arg(long, value_name = "DAY", value_parser = until)]
    pub until: Until,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let key = AttestationKey::parse(&options.key).map_err(|error| CliError::usage(error.to_string()))?;
    let request = AttestationRequest {
        client: options.client,
        key,
        value: options.value,
        source: options.source,
        dated: options.dated,
        by: decider(&options.actor),
        until: options.until,
    };
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let attestation = decisions.attest(&options.storage.company, request).await.map_err(fault)?;
    let until = stack.parts.store.calendar().last_day_before(attestation.until);
    stack.close().await;
    if options.json {
        return render::json(&attestation);
    }
    render::text(&format!(
        "{} states {} = {} for {}, from {} of {}; it counts until {}\n",
        attestation.by,
        attestation.key.as_str(),
        attestation.value,
        attestation.client,
        attestation.source,
        attestation.dated,
        until,
    ))
}
