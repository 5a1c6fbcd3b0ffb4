//! `huntress-evidence`: compliance evidence from Huntress on one machine. The use cases of the functions over an embedded table, sealed credentials and
//! an in-process queue.
#![warn(missing_docs)]

mod arguments;
mod commands;
pub mod dispatcher;
pub mod engine;
mod outcome;
mod progress;
mod render;
pub mod scheduler;
pub mod stack;

use clap::Parser;
use std::process::ExitCode;

/// Does what the process's arguments say, and gives its exit code: see docs/errors.md.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return outcome::usage(&error),
    };
    let serves = matches!(arguments.command, Some(commands::Command::Serve(_)));
    outcome::start_logging(arguments.verbose, serves);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return outcome::report(&outcome::CliError::other(format!("the runtime does not start: {error}")));
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => outcome::report(&fault),
    }
}
