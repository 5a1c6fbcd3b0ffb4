//! What is for an auditor: the evidence log, packs and exports, and their check.

pub mod audit_log;
pub mod export;
pub mod log;
pub mod log_key;
pub mod pack;
pub mod verify;
pub mod window;

use crate::arguments::StorageArgs;
use crate::outcome::CliError;
use crate::stack::LocalStack;
use chrono::NaiveDate;
use common::app::log::{EvidenceLog, LogSigner};
use common::app::packs::{MakePackError, PackDispatch, PackMaker, PackService, Shelf};
use common::app::stack::Stack;
use common::aws::documents::Documents;
use std::path::Path;
use std::sync::Arc;

/// The key of a data folder.
fn signer(storage: &StorageArgs, stack: &LocalStack) -> Result<Arc<LogSigner>, CliError> {
    if storage.aws {
        return Err(CliError::usage(
            "--aws cannot sign here: only the signing function of the deployed stack may use its key; ask for packs over HTTP (docs/http.md)",
        ));
    }
    let signer = LogSigner::of_file(&stack.data().join("log.key"));
    signer.map(Arc::new).map_err(|error| CliError::other(error.to_string()))
}

/// The evidence log over a data folder.
pub fn evidence_log(storage: &StorageArgs, stack: &LocalStack) -> Result<EvidenceLog, CliError> {
    let signer = signer(storage, stack)?;
    Ok(EvidenceLog { store: stack.parts.store.clone(), signer, archive: None, clock: stack.parts.clock() })
}

/// The maker of packs over a data folder.
pub fn maker(storage: &StorageArgs, stack: &LocalStack) -> Result<PackMaker, CliError> {
    let signer = signer(storage, stack)?;
    let Ok(reader) = stack.parts.pack_reader();
    Ok(PackMaker { reader, signer })
}

/// Packs over a data folder, for who asks over HTTP.
pub fn packs(storage: &StorageArgs, stack: &LocalStack) -> Result<PackService, CliError> {
    let maker = maker(storage, stack)?;
    let shelf = Shelf { documents: Documents::Folder(stack.data().join("packs")), prefix: "" };
    let reader = maker.reader.clone();
    Ok(PackService { reader, dispatch: PackDispatch::Here(Arc::new(maker)), shelf: Arc::new(shelf) })
}

fn of_making(error: MakePackError) -> CliError {
    match error {
        MakePackError::Days(line) => CliError::usage(line),
        other => CliError::other(other.to_string()),
    }
}

/// A day as people write it.
fn day(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| "give a day as 2026-03-22".to_owned())
}

/// Writes a file beside its place and then onto it, so that there is never half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let beside = path.with_extension("part");
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| CliError::other(format!("{} cannot be written: {error}", path.display())))
}
