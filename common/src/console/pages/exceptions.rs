//! `/exceptions`: failing outcomes that somebody accepts for a time: proposed by one person, decided about by another.

use super::undecided;
use crate::api::{Method, Problem, Route, Scope};
use crate::app::decisions::{DecisionError, ExceptionSpec, ExceptionView};
use crate::console::forms::Fields;
use crate::console::layout::{At, Frame, State as Mark, name};
use crate::console::{EvidencePages, SignedForm, Viewer, html, see_other};
use crate::domain::calendar::{Until, days_after};
use crate::domain::decisions::{Decider, ExceptionRequest, ExceptionState, ExceptionSubject, ReviewKind};
use crate::domain::id::{ClientId, DecisionId};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::NaiveDate;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] = &[
    Route::new(Method::Get, "/exceptions", Scope::EvidenceRead, |method| on(method, list)),
    Route::new(Method::Post, "/exceptions", Scope::ExceptionsPropose, |method| on(method, propose)),
    Route::new(Method::Post, "/exceptions/{id}/approve", Scope::ExceptionsApprove, |method| on(method, approve)),
    Route::new(Method::Post, "/exceptions/{id}/reject", Scope::ExceptionsApprove, |method| on(method, reject)),
    Route::new(Method::Post, "/exceptions/{id}/revoke", Scope::ExceptionsApprove, |method| on(method, revoke)),
];

#[derive(Deserialize, Default)]
struct Wanted {
    client: Option<String>,
    control: Option<String>,
    rule: Option<String>,
    done: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "exceptions.html")]
struct Exceptions {
    frame: Frame,
    form_token: String,
    rows: Vec<Row>,
    may_propose: bool,
    clients: Vec<String>,
    /// What stands in the form: what was typed, or what a link brought.
    typed: Typed,
    wrong: Option<String>,
}

#[derive(Default)]
struct Typed {
    client: String,
    kind: String,
    named: String,
    reason: String,
    until: String,
    link: String,
}

struct Row {
    id: String,
    client: String,
    subject: String,
    mark: Mark,
    reason: String,
    link: Option<String>,
    from: At,
    until: At,
    proposed_by: String,
    proposed_at: At,
    on_this_machine: bool,
    reviews: Vec<ReviewRow>,
    may_decide: bool,
    may_revoke: bool,
    /// Why who looks at it cannot decide.
    own: bool,
}

/// What was decided about an exception.
struct ReviewRow {
    decision: String,
    by: String,
    at: At,
}

fn mark_of(state: ExceptionState) -> Mark {
    let kind = match state {
        ExceptionState::Proposed => "working",
        ExceptionState::Approved => "accepted",
        ExceptionState::Rejected | ExceptionState::Revoked => "fail",
        ExceptionState::Expired => "stale",
    };
    Mark::new(kind, state.to_string())
}

fn row(viewer: &Viewer, view: ExceptionView) -> Row {
    let ExceptionView { exception, state, reviews } = view;
    let caller = viewer.caller();
    let (approves, own) = (
        caller.scopes.contains(Scope::ExceptionsApprove),
        exception.proposed_by.trim().eq_ignore_ascii_case(&caller.subject),
    );
    Row {
        id: exception.id.to_string(),
        client: exception.client.to_string(),
        subject: exception.subject.to_string(),
        mark: mark_of(state),
        reason: exception.reason,
        link: exception.link,
        from: At(exception.from),
        until: At(exception.until),
        proposed_by: name(&exception.proposed_by),
        proposed_at: At(exception.at),
        on_this_machine: exception.on_this_machine,
        reviews: reviews
            .iter()
            .map(|it| ReviewRow { decision: it.decision.to_string(), by: name(&it.by), at: At(it.at) })
            .collect(),
        may_decide: approves && !own && state == ExceptionState::Proposed,
        may_revoke: approves && !own && state == ExceptionState::Approved,
        own: approves && own && matches!(state, ExceptionState::Proposed | ExceptionState::Approved),
    }
}

async fn page(
    console: &EvidencePages,
    viewer: &Viewer,
    typed: Typed,
    wrong: Option<String>,
) -> Result<Exceptions, Problem> {
    let company = viewer.company();
    // Who sees a window sees what was there at its end.
    let at = viewer.caller().window.map(|window| window.end.min(console.entrance.clock.now()));
    let views = console.decisions.exceptions(company, None, at).await.map_err(undecided)?;
    let sees = |client: &ClientId| viewer.caller().see_client(client).is_ok();
    let rows = views.into_iter().filter(|view| sees(&view.exception.client)).map(|view| row(viewer, view)).collect();
    let clients = console.evidence.measured_clients(company).await?;
    Ok(Exceptions {
        frame: Frame::new("Exceptions", Some(&viewer.session), "/exceptions"),
        form_token: viewer.session.form_token.clone(),
        rows,
        may_propose: viewer.caller().scopes.contains(Scope::ExceptionsPropose),
        clients: clients.iter().filter(|client| sees(client)).map(ToString::to_string).collect(),
        typed,
        wrong,
    })
}

