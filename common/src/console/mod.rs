//! The console: pages over the same use cases as the API, for people. Server-rendered, complete without JavaScript.
//!
//! A page is a row of [`pages::EVIDENCE`] or [`pages::CONNECTIONS`], as a route is a row of the API's table: method, path, scope, function. On AWS each of the
//! two is a function with permissions of its own. What holds for all pages is here: who is signed in, which hosts and origins are believed, the headers, and
//! how a refusal is told.

mod assets;
mod forms;
mod layout;
pub mod pages;
mod pictures;
mod session;
mod sign_in;
mod site;
mod words;

pub use forms::{Fields, SignedForm};
pub use session::{LINK_LENGTH, NoLink, NoRandom, SESSION_LENGTH, Session, Sessions};
pub use sign_in::{CookieKey, InvalidToken, IssuerSignIn, IssuerState, SealedSessions, SignIn, SignInError};
pub use site::{InvalidOrigin, Site};

use crate::api::{Caller, Entry, LARGEST_BODY, Problem, numbered, path_params};
use crate::app::connections::Connections;
use crate::app::decisions::Decisions;
use crate::app::evidence::EvidenceReader;
use crate::app::packs::PackService;
use crate::app::people::PeopleService;
use crate::app::runs::plan::Planner;
use crate::app::stack::Stack;
use crate::clock::Clock;
use crate::domain::calendar::Calendar;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::time::Window;
use crate::store::StoreError;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Nothing but our own files, nothing inline, no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The cookie of who is on the way to the issuer. Not Strict: it has to come along on the way back.
const ON_THE_WAY: &str = "__Host-sign-in";

/// Whom a token is of, and until when, if it ends.
pub type KnownToken = Option<(Caller, Option<DateTime<Utc>>)>;

/// Tells whom a token is of.
pub trait Tokens: Send + Sync {
    /// The caller of a token.
    fn caller<'a>(
        &'a self,
        token: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<KnownToken, StoreError>> + Send + 'a>>;
}

/// Where people come in: who is signed in, and where this is. Every page stands behind it.
pub struct Entrance {
    /// How people come in, and who has.
    pub sign_in: SignIn,
    /// Where this is.
    pub site: Site,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The days and times that pages show.
    calendar: Calendar,
}

/// What the pages of evidence are made from: what was proved, and what was decided about it.
pub struct EvidencePages {
    /// Where people come in.
    pub entrance: Arc<Entrance>,
    /// Evidence.
    pub evidence: EvidenceReader,
    /// Policies, exceptions, attestations.
    pub decisions: Decisions,
    /// Packs.
    pub packs: PackService,
}

/// What the pages of connections and people are made from: where evidence comes from, and whom it is about. They alone open names and credentials.
pub struct ConnectionPages {
    /// Where people come in.
    pub entrance: Arc<Entrance>,
    /// Connections.
    pub connections: Connections,
    /// Runs.
    pub planner: Planner,
    /// People.
    pub people: PeopleService,
    /// Evidence.
    pub evidence: EvidenceReader,
    /// Policies.
    pub decisions: Decisions,
}

/// All pages, as one machine serves them.
pub struct Console {
    /// Where people come in.
    pub entrance: Arc<Entrance>,
    /// Those of evidence.
    pub evidence: Arc<EvidencePages>,
    /// Those of connections.
    pub connections: Arc<ConnectionPages>,
}

impl Console {
    /// The console over a stack.
    ///
    /// # Errors
    /// A part of the stack that is missing.
    pub fn new<S: Stack>(stack: &S, packs: PackService, sign_in: SignIn, site: Site) -> Result<Self, S::Error> {
        let entrance = Entrance::new(stack, sign_in, site)?;
        let evidence = Arc::new(EvidencePages::new(stack, packs, Arc::clone(&entrance))?);
        let connections = Arc::new(ConnectionPages::new(stack, Arc::clone(&entrance))?);
        Ok(Self { entrance, evidence, connections })
    }

    /// All pages.
    pub fn router(&self) -> Router {
        let evidence = pages::EVIDENCE.router(Arc::clone(&self.evidence));
        let connections = pages::CONNECTIONS.router(Arc::clone(&self.connections));
        Arc::clone(&self.entrance).before(evidence.merge(connections))
    }

