//! Who is on the way to Huntress and back, and who exchanges a refresh token now. Partitions of their own: few roles reach them, and no transaction holds
//! one of these together with anything else.

use super::error::StoreError;
use super::{ATTEMPTS, Store};
use crate::domain::audit::ActorKind;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::sat::id::SatId;
use crate::store::table::items::{Change, Record, number, put_new, text};
use crate::store::table::keys;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Somebody who was sent to Huntress, or who has to choose an account. It is found by the hash of a secret that only their browser's address has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingRedirect {
    /// For which company.
    pub company: CompanyId,
    /// For which connection.
    pub connection: ConnectionId,
    /// Who began it.
    pub actor: String,
    /// How they came in.
    pub actor_kind: ActorKind,
    /// What they have to do.
    pub step: RedirectStep,
    /// The SHA-256 of what the cookie of their browser holds.
    pub browser: String,
    /// What the next step needs, in base64, sealed under a key that the table does not have: it is made of the address's secret and the cookie's.
    pub sealed: String,
    /// The accounts that may be chosen.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Whether the connection was there.
    pub replaces: bool,
    /// Whose evidence a new connection gathers.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// The account that is meant, if it is known.
    #[serde(default)]
    pub account_id: Option<SatId>,
    /// Afterwards it counts for nothing.
    pub until: DateTime<Utc>,
    /// When the table forgets it, in seconds of Unix time.
    pub expires_at: i64,
}

/// What somebody has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectStep {
    /// Agree at Huntress.
    Agree,
    /// Choose one of several accounts.
    Choose,
}

impl Record for PendingRedirect {
    const KIND: &'static str = "redirect";
}

/// Who exchanges the refresh token of a connection now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ExchangeRecord {
    /// It grows with every exchange, and refuses the one before.
    number: u64,
    /// Until when the exchange is somebody's.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
    /// An exchange was begun, and nobody knows how it ended.
    #[serde(default)]
    interrupted: bool,
}

impl Record for ExchangeRecord {
    const KIND: &'static str = "exchange of a refresh token";
}

/// The right to exchange the refresh token of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    company: CompanyId,
    connection: ConnectionId,
    number: u64,
    /// An earlier exchange was begun, and nobody knows how it ended: the refresh token may be used up.
    pub after_interruption: bool,
}

/// What somebody finds who wants to exchange a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeOutcome {
    /// It is theirs.
    Acquired(Exchange),
    /// Somebody else is at it.
    Held {
        /// Until when at most.
        until: DateTime<Utc>,
    },
}

impl Store {
    /// Keeps somebody who is on the way, under the hash of their secret.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn keep_redirect(&self, hash: &str, pending: &PendingRedirect) -> Result<(), StoreError> {
        self.put_item(pending.to_item(&keys::redirect(hash))?).await
    }

    /// Who is on the way with this secret.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn redirect(&self, hash: &str) -> Result<Option<PendingRedirect>, StoreError> {
        self.get(&keys::redirect(hash)).await
    }

    /// Uses up a secret: of all who try, one gets `true`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn take_redirect(&self, hash: &str, browser: &str) -> Result<bool, StoreError> {
        let taking = Change::of(keys::redirect(hash)).only_if("browser", text(browser)).delete(&self.table)?;
        Ok(self.transact(vec![taking]).await?.is_written())
    }

    /// Takes the right to exchange the refresh token of a connection, for `hold`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Conflict`] where others were faster every time.
    pub async fn take_exchange(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        now: DateTime<Utc>,
        hold: TimeDelta,
    ) -> Result<ExchangeOutcome, StoreError> {
        let key = keys::exchange(company, connection);
        for _ in 0..ATTEMPTS {
            let there: Option<ExchangeRecord> = self.get(&key).await?;
            // Who seems to hold it for longer had a clock that was ahead.
            let held = |record: &ExchangeRecord| record.until.filter(|until| *until > now && *until <= now + hold);
            if let Some(until) = there.as_ref().and_then(held) {
                return Ok(ExchangeOutcome::Held { until });
            }
            let before = there.as_ref().map_or(0, |record| record.number);
            let interrupted = there.as_ref().is_some_and(|record| record.interrupted || record.until.is_some());
            let record = ExchangeRecord { number: before + 1, until: Some(now + hold), interrupted };
            let taking = match there {
                None => put_new(&self.table, record.to_item(&key)?)?,
                Some(_) => Change::of(key.clone())
                    .only_if("number", number(before))
                    .set("number", &record.number)?
                    .set("until", &record.until)?
                    .set("interrupted", &record.interrupted)?
                    .update(&self.table)?,
            };
            if self.transact(vec![taking]).await?.is_written() {
                return Ok(ExchangeOutcome::Acquired(Exchange {
                    company: company.clone(),
                    connection: connection.clone(),
                    number: record.number,
                    after_interruption: interrupted,
                }));
            }
        }
        Err(StoreError::Conflict { record: ExchangeRecord::KIND })
    }

    /// Whether the exchange is still its owner's, who has it until `until` then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn keeps_exchange(&self, exchange: &Exchange, until: DateTime<Utc>) -> Result<bool, StoreError> {
        let keeping = exchange.change().set("until", &until)?.update(&self.table)?;
        Ok(self.transact(vec![keeping]).await?.is_written())
    }

    /// Gives the right back. `interrupted` says that nobody knows how the exchange ended. It is no error if somebody else has it by now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn end_exchange(&self, exchange: &Exchange, interrupted: bool) -> Result<(), StoreError> {
        let ending = exchange.change().set("interrupted", &interrupted)?.remove("until").update(&self.table)?;
        self.transact(vec![ending]).await?;
        Ok(())
    }

    /// Refuses whoever is at an exchange: the connection has another credential, or is gone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn forget_exchange(&self, company: &CompanyId, connection: &ConnectionId) -> Result<(), StoreError> {
        self.delete_item(&keys::exchange(company, connection)).await
    }
}

impl Exchange {
    fn change(&self) -> Change {
        Change::of(keys::exchange(&self.company, &self.connection)).only_if("number", number(self.number))
    }
}
