//! Access tokens of one machine: what each may do, for how long, and how it is known again. The token itself is kept nowhere.

use super::id::{ClientId, TokenName};
use super::log::Hash;
use super::scope::{Role, Scope, Scopes};
use super::time::Window;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A token is good for at most so many days.
pub const LONGEST_DAYS: u16 = 365;

/// The name of the folder's own token, which nobody else may have.
pub const OWN: &str = "local";

/// What every token begins with, so that scanners for secrets know one.
const PREFIX: &str = "het_";

/// What a token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Its name.
    pub name: TokenName,
    /// The name of its role.
    pub role: Option<String>,
    /// The names of its scopes, where it has no role.
    pub scopes: Vec<String>,
    /// The clients that it is limited to; empty for all.
    pub clients: BTreeSet<ClientId>,
    /// The time whose evidence it may see.
    pub window: Option<Window>,
    /// For how many days it is good.
    pub days: u16,
}

/// A token that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// The folder's own.
    #[error("{OWN} is the name of the folder's own token; choose another name")]
    Name,
    /// It may do nothing, or two things at once.
    #[error("give a role ({}), or scopes, and not both", names(Role::ALL.map(Role::as_str)))]
    RoleOrScopes,
    /// No such role.
    #[error("there is no role {0:?}; there are {known}", known = names(Role::ALL.map(Role::as_str)))]
    Role(String),
    /// No such scope.
    #[error("there is no scope {0:?}; there are {known}", known = names(Scope::ALL.iter().map(|scope| scope.as_str())))]
    Scope(String),
    /// An auditor is somebody of named clients and a window.
    #[error("an auditor sees named clients and a window of time: give clients, and from and to")]
    Auditor,
    /// It would be good for no time, or too long.
    #[error("a token is good for 1 to {LONGEST_DAYS} days, not {0}")]
    Days(u16),
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// A token as it is kept: its SHA-256, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its name.
    pub name: TokenName,
    /// The SHA-256 of the token in hex.
    pub sha256: String,
    /// Its role.
    pub role: Option<Role>,
    /// Its scopes, where it has no role.
    pub scopes: Vec<Scope>,
    /// The clients that it is limited to; `None` for all.
    pub clients: Option<BTreeSet<ClientId>>,
    /// The time whose evidence it may see; `None` for all.
    #[serde(default, with = "crate::time::as_list")]
    pub window: Option<Window>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
    /// The first instant at which it is good for nothing any more.
    pub expires_at: DateTime<Utc>,
    /// When somebody last called with it, to a minute.
    #[serde(default)]
    pub last_used_at: Option<DateTime<Utc>>,
}

impl TokenRequest {
    /// Everything that it is to be able to do, as far as its names are known.
    #[must_use]
    pub fn asks_for(&self) -> Scopes {
        let role = self.role.as_deref().and_then(Role::parse).map_or(Scopes::NONE, Role::scopes);
        role.and(self.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect())
    }

    /// The token, whose text is made of 32 bytes drawn at random, and what is kept of it.
    ///
    /// # Errors
    /// [`InvalidToken`], which says what to give.
    pub fn make(self, random: [u8; 32], by: &str, now: DateTime<Utc>) -> Result<(String, AccessToken), InvalidToken> {
        if self.name.as_str().eq_ignore_ascii_case(OWN) {
            return Err(InvalidToken::Name);
        }
        if self.role.is_some() != self.scopes.is_empty() {
            return Err(InvalidToken::RoleOrScopes);
        }
        let role = self.role.map(|role| Role::parse(&role).ok_or(InvalidToken::Role(role))).transpose()?;
        let scope = |scope: String| Scope::parse(&scope).ok_or(InvalidToken::Scope(scope));
        let scopes = self.scopes.into_iter().map(scope).collect::<Result<BTreeSet<_>, _>>()?;
        if role == Some(Role::Auditor) && (self.clients.is_empty() || self.window.is_none()) {
            return Err(InvalidToken::Auditor);
        }
        if !(1..=LONGEST_DAYS).contains(&self.days) {
            return Err(InvalidToken::Days(self.days));
        }
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("{PREFIX}{}_{secret}", self.name);
        let kept = AccessToken {
            sha256: Hash::of(token.as_bytes()).hex(),
            name: self.name,
            role,
            scopes: scopes.into_iter().collect(),
            clients: (!self.clients.is_empty()).then_some(self.clients),
            window: self.window,
            created_at: now,
            created_by: by.to_owned(),
            expires_at: now + TimeDelta::days(self.days.into()),
            last_used_at: None,
        };
        Ok((token, kept))
    }
}

