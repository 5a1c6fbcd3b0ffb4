//! `certificate`: writes the completion certificate of a person to a file.

use crate::arguments::{ActorArgs, StorageArgs, sat_id};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::app::people::OpenedCertificate;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;
use common::domain::sat::id::SatId;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    pub person: String,
    /// The file to write; it must not be there yet
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Of this assignment; the newest certificate when none is given
    #[arg(long, value_name = "ID", value_parser = sat_id)]
    pub assignment: Option<SatId>,
    /// Why it is opened, kept for good
    #[arg(long, value_name = "TEXT", default_value = "exported by the command certificate")]
    pub reason: String,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// The file that was written, as JSON.
#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    assignment: &'a SatId,
    sha256: &'a str,
    bytes: u64,
    content_type: &'a str,
    fetched_at: DateTime<Utc>,
    source: &'a str,
}

impl<'a> Written<'a> {
    fn of(opened: &'a OpenedCertificate, file: &'a Path) -> Self {
        let stored = &opened.stored;
        Self {
            file,
            assignment: &opened.assignment,
            sha256: &stored.sha256,
            bytes: stored.bytes,
            content_type: &stored.content_type,
            fetched_at: stored.fetched_at,
            source: &stored.source,
        }
    }
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let (company, id, path) = (&options.storage.company, &options.connection, &options.output);
    let who = by(&options.actor);
    let opened = service.certificate(company, id, &options.person, options.assignment.as_ref(), &who, &options.reason);
    let opened = opened.await.map_err(|error| faults::of_people(error, id))?;
    stack.close().await;
    // A certificate names a person: only who asked can read the file, and no other is overwritten.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(&opened.bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| CliError::other(format!("{}: {error}", path.display())))?;
    if options.json {
        return render::json(&Written::of(&opened, path));
    }
    render::text(&format!(
        "{}: {} of assignment {}, {} bytes, SHA-256 {}, fetched {}\n",
        path.display(),
        opened.stored.content_type,
        opened.assignment,
        opened.stored.bytes,
        opened.stored.sha256,
        render::time(opened.stored.fetched_at)
    ))
}
