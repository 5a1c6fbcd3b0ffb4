//! `/clients/{client}/training`: who is trained, in counts; whose training lapses when; and people by their hash.

use super::client::evidence_path;
use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::Evidence;
use crate::console::forms::Fields;
use crate::console::layout::{At, Frame, State as Mark, age_at, name};
use crate::console::pictures::{LimitLine, Lines, Picture, Series};
use crate::console::{ClientViewer, Console, SignedForm, Viewer, html};
use crate::domain::audit::Actor;
use crate::domain::calendar::day_of;
use crate::domain::id::{ClientId, PersonId};
use crate::domain::people::person::PeopleSummary;
use crate::domain::people::status::PersonStatus;
use crate::domain::policy::training;
use crate::domain::product::Product;
use crate::domain::sat::bundle::SatBundle;
use crate::domain::sat::coverage::WINDOW_DAYS;
use crate::domain::sat::facts::SatFacts;
use crate::store::{EvidenceOwner, PersonRecord};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<Console>>] = &[
    Route::new(Method::Get, "/clients/{client}/training", Scope::EvidenceRead, |method| on(method, show)),
    Route::new(Method::Post, "/clients/{client}/training/names", Scope::PeopleOpen, |method| on(method, names)),
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
    curve: Option<Picture>,
    ahead: Vec<(u32, String)>,
    coarse: bool,
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
    mark: Mark,
    since: At,
    missing: String,
    name: Option<String>,
    email: Option<String>,
}

fn mark_of(status: PersonStatus) -> Mark {
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
    State(console): State<Arc<Console>>,
    ClientViewer { viewer, client }: ClientViewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let (page, _) = page(&console, &viewer, &client, &wanted).await?;
    Ok(html(StatusCode::OK, &page))
}

/// Names for a reason, which is recorded; they are shown once and kept by no browser.
async fn names(State(console): State<Arc<Console>>, of: ClientViewer, form: SignedForm) -> Response {
    let ClientViewer { viewer, client } = of;
    match opened(&console, &viewer, &client, &form.fields).await {
        Ok(page) => html(if page.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page),
        Err(problem) => problem.into_response(),
    }
}

async fn opened(
    console: &Console,
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
    let connection = crate::domain::id::ConnectionId::parse(people.connection.as_str())?;
    let actor = Actor::api(viewer.caller().subject.clone());
    match console.people.identities(viewer.company(), &connection, &records, &actor, reason).await {
        Ok(identities) => {
            for (row, identity) in people.rows.iter_mut().zip(identities) {
                row.name = Some(identity.name.as_deref().map_or_else(|| "not kept".to_owned(), name));
                row.email = Some(identity.email.as_deref().map_or_else(|| "not kept".to_owned(), name));
            }
            page.opened = true;
        }
        Err(crate::app::people::PeopleError::Refused(wrong)) => page.wrong = Some(wrong),
        Err(error) => return Err(error.into()),
    }
    Ok(page)
}

async fn page(
    console: &Console,
    viewer: &Viewer,
    client: &ClientId,
    wanted: &Wanted,
) -> Result<(TrainingPage, Vec<PersonRecord>), Problem> {
    let (company, owner) = (viewer.company(), EvidenceOwner::Client(client.clone()));
    let latest = console.evidence.latest(company, &owner, Some(Product::Sat), viewer.span()).await?;
    let mut sources = Vec::new();
    for evidence in &latest {
        sources.push(source(client, evidence, console.clock.now())?);
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
                    rows: found.iter().map(person).collect(),
                    next: next.map(|next| next.to_string()),
                    status: wanted.status.map(|status| status.to_string()).unwrap_or_default(),
                });
                records = found;
                ""
            }
            None => {
                "No training connection of this client tracks people. Under Integrations, choose what is kept of them and which assignments count."
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
        wrong: None,
    };
    Ok((page, records))
}

