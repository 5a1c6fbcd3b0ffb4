//! What query strings have in common: an instant, a page, and the time that a caller may see.

use crate::api::Explained;
use crate::domain::time::{Window, parse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// An instant of a query string.
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(Some).ok_or_else(|| serde::de::Error::custom("an instant"))
}

/// The time that a caller may see.
pub(super) fn span(window: Option<Window>) -> Window {
    window.unwrap_or(Window::ALL)
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub(super) struct AsOf {
    #[serde(default, deserialize_with = "instant")]
    pub as_of: Option<DateTime<Utc>>,
}

impl Explained for AsOf {
    const WANTED: &str = "as_of must be an instant as in 2026-03-22T12:00:00Z";
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    pub limit: Option<usize>,
    pub after: Option<String>,
}

impl Explained for Page {
    const WANTED: &str = "limit must be 1 to 100, after the next_after of the page before";
}