async fn list(
    State(console): State<Arc<EvidencePages>>,
    viewer: Viewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let until = days_after(console.entrance.calendar().day_of(console.entrance.clock.now()), 90).to_string();
    let (kind, named) = match (wanted.control, wanted.rule) {
        (_, Some(rule)) => ("rule", rule),
        (Some(control), None) => ("control", control),
        (None, None) => ("", String::new()),
    };
    let typed =
        Typed { client: wanted.client.unwrap_or_default(), kind: kind.to_owned(), named, until, ..Typed::default() };
    let page = page(&console, &viewer, typed, None).await?;
    let told = match wanted.done.as_deref() {
        Some("proposed") => {
            Some("The exception is proposed. Somebody else approves it; until then it counts for nothing.")
        }
        Some("approved") => Some("The exception is approved and counts from now on."),
        Some("rejected") => Some("The exception is rejected."),
        Some("revoked") => Some("The exception is revoked and counts no more."),
        _ => None,
    };
    let frame = match told {
        Some(told) => page.frame.with_notice(true, told),
        None => page.frame,
    };
    Ok(html(StatusCode::OK, &Exceptions { frame, ..page }))
}

fn decider(viewer: &Viewer) -> Decider {
    Decider { name: viewer.caller().subject.clone(), on_this_machine: false }
}

/// What a form asks for, or what is wrong with it.
fn request(viewer: &Viewer, fields: &Fields) -> Result<(ExceptionSpec, ExceptionRequest), String> {
    let client = fields.typed("client").ok_or("choose a client")?;
    let client = ClientId::parse(client).map_err(|error| error.to_string())?;
    viewer.caller().see_client(&client).map_err(|problem| problem.detail().to_owned())?;
    let named = fields.typed("named").ok_or("name the rule or the control")?.to_owned();
    let spec = match fields.get("kind") {
        "rule" => ExceptionSpec::Rule(named),
        "control" => ExceptionSpec::Control(named),
        "person" => ExceptionSpec::Person(named),
        _ => return Err("choose whether it is for a rule, a control or a person".to_owned()),
    };
    let until = fields.typed("until").ok_or("say until when it holds")?;
    let until: NaiveDate = until.parse().map_err(|_| "until must be a day like 2026-12-01".to_owned())?;
    let request = ExceptionRequest {
        client,
        // The use case puts the one there that it finds.
        subject: ExceptionSubject::Control(String::new()),
        reason: fields.typed("reason").unwrap_or_default().replace("\r\n", "\n"),
        by: decider(viewer),
        from: None,
        until: Until::EndOf(until),
        link: fields.typed("link").map(str::to_owned),
    };
    Ok((spec, request))
}

async fn propose(State(console): State<Arc<EvidencePages>>, SignedForm { viewer, fields }: SignedForm) -> Response {
    let wrong = match request(&viewer, &fields) {
        Ok((spec, request)) => match console.decisions.except(viewer.company(), &spec, request, None).await {
            Ok(_) => return see_other("/exceptions?done=proposed"),
            Err(error) if error.is_refusal() => in_words(&error),
            Err(error) => return undecided(error).into_response(),
        },
        Err(wrong) => wrong,
    };
    let of = |field: &str| fields.get(field).to_owned();
    let typed = Typed {
        client: of("client"),
        kind: of("kind"),
        named: of("named"),
        reason: of("reason"),
        until: of("until"),
        link: of("link"),
    };
    match page(&console, &viewer, typed, Some(wrong)).await {
        Ok(page) => html(StatusCode::UNPROCESSABLE_ENTITY, &page),
        Err(problem) => problem.into_response(),
    }
}

/// A refusal without what only the command line has.
fn in_words(error: &DecisionError) -> String {
    let text = error.to_string();
    let text = text.split("; see: huntress-evidence").next().unwrap_or_default();
    text.replace("give an --until", "choose a day")
}

async fn approve(console: State<Arc<EvidencePages>>, id: Path<String>, form: SignedForm) -> Result<Response, Problem> {
    decide(&console, &id, &form.viewer, ReviewKind::Approved).await
}

async fn reject(console: State<Arc<EvidencePages>>, id: Path<String>, form: SignedForm) -> Result<Response, Problem> {
    decide(&console, &id, &form.viewer, ReviewKind::Rejected).await
}

async fn revoke(console: State<Arc<EvidencePages>>, id: Path<String>, form: SignedForm) -> Result<Response, Problem> {
    decide(&console, &id, &form.viewer, ReviewKind::Revoked).await
}

async fn decide(console: &EvidencePages, id: &str, viewer: &Viewer, kind: ReviewKind) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("exception");
    let id = DecisionId::parse(id.to_owned()).map_err(|_| unknown())?;
    let company = viewer.company();
    // Who is bound to clients decides about theirs alone.
    let all = console.decisions.exceptions(company, None, None).await.map_err(undecided)?;
    let found = all.iter().find(|view| view.exception.id == id).ok_or_else(unknown)?;
    viewer.caller().see_client(&found.exception.client).map_err(|_| unknown())?;
    console.decisions.review(company, &id, kind, &decider(viewer)).await.map_err(undecided)?;
    Ok(see_other(&format!("/exceptions?done={kind}")))
}