fn person(record: &PersonRecord) -> Person {
    let state = &record.state;
    Person {
        id: record.person.to_string(),
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

fn source(client: &ClientId, evidence: &Evidence, now: DateTime<Utc>) -> Result<Source, Problem> {
    let stored = &evidence.stored;
    let bundle: SatBundle = evidence.bundle()?;
    let lapse = bundle.facts.as_ref().and_then(|facts| Lapse::of(facts, day_of(stored.as_of)));
    Ok(Source {
        connection: stored.connection.to_string(),
        as_of: At(stored.as_of),
        age: age_at(stored.as_of, now),
        href: evidence_path(client, stored.product, &stored.run_id),
        counts: bundle.people.as_ref().map(|people| counts(&people.summary)),
        assignments: bundle
            .people
            .iter()
            .flat_map(|it| it.assignments.iter())
            .map(|it| name(&it.to_string()))
            .collect(),
        recertify: bundle.people.as_ref().and_then(|people| people.recertify_after_days),
        ahead: lapse.as_ref().map(Lapse::milestones).unwrap_or_default(),
        curve: lapse.as_ref().and_then(|lapse| lapse.picture()),
        coarse: bundle.facts.as_ref().is_some_and(|facts| facts.learners.coarse),
    })
}

/// The coverage of the days ahead if nobody trains again: who trained so long ago that the year is over counts no more.
struct Lapse {
    first: NaiveDate,
    /// Percent on each day, from the day of the evidence on.
    coverage: Vec<f64>,
}

impl Lapse {
    fn of(facts: &SatFacts, first: NaiveDate) -> Option<Self> {
        let learners = &facts.learners;
        let workforce = learners.claimed.unwrap_or(learners.active.total);
        if workforce == 0 {
            return None;
        }
        let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let on = |ahead: u32| {
            (100.0 * number(learners.trained(WINDOW_DAYS.saturating_sub(ahead))) / number(workforce)).min(100.0)
        };
        Some(Self { first, coverage: (0..=AHEAD).map(on).collect() })
    }

    fn milestones(&self) -> Vec<(u32, String)> {
        let on = |days: u32| {
            let value = self.coverage.get(usize::try_from(days).ok()?)?;
            Some((days, format!("{value:.1} %")))
        };
        [30, 60, 90].into_iter().filter_map(on).collect()
    }

    fn picture(&self) -> Option<Picture> {
        let limits = training().rules().iter().find(|rule| rule.metric == "coverage_pct").map(|rule| {
            let line = |label: &str, limit: &crate::domain::policy::Limit, warning| {
                let value = limit.decimal().to_string().parse().ok()?;
                Some(LimitLine { label: format!("{label} from {} %", limit.decimal()), value, warning })
            };
            let warning = rule.limits.warning.as_ref().and_then(|limit| line("warning", limit, true));
            line("pass", &rule.limits.pass, false).into_iter().chain(warning).collect()
        });
        Lines {
            caption: "Coverage ahead, if nobody trains again".to_owned(),
            unit: " %",
            days: self.first.iter_days().take(self.coverage.len()).collect(),
            series: vec![Series {
                label: "trained".to_owned(),
                values: self.coverage.iter().copied().map(Some).collect(),
            }],
            limits: limits.unwrap_or_default(),
            percent: true,
            gap: "",
        }
        .picture()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sat::facts::{Heads, Learners};

    #[test]
    fn coverage_ahead_falls_on_the_day_on_which_the_year_is_over() {
        // Codes are the age and 1: one trained 350 days ago, one today; of two.
        let days = [351, 1].into_iter().collect();
        let active = Heads { total: 2, days, ..Heads::default() };
        let facts = SatFacts { learners: Learners { active, ..Learners::default() }, ..SatFacts::default() };
        let lapse = Lapse::of(&facts, "2026-03-22".parse().unwrap()).unwrap();
        assert_eq!((lapse.coverage[15], lapse.coverage[16]), (100.0, 50.0));
        assert_eq!(
            lapse.milestones(),
            [(30, "50.0 %".to_owned()), (60, "50.0 %".to_owned()), (90, "50.0 %".to_owned())]
        );
        assert!(lapse.coverage.windows(2).all(|two| two[1] <= two[0]));
        assert!(Lapse::of(&SatFacts::default(), "2026-03-22".parse().unwrap()).is_none(), "no workforce");
    }
}
