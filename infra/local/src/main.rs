//! `huntress-evidence`: Huntress compliance evidence on one machine.

mod arguments;
mod commands;
mod outcome;
mod progress;
mod render;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
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
