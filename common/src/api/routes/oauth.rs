//! Connecting by redirect: where it begins, and where browsers come back to.

use super::connections::MappingBody;
use crate::api::answer::{BrowserPage, WithCookie};
use crate::api::header::{BrowserForm, BrowserQuery};
use crate::api::page::hide_origin;
use crate::api::views::RedirectAnswer;
use crate::api::{Body, ConnectionPath, Method, Problem, Route, Scope, escaped, page, route};
use crate::app::connections::{
    AccountChoice, BrowserCookie, Connections, REDIRECT_TIME, RedirectError, RedirectWish, Redirected, Return,
};
use crate::domain::audit::Actor;
use crate::domain::id::ConnectionId;
use crate::domain::sat::id::SatId;
use crate::domain::text;
use crate::huntress::connection_test::TestedAccount;
use crate::settings::{PublicUrl, REDIRECT_PATH};
use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;
use url::form_urlencoded;

const START: &str = "/v1/companies/{company}/connections/{connection}/oauth/start";

/// Where browsers come back to.
const CALLBACK: &str = REDIRECT_PATH;

pub(super) const ROUTES: &[Route<Arc<Connections>>] = &[
    route!(Method::Post, START, Scope::ConnectionsWrite, start, fails: [OAUTH_NOT_CONFIGURED, OTHER_PRODUCT, REFUSED_SETTING, REFUSED_MAPPING]),
    route!(Method::Get, CALLBACK, public, callback, fails: [OAUTH_RETURN, OAUTH_NOT_CONFIGURED, CONFLICT, REFUSED_SETTING, OTHER_PRODUCT, NOT_FOUND, UPSTREAM, UNAVAILABLE]),
    route!(Method::Post, CALLBACK, public, choose, fails: [OAUTH_RETURN, OAUTH_NOT_CONFIGURED, CONFLICT, REFUSED_SETTING, OTHER_PRODUCT, NOT_FOUND, UPSTREAM, UNAVAILABLE]),
];

/// Where browsers come back to, alone: for who serves nothing else.
pub(super) const CALLBACK_ROUTES: &[Route<Arc<Connections>>] =
    &[route!(Method::Get, CALLBACK, public, callback), route!(Method::Post, CALLBACK, public, choose)];

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Wish {
    mapping: Option<MappingBody>,
    account_id: Option<SatId>,
}

/// Prepares that somebody agrees at Huntress; their browser has to be the one that asks, for the cookie.
async fn start(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    Body(Wish { mapping, account_id }): Body<Wish>,
) -> Result<WithCookie<Json<RedirectAnswer>>, Problem> {
    let wish = RedirectWish { mapping: mapping.map(MappingBody::mapping).transpose()?, account_id };
    let started = connections.start_redirect(&company, &connection, wish, &Actor::api(subject)).await?;
    let answer = RedirectAnswer { authorize_url: started.address.into(), expires_at: started.until };
    Ok(WithCookie { cookie: set_cookie(&started.cookie), answer: Json(answer) })
}

/// The header that gives a browser its cookie. Lax: with Strict it would not be sent on the way back from Huntress.
#[must_use]
pub fn set_cookie(cookie: &BrowserCookie) -> HeaderValue {
    let (name, value, seconds) = (&cookie.name, cookie.value.expose_secret(), REDIRECT_TIME.num_seconds());
    let cookie = format!("{name}={value}; Path=/oauth/huntress; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    // Both halves are letters, digits, '-' and '_'.
    let mut header = HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// The connection that an answer is about, for who hosts the routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedByRedirect(pub ConnectionId);

/// The longest query or form of these routes in bytes.
const LONGEST: usize = 8 * 1024;

/// Goes on with a browser that is back from Huntress.
async fn callback(
    State(connections): State<Arc<Connections>>,
    BrowserQuery { headers, query }: BrowserQuery,
) -> BrowserPage {
    let wants = Wants::of(&headers);
    let Some(Fields { state: Some(state), code, error, .. }) = Fields::of(query.as_bytes()) else {
        return BrowserPage(wants.problem(RedirectError::Unknown));
    };
    let returned = match (code, error.as_deref()) {
        (Some(code), None) => Return::Agreed(code),
        (None, Some("access_denied")) => Return::Denied,
        // With both, or with neither, it is nothing that a server of OAuth sends.
        _ => Return::Failed,
    };
    let cookies = |name: &str| cookie(&headers, name);
    let redirected = connections.finish_redirect(state, &cookies, returned).await;
    BrowserPage(answer(&connections, wants, redirected))
}

/// Goes on with a browser in which an account was chosen.
async fn choose(
    State(connections): State<Arc<Connections>>,
    BrowserForm { headers, form }: BrowserForm,
) -> BrowserPage {
    let wants = Wants::of(&headers);
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = media_type.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded";
    let fields = if is_form { Fields::of(&form) } else { None };
    let Some(Fields { state: Some(state), account: Some(account), .. }) = fields else {
        return BrowserPage(wants.problem(RedirectError::Unknown));
    };
    let cookies = |name: &str| cookie(&headers, name);
    let redirected = connections.choose_account(state, &cookies, &account).await;
    BrowserPage(answer(&connections, wants, redirected))
}

/// What a query or a form of these routes has. Others are passed over: a server of OAuth may send more.
#[derive(Default)]
struct Fields {
    state: Option<SecretString>,
    code: Option<SecretString>,
    error: Option<String>,
    account: Option<String>,
}

impl Fields {
    /// `None` for one that is too long, or has a field twice.
    fn of(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            let twice = match name.as_ref() {
                "state" => fields.state.replace(value.into_owned().into()).is_some(),
                "code" => fields.code.replace(value.into_owned().into()).is_some(),
                "error" => fields.error.replace(value.into_owned()).is_some(),
                "account" => fields.account.replace(value.into_owned()).is_some(),
                _ => false,
            };
            if twice {
                return None;
            }
        }
        Some(fields)
    }
}

/// A cookie of a request by its name; none if it is there twice.
fn cookie(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let pairs = headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok());
    let pairs = pairs.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(there, _)| *there == name).map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then(|| SecretString::from(value))
}

