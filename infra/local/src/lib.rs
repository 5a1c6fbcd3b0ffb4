//! `huntress-evidence`: compliance evidence from Huntress on one machine. The use cases of the functions over an embedded table, sealed credentials and
//! an in-process queue.
#![warn(missing_docs)]

mod arguments;
mod aws;
pub mod checkpoints;
mod commands;
pub mod demo;
pub mod dispatcher;
pub mod engine;
mod outcome;
mod progress;
mod render;
pub mod scheduler;
mod serving;
pub mod stack;
pub mod storage;

use clap::Parser;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ, as Linux on x86 and ARM, and macOS, number it.
const FILE_SIZE_SIGNAL: std::ffi::c_int = 25;

/// Does what the process's arguments say, and gives its exit code: see docs/errors.md.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return outcome::usage(&error),
    };
    if let Err(error) = common::settings::readable_environment() {
        return outcome::report(&error.into());
    }
    let serves = matches!(arguments.command, Some(commands::Command::Serve(_)));
    outcome::start_logging(arguments.verbose, serves);
    // What does one thing at a time is faster on one thread: nothing is handed from one to another and back.
    let mut builder = if serves {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return outcome::report(&outcome::CliError::other(format!("the runtime does not start: {error}")));
        }
    };
    let done = runtime.block_on(async {
        // The system ends a process that writes more to a file than it may (`ulimit -f`), unless it listens to the signal: then the write fails, and
        // whoever wrote can say so. A signal that cannot be listened to leaves things as they are.
        drop(signal(SignalKind::from_raw(FILE_SIZE_SIGNAL)));
        commands::run(arguments).await
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => outcome::report(&fault),
    }
}
