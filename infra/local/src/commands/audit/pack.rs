//! `pack`: the evidence of a client over some days, for an auditor.

use super::{day, maker, of_making, write_whole};
use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, open};
use crate::outcome::CliError;
use crate::render;
use chrono::NaiveDate;
use clap::Args;
use common::app::packs::{MakePackError, NamesOpened, PackRequest, people_csv};
use common::app::stack::Stack;
use common::domain::calendar::DayRange;
use common::domain::id::ClientId;
use common::domain::log::Hash;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `pack`.
#[derive(Debug, Args)]
pub struct Options {
    /// The client
    client: ClientId,
    /// The first day, in the zone of the schedule
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: NaiveDate,
    /// The last day
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: NaiveDate,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Add the tracked people of the client, by their hash
    #[arg(long)]
    people: bool,
    /// Add them with names and e-mail addresses, in the privacy mode full; that is kept, with the reason
    #[arg(long, requires = "reason", conflicts_with = "people")]
    names: bool,
    /// Why names are opened
    #[arg(long, value_name = "TEXT", requires = "names")]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    actor: ActorArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

#[derive(Serialize)]
struct Made {
    file: String,
    bytes: u64,
    sha256: String,
    key: String,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let maker = maker(&options.storage, &stack)?;
    let company = options.storage.company.clone();
    let request = PackRequest { company, client: options.client, from: options.from, to: options.to };
    let at = request.instant(maker.reader.store.calendar(), maker.reader.clock.now()).map_err(of_making)?;
    let actor = by(&options.actor);
    let people = match (&options.reason, options.people) {
        (None, false) => None,
        (reason, _) => {
            let Ok(service) = stack.parts.people();
            let names = reason.as_deref().map(|reason| NamesOpened { actor: &actor, reason });
            let table = people_csv(&service, &request.company, &request.client, names).await;
            Some(table.map_err(|error| CliError::other(error.to_string()))?)
        }
    };
    let made = match maker.pack_at(&request, at, people).await {
        Ok(bytes) => {
            // It is kept that it was made before the file is there.
            let (company, days) = (&request.company, DayRange { from: request.from, to: request.to });
            let kept = maker.reader.record_pack(company, &request.client, days, &actor).await;
            kept.map(|()| bytes).map_err(MakePackError::from)
        }
        Err(error) => Err(error),
    };
    stack.close().await;
    let bytes = made.map_err(of_making)?;
    write_whole(&options.output, &bytes)?;
    let (file, sha256) = (options.output.display().to_string(), Hash::of(&bytes).hex());
    let key = maker.signer.verifier().to_string();
    if options.json {
        return render::json(&Made { file, bytes: bytes.len() as u64, sha256, key });
    }
    render::text(&format!(
        "{file}: {} bytes, SHA-256 {sha256}\ncheck it with: huntress-evidence verify {file} --key '{key}'\n",
        bytes.len()
    ))
}
