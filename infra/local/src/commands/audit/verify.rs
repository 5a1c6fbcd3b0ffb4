//! `verify`: the check of a pack, with nothing but the file.

use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::domain::note::VerifierKey;
use common::pack::verify::{Known, LARGEST_PACK, Report, StepReport, verify};
use serde::Serialize;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Options {
    /// The pack
    file: PathBuf,
    /// A key of the operator, learnt by another way than the pack; can be repeated
    #[arg(long, value_name = "VKEY")]
    key: Vec<String>,
    /// An older pack or checkpoint that the logs must go on from; can be repeated
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct View<'a> {
    file: String,
    good: bool,
    steps: &'a [StepReport],
}

/// A file up to the size of the largest pack, and a byte more where it is larger.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_PACK + 1).read_to_end(&mut bytes));
    read.map_err(|error| CliError::other(format!("container: {} cannot be read: {error}", path.display())))?;
    Ok(bytes)
}

pub fn run(options: &Options) -> Result<(), CliError> {
    let keys: Result<Vec<VerifierKey>, _> = options.key.iter().map(|key| VerifierKey::parse(key.trim())).collect();
    let keys = keys.map_err(|error| CliError::usage(format!("the value of --key cannot be used: {error}")))?;
    let since: Result<Vec<(String, Vec<u8>)>, CliError> =
        options.since.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect();
    let since = since?;
    let bytes = read(&options.file)?;
    let older = since.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
    let report = verify(&bytes, &Known { keys, older });
    show(options, &report)?;
    match report.failure() {
        None => Ok(()),
        Some((step, failed)) => Err(CliError::other(format!("{step}: {failed}"))),
    }
}

fn show(options: &Options, report: &Report) -> Result<(), CliError> {
    if options.json {
        let file = options.file.display().to_string();
        return render::json(&View { file, good: report.is_good(), steps: &report.steps });
    }
    let mut text = String::new();
    for StepReport { step, ok, detail, failures } in &report.steps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:7} {step}: {detail}", if *ok { "ok" } else { "WRONG" });
        for failed in failures {
            let _ = writeln!(text, "        {failed}");
        }
    }
    render::text(&text)
}
