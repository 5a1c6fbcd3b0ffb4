//! Which client each organization's evidence belongs to: searched, mapped one by one or many at once, those without a client first.

use super::shown::mapped;
use super::{find, revision_of};
use crate::api::{Problem, Scope};
use crate::app::connections::ConnectionError;
use crate::app::evidence::Span;
use crate::console::layout::{Frame, State as Mark, name};
use crate::console::{Console, Fields, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;

use crate::domain::evidence::{EdrBundle, OrganizationCoverage};
use crate::domain::id::ClientId;
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::store::EvidenceOwner;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
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
    unmapped: u64,
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

/// The organizations of a connection: those without a client first, then those that the account no longer lists, then by id.
fn rows(mapping: &Mapping, coverage: &OrganizationCoverage) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let missing: BTreeSet<&str> = coverage.missing.iter().map(String::as_str).collect();
    let mut add = |id: &str, client: &str, ignored: bool, named: Option<&str>| {
        let (mark, rank) = match (client, ignored) {
            _ if missing.contains(id) => (Mark::new("warning", "no longer listed"), 1),
            (_, true) => (Mark::new("none", "ignored"), 3),
            ("", false) => (Mark::new("inconclusive", "no client"), 0),
            _ => (Mark::new("pass", "mapped"), 2),
        };
        let name = named.map_or_else(String::new, name);
        rows.insert(id.to_owned(), Row { id: id.to_owned(), name, client: client.to_owned(), ignored, mark, rank });
    };
    for organization in &coverage.unmapped {
        add(&organization.id, "", false, organization.name.as_deref());
    }
    if let Mapping::ByOrganization { clients, ignored } = mapping {
        for (id, client) in clients {
            add(id, client.as_str(), false, None);
        }
        for id in ignored {
            add(id, "", true, None);
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    rows
}

async fn page(
    console: &Console,
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
    let company = viewer.company();
    let latest = console.evidence.latest(company, &EvidenceOwner::Company, Some(Product::Edr), Span::ALL).await?;
    let latest = latest.into_iter().find(|evidence| evidence.stored.connection == connection.id);
    let bundle: Option<EdrBundle> = latest.map(|evidence| evidence.bundle()).transpose()?;
    let coverage = bundle.as_ref().map(|bundle| bundle.metadata.organizations.clone()).unwrap_or_default();
    let all = rows(&connection.mapping, &coverage);
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
        unmapped: coverage.unmapped_total,
        search: wanted.search.trim().to_owned(),
        page: number,
        pages,
        may_write: viewer.caller().scopes.contains(Scope::ConnectionsWrite),
        known: bundle.is_some(),
        wrong,
    })
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    Ok(html(StatusCode::OK, &page(&console, &viewer, &connection, &wanted, None).await?))
}

fn client(text: &str, of: &str) -> Result<ClientId, String> {
    ClientId::parse(text.to_owned()).map_err(|error| format!("the client of {of}: {error}"))
}

/// The mapping that a form makes of the present one: the rows that it holds are changed, all others stay.
fn apply(mapping: &Mapping, fields: &Fields) -> Result<Mapping, String> {
    if fields.get("do") == "one" {
        let named = fields.typed("one_client").ok_or("name the client that all of it belongs to")?;
        return Ok(Mapping::OneClient { client: client(named, "all organizations")? });
    }
    let (mut clients, mut ignored) = match mapping {
        Mapping::OneClient { .. } => (BTreeMap::new(), BTreeSet::new()),
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
    for organization in fields.all("organization") {
        let is_picked = picked.contains(organization);
        let named = fields.typed(&format!("client:{organization}"));
        let ticked = fields.get(&format!("ignore:{organization}")) == "yes";
        clients.remove(organization);
        ignored.remove(organization);
        match (&bulk, named) {
            (Some(client), _) if is_picked => drop(clients.insert(organization.to_owned(), client.clone())),
            _ if ticked || (is_picked && fields.get("do") == "ignore") => drop(ignored.insert(organization.to_owned())),
            (_, Some(named)) => drop(clients.insert(organization.to_owned(), client(named, organization)?)),
            (_, None) => {}
        }
    }
    if clients.is_empty() && ignored.is_empty() {
        return Err("map or ignore at least one organization, or give all of it to one client".to_owned());
    }
    Ok(Mapping::ByOrganization { clients, ignored })
}

pub(super) async fn save(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let saved = async {
        let connection = find(&console, &viewer, &id).await?;
        let revision = revision_of(&fields)?;
        let wrong = match apply(&connection.mapping, &fields) {
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
    use crate::domain::evidence::OrganizationRef;

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
        let after = |form: &str| apply(&before, &Fields::parse(form.as_bytes()));
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
        let wrong = |form: &str| apply(&one, &Fields::parse(form.as_bytes())).unwrap_err();
        assert!(wrong("do=save&organization=1&client:1=").starts_with("map or ignore at least one"));
        assert!(wrong("do=bulk&bulk_client=x&organization=1").starts_with("tick the organizations"));
        assert!(wrong("do=one&one_client=+").starts_with("name the client"));
        assert!(wrong("do=save&organization=1&client:1=%3Cb%3E").starts_with("the client of 1: "));
    }

    #[test]
    fn organizations_without_a_client_come_first() {
        let coverage = OrganizationCoverage {
            unmapped_total: 1,
            unmapped: vec![OrganizationRef { id: "7".to_owned(), name: Some("Seven\u{202e}".to_owned()) }],
            missing: vec!["2".to_owned()],
            ..OrganizationCoverage::default()
        };
        let rows = rows(&by(&[("1", "acme"), ("2", "beta")], &["3"]), &coverage);
        let shown: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.name.as_str())).collect();
        assert_eq!(shown, [("7", "Seven"), ("2", ""), ("1", ""), ("3", "")]);
        let said = ["no client", "no longer listed", "mapped", "ignored"];
        for (row, said) in rows.iter().zip(said) {
            assert!(row.mark.to_string().contains(said), "{}", row.mark);
        }
    }
}
