//! The products of Huntress.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A product of Huntress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Product {
    /// Managed EDR: agents, incidents, organizations.
    #[serde(rename = "huntress-edr")]
    Edr,
    /// Managed Security Awareness Training.
    #[serde(rename = "huntress-sat")]
    Sat,
}

impl Product {
    /// The product of a name used in records and keys.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Edr, Self::Sat].into_iter().find(|product| product.as_str() == name)
    }

    /// The name used in records and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edr => "huntress-edr",
            Self::Sat => "huntress-sat",
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
