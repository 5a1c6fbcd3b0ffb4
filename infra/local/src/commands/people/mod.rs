//! People: looked at, reset, opened, erased.

pub mod certificate;
pub mod erase;
pub mod list;
pub mod onboarding;
pub mod privacy;
pub mod reset;
pub mod show;

use crate::outcome::CliError;
use crate::stack::LocalStack;

/// Ends the stack; after an erasing, the data file is written anew without what was erased.
async fn close(stack: LocalStack, erased: bool) -> Result<(), CliError> {
    if !erased {
        stack.close().await;
        return Ok(());
    }
    stack.close_and_compact().await.map_err(|error| {
        CliError::other(format!(
            "it was erased, but its bytes are still in free pages of the data file: {error}; erase again"
        ))
    })
}
