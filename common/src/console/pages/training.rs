//! `/clients/{client}/training`: who is trained, in counts; whose training lapses when; and people by their hash.

use super::client::evidence_path;
use super::integrations::person::path_of;
use super::over_time::limits;
use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::Evidence;
use crate::app::people::PeopleError;
use crate::console::forms::Fields;
use crate::console::layout::{At, Frame, State as Mark, age_at, name};
use crate::console::pictures::{Lines, Picture, Series};
use crate::console::{ClientViewer, ConnectionPages, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::calendar::Calendar;
use crate::domain::id::{ClientId, ConnectionId, PersonId};
use crate::domain::people::person::PeopleSummary;
use crate::domain::people::status::PersonStatus;
use crate::domain::policy::InForce;
use crate::domain::product::Product;
use crate::domain::sat::bundle::SatBundle;
use crate::domain::sat::facts::SatFacts;
use crate::domain::sat::forecast::{CoverageAhead, TrainingForecast, forecast};
use crate::store::{PersonRecord, StoreError};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<ConnectionPages>>] = &[
    Route::new(Method::Get, "/clients/{client}/training", Scope::EvidenceRead, |method| on(method, show)),
    Route::new(Method::Post, "/clients/{client}/training/names", Scope::PeopleOpen, |method| on(method, names)),
    Route::new(Method::Post, "/clients/{client}/training/find", Scope::PeopleRead, |method| on(method, find)),
];

/// People on a page.
const SHOWN: usize = 100;

/// Days ahead that the lapse curve shows.
const AHEAD: u32 = 120;

#[derive(Deserialize)]
struct Wanted {
    status: Option<PersonStatus>,
    after: Option<PersonId>,
}

#[derive(askama::Template)]
#[template(path = "training.html")]
struct TrainingPage {
    frame: Frame,
    client: String,
    form_token: String,
    sources: Vec<Source>,
    people: Option<People>,
    no_people: &'static str,
    may_open: bool,
    opened: bool,
    reason: String,
    learner: String,
    wrong: Option<String>,
}

struct Source {
    connection: String,
    as_of: At,
    age: String,
    href: String,
    counts: Option<Vec<(Mark, u64)>>,
    assignments: Vec<String>,
    recertify: Option<u32>,
    ahead: Option<Ahead>,
}

/// People of the client's training connection.
struct People {
    connection: String,
    rows: Vec<Person>,
    next: Option<String>,
    status: String,
}

struct Person {
    id: String,
    path: String,
    mark: Mark,
    since: At,
    missing: String,
    name: Option<String>,
    email: Option<String>,
}

pub(super) fn mark_of(status: PersonStatus) -> Mark {
    let (kind, words) = match status {
        PersonStatus::Compliant => ("pass", "compliant"),
        PersonStatus::NotCompliant => ("fail", "not compliant"),
        PersonStatus::NotEnrolled => ("warning", "not enrolled"),
        PersonStatus::Unknown => ("inconclusive", "not known"),
    };
    Mark::new(kind, words)
}

fn counts(summary: &PeopleSummary) -> Vec<(Mark, u64)> {
    vec![
        (mark_of(PersonStatus::NotCompliant), summary.not_compliant),
        (mark_of(PersonStatus::NotEnrolled), summary.not_enrolled),
        (mark_of(PersonStatus::Unknown), summary.unknown),
        (mark_of(PersonStatus::Compliant), summary.compliant),
    ]
}

async fn show(
    State(console): State<Arc<ConnectionPages>>,
    ClientViewer { viewer, client }: ClientViewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let (page, _) = page(&console, &viewer, &client, &wanted).await?;
    Ok(html(StatusCode::OK, &page))
}

/// Names for a reason, which is recorded; they are shown once and kept by no browser.
async fn names(State(console): State<Arc<ConnectionPages>>, of: ClientViewer, form: SignedForm) -> Response {
    let ClientViewer { viewer, client } = of;
    match opened(&console, &viewer, &client, &form.fields).await {
        Ok(page) => html(if page.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page),
        Err(problem) => problem.into_response(),
    }
}

/// Leads to a person who is named by their id at Huntress, which stands in no address.
async fn find(State(console): State<Arc<ConnectionPages>>, of: ClientViewer, form: SignedForm) -> Response {
    let ClientViewer { viewer, client } = of;
    let found = async {
        viewer.caller().see_company()?;
        let (mut page, _) = page(&console, &viewer, &client, &Wanted { status: None, after: None }).await?;
        let Some(people) = &page.people else { return Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page)) };
        let connection = ConnectionId::parse(people.connection.as_str())?;
        let learner = form.fields.typed("learner").unwrap_or_default();
        match console.people.person(viewer.company(), &connection, learner).await {
            Ok(record) => Ok(see_other(&path_of(&connection, &record.person))),
            Err(PeopleError::Store(StoreError::NotFound { .. })) => {
                page.wrong = Some("Nobody of this id is followed: look for it among the learners at Huntress, and whether it has come with a sync since".to_owned());
                page.learner = learner.to_owned();
                Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
            }
            Err(error) => Err(error.into()),
        }
    };
    found.await.unwrap_or_else(Problem::into_response)
}

