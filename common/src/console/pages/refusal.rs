//! A refusal as a page: what happened, what to do, and what was typed.

use crate::api::Problem;
use crate::console::forms::Fields;
use crate::console::layout::{Frame, cut};
use crate::console::{Session, html};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;

#[derive(askama::Template)]
#[template(path = "refusal.html")]
struct Refusal<'a> {
    frame: Frame,
    title: &'a str,
    detail: String,
    code: &'a str,
    status: u16,
    sign_in: bool,
    known: bool,
    typed: Vec<(String, String)>,
}

/// Fields that are shown again; beyond it nobody typed them.
const MOST_FIELDS: usize = 40;

/// Problems that another sign-in may put right.
const SIGN_IN_AGAIN: [&str; 3] = ["link_used", "sign_in_failed", "no_role"];

/// The page of a problem.
pub fn page(session: Option<&Session>, problem: &Problem, typed: &Fields) -> Response {
    let signed_out = problem.status() == StatusCode::UNAUTHORIZED;
    // The words of the API are about its headers.
    const STALE: &str = "somebody else changed this since you opened the page, and nothing was changed now; open the page again, and change it there";
    let (title, detail) = if signed_out {
        let detail = "your session has ended, and nothing was changed; sign in again, then send the form again";
        ("You are signed out", detail.to_owned())
    } else {
        let is_stale = problem.status() == StatusCode::PRECONDITION_FAILED;
        (problem.title(), if is_stale { STALE.to_owned() } else { problem.detail().to_owned() })
    };
    let mut letters = detail.chars();
    let detail =
        letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str());
    let shown = typed.iter().take(MOST_FIELDS).map(|(name, value)| (cut(name, 60), cut(value, 10_000)));
    let page = Refusal {
        frame: Frame::new(title, session, ""),
        title,
        detail,
        code: problem.code(),
        status: problem.status().as_u16(),
        sign_in: signed_out || (session.is_none() && SIGN_IN_AGAIN.contains(&problem.code())),
        known: session.is_some(),
        typed: shown.collect(),
    };
    let mut response = html(problem.status(), &page);
    if let Some(seconds) = problem.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
