//! One connection: its state and its times, its test, Sync Now with live state, its settings, its credential, its end.

use super::credential::{Part, parts, typed};
use super::privacy::{self, Choice};
use super::shown::{ConnectionCard, TestShown, Trouble};
use super::{find, person, revision_of};
use crate::api::{Problem, Scope};
use crate::app::collection::collect::RateLimiters;
use crate::app::connections::{Check, ConnectionError, NewCredential, SettingsChange};
use crate::console::layout::{At, Frame, State as Mark, product};
use crate::console::pages::runs;
use crate::console::{ConnectionPages, Fields, SignedForm, Viewer, html, see_other, words};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;
use crate::domain::forecast::Forecast;
use crate::domain::guidance::{self, Step};
use crate::domain::product::Product;
use crate::domain::run::Run;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(askama::Template)]
#[template(path = "integrations/connection.html")]
pub(super) struct Page {
    frame: Frame,
    form_token: String,
    revision: u64,
    title: &'static str,
    card: ConnectionCard,
    account: Option<String>,
    latest: Option<Latest>,
    budget: Option<Budget>,
    test: Option<TestShown>,
    last_test: Option<(Mark, At)>,
    may_sync: bool,
    may_write: bool,
    paused: bool,
    training: bool,
    selected: usize,
    /// Of a training connection: what is kept of people, in words, and the clients whose they are.
    people: Option<(&'static str, Vec<String>)>,
    privacy: Option<Choice>,
    settings: Vec<Setting>,
    covers_privacy: Option<bool>,
    credential: &'static [Part],
    wrong: Option<Wrong>,
    steps: &'static [Step],
    troubles: &'static [guidance::Trouble],
}

/// What is wrong with a form of the page.
pub(super) struct Wrong {
    pub form: &'static str,
    pub text: String,
    pub trouble: Option<Trouble>,
}

/// The newest run.
struct Latest {
    mark: Mark,
    asked: At,
    until: Option<At>,
    records: String,
    requests: u64,
    live: bool,
}

impl From<&Run> for Latest {
    fn from(run: &Run) -> Self {
        let records = run.records.iter().map(|(list, count)| format!("{count} {}", words::code(list)));
        let records: Vec<String> = records.collect();
        Self {
            mark: runs::mark_of(run),
            asked: At(run.requested_at),
            until: run.waiting_until.filter(|_| !run.status.is_final()).map(At),
            records: if records.is_empty() { "nothing yet".to_owned() } else { records.join(", ") },
            requests: run.api_calls,
            live: !run.status.is_final(),
        }
    }
}

/// What the next run asks of Huntress.
struct Budget {
    requests: u64,
    left: Option<u64>,
    takes: String,
    in_time: bool,
}

impl From<Forecast> for Budget {
    fn from(forecast: Forecast) -> Self {
        let takes = match forecast.seconds {
            seconds @ 0..=119 => format!("about {seconds} s"),
            seconds => format!("about {} min", seconds.div_ceil(60)),
        };
        Self { requests: forecast.requests, left: forecast.left_now, takes, in_time: forecast.in_time }
    }
}

/// A number that can be set.
struct Setting {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: String,
}

fn settings(connection: &Connection, typed: Option<&Fields>) -> Vec<Setting> {
    let setting = |name, label, hint, value: u64| Setting {
        name,
        label,
        hint,
        value: typed.map_or_else(|| value.to_string(), |fields| fields.get(name).to_owned()),
    };
    let (edr, caps) = (connection.edr, connection.sat.caps());
    match connection.product {
        Product::Edr => vec![
            setting(
                "online_within_hours",
                "An agent is online up to (hours)",
                "after its last call",
                edr.online_within_hours().into(),
            ),
            setting(
                "missing_after_days",
                "An agent is missing after (days)",
                "without a call",
                edr.missing_after_days().into(),
            ),
        ],
        Product::Sat => vec![
            setting("max_assignments", "Assignments that are read at most", "newest first", caps.assignments),
            setting(
                "max_activity",
                "Activity records of an assignment that are read at most",
                "more take more requests",
                caps.activity_per_assignment,
            ),
            setting("max_campaigns", "Phishing campaigns that are read at most", "newest first", caps.campaigns),
        ],
    }
}

/// The newest run is looked for among so many.
const NEWEST: usize = 10;

/// What a page shows beside the connection: a test, or a form that was refused, as it was filled in.
#[derive(Default)]
pub(super) struct Shown<'a> {
    pub test: Option<TestShown>,
    pub wrong: Option<Wrong>,
    pub typed: Option<&'a Fields>,
    pub privacy: Option<&'a Fields>,
}

