//! Coming in and going out.

use crate::api::{Caller, Method, Problem, Route};
use crate::console::forms::{self, FORM_TOKEN, SignedForm};
use crate::console::layout::Frame;
use crate::console::sign_in::{Answer, SignIn, SignedIn};
use crate::console::{EvidencePages, ON_THE_WAY, Sessions, Viewer, cookie_of, html, see_other, see_other_with_cookie};
use crate::domain::id::CompanyId;
use crate::domain::text;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] = &[
    Route::public(Method::Get, "/login", |method| on(method, form)),
    Route::public(Method::Post, "/login", |method| on(method, sign_in)),
    Route::public(Method::Get, "/login/start", |method| on(method, to_issuer)),
    Route::public(Method::Get, "/login/callback", |method| on(method, from_issuer)),
    Route::public(Method::Get, "/login/{link}", |method| on(method, by_link)),
    Route::known(Method::Post, "/logout", |method| on(method, sign_out)),
    Route::known(Method::Get, "/company", |method| on(method, companies)),
    Route::known(Method::Post, "/company", |method| on(method, choose_company)),
];

#[derive(askama::Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    to: String,
    wrong: bool,
}

#[derive(askama::Template)]
#[template(path = "sign_in.html")]
struct OverIssuer {
    frame: Frame,
    start: String,
    signed_out: bool,
    /// Where the issuer's own session is ended.
    elsewhere: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "company.html")]
struct Companies {
    frame: Frame,
    form_token: String,
    companies: Vec<String>,
    to: String,
}

#[derive(Deserialize)]
struct Back {
    to: Option<String>,
    signed_out: Option<String>,
}

/// A path of ours to go on to. Anything that a browser could take for another site leads home.
fn own_path(to: Option<&str>) -> &str {
    let is_own = |to: &&str| {
        to.starts_with('/')
            && !to.starts_with("//")
            && !to.contains(['\\', '\r', '\n', '\t'])
            && !to.starts_with("/login")
            && to.is_ascii()
    };
    to.filter(is_own).unwrap_or("/")
}

async fn form(State(console): State<Arc<EvidencePages>>, Query(Back { to, signed_out }): Query<Back>) -> Response {
    let to = own_path(to.as_deref());
    let frame = Frame::new("Sign in", None, "/login");
    match &console.entrance.sign_in {
        SignIn::Machine { .. } => html(StatusCode::OK, &Login { frame, to: to.to_owned(), wrong: false }),
        SignIn::Issuer(issuer) => {
            let signed_out = signed_out.is_some();
            let elsewhere = if signed_out { issuer.sign_out_address().await } else { None };
            html(StatusCode::OK, &OverIssuer { frame, start: with_target("/login/start", to), signed_out, elsewhere })
        }
        SignIn::Elsewhere(_) => Problem::not_found("page").into_response(),
    }
}

/// A page of ours that goes on to another one.
fn with_target(page: &str, to: &str) -> String {
    if to == "/" {
        return page.to_owned();
    }
    format!("{page}?to={}", url::form_urlencoded::byte_serialize(to.as_bytes()).collect::<String>())
}

