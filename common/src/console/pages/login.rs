//! Coming in and going out.

use crate::api::{Caller, Method, Problem, Route};
use crate::console::forms::{self, FORM_TOKEN, SignedForm};
use crate::console::layout::Frame;
use crate::console::{Console, html, see_other, see_other_with_cookie};
use crate::domain::id::CompanyId;
use crate::domain::text;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<Console>>] = &[
    Route::public(Method::Get, "/login", |method| on(method, form)),
    Route::public(Method::Post, "/login", |method| on(method, sign_in)),
    Route::public(Method::Get, "/login/{link}", |method| on(method, by_link)),
    Route::known(Method::Post, "/logout", |method| on(method, sign_out)),
    Route::known(Method::Post, "/company", |method| on(method, choose_company)),
];

#[derive(askama::Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    to: String,
    wrong: bool,
}

#[derive(Deserialize)]
struct Back {
    to: Option<String>,
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

async fn form(State(_): State<Arc<Console>>, Query(Back { to }): Query<Back>) -> Response {
    let to = own_path(to.as_deref()).to_owned();
    html(StatusCode::OK, &Login { frame: Frame::new("Sign in", None, "/login"), to, wrong: false })
}

async fn sign_in(State(console): State<Arc<Console>>, request: Request) -> Response {
    let fields = match forms::read(request, &()).await {
        Ok(fields) => fields,
        Err(problem) => return problem.into_response(),
    };
    let to = own_path(fields.typed("to")).to_owned();
    let token = text::pasted(fields.get("token"));
    let known = match console.tokens.caller(token).await {
        Ok(known) => known,
        Err(error) => return Problem::from(error).into_response(),
    };
    match known {
        Some((caller, ends)) => open(&console, caller, Some((token, ends)), &to),
        None => {
            let page = Login { frame: Frame::new("Sign in", None, "/login"), to, wrong: true };
            html(StatusCode::FORBIDDEN, &page)
        }
    }
}

fn open(console: &Console, caller: Caller, token: Option<(&str, Option<DateTime<Utc>>)>, to: &str) -> Response {
    match console.sessions.open(caller, token.and_then(|(_, ends)| ends)) {
        Ok(Some(secret)) => {
            if let Some((token, _)) = token {
                console.sessions.bind(&secret, token.into());
            }
            see_other_with_cookie(to, &console.cookie(Some(&secret)))
        }
        Ok(None) => Problem::forbidden().into_response(),
        Err(error) => Problem::unavailable(&error).into_response(),
    }
}

async fn by_link(State(console): State<Arc<Console>>, Path(link): Path<String>) -> Response {
    match console.sessions.use_link(&link) {
        Some(caller) => open(&console, caller, None, "/"),
        None => Problem::link_used().into_response(),
    }
}

async fn sign_out(State(console): State<Arc<Console>>, SignedForm { viewer, .. }: SignedForm) -> Response {
    console.sessions.end(&viewer.secret.0);
    see_other_with_cookie("/login", &console.cookie(None))
}

async fn choose_company(
    State(console): State<Arc<Console>>,
    SignedForm { viewer, fields }: SignedForm,
) -> Result<Response, Problem> {
    debug_assert!(!fields.get(FORM_TOKEN).is_empty(), "the form was checked");
    let company = CompanyId::parse(fields.get("company").trim())?;
    viewer.caller().act_for(&company)?;
    console.sessions.choose_company(&viewer.secret.0, &company);
    Ok(see_other("/"))
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
