//! One file per command, or family of commands.

mod collect;

use crate::arguments::{Arguments, Collect, Command};
use crate::outcome::Fault;

/// Carries the command out.
pub async fn run(arguments: Arguments) -> Result<(), Fault> {
    match arguments.command.unwrap_or(Command::Demo) {
        Command::Demo => Err(Fault::other("not there yet")),
        Command::Collect(Collect::Edr(options)) => collect::edr(options).await,
    }
}
