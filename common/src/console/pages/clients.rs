//! `/`: the portfolio, worst first.

use super::integrations::shown::expiry;
use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::{ClientRow, Portfolio};
use crate::console::layout::{At, Frame, State as Mark, name};
use crate::console::pictures::spark;
use crate::console::{EvidencePages, Viewer, html};
use crate::domain::connection::Connection;
use crate::domain::evidence::EdrBundle;
use crate::domain::expiry::ExpiryState;
use crate::domain::product::Product;
use crate::store::StoredEvidence;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/", Scope::EvidenceRead, |method| on(method, list))];

/// Clients on a page; more are behind it.
const SHOWN: usize = 500;

#[derive(Deserialize)]
struct Wanted {
    page: Option<usize>,
}

#[derive(askama::Template)]
#[template(path = "clients.html")]
struct Clients {
    frame: Frame,
    rows: Vec<Row>,
    total: usize,
    next: Option<usize>,
    unmapped: Vec<Unmapped>,
    ending: Vec<Ending>,
    connected: bool,
    may_connect: bool,
}

struct Row {
    client: String,
    /// Both as HTML, as the line is.
    endpoints: String,
    training: String,
    open_critical: String,
    coverage: String,
    due: usize,
    line: String,
}

/// Organizations of a connection that are no client's.
struct Unmapped {
    connection: String,
    total: u64,
    names: Vec<String>,
}

/// A connection whose credential ends soon, or has ended.
struct Ending {
    connection: String,
    ended: bool,
    at: At,
}

/// Names of unmapped organizations that are shown; the rest is counted.
const NAMES_SHOWN: usize = 5;

fn row(row: ClientRow) -> Row {
    let mark = |product| match row.products.get(&product) {
        Some(Some(status)) => Mark::of_status(status).in_short(),
        _ => Mark::new("none", "not connected").in_short(),
    };
    Row {
        endpoints: mark(Product::Edr),
        training: mark(Product::Sat),
        open_critical: row.open_critical.map_or_else(|| "–".to_owned(), |count| count.to_string()),
        coverage: row.coverage_pct.as_ref().map_or_else(|| "–".to_owned(), |coverage| format!("{coverage} %")),
        due: row.exceptions_due,
        line: spark(&row.trend),
        client: row.client.to_string(),
    }
}

async fn list(
    State(console): State<Arc<EvidencePages>>,
    viewer: Viewer,
    Query(Wanted { page }): Query<Wanted>,
) -> Result<Response, Problem> {
    let caller = viewer.caller();
    let portfolio = console.evidence.whole_portfolio(viewer.company(), caller.clients.as_ref(), viewer.span()).await?;
    let Portfolio { rows, connections, own } = portfolio;
    let (page, total) = (page.unwrap_or(0), rows.len());
    let first = page.saturating_mul(SHOWN);
    // Connections are nobody's concern who is bound to clients.
    let sees = caller.clients.is_none() && caller.scopes.contains(Scope::ConnectionsRead);
    let now = console.entrance.clock.now();
    let ending = |connection: &Connection| match expiry(connection, now) {
        None | Some((ExpiryState::Ok, ..)) => None,
        Some((state, _, at)) => {
            Some(Ending { connection: connection.id.to_string(), ended: state == ExpiryState::Expired, at })
        }
    };
    let page = Clients {
        frame: Frame::new("Clients", Some(&viewer.session), "/"),
        rows: rows.into_iter().skip(first).take(SHOWN).map(row).collect(),
        total,
        next: (first.saturating_add(SHOWN) < total).then_some(page.saturating_add(1)),
        unmapped: unmapped(&own)?,
        ending: connections.iter().filter(|_| sees).filter_map(ending).collect(),
        connected: !connections.is_empty(),
        may_connect: caller.scopes.contains(Scope::ConnectionsWrite),
    };
    Ok(html(StatusCode::OK, &page))
}

/// From the company's own newest evidence, which alone covers them.
fn unmapped(own: &[StoredEvidence]) -> Result<Vec<Unmapped>, Problem> {
    let mut found = Vec::new();
    for evidence in own {
        let bundle: EdrBundle = serde_json::from_str(&evidence.body).map_err(|error| Problem::unavailable(&error))?;
        let organizations = bundle.metadata.organizations;
        if organizations.unmapped_total > 0 {
            let names = organizations.unmapped.iter().take(NAMES_SHOWN);
            found.push(Unmapped {
                connection: evidence.connection.to_string(),
                total: organizations.unmapped_total,
                names: names.map(|it| it.name.as_deref().map_or_else(|| name(&it.id), name)).collect(),
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::control_status::{ControlStatus, EvidenceAge};
    use crate::domain::id::ClientId;
    use crate::domain::policy::Outcome;
    use askama::Template;

    fn status(outcome: Outcome) -> ControlStatus {
        let text = outcome.to_string();
        ControlStatus { outcome, freshness: EvidenceAge::Fresh, age_hours: Some(1), exception: None, text }
    }

    #[test]
    fn five_hundred_clients_are_one_page_of_less_than_150_kilobytes() {
        let outcome = |number: usize| if number.is_multiple_of(7) { Outcome::Fail } else { Outcome::Pass };
        let client = |number: usize| ClientRow {
            client: ClientId::parse(format!("client-{number:04}-name")).unwrap(),
            products: [(Product::Edr, Some(status(outcome(number)))), (Product::Sat, Some(status(Outcome::Warning)))]
                .into(),
            open_critical: Some(u64::try_from(number % 3).unwrap()),
            coverage_pct: Some("87.9".to_owned()),
            expiry: None,
            exceptions_due: number % 2,
            trend: (0..30).map(|day| (day % 11 != 3).then(|| outcome(number + day / 10))).collect(),
        };
        let page = Clients {
            frame: Frame::new("Clients", None, "/"),
            rows: (0..500).map(client).map(row).collect(),
            total: 500,
            next: None,
            unmapped: Vec::new(),
            ending: Vec::new(),
            connected: true,
            may_connect: true,
        };
        let html = page.render().unwrap();
        assert_eq!(html.matches("<tr><th scope=row>").count(), 500);
        assert!(html.len() < 150_000, "{}", html.len());
    }
}
