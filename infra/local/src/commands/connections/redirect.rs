//! `connect sat --oauth`: somebody agrees at Huntress in a browser of this machine. A server on loopback sends them there, and takes them back.

use super::connect::exists;
use super::said;
use crate::arguments::StorageArgs;
use crate::commands::{faults, oauth, open, somebody};
use crate::outcome::{CliError, note};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::api::routes::{ConnectedByRedirect, OAUTH_CALLBACK, set_cookie};
use common::api::{Problem, escaped, host, page};
use common::app::connections::{REDIRECT_TIME, RedirectError, RedirectStarted, RedirectWish};
use common::app::stack::Stack;
use common::aws::secrets::sealing::random_key;
use common::domain::id::{ClientId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::sat::id::SatId;
use common::store::StoreError;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where `serve` listens, too, so that Huntress knows one redirect address for both.
const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8787);

/// What is wanted of the connection.
pub struct Wanted<'a> {
    pub id: &'a ConnectionId,
    pub client: Option<&'a ClientId>,
    pub account: Option<SatId>,
    pub replace_key: bool,
    pub json: bool,
    pub storage: &'a StorageArgs,
}

pub async fn connect(wanted: Wanted<'_>) -> Result<(), CliError> {
    if wanted.storage.aws {
        return Err(CliError::usage("--oauth connects on this machine; of a deployed stack use the route oauth/start"));
    }
    let (mut stack, _) = open(wanted.storage).await?;
    stack.parts.oauth = oauth(Some(ADDRESS.into()), false)?;
    let public = stack.parts.oauth.public_url.clone();
    let address = public.as_ref().and_then(common::settings::PublicUrl::loopback).ok_or_else(|| {
        CliError::usage("PUBLIC_URL is no http address of this machine, so no browser would come back to this command; connect with the route oauth/start there")
    })?;
    let (company, id) = (&wanted.storage.company, wanted.id);
    let Ok(connections) = stack.parts.connections();
    let connections = Arc::new(connections);
    match (connections.get(company, id).await, wanted.replace_key) {
        (Ok(_), false) => return Err(exists(id)),
        (Ok(_), true) | (Err(StoreError::NotFound { .. }), false) => {}
        (Err(error), _) => return Err(faults::stored(error, id)),
    }
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CliError::other(format!("{address}: {error}; stop what listens there, or name another address of this machine in PUBLIC_URL, and at Huntress"))
    })?;
    let mapping = wanted.client.map(|client| Mapping::OneClient { client: client.clone() });
    let wish = RedirectWish { mapping, account_id: wanted.account };
    let started = connections.start_redirect(company, id, wish, &somebody()).await.map_err(|error| match error {
        RedirectError::NotConfigured => CliError::usage(
            "the environment variables HUNTRESS_SAT_OAUTH_CLIENT_ID and HUNTRESS_SAT_OAUTH_CLIENT_SECRET are not set; `huntress-evidence setup sat` says where they come from",
        ),
        RedirectError::Connection(error) => faults::of_connection(error, id),
        error => CliError::other(error.to_string()),
    })?;

    let once = random_key().map_err(|error| CliError::other(error.to_string()))?;
    let once: String = once.iter().map(|byte| format!("{byte:02x}")).collect();
    let link = format!("http://{address}/begin/{once}");
    let connected = CancellationToken::new();
    let site = site(begin(once, started), OAUTH_CALLBACK.router(Arc::clone(&connections)), connected.clone());
    let served = axum::serve(listener, site).with_graceful_shutdown(connected.clone().cancelled_owned());
    note(&format!("open {link} in a browser of this machine, within ten minutes; the link works once"));
    let time = REDIRECT_TIME.to_std().unwrap_or_default();
    match tokio::time::timeout(time, served.into_future()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(CliError::other(format!("{address}: {error}"))),
        Err(_) => {
            return Err(CliError::other("nobody came back from Huntress within ten minutes; nothing was changed"));
        }
    }
    let saved = connections.get(company, id).await.map_err(|error| faults::stored(error, id))?;
    drop(connections);
    stack.close().await;
    said(saved, wanted.json, &format!("connected at Huntress and saved; next: huntress-evidence sync {id}"))
}

/// The page that begins, and those of the way back, until somebody is connected.
fn site(begin: Router, back: Router, connected: CancellationToken) -> Router {
    host(begin.merge(back)).layer(map_response(move |response: Response| {
        let connected = connected.clone();
        async move {
            if response.extensions().get::<ConnectedByRedirect>().is_some() {
                // What is being answered is answered to its end.
                connected.cancel();
            }
            response
        }
    }))
}

/// A page that gives the browser its cookie and leads to Huntress: for the first who opens it.
fn begin(once: String, started: RedirectStarted) -> Router {
    let unopened = Arc::new(Mutex::new(Some(started)));
    let open = move |Path(given): Path<String>| async move {
        let started = if given == once { unopened.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
        let Some(started) = started else { return Problem::link_used().into_response() };
        let body = format!(
            "<p>At Huntress you are asked for reading access to a training account. Agree as a user of the account that is to be measured.</p>\n<p><a href=\"{}\">Go on to Huntress</a></p>",
            escaped(started.address.as_str())
        );
        let mut shown = page(StatusCode::OK, "Connect a training account", &body);
        shown.headers_mut().append(SET_COOKIE, set_cookie(&started.cookie));
        shown
    };
    Router::new().route("/begin/{once}", get(open))
}
