//! People, one by one and in pages, and what is kept of them.

use crate::api::answer::{Download, MediaTypes, Revised, Uncached};
use crate::api::cursor::{self, place};
use crate::api::views::{
    ConnectionAnswer, IdentityAnswer, OnboardingLinkAnswer, PeoplePage, PersonAnswer, PersonHistory,
};
use crate::api::{
    Body, ConnectionPath, Explained, IfMatch, Method, Parameters, PersonPath, Problem, Route, Scope, route,
};
use crate::app::people::{LINK_DAYS, PeopleService, PrivacyChange};
use crate::domain::audit::Actor;
use crate::domain::people::person::{OnboardingPrompt, PersonId, PrivacyMode};
use crate::domain::people::status::PersonStatus;
use crate::domain::sat::id::SatId;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::marker::PhantomData;
use std::sync::Arc;

const PRIVACY: &str = "/v1/companies/{company}/connections/{connection}/privacy";
const PEOPLE: &str = "/v1/companies/{company}/connections/{connection}/people";
const LOOKUP: &str = "/v1/companies/{company}/connections/{connection}/people/lookup";
const PERSON: &str = "/v1/companies/{company}/connections/{connection}/people/{person}";
const ONBOARDING: &str = "/v1/companies/{company}/connections/{connection}/people/{person}/onboarding";
const ONBOARDING_LINK: &str = "/v1/companies/{company}/connections/{connection}/people/{person}/onboarding-link";
const RESET: &str = "/v1/companies/{company}/connections/{connection}/people/{person}/reset";
const IDENTITY: &str = "/v1/companies/{company}/connections/{connection}/people/{person}/identity";
const CERTIFICATE: &str = "/v1/companies/{company}/connections/{connection}/people/{person}/certificate";

pub(super) const ROUTES: &[Route<Arc<PeopleService>>] = &[
    route!(Method::Put, PRIVACY, Scope::PeopleErase, set_privacy, fails: [CONFLICT]),
    route!(Method::Get, PEOPLE, Scope::PeopleRead, list),
    route!(Method::Delete, PEOPLE, Scope::PeopleErase, erase_everybody),
    route!(Method::Post, LOOKUP, Scope::PeopleRead, lookup),
    route!(Method::Get, PERSON, Scope::PeopleRead, get),
    route!(Method::Delete, PERSON, Scope::PeopleErase, erase),
    route!(Method::Get, ONBOARDING, Scope::PeopleRead, onboarding),
    route!(Method::Post, ONBOARDING_LINK, Scope::PeopleChange, make_link, fails: [CONFLICT]),
    route!(Method::Delete, ONBOARDING_LINK, Scope::PeopleChange, take_back_links),
    route!(Method::Post, RESET, Scope::PeopleChange, reset),
    route!(Method::Post, IDENTITY, Scope::PeopleOpen, identity, fails: [CONFLICT]),
    route!(Method::Post, CERTIFICATE, Scope::PeopleOpen, certificate, fails: [CONFLICT, UPSTREAM]),
];

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Privacy {
    mode: PrivacyMode,
    #[serde(default)]
    erase: bool,
}

/// Sets what is kept of people. A mode that keeps less erases the rest, and only with `erase`.
async fn set_privacy(
    State(people): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IfMatch(if_revision): IfMatch,
    Body(body): Body<Privacy>,
) -> Result<Revised<ConnectionAnswer>, Problem> {
    let actor = Actor::api(subject);
    let change = PrivacyChange { mode: body.mode, erases: body.erase, if_revision };
    let saved = people.set_mode(&company, &connection, change, &actor).await?;
    tracing::info!(%company, %connection, subject = actor.name, mode = %body.mode, "privacy mode set");
    Ok(Revised { revision: saved.revision, answer: ConnectionAnswer::at(saved, people.clock.now()) })
}

/// The most people in one answer.
const LARGEST_PAGE: usize = 500;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Listing {
    status: Option<PersonStatus>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Explained for Listing {
    const WANTED: &str = "status must be compliant, not_compliant, not_enrolled or unknown, limit 1 to 500, after the next_after of the page before";
}

/// People by their id, a page at a time; those of one status with `status`.
async fn list(
    State(people): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Parameters(Listing { status, limit, after }): Parameters<Listing>,
) -> Result<Json<PeoplePage>, Problem> {
    let limit = cursor::limit(limit, LARGEST_PAGE)?;
    let after: Option<PersonId> = after.map(|after| place(PEOPLE, &after)).transpose()?;
    let (people, next) = people.page(&company, &connection, status, after.as_ref(), limit).await?;
    let next_after = next.and_then(|last| cursor::cursor(PEOPLE, &last));
    Ok(Json(PeoplePage { people: people.into_iter().map(Into::into).collect(), next_after }))
}

/// One person, and what happened to them.
async fn get(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, .. }: PersonPath,
) -> Result<Json<PersonHistory>, Problem> {
    let found = people.person(&company, &connection, person.as_str()).await?;
    let events = people.events(&company, &connection, &found.person).await?;
    Ok(Json(PersonHistory::of(found, events)))
}

