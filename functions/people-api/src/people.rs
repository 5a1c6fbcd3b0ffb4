//! People, one by one and in pages.

use super::{Body, PersonPath};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::api::{ConnectionPath, Problem};
use common::app::people::PeopleService;
use common::domain::sat::id::SatId;
use common::domain::sat::people::PersonStatus;
use common::domain::sat::person::PersonId;
use common::store::{LoggedEvent, PersonRecord};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The most people in one answer.
const LARGEST_PAGE: usize = 500;

#[derive(Deserialize)]
pub struct Listing {
    status: Option<PersonStatus>,
    limit: Option<usize>,
    after: Option<PersonId>,
}

/// People by their id, a page at a time; those of one status with `status`.
pub async fn people(
    State(desk): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, Problem> {
    let Listing { status, limit, after } = listing.map(|Query(listing)| listing).map_err(|_| {
        Problem::bad_request(
            "status must be compliant, not_compliant, not_enrolled or unknown, after the id of a person",
        )
    })?;
    let limit = limit.unwrap_or(100);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::bad_request(format!("limit must be 1 to {LARGEST_PAGE}")));
    }
    let (people, next) = desk.page(&company, &connection, status, after.as_ref(), limit).await?;
    let people: Vec<Value> = people.iter().map(record).collect();
    Ok(Json(json!({"people": people, "next_after": next})).into_response())
}

fn record(record: &PersonRecord) -> Value {
    let state = &record.state;
    json!({
        "person": record.person,
        "status": state.standing.status,
        "since": state.standing.since,
        "completed": state.completed,
        "missing": state.missing,
        "not_enrolled_in": state.not_enrolled_in,
        "inactive": state.inactive,
        "certificates": state.certificates,
        "reset": state.reset,
    })
}

fn event(logged: &LoggedEvent) -> Value {
    json!({"at": logged.at, "run_id": logged.run, "what": logged.event})
}

/// One person, and what happened to them.
pub async fn person(
    State(desk): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, .. }: PersonPath,
) -> Result<Response, Problem> {
    let found = desk.person(&company, &connection, person.as_str()).await?;
    let events = desk.events(&company, &connection, &found.person).await?;
    let history: Vec<Value> = events.iter().map(event).collect();
    Ok(Json(json!({"person": record(&found), "history": history})).into_response())
}

/// What a page tells a person who has to be trained.
pub async fn onboarding(
    State(desk): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, .. }: PersonPath,
) -> Result<Response, Problem> {
    let prompt = desk.onboarding(&company, &connection, person.as_str()).await?;
    Ok(Json(prompt).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    learner_id: String,
}

/// The person that a learner of Huntress is kept as.
pub async fn lookup(
    State(desk): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Body(Lookup { learner_id }): Body<Lookup>,
) -> Result<Response, Problem> {
    let found = desk.person(&company, &connection, &learner_id).await?;
    Ok(Json(json!({"person": record(&found)})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    reason: String,
}

/// Puts a person back, until the next run evaluates them. The caller and the reason are kept.
pub async fn reset(
    State(desk): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(ReasonBody { reason }): Body<ReasonBody>,
) -> Result<Response, Problem> {
    let reset = desk.reset(&company, &connection, person.as_str(), &subject, &reason).await?;
    Ok(Json(json!({"person": record(&reset)})).into_response())
}

/// Opens name and e-mail of a person. The caller and the reason are kept.
pub async fn identity(
    State(desk): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(ReasonBody { reason }): Body<ReasonBody>,
) -> Result<Response, Problem> {
    let found = desk.person(&company, &connection, person.as_str()).await?;
    let opened = desk.identity(&company, &connection, &found, &subject, &reason).await?;
    Ok((uncached(), Json(json!({"person": found.person, "identity": opened}))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateBody {
    reason: String,
    assignment: Option<SatId>,
}

/// Opens a person's newest certificate, of one assignment if it is named. The caller and the reason are kept.
pub async fn certificate(
    State(desk): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(CertificateBody { reason, assignment }): Body<CertificateBody>,
) -> Result<Response, Problem> {
    let who = (subject.as_str(), reason.as_str());
    let opened = desk.certificate(&company, &connection, person.as_str(), assignment.as_ref(), who).await?;
    // Whatever the source called it, a browser is to keep it and not to show it.
    let headers = [
        (header::CONTENT_TYPE, opened.stored.content_type),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"certificate\"".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::ETAG, format!("\"{}\"", opened.stored.sha256)),
    ];
    Ok((uncached(), headers, opened.bytes).into_response())
}

fn uncached() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}

/// Erases a person.
pub async fn erase(
    State(desk): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, .. }: PersonPath,
) -> Result<Response, Problem> {
    desk.erase_person(&company, &connection, person.as_str()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Erases everybody of a connection, with the key of what was sealed. The evidence stays.
pub async fn erase_everybody(
    State(desk): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Response, Problem> {
    desk.erase_everybody(&company, &connection).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
