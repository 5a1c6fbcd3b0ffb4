//! Access tokens of one machine.

use super::WindowView;
use crate::domain::id::{ClientId, TokenName};
use crate::domain::scope::{Role, Scope};
use crate::domain::time::Window;
use crate::domain::token::AccessToken;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The tokens of a company, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenList {
    /// All of them.
    pub items: Vec<TokenView>,
    /// Always null: they are never so many.
    pub next_after: Option<String>,
}

/// A token, without what lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Its name, which is also its id.
    pub id: TokenName,
    /// Its role.
    pub role: Option<Role>,
    /// Everything that it may do.
    pub scopes: Vec<Scope>,
    /// The clients that it is limited to; null for none.
    pub clients: Option<BTreeSet<ClientId>>,
    /// The time that it is limited to; null for none.
    pub window: Option<WindowView>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
    /// From when on it is good for nothing any more.
    pub expires_at: DateTime<Utc>,
    /// When somebody last called with it, to a minute; null for never.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl From<AccessToken> for TokenView {
    fn from(token: AccessToken) -> Self {
        Self {
            scopes: token.granted().iter().collect(),
            id: token.name,
            role: token.role,
            clients: token.clients,
            window: token.window.map(|Window { start, end }| WindowView { from: start, to: end }),
            created_at: token.created_at,
            created_by: token.created_by,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

impl From<Vec<AccessToken>> for TokenList {
    fn from(tokens: Vec<AccessToken>) -> Self {
        Self { items: tokens.into_iter().map(Into::into).collect(), next_after: None }
    }
}

/// A new token: the one answer that shows it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// What it may do.
    #[serde(flatten)]
    pub view: TokenView,
}

impl NewToken {
    /// The answer to who made it.
    #[must_use]
    pub fn of(token: &SecretString, kept: AccessToken) -> Self {
        Self { token: token.expose_secret().to_owned(), view: kept.into() }
    }
}