/// What a page tells a person who has to be trained.
async fn onboarding(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, .. }: PersonPath,
) -> Result<Json<OnboardingPrompt>, Problem> {
    Ok(Json(people.onboarding(&company, &connection, person.as_str()).await?))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Learner {
    learner_id: String,
}

/// The person that a learner of Huntress is kept as.
async fn lookup(
    State(people): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Body(Learner { learner_id }): Body<Learner>,
) -> Result<Json<PersonAnswer>, Problem> {
    let found = people.person(&company, &connection, &learner_id).await?;
    Ok(Json(PersonAnswer { person: found.into() }))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct WithReason {
    reason: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct LinkWanted {
    /// How many days it lasts, 1 to 90; 14 without.
    days: Option<u32>,
}

/// Makes a link that a person opens without an account to see their own training. It is shown once, and works until it ends.
async fn make_link(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(LinkWanted { days }): Body<LinkWanted>,
) -> Result<Uncached<Json<OnboardingLinkAnswer>>, Problem> {
    let Some(pages) = &people.pages else {
        return Err(Problem::conflict(
            "there are no pages here that a link could open; deploy the console, or use `serve`",
        ));
    };
    let (days, actor) = (days.unwrap_or(LINK_DAYS), Actor::api(subject));
    let link = people.make_link(&company, &connection, person.as_str(), days, &actor).await?;
    Ok(Uncached(Json(OnboardingLinkAnswer { url: link.below(&pages.start()), until: link.until })))
}

/// Takes back every link of a person: none shows anything from then on.
async fn take_back_links(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
) -> Result<StatusCode, Problem> {
    people.take_back_links(&company, &connection, person.as_str(), &Actor::api(subject)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a person back, until the next run evaluates them. The caller and the reason are kept.
async fn reset(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(WithReason { reason }): Body<WithReason>,
) -> Result<Json<PersonAnswer>, Problem> {
    let reset = people.reset(&company, &connection, person.as_str(), &Actor::api(subject), &reason).await?;
    Ok(Json(PersonAnswer { person: reset.into() }))
}

/// Opens name and e-mail of a person. The caller and the reason are kept.
async fn identity(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(WithReason { reason }): Body<WithReason>,
) -> Result<Uncached<Json<IdentityAnswer>>, Problem> {
    let found = people.person(&company, &connection, person.as_str()).await?;
    let identity = people.identity(&company, &connection, &found, &Actor::api(subject), &reason).await?;
    Ok(Uncached(Json(IdentityAnswer { person: found.person, identity })))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct OfAssignment {
    reason: String,
    assignment: Option<SatId>,
}

/// Whatever Huntress has.
struct Any;

impl MediaTypes for Any {
    const ALL: &'static [&'static str] = &["*/*"];
}

/// Opens a person's newest certificate, of one assignment if it is named. The caller and the reason are kept.
async fn certificate(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
    Body(OfAssignment { reason, assignment }): Body<OfAssignment>,
) -> Result<Download<Any>, Problem> {
    let actor = Actor::api(subject);
    let (named, assignment) = (person.as_str(), assignment.as_ref());
    let opened = people.certificate(&company, &connection, named, assignment, &actor, &reason).await?;
    let (media_type, etag) = (opened.stored.content_type, Some(opened.stored.sha256));
    Ok(Download { media_type, name: "certificate".to_owned(), etag, bytes: opened.bytes, kind: PhantomData })
}

/// Erases a person.
async fn erase(
    State(people): State<Arc<PeopleService>>,
    PersonPath { company, connection, person, subject }: PersonPath,
) -> Result<StatusCode, Problem> {
    people.erase_person(&company, &connection, person.as_str(), &Actor::api(subject)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erases everybody of a connection, with the key of what was sealed. The evidence stays.
async fn erase_everybody(
    State(people): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
) -> Result<StatusCode, Problem> {
    people.erase_everybody(&company, &connection, &Actor::api(subject)).await?;
    Ok(StatusCode::NO_CONTENT)
}
