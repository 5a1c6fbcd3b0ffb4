//! `/onboarding/{link}`: for a person who has to be trained. Without a login: who has the link is whom it is for.

use crate::api::{Method, Problem, Route};
use crate::app::people::LinkError;
use crate::console::layout::{At, Frame};
use crate::console::{ConnectionPages, html};
use crate::domain::people::status::PersonStatus;
use axum::extract::{Path, State};
use axum::http::header::REFERRER_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<ConnectionPages>>] =
    &[Route::public(Method::Get, "/onboarding/{link}", |method| on(method, show))];

#[derive(askama::Template)]
#[template(path = "onboarding.html")]
struct Onboarding {
    frame: Frame,
    state: &'static str,
    icon: &'static str,
    text: &'static str,
    since: At,
    missing: Vec<String>,
    /// Where to be trained, if there is anything to do.
    training: Option<&'static str>,
}

#[derive(askama::Template)]
#[template(path = "onboarding_ended.html")]
struct Ended {
    frame: Frame,
    happened: &'static str,
}

async fn show(State(console): State<Arc<ConnectionPages>>, Path(link): Path<String>) -> Response {
    // Nothing of somebody who is signed in on this machine is shown with it.
    let frame = |title: &str| Frame::new(title, None, "");
    let mut response = match console.people.follow_link(&link).await {
        Ok(prompt) => {
            let (state, icon) = match prompt.status {
                PersonStatus::Compliant => ("Complete", "pass"),
                PersonStatus::NotCompliant => ("Not complete", "fail"),
                PersonStatus::NotEnrolled => ("Not enrolled", "none"),
                PersonStatus::Unknown => ("Not known yet", "inconclusive"),
            };
            let page = Onboarding {
                frame: frame("Your security awareness training"),
                state,
                icon,
                text: prompt.text,
                since: At(prompt.since),
                missing: prompt.missing.iter().map(ToString::to_string).collect(),
                training: prompt.action_needed.then_some(prompt.training_url),
            };
            html(StatusCode::OK, &page)
        }
        Err(LinkError::People(error)) => Problem::from(error).into_response(),
        Err(error) => {
            let (status, happened) = match error {
                LinkError::Expired => (StatusCode::GONE, "This link has expired."),
                LinkError::TakenBack => (StatusCode::GONE, "Whoever sent this link has taken it back."),
                LinkError::Gone => {
                    (StatusCode::GONE, "What this link showed is not kept any more, or is kept in another way now.")
                }
                LinkError::Unknown | LinkError::People(_) => {
                    (StatusCode::NOT_FOUND, "This link is not known. It may have been cut when it was copied.")
                }
            };
            html(status, &Ended { frame: frame("This link shows nothing"), happened })
        }
    };
    // No other site learns the link from where somebody came.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
