//! The cards of the products, each with its set-up guide, its connections, and the form that makes one.

use super::credential::{Part, parts, typed};
use super::shown::{ConnectionCard, Trouble};
use crate::api::Problem;
use crate::api::routes::set_cookie;
use crate::app::connections::{Check, ConnectionError, RedirectError, RedirectWish};
use crate::aws::secrets::oauth_client::OauthClient;
use crate::console::layout::{At, Frame, product};
use crate::console::{ConnectionPages, Fields, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;
use crate::domain::guidance::{self, Step};
use crate::domain::id::{ClientId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::sat::id::SatId;
use crate::domain::text::pasted;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

#[derive(askama::Template)]
#[template(path = "integrations/cards.html")]
struct Cards {
    frame: Frame,
    form_token: String,
    cards: Vec<Card>,
    may_connect: bool,
    /// Whether nothing is connected yet, so that the page says where to begin.
    first: bool,
}

struct Card {
    key: &'static str,
    title: &'static str,
    what: &'static str,
    connections: Vec<ConnectionCard>,
    steps: &'static [Step],
    troubles: &'static [guidance::Trouble],
    form: ConnectForm,
}

/// What stands in the form: what was typed, but for the secrets.
struct ConnectForm {
    parts: &'static [Part],
    takes_account: bool,
    /// Whether somebody can agree at Huntress in place of pasting.
    redirects: bool,
    id: String,
    client: String,
    account: String,
    client_id: String,
    wrong: Option<Wrong>,
}

struct Wrong {
    text: String,
    trouble: Option<Trouble>,
}

/// A form as it was filled in, and why it was refused.
struct Refused<'a> {
    product: Product,
    fields: &'a Fields,
    wrong: Wrong,
}

fn what(product: Product) -> &'static str {
    match product {
        Product::Edr => {
            "Endpoints that are protected, and incidents that are handled: 18 metrics and those of the last days, by client."
        }
        Product::Sat => {
            "People who are trained, and how they met phishing simulations: two signals, and the training of each person."
        }
    }
}

fn card(
    product_: Product,
    connections: &[Connection],
    company: &str,
    redirects: bool,
    refused: Option<Refused<'_>>,
    now: DateTime<Utc>,
) -> Card {
    let own = || connections.iter().filter(|connection| connection.product == product_);
    let key = match product_ {
        Product::Edr => "huntress-edr",
        Product::Sat => "huntress-sat",
    };
    let free = match own().count() {
        0 => key.to_owned(),
        more => format!("{key}-{}", more + 1),
    };
    let of = |name: &str, otherwise: &str| {
        refused.as_ref().map_or_else(|| otherwise.to_owned(), |form| form.fields.get(name).to_owned())
    };
    Card {
        key,
        title: product(product_),
        what: what(product_),
        connections: own().map(|connection| ConnectionCard::of(connection, now)).collect(),
        steps: guidance::setup(product_),
        troubles: guidance::troubles(product_),
        form: ConnectForm {
            parts: parts(product_),
            takes_account: product_ == Product::Sat,
            redirects: redirects && product_ == Product::Sat,
            id: of("id", &free),
            client: of("client", company),
            account: of("accountId", ""),
            client_id: of("clientId", ""),
            wrong: refused.map(|form| form.wrong),
        },
    }
}

async fn page(console: &ConnectionPages, viewer: &Viewer, mut refused: Option<Refused<'_>>) -> Result<Cards, Problem> {
    viewer.caller().see_company()?;
    let connections = console.connections.list(viewer.company()).await?;
    let now = console.entrance.clock.now();
    let oauth = &console.connections.oauth;
    let redirects = oauth.public_url.is_some() && !matches!(oauth.client, OauthClient::None);
    let mut of = |product: Product| {
        let refused = refused.take_if(|form| form.product == product);
        card(product, &connections, viewer.company().as_str(), redirects, refused, now)
    };
    Ok(Cards {
        frame: Frame::new("Integrations", Some(&viewer.session), "/integrations"),
        form_token: viewer.session.form_token.clone(),
        cards: vec![of(Product::Edr), of(Product::Sat)],
        may_connect: viewer.caller().scopes.contains(crate::api::Scope::ConnectionsWrite),
        first: connections.is_empty(),
    })
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    done: Option<String>,
}

pub(super) async fn show(
    State(console): State<Arc<ConnectionPages>>,
    viewer: Viewer,
    Query(Wanted { done }): Query<Wanted>,
) -> Result<Response, Problem> {
    let mut page = page(&console, &viewer, None).await?;
    if done.as_deref() == Some("disconnected") {
        let told = "The connection and its credential are removed. Its runs and what it has proved stay.";
        page.frame = page.frame.with_notice(true, told);
    }
    Ok(html(StatusCode::OK, &page))
}

