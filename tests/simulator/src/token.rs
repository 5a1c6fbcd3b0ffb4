//! Page tokens: opaque to clients, a keyset to us, so that records added or removed between two pages shift nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::query::SortField;

/// A value to sort by. What a hand-written record lacks sorts first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SortKey {
    Null,
    Number(i64),
    Text(String),
}

/// The last record of a page: its sort value, its id, and its place, which tells hand-written records of one id apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position(pub(crate) SortKey, pub(crate) SortKey, pub(crate) u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    Start,
    After(SortField, Position),
    /// Behind the end, where only [`FaultKind::EndlessPages`](crate::FaultKind::EndlessPages) and
    /// [`FaultKind::RepeatToken`](crate::FaultKind::RepeatToken) lead.
    Beyond,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) place: Place,
    /// Makes two tokens for one place differ.
    pub(crate) turn: u32,
}

impl Token {
    pub(crate) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(self.turn, &self.place)).unwrap_or_default())
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (turn, place) = serde_json::from_slice(&bytes).ok()?;
        Some(Self { place, turn })
    }
}
