//! `export`: one export of a pack alone.

use super::{maker, of_making, write_whole};
use crate::arguments::StorageArgs;
use crate::commands::open;
use crate::outcome::CliError;
use clap::{Args, ValueEnum};
use common::app::packs::PackRequest;
use common::app::stack::Stack;
use common::domain::calendar::day_of;
use common::domain::id::ClientId;
use common::pack::{layout, zip};
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
    #[command(flatten)]
    storage: StorageArgs,
}

/// How far back an export looks for the newest evidence.
const DAYS: u64 = 30;

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let maker = maker(&options.storage, &stack)?;
    let to = day_of(stack.parts.clock().now());
    let from = to.checked_sub_days(chrono::Days::new(DAYS)).unwrap_or(to);
    let request = PackRequest { company: options.storage.company.clone(), client: options.client.clone(), from, to };
    let files = maker.exports(&request).await;
    stack.close().await;
    let files = files.map_err(of_making)?;
    let one = |path: &str| files.get(path).map(|file| file.bytes.clone()).unwrap_or_default();
    let bytes = match options.format {
        Format::Oscal => one(layout::OSCAL),
        Format::Ocsf => one(layout::OCSF),
        Format::Csv => {
            let mut bytes = Vec::new();
            let tables =
                files.iter().filter_map(|(path, file)| Some((path.strip_prefix("csv/")?, file.bytes.as_slice())));
            let written = zip::write(tables, &mut bytes);
            written.map_err(|error| CliError::other(format!("the tables cannot be written: {error}")))?;
            bytes
        }
    };
    match &options.output {
        Some(path) => write_whole(path, &bytes),
        None => {
            let written = std::io::stdout().lock().write_all(&bytes);
            written.map_err(|error| CliError::other(format!("stdout cannot be written: {error}")))
        }
    }
}