/// What a form asks for, or what is wrong with it.
fn request(viewer: &Viewer, product: Product, fields: &Fields, now: DateTime<Utc>) -> Result<Connection, String> {
    let id = fields.typed("id").ok_or("give the connection a name")?;
    let id = ConnectionId::parse(id.to_owned()).map_err(|error| format!("the name of the connection: {error}"))?;
    let client = fields.typed("client").ok_or("name the client whose evidence it is")?;
    let client = ClientId::parse(client.to_owned()).map_err(|error| format!("the client: {error}"))?;
    let account = match fields.typed("accountId").map(pasted).filter(|account| !account.is_empty()) {
        Some(account) => Some(SatId::parse(account).map_err(|error| format!("the account id: {error}"))?),
        None => None,
    };
    let mapping = Mapping::OneClient { client };
    let connection = Connection::new(viewer.company().clone(), id, product, mapping, now);
    Ok(Connection { account_id: account, ..connection })
}

/// Makes a connection, once its credential has passed its test.
pub(super) async fn connect(
    State(console): State<Arc<ConnectionPages>>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    match connected(&console, &viewer, &fields).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn connected(console: &ConnectionPages, viewer: &Viewer, fields: &Fields) -> Result<Response, Problem> {
    viewer.caller().see_company()?;
    let product: Product = match fields.get("product") {
        "huntress-edr" => Product::Edr,
        "huntress-sat" => Product::Sat,
        _ => return Err(Problem::form_refused()),
    };
    let now = console.connections.huntress.instant();
    let read = request(viewer, product, fields, now).and_then(|connection| Ok((connection, typed(product, fields)?)));
    let wrong = match read {
        Ok((connection, (credential, trimmed))) => {
            let actor = Actor::api(viewer.caller().subject.clone());
            match console.connections.add(connection, &credential, Check::Test, &actor).await {
                Ok(saved) => {
                    let done = if trimmed { "connected-trimmed" } else { "connected" };
                    return Ok(see_other(&format!("/integrations/{}?done={done}", saved.id)));
                }
                Err(error) => refusal(product, error)?,
            }
        }
        Err(text) => Wrong { text, trouble: None },
    };
    let page = page(console, viewer, Some(Refused { product, fields: &fields.without_secrets(), wrong })).await?;
    Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

/// Why nothing was connected, where people can put it right.
fn refusal(product: Product, error: ConnectionError) -> Result<Wrong, Problem> {
    match error {
        ConnectionError::Failed(failure) => Ok(Wrong {
            text: "Huntress was asked, and the test did not pass".to_owned(),
            trouble: Some(Trouble::of(product, &failure)),
        }),
        ConnectionError::Exists(id) => {
            Ok(Wrong { text: format!("there is a connection {id} already; give this one another name"), trouble: None })
        }
        ConnectionError::Refused(text) => Ok(Wrong { text, trouble: None }),
        other => Err(other.into()),
    }
}

#[derive(askama::Template)]
#[template(path = "integrations/redirect.html")]
struct WayOut {
    frame: Frame,
    connection: String,
    address: String,
    until: At,
}

/// Prepares that somebody agrees at Huntress, and shows the way there: a form's answer may not lead to another site by itself.
pub(super) async fn redirect(
    State(console): State<Arc<ConnectionPages>>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    match prepared(&console, &viewer, &fields).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn prepared(console: &ConnectionPages, viewer: &Viewer, fields: &Fields) -> Result<Response, Problem> {
    viewer.caller().see_company()?;
    let now = console.connections.huntress.instant();
    let wrong = match request(viewer, Product::Sat, fields, now) {
        Err(text) => Wrong { text, trouble: None },
        Ok(Connection { id, mapping, account_id, .. }) => {
            let wish = RedirectWish { mapping: Some(mapping), account_id };
            let actor = Actor::api(viewer.caller().subject.clone());
            match console.connections.start_redirect(viewer.company(), &id, wish, &actor).await {
                Err(RedirectError::Connection(ConnectionError::Refused(text))) => Wrong { text, trouble: None },
                Err(other) => return Err(other.into()),
                Ok(started) => {
                    let page = WayOut {
                        frame: Frame::new("On to Huntress", Some(&viewer.session), "/integrations"),
                        connection: id.to_string(),
                        address: started.address.into(),
                        until: At(started.until),
                    };
                    let mut response = html(StatusCode::OK, &page);
                    response.headers_mut().append(SET_COOKIE, set_cookie(&started.cookie));
                    return Ok(response);
                }
            }
        }
    };
    let page = page(console, viewer, Some(Refused { product: Product::Sat, fields: &fields.without_secrets(), wrong }))
        .await?;
    Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
}
