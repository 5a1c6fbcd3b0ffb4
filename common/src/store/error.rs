//! What can go wrong with the table, named by what the caller does next.

use crate::domain::id::ClientId;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt::Debug;

/// A store operation that was not carried out. No text of it holds a value of a record.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such record.
    #[error("there is no such {record}")]
    NotFound {
        /// The kind of record, e.g. `connection`.
        record: &'static str,
    },
    /// Nobody knows the client: see [`super::Store::check_client`].
    #[error(
        "there is no client {0}: no connection measures it, none has given evidence of it, and nothing was decided about it"
    )]
    UnknownClient(ClientId),
    /// The record is there already, or its state does not allow the change.
    #[error("the {record} is there already, or its state does not allow this")]
    Conflict {
        /// The kind of record.
        record: &'static str,
    },
    /// Another worker has taken the run over, or the run is over.
    #[error("the lease of the run is lost")]
    LeaseLost,
    /// The table could not be reached, or has no capacity; the same request may succeed later.
    #[error("the table is unavailable")]
    Unavailable {
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The table refused the request itself: the same request will never succeed.
    #[error("the table refuses the request")]
    Refused {
        /// What it said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A stored record cannot be used. It is left as it is.
    #[error("a stored {record} cannot be used: {reason}")]
    Corrupt {
        /// The kind of record.
        record: &'static str,
        /// What is wrong with it: never a value.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn corrupt(record: &'static str, reason: impl Into<String>) -> Self {
        Self::Corrupt { record, reason: reason.into() }
    }

    pub(super) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: source.into() }
    }
}

/// What DynamoDB calls a request that it will never accept, e.g. a record that is too large.
pub(super) const VALIDATION: [&str; 2] = ["ValidationException", "ValidationError"];

impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        match error.code() {
            Some(code) if VALIDATION.contains(&code) => Self::Refused { source: error.into() },
            _ => Self::unavailable(error),
        }
    }
}
