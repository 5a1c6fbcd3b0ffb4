//! How a collection can fail, and what people can do about it.

use super::product::Product;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The closed list of ways in which a collection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// Huntress did not accept the credential, or it lacks a permission.
    AuthFailed,
    /// The API client was not given every scope that the collection needs.
    MissingScopes,
    /// The credential sees no account.
    NoAccounts,
    /// The credential sees several accounts and none is chosen.
    MultipleAccounts,
    /// The chosen account is not among those that the credential sees.
    AccountNotVisible,
    /// The request limit leaves no time for this run.
    RateLimited,
    /// Huntress could not be reached or did not answer properly.
    Unavailable,
    /// An answer does not have the shape it must have.
    Malformed,
    /// A list contradicts itself or another one, so the whole cannot be trusted.
    Inconsistent,
    /// Huntress refused the request itself, or does not know the list.
    Refused,
    /// The origin is not one that may be contacted.
    OriginNotAllowed,
    /// The stored credential is missing or belongs elsewhere.
    CredentialMissing,
    /// A setting cannot be met by the account, e.g. an organization that is not there.
    NotFound,
    /// Another worker took the run over.
    LeaseLost,
    /// The time for the run was up.
    TimedOut,
    /// No worker brought the run to its end.
    Abandoned,
    /// Our own storage failed.
    Storage,
    /// Our own storage does not take the evidence, and will not when asked again.
    NotStored,
    /// Our clock and Huntress's differ by more than 5 minutes, so no age could be trusted.
    ClockWrong,
}

impl FailureCode {
    /// The code as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthFailed => "auth_failed",
            Self::MissingScopes => "missing_scopes",
            Self::NoAccounts => "no_accounts",
            Self::MultipleAccounts => "multiple_accounts",
            Self::AccountNotVisible => "account_not_visible",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed",
            Self::Inconsistent => "inconsistent",
            Self::Refused => "refused",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::CredentialMissing => "credential_missing",
            Self::NotFound => "not_found",
            Self::LeaseLost => "lease_lost",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
            Self::Storage => "storage",
            Self::NotStored => "not_stored",
            Self::ClockWrong => "clock_wrong",
        }
    }

    /// Whether Huntress refused the credential or what it may read; scheduled runs then wait 24 hours.
    ///
    /// The three account errors are not: the credential is good, and the next tick tries again.
    #[must_use]
    pub fn is_auth(self) -> bool {
        matches!(self, Self::AuthFailed | Self::MissingScopes)
    }

    /// Whether the same run may succeed within hours, with nobody doing anything: it is tried again the same day.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Unavailable
                | Self::Malformed
                | Self::Inconsistent
                | Self::LeaseLost
                | Self::TimedOut
                | Self::Abandoned
                | Self::Storage
        )
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::AuthFailed => {
                "check the API key and secret in Huntress under API Credentials, and the permissions of the key's user"
            }
            Self::MissingScopes => {
                "give the API client the scopes named here, in Huntress SAT under Settings, API Clients; then sync again"
            }
            Self::NoAccounts => {
                "create the API client as a user who belongs to the account that is to be measured, and save its id and secret"
            }
            Self::MultipleAccounts => "save the connection again with the id of one of the accounts listed here",
            Self::AccountNotVisible => {
                "correct the account id, or leave it empty; or create the API client as a user of that account"
            }
            Self::RateLimited => "try again later, or find the other tool that uses the account's 60 requests a minute",
            Self::Unavailable => "try again later; if it stays so, see the vendor's status page",
            Self::Malformed => {
                "try again; if it stays so, the vendor's answer has changed: report it with the path named here"
            }
            Self::Inconsistent => "try again; if it stays so, the vendor's lists contradict each other: report it",
            Self::Refused => "check that the product is licensed for the account; if it is, report this",
            Self::OriginNotAllowed => "use https://api.huntress.io; a loopback address needs HUNTRESS_ALLOW_LOOPBACK=1",
            Self::CredentialMissing => "save the credential of this connection again",
            Self::NotFound => "correct the setting named here",
            Self::LeaseLost => "nothing: the other worker's run goes on",
            Self::TimedOut => "start the sync again",
            Self::Abandoned => "start the sync again; if it stays so, see the log of the worker, and whether one runs",
            Self::Storage => "try again later; the last good evidence is kept",
            Self::NotStored => {
                "report this with the line of the worker's log that says why; the last good evidence is kept"
            }
            Self::ClockWrong => "set the clock of this machine right, then sync again",
        }
    }

    /// What a person can do about it, in one sentence that fits the product.
    #[must_use]
    pub fn action_for(self, product: Product) -> &'static str {
        match (product, self) {
            (Product::Sat, Self::AuthFailed) => {
                "check client id and secret in Huntress SAT under Settings, API Clients: the secret may have been rotated; save the new one and sync now"
            }
            (Product::Sat, Self::RateLimited) => {
                "try again later, or find the other integration that uses the organization's 200 requests a minute and 1,500 an hour"
            }
            (Product::Sat, Self::OriginNotAllowed) => {
                "use https://mycurricula.com; a loopback address needs HUNTRESS_ALLOW_LOOPBACK=1"
            }
            _ => self.action(),
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a run ended without evidence, for people. It never holds a secret, a token or a response body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// The closed code.
    pub code: FailureCode,
    /// One sentence on what happened.
    pub message: String,
    /// One sentence on what to do.
    pub action: String,
    /// The request that failed, e.g. `GET /v1/agents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Failure {
    /// A failure with the code's own advice.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), action: code.action().to_owned(), request: None }
    }

    /// Gives the advice that fits the product.
    #[must_use]
    pub fn about(mut self, product: Product) -> Self {
        self.action = self.code.action_for(product).to_owned();
        self
    }

    /// Names the request that failed.
    #[must_use]
    pub fn at(mut self, request: impl Into<String>) -> Self {
        self.request = Some(request.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if let Some(request) = &self.request {
            write!(f, " ({request})")?;
        }
        write!(f, "; {}", self.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_product() {
        assert!(FailureCode::AuthFailed.action_for(Product::Sat).contains("client id"));
        assert!(FailureCode::AuthFailed.action_for(Product::Edr).contains("API key"));
        assert!(FailureCode::OriginNotAllowed.action_for(Product::Sat).contains("mycurricula.com"));
        assert_eq!(FailureCode::Storage.action_for(Product::Sat), FailureCode::Storage.action());
    }
}