async fn opened(
    console: &ConnectionPages,
    viewer: &Viewer,
    client: &ClientId,
    fields: &Fields,
) -> Result<TrainingPage, Problem> {
    viewer.caller().see_company()?;
    let status = fields.typed("status").and_then(|status| serde_json::from_value(status.into()).ok());
    let after = fields.typed("after").and_then(|after| PersonId::parse(after).ok());
    let (mut page, records) = self::page(console, viewer, client, &Wanted { status, after }).await?;
    let Some(people) = &mut page.people else { return Ok(page) };
    let reason = fields.typed("reason").unwrap_or_default();
    page.reason = reason.to_owned();
    if reason.is_empty() {
        page.wrong = Some("Say why you open names: it is kept in the audit log".to_owned());
        return Ok(page);
    }
    let connection = ConnectionId::parse(people.connection.as_str())?;
    let actor = Actor::api(viewer.caller().subject.clone());
    match console.people.identities(viewer.company(), &connection, &records, &actor, reason).await {
        Ok(identities) => {
            for (row, identity) in people.rows.iter_mut().zip(identities) {
                row.name = Some(identity.name.as_deref().map_or_else(|| "not kept".to_owned(), name));
                row.email = Some(identity.email.as_deref().map_or_else(|| "not kept".to_owned(), name));
            }
            page.opened = true;
        }
        Err(PeopleError::Refused(wrong)) => page.wrong = Some(wrong),
        Err(error) => return Err(error.into()),
    }
    Ok(page)
}

async fn page(
    console: &ConnectionPages,
    viewer: &Viewer,
    client: &ClientId,
    wanted: &Wanted,
) -> Result<(TrainingPage, Vec<PersonRecord>), Problem> {
    let company = viewer.company();
    let (latest, in_force) = console.evidence.latest_with_rules(company, client, Product::Sat, viewer.span()).await?;
    let mut sources = Vec::new();
    for evidence in &latest {
        sources.push(source(console, client, evidence, &in_force)?);
    }
    let caller = viewer.caller();
    let (mut people, mut records) = (None, Vec::new());
    let no_people = if !caller.scopes.contains(Scope::PeopleRead) {
        "Your role does not see people, not even by their hash."
    } else if caller.clients.is_some() {
        "People belong to a connection, which may be of many clients: who is bound to clients does not see them."
    } else {
        let tracked = latest.iter().filter_map(|it| it.connection.as_ref()).find(|it| it.people.is_on());
        match tracked {
            Some(connection) => {
                let (found, next) =
                    console.people.page(company, &connection.id, wanted.status, wanted.after.as_ref(), SHOWN).await?;
                people = Some(People {
                    connection: connection.id.to_string(),
                    rows: found.iter().map(|record| person(&connection.id, record)).collect(),
                    next: next.map(|next| next.to_string()),
                    status: wanted.status.map(|status| status.to_string()).unwrap_or_default(),
                });
                records = found;
                ""
            }
            None => {
                "No training connection of this client tracks people. On the page of the connection under Integrations, select the assignments that count: from the next sync on each person has a status."
            }
        }
    };
    let page = TrainingPage {
        frame: Frame::of_client("Training", &viewer.session, client, "/training"),
        client: client.to_string(),
        form_token: viewer.session.form_token.clone(),
        sources,
        people,
        no_people,
        may_open: caller.scopes.contains(Scope::PeopleOpen),
        opened: false,
        reason: String::new(),
        learner: String::new(),
        wrong: None,
    };
    Ok((page, records))
}

fn person(connection: &ConnectionId, record: &PersonRecord) -> Person {
    let state = &record.state;
    Person {
        id: record.person.to_string(),
        path: path_of(connection, &record.person),
        mark: mark_of(state.compliance.status),
        since: At(state.compliance.since),
        missing: match state.missing.len() {
            0 => "nothing".to_owned(),
            1 => "1 assignment".to_owned(),
            more => format!("{more} assignments"),
        },
        name: None,
        email: None,
    }
}