/// Sends the browser to the issuer.
async fn to_issuer(State(console): State<Arc<EvidencePages>>, Query(Back { to, .. }): Query<Back>) -> Response {
    let SignIn::Issuer(issuer) = &console.entrance.sign_in else { return Problem::not_found("page").into_response() };
    match issuer.start(own_path(to.as_deref())).await {
        Ok(start) => see_other_with_cookie(&start.address, &console.entrance.cookie_on_the_way(Some(&start.cookie))),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Takes the browser back from the issuer. Whatever comes of it, nobody is on the way any more.
async fn from_issuer(
    State(console): State<Arc<EvidencePages>>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Response {
    let SignIn::Issuer(issuer) = &console.entrance.sign_in else { return Problem::not_found("page").into_response() };
    let on_the_way = cookie_of(&headers, ON_THE_WAY);
    let mut response = match issuer.finish(&answer, on_the_way.as_deref()).await {
        Ok(SignedIn { cookie, to, chooses }) => {
            let to = own_path(Some(&to));
            let to = if chooses { with_target("/company", to) } else { to.to_owned() };
            see_other_with_cookie(&to, &console.entrance.cookie(Some(&cookie)))
        }
        Err(error) => Problem::from(error).into_response(),
    };
    if let Ok(gone) = HeaderValue::from_str(&console.entrance.cookie_on_the_way(None)) {
        response.headers_mut().append(SET_COOKIE, gone);
    }
    response
}

async fn sign_in(State(console): State<Arc<EvidencePages>>, request: Request) -> Response {
    let SignIn::Machine { sessions, tokens } = &console.entrance.sign_in else {
        return Problem::not_found("page").into_response();
    };
    let fields = match forms::read(request, &()).await {
        Ok(fields) => fields,
        Err(problem) => return problem.into_response(),
    };
    let to = own_path(fields.typed("to")).to_owned();
    let token = text::pasted(fields.get("token"));
    let known = match tokens.caller(token).await {
        Ok(known) => known,
        Err(error) => return Problem::from(error).into_response(),
    };
    match known {
        Some((caller, ends)) => open(&console, sessions, caller, Some(UsedToken { token, ends }), &to),
        None => {
            let page = Login { frame: Frame::new("Sign in", None, "/login"), to, wrong: true };
            html(StatusCode::FORBIDDEN, &page)
        }
    }
}

/// The token that somebody signed in with.
struct UsedToken<'a> {
    token: &'a str,
    /// When it ends, if it does.
    ends: Option<DateTime<Utc>>,
}

fn open(
    console: &EvidencePages,
    sessions: &Sessions,
    caller: Caller,
    used: Option<UsedToken<'_>>,
    to: &str,
) -> Response {
    match sessions.open(caller, used.as_ref().and_then(|used| used.ends)) {
        Ok(Some(secret)) => {
            if let Some(used) = used {
                sessions.bind(&secret, used.token.into());
            }
            see_other_with_cookie(to, &console.entrance.cookie(Some(&secret)))
        }
        Ok(None) => Problem::forbidden().into_response(),
        Err(error) => Problem::unavailable(&error).into_response(),
    }
}

async fn by_link(State(console): State<Arc<EvidencePages>>, Path(link): Path<String>) -> Response {
    let SignIn::Machine { sessions, .. } = &console.entrance.sign_in else {
        return Problem::not_found("page").into_response();
    };
    match sessions.use_link(&link) {
        Some(caller) => open(&console, sessions, caller, None, "/"),
        None => Problem::link_used().into_response(),
    }
}

async fn sign_out(
    State(console): State<Arc<EvidencePages>>,
    SignedForm { viewer, .. }: SignedForm,
) -> Result<Response, Problem> {
    console.entrance.sign_in.end(&viewer.secret.0, &viewer.session).await?;
    let to = match &console.entrance.sign_in {
        SignIn::Machine { .. } => "/login",
        SignIn::Issuer(_) | SignIn::Elsewhere(_) => "/login?signed_out=1",
    };
    Ok(see_other_with_cookie(to, &console.entrance.cookie(None)))
}

/// The companies of who is in several.
async fn companies(viewer: Viewer, Query(Back { to, .. }): Query<Back>) -> Response {
    let page = Companies {
        frame: Frame::new("Choose a company", Some(&viewer.session), "/company"),
        form_token: viewer.session.form_token.clone(),
        companies: viewer.caller().companies.iter().map(ToString::to_string).collect(),
        to: own_path(to.as_deref()).to_owned(),
    };
    html(StatusCode::OK, &page)
}

async fn choose_company(
    State(console): State<Arc<EvidencePages>>,
    SignedForm { viewer, fields }: SignedForm,
) -> Result<Response, Problem> {
    debug_assert!(!fields.get(FORM_TOKEN).is_empty(), "the form was checked");
    let company = CompanyId::parse(fields.get("company").trim())?;
    viewer.caller().act_for(&company)?;
    let to = own_path(fields.typed("to"));
    let cookie = console.entrance.sign_in.choose_company(&viewer.secret.0, &viewer.session, &company).await?;
    Ok(match cookie {
        Some(secret) => see_other_with_cookie(to, &console.entrance.cookie(Some(&secret))),
        None => see_other(to),
    })
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_sent_to_another_site() {
        assert_eq!(own_path(Some("/clients/a?as_of=2026-03-22")), "/clients/a?as_of=2026-03-22");
        for other in
            ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/login?to=/", "/a\r\nb: c", "", "/é"]
        {
            assert_eq!(own_path(Some(other)), "/", "{other:?}");
        }
        assert_eq!(own_path(None), "/");
    }
}
