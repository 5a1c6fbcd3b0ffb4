//! The organizations of a connection, for whoever divides them among clients.

use super::{ConnectionError, Connections};
use crate::domain::connection::Connection;
use crate::domain::evidence::{EdrBundle, OrganizationCoverage};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RecordKey, RunId};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::time::{CLOCK_TOLERANCE, Window};
use crate::store::{EvidenceOwner, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The organizations of a connection, as its newest evidence lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organizations {
    /// Each of them, by id.
    pub organizations: Vec<Organization>,
    /// The run of that evidence; `None` before the first one.
    pub run: Option<RunId>,
    /// The instant of its evaluation.
    pub as_of: Option<DateTime<Utc>>,
}

/// An organization, and where its evidence goes under the mapping as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Organization {
    /// Huntress's id.
    pub id: String,
    /// Its name; null where the evidence does not have it.
    pub name: Option<String>,
    /// The client that its evidence belongs to; null for none.
    pub client: Option<ClientId>,
    /// Whether it is left out of all evidence.
    pub ignored: bool,
    /// Whether the account lists it.
    pub listed: bool,
    /// The client that it could be mapped to, where it has none: one that the company has, whose id is what its name would be as an id.
    pub proposal: Option<ClientId>,
}

/// The client whose id a name would have.
fn client_named(name: &str) -> Option<ClientId> {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    ClientId::parse(id).ok()
}

/// The organizations of a connection under its mapping now, of what its newest evidence lists.
fn listed(mapping: &Mapping, coverage: &OrganizationCoverage) -> Vec<Organization> {
    let names = coverage.unmapped.iter().chain(&coverage.others);
    let names: BTreeMap<&str, Option<&String>> =
        names.map(|organization| (organization.id.as_str(), organization.name.as_ref())).collect();
    let missing: BTreeSet<&str> = coverage.missing.iter().map(String::as_str).collect();
    let mut ids: BTreeSet<&str> = names.keys().copied().collect();
    let (mut all, mut ignored) = (None, BTreeSet::new());
    match mapping {
        Mapping::OneClient { client } => all = Some(client),
        Mapping::ByOrganization { clients, ignored: out } => {
            // Ids come in more than one spelling, so what evidence names is not named twice.
            let known: BTreeSet<RecordKey> = ids.iter().filter_map(|id| RecordKey::from_text(id)).collect();
            let new = |id: &&String| RecordKey::from_text(id).is_none_or(|key| !known.contains(&key));
            ids.extend(clients.keys().chain(out).filter(new).map(String::as_str));
            ignored = out.iter().filter_map(|id| RecordKey::from_text(id)).collect();
        }
    }
    let organization = |id: &str| {
        let client = all.or_else(|| mapping.client_of(id)).cloned();
        Organization {
            name: names.get(id).copied().flatten().cloned(),
            ignored: RecordKey::from_text(id).is_some_and(|key| ignored.contains(&key)),
            listed: !missing.contains(id),
            proposal: None,
            client,
            id: id.to_owned(),
        }
    };
    ids.into_iter().map(organization).collect()
}

impl Connections {
    /// The organizations of a connection as its newest evidence lists them, under its mapping now. None of a training account, which is one client's.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a connection that is not there.
    pub async fn organizations(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
    ) -> Result<Organizations, ConnectionError> {
        let all = self.list(company).await?;
        let connection = all.iter().find(|connection| connection.id == *id);
        let connection = connection.ok_or(StoreError::NotFound { record: "connection" })?;
        if connection.product != Product::Edr {
            return Ok(Organizations::default());
        }
        let believed = Window::ALL.until(Some(self.huntress.clock.now() + CLOCK_TOLERANCE));
        let latest = self
            .store
            .latest_between(company, &EvidenceOwner::Company, Some(Product::Edr), believed)
            .await?
            .into_iter();
        let latest = latest.filter(|stored| stored.connection == *id).max_by_key(|stored| stored.as_of);
        let coverage = match &latest {
            Some(stored) => {
                let bundle: Result<EdrBundle, _> = serde_json::from_str(&stored.body);
                let bundle = bundle
                    .map_err(|error| StoreError::Corrupt { record: "piece of evidence", reason: error.to_string() })?;
                bundle.metadata.organizations
            }
            None => OrganizationCoverage::default(),
        };
        let mut organizations = listed(&connection.mapping, &coverage);
        propose(&mut organizations, &all);
        Ok(Organizations {
            organizations,
            run: latest.as_ref().map(|stored| stored.run_id.clone()),
            as_of: latest.map(|stored| stored.as_of),
        })
    }
}

/// Proposes clients for the organizations that have none. A name proposes a client that the company has.
fn propose(organizations: &mut [Organization], connections: &[Connection]) {
    let clients: BTreeSet<&ClientId> = connections.iter().flat_map(|connection| connection.mapping.clients()).collect();
    let free = |organization: &&mut Organization| organization.client.is_none() && !organization.ignored;
    for organization in organizations.iter_mut().filter(free) {
        let named = organization.name.as_deref().and_then(client_named);
        organization.proposal = named.filter(|client| clients.contains(client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::OrganizationRef;

    fn client(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    fn named(id: &str, name: &str) -> OrganizationRef {
        OrganizationRef { id: id.to_owned(), name: Some(name.to_owned()) }
    }

    #[test]
    fn each_organization_stands_once_with_where_its_evidence_goes() {
        let clients = [("1".to_owned(), client("acme")), ("9".to_owned(), client("gone"))].into();
        let mapping = Mapping::ByOrganization { clients, ignored: ["3".to_owned()].into() };
        let coverage = OrganizationCoverage {
            unmapped: vec![named("2", "Globex Corp.")],
            others: vec![named("1", "Acme"), named("3", "Old")],
            missing: vec!["9".to_owned()],
            ..OrganizationCoverage::default()
        };
        let found = listed(&mapping, &coverage);
        let told: Vec<_> = found
            .iter()
            .map(|it| {
                let (name, client) = (it.name.as_deref().unwrap_or("-"), it.client.as_ref().map(ClientId::as_str));
                (it.id.as_str(), name, client, it.ignored, it.listed)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("1", "Acme", Some("acme"), false, true),
                ("2", "Globex Corp.", None, false, true),
                ("3", "Old", None, true, true),
                ("9", "-", Some("gone"), false, false)
            ]
        );
        let one = listed(&Mapping::OneClient { client: client("all") }, &coverage);
        assert!(one.iter().all(|it| it.client == Some(client("all")) && !it.ignored));
    }

    #[test]
    fn a_name_is_made_an_id() {
        assert_eq!(client_named("Globex  Corp. (DE)"), Some(client("globex-corp-de")));
        assert_eq!(client_named("***"), None);
    }
}
