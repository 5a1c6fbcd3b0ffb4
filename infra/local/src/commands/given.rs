//! What people give of a credential in variables. It may have been pasted with more around it, which is removed, and said.

use crate::outcome::{CliError, note};
use common::domain::text::pasted;
use common::settings::{SettingsError, environment};
use secrecy::SecretString;

/// Reads variables, and remembers which of them had something around their value.
#[derive(Debug, Default)]
pub struct Given {
    cleaned: Vec<&'static str>,
}

impl Given {
    /// A variable; one with nothing in it counts as not set.
    pub fn variable(&mut self, name: &'static str) -> Option<String> {
        self.cleaned(name, &environment(name)?)
    }

    /// What was typed or read for `name`; nothing counts as not given.
    pub fn cleaned(&mut self, name: &'static str, given: &str) -> Option<String> {
        let kept = pasted(given);
        if kept.is_empty() {
            return None;
        }
        if kept.len() != given.len() {
            self.cleaned.push(name);
        }
        Some(kept.to_owned())
    }

    /// A variable that must be there.
    pub fn required(&mut self, name: &'static str) -> Result<SecretString, SettingsError> {
        self.variable(name).map(SecretString::from).ok_or(SettingsError::Missing(name))
    }

    /// Says what was removed: beside the answer of a command, or in the one line of its failure.
    pub fn said<T>(&self, done: Result<T, CliError>) -> Result<T, CliError> {
        if self.cleaned.is_empty() {
            return done;
        }
        let removed = format!("blanks, line ends or quotes around {} were left out", self.cleaned.join(" and "));
        match done {
            Ok(done) => {
                note(&removed);
                Ok(done)
            }
            Err(error) => Err(error.and(&removed)),
        }
    }
}
