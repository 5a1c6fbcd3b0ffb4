//! Sessions of the console that somebody ended. Who is signed in is in a cookie; that they signed out is here, until the cookie would have ended by itself.

use super::Store;
use super::error::StoreError;
use crate::store::table::items::Record;
use crate::store::table::keys;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Under the hash of what only the session's cookie holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EndedSession {
    /// When the table forgets it, in seconds of Unix time.
    expires_at: i64,
}

impl Record for EndedSession {
    const KIND: &'static str = "session that has ended";
}

impl Store {
    /// Ends a session, for as long as its cookie could be shown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn end_session(&self, secret: &str, until: DateTime<Utc>) -> Result<(), StoreError> {
        let ended = EndedSession { expires_at: until.timestamp().saturating_add(1) };
        self.put_item(ended.to_item(&keys::ended_session(&keys::sha256(secret)))?).await
    }

    /// Whether somebody ended it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn session_ended(&self, secret: &str) -> Result<bool, StoreError> {
        let ended: Option<EndedSession> = self.get(&keys::ended_session(&keys::sha256(secret))).await?;
        Ok(ended.is_some())
    }
}