pub(super) async fn page(
    console: &ConnectionPages,
    viewer: &Viewer,
    connection: &Connection,
    shown: Shown<'_>,
) -> Result<Page, Problem> {
    let (company, id) = (viewer.company(), &connection.id);
    let runs = console.planner.runs(company, id, NEWEST).await?;
    // By when they were asked for: the id of a run that a wrong clock began sorts above all later ones.
    let newest = runs.iter().max_by_key(|run| run.requested_at);
    // Whoever sends requests to Huntress publishes its counts; this process sends none.
    let budget = console.planner.forecast(company, id, &RateLimiters::default()).await?;
    let (scopes, now) = (viewer.caller().scopes, console.entrance.clock.now());
    let (is_training, mode) = (connection.product == Product::Sat, connection.people.mode);
    let frame = Frame::new(format!("{id} · {}", product(connection.product)), Some(&viewer.session), "/integrations");
    let last_test = connection.last_test.as_ref().map(|test| {
        let mark = if test.passed { Mark::new("pass", "passed") } else { Mark::new("fail", "did not pass") };
        (mark, At(test.tested_at))
    });
    Ok(Page {
        frame,
        form_token: viewer.session.form_token.clone(),
        revision: connection.revision,
        title: product(connection.product),
        card: ConnectionCard::of(connection, now),
        account: connection.account_id.as_ref().map(ToString::to_string),
        latest: newest.map(Latest::from),
        budget: budget.map(Budget::from),
        last_test,
        may_sync: scopes.contains(Scope::SyncRun),
        may_write: scopes.contains(Scope::ConnectionsWrite),
        paused: connection.paused,
        training: is_training,
        selected: connection.people.selected.len(),
        people: is_training.then(|| (privacy::meaning(mode).label, person::clients(connection))),
        privacy: (is_training && scopes.contains(Scope::PeopleErase)).then(|| Choice::of(mode, shown.privacy)),
        settings: settings(connection, shown.typed),
        covers_privacy: match connection.product {
            Product::Edr => None,
            Product::Sat => Some(connection.sat.training_covers_privacy_policies()),
        },
        credential: parts(connection.product),
        test: shown.test,
        wrong: shown.wrong,
        steps: guidance::setup(connection.product),
        troubles: guidance::troubles(connection.product),
    })
}

/// What just happened, by the word in the address.
fn told(done: &str) -> Option<&'static str> {
    Some(match done {
        "connected" => "Connected: the test passed. Sync now, or wait for the daily sync.",
        "connected-trimmed" => {
            "Connected: the test passed. Blanks, line ends or quotes around the pasted credential were removed. Sync now, or wait for the daily sync."
        }
        "synced" => "A run was asked for. What it does is shown below.",
        "joined" => "A run is under way already; this is it.",
        "replaced" => "The new credential passed its test and is used from now on.",
        "replaced-trimmed" => {
            "The new credential passed its test and is used from now on. Blanks, line ends or quotes around it were removed."
        }
        "changed" => "The settings count from the next sync on.",
        "privacy" => {
            "What is kept of people was changed. What the new mode does not keep is erased; what it keeps more comes with the next sync."
        }
        "paused" => "Paused: the daily sync passes this connection over until it is resumed.",
        "resumed" => "Resumed: the next daily sync takes this connection again.",
        "mapped" => "The mapping counts from the next sync on.",
        "selected" => "The selection counts from the next sync on.",
        _ => return None,
    })
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    done: Option<String>,
}

pub(super) async fn show(
    State(console): State<Arc<ConnectionPages>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(Wanted { done }): Query<Wanted>,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    let mut page = page(&console, &viewer, &connection, Shown::default()).await?;
    if let Some(told) = done.as_deref().and_then(told) {
        page.frame = page.frame.with_notice(true, told);
    }
    Ok(html(StatusCode::OK, &page))
}

fn actor(viewer: &Viewer) -> Actor {
    Actor::api(viewer.caller().subject.clone())
}

pub(super) async fn test(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, .. }: SignedForm,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    let report = console.connections.test_as(viewer.company(), &connection.id, &actor(&viewer)).await?;
    // As the test has left it.
    let connection = find(&console, &viewer, &id).await?;
    let test = Some(TestShown::of(connection.product, report));
    Ok(html(StatusCode::OK, &page(&console, &viewer, &connection, Shown { test, ..Shown::default() }).await?))
}

pub(super) async fn sync(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, .. }: SignedForm,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    let asked = console.planner.sync_now_as(viewer.company(), &connection.id, None, &actor(&viewer)).await?;
    let done = if asked.joined { "joined" } else { "synced" };
    Ok(see_other(&format!("/integrations/{}?done={done}", connection.id)))
}

