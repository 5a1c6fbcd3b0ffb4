//! `export`: one export of a pack alone.

use super::{of_making, write_whole};
use crate::arguments::{StorageArgs, instant};
use crate::commands::open;
use crate::outcome::CliError;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use common::app::packs::ExportFormat;
use common::app::stack::Stack;
use common::domain::id::ClientId;
use common::domain::time::Window;
use std::io::Write;
use std::path::PathBuf;

/// A form of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// OSCAL 1.2.1 assessment results
    Oscal,
    /// OCSF 1.6.0 compliance findings
    Ocsf,
    /// All tables, as a zip file
    Csv,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Options {
    /// The form
    format: Format,
    /// The client
    client: ClientId,
    /// The file to write; stdout when it is not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The instant that it is as of, as in 2026-03-22T12:00:00Z; now when it is not given
    #[arg(long, value_name = "T", value_parser = instant)]
    as_of: Option<DateTime<Utc>>,
    #[command(flatten)]
    storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(reader) = stack.parts.pack_reader();
    let now = reader.clock.now();
    let at = options.as_of.map_or(now, |as_of| as_of.min(now));
    let format = match options.format {
        Format::Oscal => ExportFormat::Oscal,
        Format::Ocsf => ExportFormat::Ocsf,
        Format::Csv => ExportFormat::Csv,
    };
    let window = Window::ALL.until(Some(at));
    let bytes = reader.export(&options.storage.company, &options.client, format, window).await;
    stack.close().await;
    let bytes = bytes.map_err(of_making)?;
    match &options.output {
        Some(path) => write_whole(path, &bytes),
        None => {
            let written = std::io::stdout().lock().write_all(&bytes);
            written.map_err(|error| CliError::other(format!("stdout cannot be written: {error}")))
        }
    }
}
