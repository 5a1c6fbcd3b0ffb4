//! When a credential ends, and how early people are told.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A connection that was made by redirect is made again before so many days have passed, unless its setting says otherwise: a year, less a month to do it in.
pub const REDIRECT_VALID_DAYS: u16 = 335;

/// The most days that the setting takes: ten years.
pub const MOST_VALID_DAYS: u16 = 3650;

/// People are told so many days before the end.
pub const NOTICES: [u16; 3] = [30, 7, 1];

/// How near the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExpiryState {
    /// More than 30 days off.
    Ok,
    /// At most 30 days off.
    Expiring,
    /// Past.
    Expired,
}

impl ExpiryState {
    /// The state as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for ExpiryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The end of a credential, as it looks at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expiry {
    /// How near it is.
    pub state: ExpiryState,
    /// When it is.
    pub at: DateTime<Utc>,
}

impl Expiry {
    /// The end `at`, seen from `now`.
    ///
    /// ```
    /// use chrono::{DateTime, TimeDelta, Utc};
    /// use evidence_domain::expiry::{Expiry, ExpiryState};
    /// let end: DateTime<Utc> = "2027-03-01T00:00:00Z".parse().unwrap();
    /// let seen = |before: TimeDelta| Expiry::seen(end, end - before);
    /// assert_eq!(seen(TimeDelta::days(30) + TimeDelta::seconds(1)).state, ExpiryState::Ok);
    /// assert_eq!(seen(TimeDelta::days(30)).state, ExpiryState::Expiring);
    /// assert_eq!(seen(TimeDelta::zero()).state, ExpiryState::Expired);
    /// ```
    #[must_use]
    pub fn seen(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let state = if at <= now {
            ExpiryState::Expired
        } else if notice(at, now).is_some() {
            ExpiryState::Expiring
        } else {
            ExpiryState::Ok
        };
        Self { state, at }
    }

    /// What a person is told of it at `now`; nothing while it is far off.
    #[must_use]
    pub fn warning(&self, now: DateTime<Utc>) -> Option<String> {
        let day = self.at.format("%Y-%m-%d");
        match self.state {
            ExpiryState::Ok => None,
            ExpiryState::Expired => Some(format!("expired {day}")),
            ExpiryState::Expiring => {
                let hours = self.at.signed_duration_since(now).num_hours();
                // Rounded up: on the last day there is one day left.
                let days = hours.div_euclid(24) + 1;
                let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
                Some(format!("expires {day}, in {days} at most"))
            }
        }
    }
}

/// The last of [`NOTICES`] whose time has come: people are told once at each.
///
/// ```
/// use chrono::{DateTime, TimeDelta, Utc};
/// use evidence_domain::expiry::notice;
/// let end: DateTime<Utc> = "2027-03-01T00:00:00Z".parse().unwrap();
/// let days = [31, 30, 8, 7, 2, 1, 0].map(|days| notice(end, end - TimeDelta::days(days)));
/// assert_eq!(days, [None, Some(30), Some(30), Some(7), Some(7), Some(1), Some(1)]);
/// ```
#[must_use]
pub fn notice(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<u16> {
    let left = at.signed_duration_since(now);
    NOTICES.into_iter().filter(|days| left <= TimeDelta::days((*days).into())).min()
}

/// How the credential of a connection came, and how long it is good for as far as anybody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CredentialTerm {
    /// When it was saved; a connection of an earlier release does not know.
    #[serde(default)]
    pub saved_at: Option<DateTime<Utc>>,
    /// Whether somebody agreed to it at Huntress instead of pasting it.
    #[serde(default)]
    pub by_redirect: bool,
    /// When it ends, as somebody said.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// It is good for so many days from when it was saved, as somebody said.
    #[serde(default)]
    pub valid_days: Option<u16>,
}

impl CredentialTerm {
    /// That of a credential that is saved at `now` in the place of this one. The setting of days stays; a date was that of the earlier credential.
    #[must_use]
    pub fn renewed(self, now: DateTime<Utc>, by_redirect: bool, expires_at: Option<DateTime<Utc>>) -> Self {
        Self { saved_at: Some(now), by_redirect, expires_at, valid_days: self.valid_days }
    }

    /// When it ends: the date that somebody gave; or the days that somebody set, or that a redirect is good for, from when it was saved.
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use evidence_domain::expiry::CredentialTerm;
    /// let saved: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    /// let pasted = CredentialTerm::default().renewed(saved, false, None);
    /// assert_eq!(pasted.end(), None);
    /// assert_eq!(pasted.renewed(saved, true, None).end(), Some("2027-01-30T00:00:00Z".parse().unwrap()));
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<DateTime<Utc>> {
        let days = self.valid_days.or(self.by_redirect.then_some(REDIRECT_VALID_DAYS));
        let counted = || self.saved_at?.checked_add_signed(TimeDelta::days(days?.into()));
        self.expires_at.or_else(counted)
    }

    /// How near its end is at `now`, if it has one.
    #[must_use]
    pub fn expiry(&self, now: DateTime<Utc>) -> Option<Expiry> {
        self.end().map(|at| Expiry::seen(at, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_date_goes_before_days_and_goes_with_its_credential() {
        let saved = at("2026-03-01T12:00:00Z");
        let term = CredentialTerm::default().renewed(saved, true, Some(at("2026-06-01T00:00:00Z")));
        let term = CredentialTerm { valid_days: Some(10), ..term };
        assert_eq!(term.end(), Some(at("2026-06-01T00:00:00Z")));
        // The next credential has no date, and the setting of days counts from its own beginning.
        let next = term.renewed(at("2026-04-01T12:00:00Z"), false, None);
        assert_eq!(next.end(), Some(at("2026-04-11T12:00:00Z")));
        assert_eq!(CredentialTerm { valid_days: Some(10), ..CredentialTerm::default() }.end(), None);
    }

    #[test]
    fn the_warning_counts_down() {
        let end = at("2027-03-01T00:00:00Z");
        let warning = |before: TimeDelta| Expiry::seen(end, end - before).warning(end - before);
        assert_eq!(warning(TimeDelta::days(31)), None);
        assert_eq!(warning(TimeDelta::days(29)).unwrap(), "expires 2027-03-01, in 30 days at most");
        assert_eq!(warning(TimeDelta::minutes(5)).unwrap(), "expires 2027-03-01, in 1 day at most");
        assert_eq!(warning(TimeDelta::days(-3)).unwrap(), "expired 2027-03-01");
    }
}
