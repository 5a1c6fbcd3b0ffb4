//! `people.csv` of a pack: where the tracked people of a client stand, by their hash, or by name where somebody says why.

use crate::app::people::{Identity, PeopleError, PeopleService};
use crate::domain::audit::Actor;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::people::person::PrivacyMode;
use crate::domain::people::selection::SelectedAssignments;
use crate::domain::product::Product;
use crate::pack::csv::Table;
use chrono::SecondsFormat;

const COLUMNS: [&str; 8] =
    ["connection", "person", "status", "since", "completed", "missing", "not_enrolled_in", "certificates"];

/// Who opens names, and why.
#[derive(Debug, Clone, Copy)]
pub struct NamesOpened<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Why, as it is kept.
    pub reason: &'a str,
}

/// The table; with `names` also who they are, which is kept with its reason.
///
/// # Errors
/// [`PeopleError::Refused`] where no connection keeps people of this client.
pub async fn people_csv(
    people: &PeopleService,
    company: &CompanyId,
    client: &ClientId,
    names: Option<NamesOpened<'_>>,
) -> Result<Vec<u8>, PeopleError> {
    let connections = keeping_people(people, company, client).await?;
    if connections.is_empty() {
        return Err(PeopleError::Refused(format!(
            "no training connection of {client} alone keeps people: say what is kept with: huntress-evidence privacy CONNECTION pseudonymous"
        )));
    }
    let mut columns = COLUMNS.to_vec();
    if names.is_some() {
        columns.extend(["name", "email"]);
    }
    let mut table = Table::new(&columns);
    for connection in connections {
        let (records, _) = people.people(company, &connection, None).await?;
        let identities: Vec<Identity> = match names {
            Some(NamesOpened { actor, reason }) => {
                people.identities(company, &connection, &records, actor, reason).await?
            }
            None => Vec::new(),
        };
        let mut identities = identities.into_iter();
        for record in &records {
            let state = &record.state;
            let mut row = vec![
                connection.to_string(),
                record.person.to_string(),
                state.compliance.status.to_string(),
                state.compliance.since.to_rfc3339_opts(SecondsFormat::Secs, true),
                ids(&state.completed),
                ids(&state.missing),
                ids(&state.not_enrolled_in),
                state.certificates.len().to_string(),
            ];
            if names.is_some() {
                let who = identities.next();
                let (name, email) = who.map(|who| (who.name, who.email)).unwrap_or_default();
                row.extend([name.unwrap_or_default(), email.unwrap_or_default()]);
            }
            table.row(&row);
        }
    }
    Ok(table.into_bytes())
}

/// The training connections that keep people and are of this client alone: others would tell of other clients' people.
async fn keeping_people(
    people: &PeopleService,
    company: &CompanyId,
    client: &ClientId,
) -> Result<Vec<ConnectionId>, PeopleError> {
    let connections = people.store.connections(company).await?.into_iter();
    let own = connections.filter(|connection| {
        let clients = connection.mapping.clients();
        connection.product == Product::Sat
            && connection.people.mode != PrivacyMode::Aggregate
            && clients.len() == 1
            && clients.contains(client)
    });
    Ok(own.map(|connection| connection.id).collect())
}

/// Ids of assignments, with blanks between.
fn ids(assignments: &SelectedAssignments) -> String {
    let value = serde_json::to_value(assignments).unwrap_or_default();
    let ids = value.as_array().map(Vec::as_slice).unwrap_or_default();
    ids.iter().filter_map(|id| id.as_str()).collect::<Vec<_>>().join(" ")
}
