//! `/packs`: the evidence of a client over some days, as one file that an auditor can check without us.

use crate::api::{Method, Problem, Route, Scope};
use crate::app::packs::{Download, MakePackError, PackRequest, PackServiceError};
use crate::console::forms::Fields;
use crate::console::layout::{At, Frame, State as Mark};
use crate::console::{EvidencePages, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::id::{ClientId, PackId};
use crate::pack::contents::PackError;
use crate::pack::render::NOT_PROVED;
use crate::store::{PackRecord, PackState, StoreError};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{NaiveDate, TimeDelta};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] = &[
    Route::new(Method::Get, "/packs", Scope::PacksMake, |method| on(method, show)),
    Route::new(Method::Post, "/packs", Scope::PacksMake, |method| on(method, ask)),
    Route::new(Method::Get, "/packs/{client}/{pack}", Scope::PacksMake, |method| on(method, fetch)),
];

#[derive(Deserialize, Default)]
struct Wanted {
    client: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "packs.html")]
struct Packs {
    frame: Frame,
    form_token: String,
    clients: Vec<String>,
    client: String,
    from: String,
    to: String,
    wrong: Option<String>,
    rows: Vec<Row>,
    /// Whether one is being made, so that the page is worth another look.
    live: bool,
    key: Option<String>,
    zone: String,
    not_proved: &'static [&'static str],
}

struct Row {
    days: String,
    at: At,
    mark: Mark,
    asked_by: String,
    asked_at: At,
    file: Option<PackFile>,
    problem: Option<String>,
}

/// A pack that is there.
struct PackFile {
    path: String,
    bytes: u64,
    sha256: String,
}

fn row(record: PackRecord) -> Row {
    let path = format!("/packs/{}/{}", record.client, record.id);
    let (mark, file, problem) = match record.state {
        PackState::Making => (Mark::new("working", "being made"), None, None),
        PackState::Ready { bytes, sha256, .. } => {
            (Mark::new("pass", "ready"), Some(PackFile { path, bytes, sha256 }), None)
        }
        PackState::Failed { problem } => (Mark::new("fail", "failed"), None, Some(problem)),
    };
    Row {
        days: format!("{} to {}", record.from, record.to),
        at: At(record.at),
        mark,
        asked_by: record.requested_by,
        asked_at: At(record.requested_at),
        file,
        problem,
    }
}

async fn page(
    console: &EvidencePages,
    viewer: &Viewer,
    wanted: Wanted,
    wrong: Option<String>,
) -> Result<Packs, Problem> {
    let (caller, company) = (viewer.caller(), viewer.company());
    let mut clients = console.evidence.measured_clients(company).await?;
    clients.retain(|client| caller.see_client(client).is_ok());
    // What was proved of a client stays, though nothing measures it any more.
    clients.extend(caller.clients.iter().flatten().cloned());
    let given = wanted.client.as_deref().and_then(|client| ClientId::parse(client).ok());
    let chosen = given.filter(|client| caller.see_client(client).is_ok()).or_else(|| clients.first().cloned());
    let packs = match &chosen {
        Some(client) => console.packs.list(company, client, viewer.caller().window).await?,
        None => Vec::new(),
    };
    let calendar = console.entrance.calendar();
    let today = calendar.day_of(console.entrance.clock.now());
    let last = caller.window.map_or(today, |window| calendar.day_of(window.end).min(today));
    let usual = last.checked_sub_signed(TimeDelta::days(89)).unwrap_or(last);
    let first = caller.window.map_or(usual, |window| calendar.first_day_from(window.start).max(usual));
    Ok(Packs {
        frame: Frame::new("Packs", Some(&viewer.session), "/packs"),
        form_token: viewer.session.form_token.clone(),
        clients: clients.iter().map(ToString::to_string).collect(),
        client: chosen.map(|client| client.to_string()).unwrap_or_default(),
        from: wanted.from.unwrap_or_else(|| first.to_string()),
        to: wanted.to.unwrap_or_else(|| last.to_string()),
        wrong,
        live: packs.iter().any(|pack| pack.state == PackState::Making),
        rows: packs.into_iter().map(row).collect(),
        key: super::log_key(&console.evidence).await?,
        zone: calendar.zone().to_owned(),
        not_proved: &NOT_PROVED,
    })
}

async fn show(
    State(console): State<Arc<EvidencePages>>,
    viewer: Viewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    Ok(html(StatusCode::OK, &page(&console, &viewer, wanted, None).await?))
}

/// What a form asks for, or what is wrong with it.
fn request(viewer: &Viewer, fields: &Fields) -> Result<PackRequest, String> {
    let day = |field: &str, what: &str| -> Result<NaiveDate, String> {
        let text = fields.typed(field).ok_or_else(|| format!("say {what}"))?;
        text.parse().map_err(|_| format!("{what} must be a day like 2026-03-22"))
    };
    let client =
        ClientId::parse(fields.typed("client").ok_or("choose a client")?).map_err(|error| error.to_string())?;
    viewer.caller().see_client(&client).map_err(|problem| problem.detail().to_owned())?;
    let (from, to) = (day("from", "the first day")?, day("to", "the last day")?);
    Ok(PackRequest { company: viewer.company().clone(), client, from, to })
}

async fn ask(State(console): State<Arc<EvidencePages>>, SignedForm { viewer, fields }: SignedForm) -> Response {
    let wrong = match request(&viewer, &fields) {
        Ok(request) => {
            let actor = Actor::api(viewer.caller().subject.clone());
            match console.packs.ask(&request, viewer.caller().window, &actor).await {
                Ok(_) => return see_other(&format!("/packs?client={}", request.client)),
                Err(PackServiceError::Make(MakePackError::Days(wrong))) => wrong.replace("--", ""),
                Err(PackServiceError::Make(MakePackError::Pack(PackError::NothingToProve(wrong)))) => wrong,
                Err(error) => return Problem::from(error).into_response(),
            }
        }
        Err(wrong) => wrong,
    };
    let of = |field: &str| Some(fields.get(field).to_owned());
    let typed = Wanted { client: of("client"), from: of("from"), to: of("to") };
    match page(&console, &viewer, typed, Some(wrong)).await {
        Ok(page) => html(StatusCode::UNPROCESSABLE_ENTITY, &page),
        Err(problem) => problem.into_response(),
    }
}

#[derive(Deserialize)]
struct Named {
    client: String,
    pack: String,
}

/// A pack: its bytes, or the address in a bucket where they are for some minutes.
async fn fetch(
    State(console): State<Arc<EvidencePages>>,
    viewer: Viewer,
    Path(Named { client, pack }): Path<Named>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("pack");
    let client = ClientId::parse(client).map_err(|_| Problem::not_found("client"))?;
    viewer.caller().see_client(&client)?;
    let id = PackId::parse(pack).map_err(|_| unknown())?;
    match console.packs.fetch(viewer.company(), &client, &id, viewer.caller().window).await {
        Ok(Download::Bytes(pack, bytes)) => {
            let file = format!("attachment; filename=\"{}_{}_{}.zip\"", pack.client, pack.from, pack.to);
            let headers = [(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, file)];
            Ok((headers, bytes).into_response())
        }
        Ok(Download::Link(link)) => Ok(see_other(link.as_str())),
        // The page of packs says what became of it.
        Ok(Download::NotReady(_) | Download::Gone) => Ok(see_other(&format!("/packs?client={client}"))),
        Err(PackServiceError::Store(StoreError::NotFound { .. })) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}