fn source(
    console: &ConnectionPages,
    client: &ClientId,
    evidence: &Evidence,
    in_force: &InForce,
) -> Result<Source, Problem> {
    let stored = &evidence.stored;
    let bundle: SatBundle = evidence.bundle()?;
    Ok(Source {
        connection: stored.connection.to_string(),
        as_of: At(stored.as_of),
        age: age_at(stored.as_of, evidence.read_at),
        href: evidence_path(client, stored.product, &stored.run_id),
        counts: bundle.people.as_ref().map(|people| counts(&people.summary)),
        assignments: bundle
            .people
            .iter()
            .flat_map(|it| it.assignments.iter())
            .map(|it| name(&it.to_string()))
            .collect(),
        recertify: bundle.people.as_ref().and_then(|people| people.recertify_after_days),
        ahead: bundle
            .facts
            .as_ref()
            .and_then(|facts| Ahead::of(facts, in_force, stored.as_of, console.entrance.calendar())),
    })
}

/// The coverage ahead if nobody trains again, as it is shown.
pub struct Ahead {
    milestones: Vec<Milestone>,
    now: Milestone,
    /// The day on which the outcome becomes another one.
    leaves: Option<Milestone>,
    coarse: bool,
    curve: Option<Picture>,
}

/// The coverage after some days, and what the rule in force would say.
struct Milestone {
    at: At,
    days: u32,
    coverage: String,
    /// How many of those who are trained have left.
    departed: u64,
    mark: Mark,
}

impl From<&CoverageAhead> for Milestone {
    fn from(of: &CoverageAhead) -> Self {
        let mark = Mark::of_outcome(of.outcome);
        Self { at: At(of.at), days: of.days, coverage: covered(of), departed: of.departed, mark }
    }
}

fn covered(of: &CoverageAhead) -> String {
    of.coverage_pct.as_ref().map_or_else(|| "not known".to_owned(), |value| format!("{value} %"))
}

impl Ahead {
    /// `None` without facts, or without a workforce.
    fn of(facts: &SatFacts, in_force: &InForce, as_of: DateTime<Utc>, calendar: &Calendar) -> Option<Self> {
        let told = forecast(facts, in_force, as_of);
        told.now.coverage_pct.as_ref()?;
        Some(Self {
            milestones: told.ahead.iter().map(Milestone::from).collect(),
            now: (&told.now).into(),
            leaves: told.leaves_band.as_ref().map(Milestone::from),
            coarse: told.coarse,
            curve: curve(&told, in_force, calendar),
        })
    }
}

/// The coverage of each day ahead: it changes only on days on which a completion leaves the window.
fn each_day(told: &TrainingForecast) -> Vec<f64> {
    let value = |of: &CoverageAhead| of.coverage_pct.as_ref()?.parse::<f64>().ok();
    let mut values: Vec<f64> = Vec::new();
    let mut last = value(&told.now).unwrap_or_default();
    for day in 0..=AHEAD {
        if let Some(lapse) = told.lapses.iter().find(|lapse| lapse.days == day) {
            last = value(lapse).unwrap_or(last);
        }
        values.push(last);
    }
    values
}

fn curve(told: &TrainingForecast, in_force: &InForce, calendar: &Calendar) -> Option<Picture> {
    let values = each_day(told);
    Lines {
        caption: "Coverage ahead, if nobody trains again".to_owned(),
        unit: " %",
        days: calendar.day_of(told.as_of).iter_days().take(values.len()).collect(),
        series: vec![Series { label: "trained".to_owned(), values: values.into_iter().map(Some).collect() }],
        limits: limits(in_force, "coverage_pct", " %"),
        percent: true,
        gap: "",
    }
    .picture()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::{InForce, training};
    use crate::domain::sat::facts::{Heads, Learners};
    use crate::domain::time::parse;

    #[test]
    fn coverage_ahead_falls_on_the_day_on_which_the_year_is_over() {
        // Codes are the age and 1: one trained 350 days ago, one 340, eight today; of ten.
        let days = [351, 341, 1, 1, 1, 1, 1, 1, 1, 1].into_iter().collect();
        let active = Heads { total: 10, days, ..Heads::default() };
        let facts = SatFacts { learners: Learners { active, ..Learners::default() }, ..SatFacts::default() };
        let (in_force, as_of) = (InForce::after([training()]), parse("2026-03-22T12:00:00Z").unwrap());
        let told = forecast(&facts, &in_force, as_of);
        let each = each_day(&told);
        assert_eq!((each[15], each[16], each.len()), (100.0, 90.0, 121));
        let ahead = Ahead::of(&facts, &in_force, as_of, &Calendar::default()).unwrap();
        assert_eq!(ahead.milestones.iter().map(|it| it.coverage.as_str()).collect::<Vec<_>>(), ["80.0 %"; 3]);
        // 90 % still passes: it leaves the band when the second lapses, too.
        assert_eq!(ahead.leaves.map(|it| (it.days, it.coverage)), Some((26, "80.0 %".to_owned())));
        assert!(Ahead::of(&SatFacts::default(), &in_force, as_of, &Calendar::default()).is_none(), "no workforce");
    }
}
