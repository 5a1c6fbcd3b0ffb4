//! Which client each organization's evidence belongs to: searched, mapped one by one or many at once, those without a client first.

use super::shown::mapped;
use super::{find, revision_of};
use crate::api::{Problem, Scope};
use crate::app::connections::{ConnectionError, Organization};
use crate::console::layout::{Frame, State as Mark, name};
use crate::console::{ConnectionPages, Fields, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;

use crate::domain::id::{ClientId, RecordKey};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Organizations on one page: the form of all of them stays below the largest body.
const SHOWN: usize = 100;

#[derive(askama::Template)]
#[template(path = "integrations/mapping.html")]
struct Page {
    frame: Frame,
    form_token: String,
    revision: u64,
    connection: String,
    mapped: String,
    one_client: Option<String>,
    by_organization: bool,
    clients: Vec<String>,
    rows: Vec<Row>,
    total: usize,
    unmapped: usize,
    /// Whether something suggests clients for organizations that have none.
    proposed: bool,
    search: String,
    page: usize,
    pages: usize,
    may_write: bool,
    /// Whether evidence has said which organizations there are.
    known: bool,
    wrong: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    id: String,
    name: String,
    client: String,
    /// A client that it could be given to; empty where nothing suggests one.
    proposal: String,
    ignored: bool,
    mark: Mark,
    rank: u8,
}

#[derive(Deserialize, Default)]
pub(super) struct Wanted {
    #[serde(default)]
    search: String,
    page: Option<usize>,
}

/// The organizations of a connection: those without a client first, then those that the account does not list, then by id.
fn rows(organizations: &[Organization]) -> Vec<Row> {
    let row = |it: &Organization| {
        let client = it.client.as_ref().map_or_else(String::new, ToString::to_string);
        let (mark, rank) = match (it.listed, it.ignored, it.client.is_some()) {
            (false, ..) => (Mark::new("warning", "not listed"), 1),
            (_, true, _) => (Mark::new("none", "ignored"), 3),
            (_, _, false) => (Mark::new("inconclusive", "no client"), 0),
            _ => (Mark::new("pass", "mapped"), 2),
        };
        Row {
            id: it.id.clone(),
            name: it.name.as_deref().map_or_else(String::new, name),
            client,
            proposal: it.proposal.as_ref().map_or_else(String::new, ToString::to_string),
            ignored: it.ignored,
            mark,
            rank,
        }
    };
    let mut rows: Vec<Row> = organizations.iter().map(row).collect();
    rows.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    rows
}

async fn page(
    console: &ConnectionPages,
    viewer: &Viewer,
    connection: &Connection,
    wanted: &Wanted,
    wrong: Option<String>,
) -> Result<Page, Problem> {
    if connection.product != Product::Edr {
        return Err(Problem::unprocessable(
            "refused_mapping",
            "an account of training has no organizations: all of it is one client's",
        ));
    }
    let known = console.connections.organizations(viewer.company(), &connection.id).await?;
    let all = rows(&known.organizations);
    let unmapped = all.iter().filter(|row| row.rank == 0).count();
    let search = wanted.search.trim().to_lowercase();
    let found: Vec<&Row> = all
        .iter()
        .filter(|row| [&row.id, &row.name, &row.client].iter().any(|text| text.to_lowercase().contains(&search)))
        .collect();
    let pages = found.len().div_ceil(SHOWN).max(1);
    let number = wanted.page.unwrap_or(1).clamp(1, pages);
    let shown = found.iter().skip((number - 1) * SHOWN).take(SHOWN).map(|row| (*row).clone());
    let one_client = match &connection.mapping {
        Mapping::OneClient { client } => Some(client.to_string()),
        Mapping::ByOrganization { .. } => None,
    };
    Ok(Page {
        frame: Frame::new(format!("Mapping of {}", connection.id), Some(&viewer.session), "/integrations"),
        form_token: viewer.session.form_token.clone(),
        revision: connection.revision,
        connection: connection.id.to_string(),
        mapped: mapped(&connection.mapping),
        by_organization: one_client.is_none(),
        one_client,
        clients: connection.mapping.clients().into_iter().map(ToString::to_string).collect(),
        rows: shown.collect(),
        total: found.len(),
        unmapped,
        proposed: all.iter().any(|row| !row.proposal.is_empty()),
        search: wanted.search.trim().to_owned(),
        page: number,
        pages,
        may_write: viewer.caller().scopes.contains(Scope::ConnectionsWrite),
        known: known.run.is_some(),
        wrong,
    })
}

pub(super) async fn show(
    State(console): State<Arc<ConnectionPages>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    Ok(html(StatusCode::OK, &page(&console, &viewer, &connection, &wanted, None).await?))
}

/// Whether two spellings are of one organization, as collecting takes them: `7` and ` 7` are, `007` is another id.
fn is_same(one: &str, other: &str) -> bool {
    let keys = (RecordKey::from_text(one), RecordKey::from_text(other));
    one == other || matches!(keys, (Some(one), Some(other)) if one == other)
}

fn client(text: &str, of: &str) -> Result<ClientId, String> {
    ClientId::parse(text.to_owned()).map_err(|error| format!("the client of {of}: {error}"))
}

/// The mapping that a form makes of the present one: the rows that it holds are changed, all others stay. Of a connection that was one client's, every
/// organization that is known stays that client's until a row says something else.
fn apply(mapping: &Mapping, known: &[Organization], fields: &Fields) -> Result<Mapping, String> {
    if fields.get("do") == "one" {
        let named = fields.typed("one_client").ok_or("name the client that all of it belongs to")?;
        return Ok(Mapping::OneClient { client: client(named, "all organizations")? });
    }
    let (mut clients, mut ignored) = match mapping {
        Mapping::OneClient { client } => {
            (known.iter().map(|it| (it.id.clone(), client.clone())).collect(), BTreeSet::new())
        }
        Mapping::ByOrganization { clients, ignored } => (clients.clone(), ignored.clone()),
    };
    let picked: BTreeSet<&str> = fields.all("pick").collect();
    let bulk = match fields.get("do") {
        "bulk" => Some(client(
            fields.typed("bulk_client").ok_or("name the client of the ticked organizations")?,
            "the ticked organizations",
        )?),
        _ => None,
    };
    if picked.is_empty() && matches!(fields.get("do"), "bulk" | "ignore") {
        return Err("tick the organizations that are meant".to_owned());
    }
    let takes_proposals = fields.get("do") == "proposals";
    let proposal = |organization: &str| {
        known.iter().find(|it| takes_proposals && it.id == organization).and_then(|it| it.proposal.clone())
    };
    for organization in fields.all("organization") {
        let is_picked = picked.contains(organization);
        let named = fields.typed(&format!("client:{organization}"));
        let ticked = fields.get(&format!("ignore:{organization}")) == "yes";
        // However it was spelled before.
        clients.retain(|id, _| !is_same(id, organization));
        ignored.retain(|id| !is_same(id, organization));
        match (&bulk, named) {
            (Some(client), _) if is_picked => drop(clients.insert(organization.to_owned(), client.clone())),
            _ if ticked || (is_picked && fields.get("do") == "ignore") => drop(ignored.insert(organization.to_owned())),
            (_, Some(named)) => drop(clients.insert(organization.to_owned(), client(named, organization)?)),
            (_, None) => {
                if let Some(proposed) = proposal(organization) {
                    clients.insert(organization.to_owned(), proposed);
                }
            }
        }
    }
    if clients.is_empty() && ignored.is_empty() {
        return Err("map or ignore at least one organization, or give all of it to one client".to_owned());
    }
    Ok(Mapping::ByOrganization { clients, ignored })
}

pub(super) async fn save(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let saved = async {
        let connection = find(&console, &viewer, &id).await?;
        let revision = revision_of(&fields)?;
        let known = console.connections.organizations(viewer.company(), &connection.id).await?.organizations;
        let wrong = match apply(&connection.mapping, &known, &fields) {
            Err(wrong) => wrong,
            Ok(mapping) => {
                let (company, id) = (viewer.company(), &connection.id);
                let actor = Actor::api(viewer.caller().subject.clone());
                match console.connections.map(company, id, mapping, revision, &actor).await {
                    Ok(_) => return Ok(see_other(&format!("/integrations/{id}?done=mapped"))),
                    Err(ConnectionError::Refused(wrong)) => wrong,
                    Err(other) => return Err(other.into()),
                }
            }
        };
        let wanted = Wanted { search: fields.get("search").to_owned(), page: fields.get("page").parse().ok() };
        let mut page = page(&console, &viewer, &connection, &wanted, Some(wrong)).await?;
        // What was typed stays.
        for row in &mut page.rows {
            row.client = fields.typed(&format!("client:{}", row.id)).unwrap_or_default().to_owned();
            row.ignored = fields.get(&format!("ignore:{}", row.id)) == "yes";
        }
        Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
    };
    saved.await.unwrap_or_else(Problem::into_response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(clients: &[(&str, &str)], ignored: &[&str]) -> Mapping {
        Mapping::ByOrganization {
            clients: clients
                .iter()
                .map(|(id, client)| ((*id).to_owned(), ClientId::parse((*client).to_owned()).unwrap()))
                .collect(),
            ignored: ignored.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn a_form_changes_its_own_rows_alone() {
        let before = by(&[("1", "acme"), ("2", "beta"), ("9", "other")], &["3"]);
        let after = |form: &str| apply(&before, &[], &Fields::parse(form.as_bytes()));
        assert_eq!(
            after("do=save&organization=1&client:1=gamma&organization=2&client:2=&organization=3&client:3=acme")
                .unwrap(),
            by(&[("1", "gamma"), ("3", "acme"), ("9", "other")], &[])
        );
        assert_eq!(
            after("do=bulk&bulk_client=all&pick=2&organization=1&client:1=acme&organization=2&client:2=beta").unwrap(),
            by(&[("1", "acme"), ("2", "all"), ("9", "other")], &["3"])
        );
        assert_eq!(
            after("do=ignore&pick=1&organization=1&client:1=acme").unwrap(),
            by(&[("2", "beta"), ("9", "other")], &["1", "3"])
        );
        assert!(
            after("do=one&one_client=acme").unwrap() == Mapping::OneClient { client: ClientId::parse("acme").unwrap() }
        );
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let one = Mapping::OneClient { client: ClientId::parse("acme").unwrap() };
        let wrong = |form: &str| apply(&one, &[], &Fields::parse(form.as_bytes())).unwrap_err();
        assert!(wrong("do=save&organization=1&client:1=").starts_with("map or ignore at least one"));
        assert!(wrong("do=bulk&bulk_client=x&organization=1").starts_with("tick the organizations"));
        assert!(wrong("do=one&one_client=+").starts_with("name the client"));
        assert!(wrong("do=save&organization=1&client:1=%3Cb%3E").starts_with("the client of 1: "));
    }

    fn organization(id: &str, client: Option<&str>) -> Organization {
        Organization {
            id: id.to_owned(),
            name: None,
            client: client.map(|client| ClientId::parse(client).unwrap()),
            ignored: false,
            listed: true,
            proposal: None,
        }
    }

    #[test]
    fn what_was_one_clients_is_divided_without_losing_an_organization() {
        let one = Mapping::OneClient { client: ClientId::parse("acme").unwrap() };
        let known = ["1", "2", "3"].map(|id| organization(id, Some("acme")));
        let after = |form: &str| apply(&one, &known, &Fields::parse(form.as_bytes())).unwrap();
        // The third is on another page.
        let rows = "organization=1&client:1=acme&organization=2&client:2=acme";
        assert_eq!(
            after(&format!("do=bulk&bulk_client=beta&pick=2&{rows}")),
            by(&[("1", "acme"), ("2", "beta"), ("3", "acme")], &[])
        );
        assert_eq!(after(&format!("do=ignore&pick=1&{rows}")), by(&[("2", "acme"), ("3", "acme")], &["1"]));
    }

    #[test]
    fn an_organization_stands_once_however_it_is_spelled() {
        let known = [organization("7", Some("acme"))];
        let after = apply(
            &by(&[(" 7", "acme"), ("007", "acme")], &[]),
            &known,
            &Fields::parse(b"organization=7&client:7=beta"),
        );
        assert_eq!(after.unwrap(), by(&[("7", "beta"), ("007", "acme")], &[]));
    }

    #[test]
    fn proposals_are_taken_for_what_has_no_client() {
        let proposed = Organization { proposal: ClientId::parse("beta").ok(), ..organization("2", None) };
        let known = [organization("1", Some("acme")), proposed];
        let form = Fields::parse(b"do=proposals&organization=1&client:1=acme&organization=2&client:2=");
        assert_eq!(apply(&by(&[("1", "acme")], &[]), &known, &form).unwrap(), by(&[("1", "acme"), ("2", "beta")], &[]));
    }

    #[test]
    fn organizations_without_a_client_come_first() {
        let ignored = Organization { ignored: true, ..organization("4", None) };
        let gone = Organization { listed: false, ..organization("9", Some("gone")) };
        let all = [ignored, organization("1", Some("acme")), gone, organization("7", None)];
        let order: Vec<String> = rows(&all).into_iter().map(|row| row.id).collect();
        assert_eq!(order, ["7", "9", "1", "4"]);
    }
}