/// Whether a browser asks, which is shown a page, or a program, which gets a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Page,
    Problem,
}

impl Wants {
    fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains("text/html") { Self::Page } else { Self::Problem }
    }

    fn problem(self, error: RedirectError) -> Response {
        let problem = Problem::from(error);
        if self == Self::Problem {
            let mut response = problem.into_response();
            hide_origin(&mut response);
            return response;
        }
        let body = format!(
            "<p>{}</p>\n<p>Nothing was changed. Its code is <code>{}</code>.</p>",
            escaped(problem.detail()),
            escaped(problem.code())
        );
        page(problem.status(), problem.title(), &body)
    }
}

fn answer(connections: &Connections, wants: Wants, redirected: Result<Redirected, RedirectError>) -> Response {
    match redirected {
        Ok(Redirected::Connected(connection)) => {
            let body = format!(
                "<p>The training account is connected as <code>{}</code>. Its first collection begins with the next daily sync, or with Sync Now.</p>\n{}",
                escaped(connection.id.as_str()),
                onwards(connections)
            );
            let mut response = page(StatusCode::OK, "Connected", &body);
            response.extensions_mut().insert(ConnectedByRedirect(connection.id));
            response
        }
        Ok(Redirected::Choose(choice)) => {
            let mut response = page(StatusCode::OK, "Choose an account", &form(&choice));
            response.headers_mut().append(SET_COOKIE, set_cookie(&choice.cookie));
            response
        }
        Err(error) => wants.problem(error),
    }
}

/// The way on from a page.
fn onwards(connections: &Connections) -> String {
    let public = connections.oauth.public_url.as_ref().filter(|_| connections.oauth.has_pages);
    let end = "<p>You can close this page.</p>".to_owned();
    public
        .map(PublicUrl::start)
        .map_or(end, |link| format!("<p><a href=\"{}\">Go on to huntress-evidence</a></p>", escaped(&link)))
}

fn form(choice: &AccountChoice) -> String {
    let label = |account: &TestedAccount| {
        let (id, name) = (escaped(&account.id), account.name.as_deref().and_then(text::name).unwrap_or_default());
        let name = escaped(&name);
        format!(
            "<label><input type=\"radio\" name=\"account\" value=\"{id}\" required> {name} <code>{id}</code></label>\n"
        )
    };
    let accounts: String = choice.accounts.iter().map(label).collect();
    format!(
        "<p>You can see several training accounts. Which one is to be measured?</p>\n<form method=\"post\" action=\"{CALLBACK}\">\n\
         <input type=\"hidden\" name=\"state\" value=\"{}\">\n<fieldset>\n<legend>Account</legend>\n{accounts}</fieldset>\n\
         <p><button type=\"submit\">Connect this account</button></p>\n</form>",
        escaped(choice.state.expose_secret())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_only_once() {
        let of = |header: &'static str| {
            let headers: HeaderMap = [(COOKIE, HeaderValue::from_static(header))].into_iter().collect();
            cookie(&headers, "huntress-oauth-ab").map(|value| value.expose_secret().to_owned())
        };
        assert_eq!(of("a=1; huntress-oauth-ab=x=y; b=2").as_deref(), Some("x=y"));
        assert_eq!(of("xhuntress-oauth-ab=1"), None);
        assert_eq!(of("huntress-oauth-ab=1; huntress-oauth-ab=2"), None);
        assert_eq!(of("huntress-oauth-ab"), None);
    }

    #[test]
    fn a_field_that_stands_twice_counts_for_nothing() {
        assert!(Fields::of(b"state=a&code=b&code=c").is_none());
        assert!(Fields::of(b"state=a&other=b&other=c").is_some());
        assert!(Fields::of(format!("state={}", "a".repeat(LONGEST)).as_bytes()).is_none());
    }

    #[test]
    fn names_of_accounts_are_text_in_the_form() {
        let account = TestedAccount {
            id: "a\"><script>1</script>".to_owned(),
            name: Some("<img src=x onerror=alert(1)>".to_owned()),
            io_org_id: None,
        };
        let cookie = BrowserCookie { name: "n".to_owned(), value: "v".into() };
        let html = form(&AccountChoice { accounts: vec![account], state: "s".into(), cookie });
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"));
    }
}