impl AccessToken {
    /// What it may do.
    #[must_use]
    pub fn granted(&self) -> Scopes {
        let scopes: Scopes = self.scopes.iter().copied().collect();
        self.role.map_or(scopes, |role| role.scopes().and(scopes))
    }

    /// Whether a text is this token, and it is still good.
    #[must_use]
    pub fn is_good(&self, token: &str, now: DateTime<Utc>) -> bool {
        // Of 256 bits drawn at random the hash tells nothing, and so not where it differs.
        Hash::of(token.as_bytes()).hex() == self.sha256 && now < self.expires_at
    }
}

/// The name that a token says it has.
#[must_use]
pub fn name_of(token: &str) -> Option<TokenName> {
    let (name, secret) = token.strip_prefix(PREFIX)?.rsplit_once('_')?;
    let hex = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| TokenName::parse(name).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    fn now() -> DateTime<Utc> {
        parse("2026-03-22T12:00:00Z").unwrap()
    }

    fn request() -> TokenRequest {
        TokenRequest {
            name: TokenName::parse("ci_bot").unwrap(),
            role: Some("access-reviewer".to_owned()),
            scopes: Vec::new(),
            clients: BTreeSet::new(),
            window: None,
            days: 90,
        }
    }

    #[test]
    fn a_token_is_known_by_its_hash_until_it_expires() {
        let (token, kept) = request().make([7; 32], "kay", now()).unwrap();
        assert_eq!(name_of(&token).as_ref(), Some(&kept.name));
        assert!(kept.is_good(&token, now()) && !kept.is_good(&token[1..], now()));
        let end = now() + TimeDelta::days(90);
        assert!(kept.is_good(&token, end - TimeDelta::seconds(1)) && !kept.is_good(&token, end));
        assert!(!serde_json::to_string(&kept).unwrap().contains("0707"), "the token is kept nowhere");
        assert_eq!(kept.granted(), Role::AccessReviewer.scopes());
        for other in ["", "het_", "het_ci", &token[..token.len() - 1], &token.replace("het_", "abc_")] {
            assert_eq!(name_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_says_what_to_give() {
        let of = |change: fn(&mut TokenRequest)| {
            let mut request = request();
            change(&mut request);
            request.make([7; 32], "kay", now()).map(|(_, kept)| kept)
        };
        assert_eq!(of(|it| it.name = TokenName::parse("Local").unwrap()), Err(InvalidToken::Name));
        assert_eq!(of(|it| it.role = None), Err(InvalidToken::RoleOrScopes));
        assert_eq!(of(|it| it.scopes = vec!["sync:run".to_owned()]), Err(InvalidToken::RoleOrScopes));
        assert_eq!(of(|it| it.role = Some("root".to_owned())), Err(InvalidToken::Role("root".to_owned())));
        assert_eq!(of(|it| it.role = Some("auditor".to_owned())), Err(InvalidToken::Auditor));
        assert_eq!(of(|it| it.days = 0), Err(InvalidToken::Days(0)));
        assert_eq!(of(|it| it.days = 366), Err(InvalidToken::Days(366)));
        let scoped = |it: &mut TokenRequest| {
            it.role = None;
            it.scopes = vec!["evidence:read".to_owned(), "evidence:read".to_owned(), "sync:run".to_owned()];
        };
        assert_eq!(of(scoped).unwrap().granted(), Scopes::of(&[Scope::EvidenceRead, Scope::SyncRun]));
        let unknown = of(|it| {
            it.role = None;
            it.scopes = vec!["evidence:write".to_owned()];
        });
        assert!(unknown.unwrap_err().to_string().contains("evidence:read"));
    }
}
