//! Connections.

pub mod connect;
pub mod copy_credentials;
pub mod disconnect;
pub mod list;
pub mod map;
mod mapping;
pub mod pause;
mod redirect;
pub mod resume;
pub mod settings;
pub mod setup;
pub mod test;

use crate::outcome::CliError;
use crate::render;
use common::api::views::ConnectionAnswer;
use common::clock::{Clock, SystemClock};
use common::domain::connection::Connection;

/// The connection as JSON, or what became of it in words.
pub fn said(connection: Connection, json: bool, what: &str) -> Result<(), CliError> {
    if json {
        return render::json(&ConnectionAnswer::at(connection, SystemClock.now()));
    }
    render::text(&format!("connection {} {what}\n", connection.id))
}