    /// The link that signs an administrator of this machine in, once.
    ///
    /// # Errors
    /// [`NoLink`]
    pub fn login_link(&self, caller: Caller) -> Result<String, NoLink> {
        let sessions = self.entrance.sign_in.sessions().ok_or(NoLink::Issuer)?;
        Ok(format!("{}/login/{}", self.entrance.site.origin(), sessions.link(caller)?))
    }
}

impl EvidencePages {
    /// The pages of evidence over a stack.
    ///
    /// # Errors
    /// A part of the stack that is missing.
    pub fn new<S: Stack>(stack: &S, packs: PackService, entrance: Arc<Entrance>) -> Result<Self, S::Error> {
        Ok(Self { entrance, evidence: stack.evidence()?, decisions: stack.decisions()?, packs })
    }

    /// These pages alone.
    pub fn router(self: &Arc<Self>) -> Router {
        Arc::clone(&self.entrance).before(pages::EVIDENCE.router(Arc::clone(self)))
    }
}

impl ConnectionPages {
    /// The pages of connections over a stack.
    ///
    /// # Errors
    /// A part of the stack that is missing.
    pub fn new<S: Stack>(stack: &S, entrance: Arc<Entrance>) -> Result<Self, S::Error> {
        let (connections, planner, people) = (stack.connections()?, stack.planner()?, stack.people()?);
        Ok(Self { entrance, connections, planner, people, evidence: stack.evidence()?, decisions: stack.decisions()? })
    }

    /// These pages alone.
    pub fn router(self: &Arc<Self>) -> Router {
        Arc::clone(&self.entrance).before(pages::CONNECTIONS.router(Arc::clone(self)))
    }
}

impl Entrance {
    /// The entrance of a host.
    ///
    /// # Errors
    /// A part of the stack that is missing.
    pub fn new<S: Stack>(stack: &S, sign_in: SignIn, site: Site) -> Result<Arc<Self>, S::Error> {
        let calendar = stack.store()?.calendar().clone();
        Ok(Arc::new(Self { sign_in, site, clock: stack.clock(), calendar }))
    }

    /// Pages behind this entrance. What is no page is answered with one that says so.
    fn before(self: Arc<Self>, pages: Router) -> Router {
        pages
            .fallback(async || Problem::not_found("page"))
            .method_not_allowed_fallback(async || Problem::method_not_allowed())
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .layer(from_fn_with_state(self, enter))
            .layer(from_fn(numbered))
    }

    /// The calendar whose days and times the pages show.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The value of `Set-Cookie` for who is on the way to the issuer, or back from it.
    fn cookie_on_the_way(&self, secret: Option<&str>) -> String {
        let (value, seconds) = secret.map_or(("", 0), |secret| (secret, 600));
        format!("{ON_THE_WAY}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}; Secure")
    }

    /// The value of `Set-Cookie` that opens a session, or ends it where there is none.
    fn cookie(&self, secret: Option<&str>) -> String {
        let (name, secure) = (self.site.cookie(), if self.site.is_secure() { "; Secure" } else { "" });
        match secret {
            Some(secret) => {
                let seconds = SESSION_LENGTH.num_seconds();
                format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
            }
            None => format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}"),
        }
    }
}

/// The rows of all pages.
#[must_use]
pub fn table() -> Vec<Entry> {
    pages::EVIDENCE.entries().chain(pages::CONNECTIONS.entries()).collect()
}

/// The secret of a session's cookie.
#[derive(Clone)]
struct CookieSecret(String);

fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// What holds for every page, before it and after it.
async fn enter(State(entrance): State<Arc<Entrance>>, request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned();
    let (method, headers) = (request.method().clone(), request.headers());
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // HTTP/2 has no header Host.
    let host = text(HOST).map(str::to_owned).or_else(|| request.uri().authority().map(ToString::to_string));
    let is_ours = host.as_deref().is_some_and(|host| entrance.site.has_host(host));
    let is_reading = method == Method::GET || method == Method::HEAD;
    let from_us = is_reading || text(ORIGIN).is_some_and(|origin| entrance.site.has_origin(origin));
    let secret = cookie_of(headers, entrance.site.cookie()).filter(|_| is_ours);
    // Files of ours are everybody's.
    let asked = secret.as_deref().filter(|_| !path.starts_with("/assets/"));
    let session = match asked {
        Some(secret) => entrance.sign_in.session(secret).await,
        None => Ok(None),
    };
    let session = match session {
        Ok(session) => session.map(Arc::new),
        Err(problem) => {
            let asked = Asked { is_reading, path, typed: Bytes::new() };
            return finished(None, &asked, problem.into_response());
        }
    };
    // A form is read here, so that what was typed can be shown again whoever refuses it.
    let (parts, body) = request.into_parts();
    let body = if is_reading { Ok(Bytes::new()) } else { to_bytes(body, LARGEST_BODY).await };
    let typed = body.as_ref().cloned().unwrap_or_default();
    let response = if !is_ours {
        Problem::foreign_host(entrance.site.origin()).into_response()
    } else if !from_us {
        Problem::form_refused().into_response()
    } else if body.is_err() {
        Problem::too_large(LARGEST_BODY).into_response()
    } else {
        let mut request = Request::from_parts(parts, Body::from(typed.clone()));
        if let (Some(session), Some(secret)) = (&session, secret) {
            let extensions = request.extensions_mut();
            extensions.insert(session.caller.clone());
            extensions.insert(Arc::clone(session));
            extensions.insert(CookieSecret(secret));
        }
        layout::shown_in(entrance.calendar().clone(), next.run(request)).await
    };
    finished(session, &Asked { is_reading, path, typed }, response)
}

/// What was asked for, for who tells of a refusal.
struct Asked {
    is_reading: bool,
    path: String,
    typed: Bytes,
}

/// A refusal becomes a page, and every answer gets the headers of a page.
fn finished(session: Option<Arc<Session>>, Asked { is_reading, path, typed }: &Asked, response: Response) -> Response {
    let problem = response.extensions().get::<Problem>().cloned();
    let mut response = match problem {
        None => response,
        Some(problem) if problem.status() == StatusCode::UNAUTHORIZED && *is_reading && session.is_none() => {
            let back = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
            let to = if path == "/" { "/login".to_owned() } else { format!("/login?to={back}") };
            see_other(&to)
        }
        Some(problem) => {
            let typed = Fields::parse(typed).without_secrets();
            let mut page = pages::refusal::page(session.as_deref(), &problem, &typed);
            for cookie in response.headers().get_all(SET_COOKIE) {
                page.headers_mut().append(SET_COOKIE, cookie.clone());
            }
            page
        }
    };
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.entry(CACHE_CONTROL).or_insert(fixed("no-store"));
    headers.entry(REFERRER_POLICY).or_insert(fixed("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), fixed("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        fixed("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    );
    response
}

/// Another page, by GET.
pub(crate) fn see_other(path: &str) -> Response {
    // Paths are ours, or were checked to be.
    let location = HeaderValue::from_str(path).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// The same, with a cookie.
fn see_other_with_cookie(path: &str, cookie: &str) -> Response {
    let mut response = see_other(path);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// A rendered page.
fn html(status: StatusCode, template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => Problem::unavailable(&error).into_response(),
    }
}

/// Who looks at a page.
#[derive(Clone)]
pub struct Viewer {
    /// The session.
    pub session: Arc<Session>,
    secret: CookieSecret,
}

impl Viewer {
    /// What they may do, and see.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.session.caller
    }

    /// The company whose pages they look at.
    #[must_use]
    pub fn company(&self) -> &CompanyId {
        &self.session.company
    }

    /// The time whose evidence they may see.
    #[must_use]
    pub fn span(&self) -> Window {
        self.caller().window.unwrap_or(Window::ALL)
    }
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let session = parts.extensions.get::<Arc<Session>>().cloned();
        let secret = parts.extensions.get::<CookieSecret>().cloned();
        let (session, secret) = session.zip(secret).ok_or_else(Problem::unauthenticated)?;
        Ok(Self { session, secret })
    }
}

/// A client whose page somebody looks at, once they may see it.
#[derive(Clone)]
pub struct ClientViewer {
    /// Who.
    pub viewer: Viewer,
    /// Whose.
    pub client: ClientId,
}

impl<S: Send + Sync> FromRequestParts<S> for ClientViewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            client: String,
        }
        let viewer = Viewer::from_request_parts(parts, state).await?;
        let Named { client } = path_params(parts, state).await?;
        let client = ClientId::parse(client).map_err(|_| Problem::not_found("client"))?;
        viewer.caller().see_client(&client)?;
        Ok(Self { viewer, client })
    }
}
