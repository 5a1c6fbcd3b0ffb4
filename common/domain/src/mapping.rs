//! Which client an organization's evidence belongs to.

use super::id::{ClientId, RecordKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a connection's organizations are divided among clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mapping {
    /// All organizations, and what belongs to none, are one client's. The default.
    OneClient {
        /// That client.
        client: ClientId,
    },
    /// Each organization has its client. What is neither mapped nor ignored counts for the company alone and is reported.
    ByOrganization {
        /// Vendor's organization id to client.
        clients: BTreeMap<String, ClientId>,
        /// Organizations that are left out of all evidence.
        ignored: BTreeSet<String>,
    },
}

impl Mapping {
    /// The organizations of each client, by key; empty for [`Mapping::OneClient`].
    #[must_use]
    pub fn by_client(&self) -> BTreeMap<&ClientId, BTreeSet<RecordKey>> {
        let mut split: BTreeMap<&ClientId, BTreeSet<RecordKey>> = BTreeMap::new();
        if let Self::ByOrganization { clients, .. } = self {
            for (organization, client) in clients {
                split.entry(client).or_default().extend(RecordKey::from_text(organization));
            }
        }
        split
    }

    /// The client that an organization is mapped to by name. Where all organizations are one client's, none is named.
    #[must_use]
    pub fn client_of(&self, organization: &str) -> Option<&ClientId> {
        let wanted = RecordKey::from_text(organization)?;
        match self {
            Self::OneClient { .. } => None,
            Self::ByOrganization { clients, .. } => {
                let mut mapped = clients.iter().filter(|(id, _)| RecordKey::from_text(id) == Some(wanted));
                mapped.next().map(|(_, client)| client)
            }
        }
    }

    /// Every client that is fed.
    #[must_use]
    pub fn clients(&self) -> BTreeSet<&ClientId> {
        match self {
            Self::OneClient { client } => [client].into(),
            Self::ByOrganization { clients, .. } => clients.values().collect(),
        }
    }
}