pub(super) async fn replace_credential(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    let (company, revision) = (viewer.company(), revision_of(&fields)?);
    let (text, trouble) = match typed(connection.product, &fields) {
        Err(text) => (text, None),
        Ok((credential, trimmed)) => {
            let (check, actor) = (Check::Test, actor(&viewer));
            let new = NewCredential { credential: &credential, check, expires_at: None, account_id: None };
            let replaced = console.connections.replace_credential(company, &connection.id, new, revision, &actor).await;
            match replaced {
                Ok(_) => {
                    let done = if trimmed { "replaced-trimmed" } else { "replaced" };
                    return Ok(see_other(&format!("/integrations/{}?done={done}", connection.id)));
                }
                Err(ConnectionError::Failed(failure)) => (
                    "the new credential did not pass its test, and the one before is still used".to_owned(),
                    Some(Trouble::of(connection.product, &failure)),
                ),
                Err(other) => return Err(other.into()),
            }
        }
    };
    let wrong = Some(Wrong { form: "credential", text, trouble });
    refused(&console, &viewer, &connection, Shown { wrong, ..Shown::default() }).await
}

async fn refused(
    console: &ConnectionPages,
    viewer: &Viewer,
    connection: &Connection,
    shown: Shown<'_>,
) -> Result<Response, Problem> {
    Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page(console, viewer, connection, shown).await?))
}

/// The settings of a form; a number that is none is refused.
fn change(connection: &Connection, fields: &Fields) -> Result<SettingsChange, String> {
    fn number<N: std::str::FromStr>(fields: &Fields, name: &str, label: &str) -> Result<Option<N>, String> {
        let typed = fields.typed(name).ok_or_else(|| format!("{label}: give a number"))?;
        typed.parse().map(Some).map_err(|_| format!("{label}: {typed} is no whole number that it can be"))
    }
    let none = SettingsChange::default();
    Ok(match connection.product {
        Product::Edr => SettingsChange {
            online_within_hours: number(fields, "online_within_hours", "online up to")?,
            missing_after_days: number(fields, "missing_after_days", "missing after")?,
            ..none
        },
        Product::Sat => SettingsChange {
            max_assignments: number(fields, "max_assignments", "assignments")?,
            max_activity: number(fields, "max_activity", "activity records")?,
            max_campaigns: number(fields, "max_campaigns", "campaigns")?,
            training_covers_privacy_policies: Some(fields.get("covers_privacy") == "yes"),
            ..none
        },
    })
}

pub(super) async fn change_settings(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    let revision = revision_of(&fields)?;
    let text = match change(&connection, &fields) {
        Err(text) => text,
        Ok(change) => {
            let (company, id) = (viewer.company(), &connection.id);
            match console.connections.change_settings(company, id, change, revision, &actor(&viewer)).await {
                Ok(_) => return Ok(see_other(&format!("/integrations/{id}?done=changed"))),
                Err(ConnectionError::Refused(text)) => text,
                Err(other) => return Err(other.into()),
            }
        }
    };
    let wrong = Some(Wrong { form: "settings", text, trouble: None });
    refused(&console, &viewer, &connection, Shown { wrong, typed: Some(&fields), ..Shown::default() }).await
}

pub(super) async fn pause(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, .. }: SignedForm,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    console.connections.pause(viewer.company(), &connection.id, &actor(&viewer)).await?;
    Ok(see_other(&format!("/integrations/{}?done=paused", connection.id)))
}

pub(super) async fn resume(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, .. }: SignedForm,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    console.connections.resume(viewer.company(), &connection.id, &actor(&viewer)).await?;
    Ok(see_other(&format!("/integrations/{}?done=resumed", connection.id)))
}

/// Removes it, once its name was typed.
pub(super) async fn disconnect(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let removed = async {
        let connection = find(&console, &viewer, &id).await?;
        let revision = revision_of(&fields)?;
        let text = if fields.get("named").trim() == connection.id.as_str() {
            let (company, id) = (viewer.company(), &connection.id);
            match console.connections.disconnect(company, id, revision, &actor(&viewer)).await {
                Ok(_) => return Ok(see_other("/integrations?done=disconnected")),
                Err(ConnectionError::KeepsPeople) => {
                    "it keeps people, whom nobody could reach any more; erase them first".to_owned()
                }
                Err(other) => return Err(other.into()),
            }
        } else {
            format!("type {} to remove it", connection.id)
        };
        let wrong = Some(Wrong { form: "disconnect", text, trouble: None });
        refused(&console, &viewer, &connection, Shown { wrong, ..Shown::default() }).await
    };
    removed.await.unwrap_or_else(Problem::into_response)
}
