//! `exception`: accepts a failing outcome for a time, by two people.

use super::{decider, fault, until};
use crate::arguments::{ActorArgs, StorageArgs, instant};
use crate::commands::open;
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use common::app::decisions::{ExceptionSpec, ExceptionView};
use common::app::stack::Stack;
use common::domain::calendar::{Calendar, Until};
use common::domain::decisions::{Decider, ExceptionRequest, ExceptionSubject, ReviewKind};
use common::domain::id::ClientId;
use common::domain::id::DecisionId;

#[derive(Debug, Subcommand)]
pub enum Exception {
    /// Propose an exception; with --approved-by somebody else approves it at once
    Add(Box<Add>),
    /// List exceptions, newest first
    List(List),
    /// Approve a proposed exception; from then on it counts
    Approve(Decide),
    /// Refuse a proposed exception
    Reject(Decide),
    /// End an approved exception before its time
    Revoke(Decide),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["rule", "control", "person"]))]
pub struct Add {
    /// The client
    pub client: ClientId,
    /// For a rule in force, e.g. edr-online
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// For a control, e.g. "SOC 2 CC6.8"
    #[arg(long, value_name = "CONTROL")]
    pub control: Option<String>,
    /// For a person, by the id that `people` shows
    #[arg(long, value_name = "PERSON")]
    pub person: Option<String>,
    /// Why this is accepted, in at least 20 characters
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// From when on; now when it is not given
    #[arg(long, value_name = "T", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// Until when, at most a year; a day means its end in the schedule's zone
    #[arg(long, value_name = "DAY", value_parser = until)]
    pub until: Until,
    /// Where more is said, e.g. a ticket
    #[arg(long, value_name = "URL")]
    pub link: Option<String>,
    /// Who approves it: another name
    #[arg(long, value_name = "NAME")]
    pub approved_by: Option<String>,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct List {
    /// Of this client alone
    pub client: Option<ClientId>,
    /// As they stood at this instant
    #[arg(long, value_name = "T", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Decide {
    /// The exception's id
    pub id: DecisionId,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(command: Exception) -> Result<(), CliError> {
    match command {
        Exception::Add(options) => add(*options).await,
        Exception::List(options) => list(options).await,
        Exception::Approve(options) => decide(options, ReviewKind::Approved).await,
        Exception::Reject(options) => decide(options, ReviewKind::Rejected).await,
        Exception::Revoke(options) => decide(options, ReviewKind::Revoked).await,
    }
}

async fn add(options: Add) -> Result<(), CliError> {
    let spec = match (options.rule, options.control, options.person) {
        (Some(rule), _, _) => ExceptionSpec::Rule(rule),
        (_, Some(control), _) => ExceptionSpec::Control(control),
        (_, _, person) => ExceptionSpec::Person(person.unwrap_or_default()),
    };
    let request = ExceptionRequest {
        client: options.client,
        // The use case puts the one there that it finds.
        subject: ExceptionSubject::Control(String::new()),
        reason: options.reason,
        by: decider(&options.actor),
        from: options.from,
        until: options.until,
        link: options.link,
    };
    let approver = options.approved_by.map(|name| Decider { name, on_this_machine: true });
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let company = &options.storage.company;
    let view = decisions.except(company, &spec, request, approver.as_ref()).await.map_err(fault)?;
    let calendar = stack.parts.store.calendar().clone();
    stack.close().await;
    show(&view, &calendar, options.json)
}

async fn decide(options: Decide, kind: ReviewKind) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let by = decider(&options.actor);
    let view = decisions.review(&options.storage.company, &options.id, kind, &by).await.map_err(fault)?;
    let calendar = stack.parts.store.calendar().clone();
    stack.close().await;
    show(&view, &calendar, options.json)
}

async fn list(options: List) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let views = decisions.exceptions(&options.storage.company, options.client.as_ref(), options.as_of).await;
    let views = views.map_err(fault)?;
    let calendar = stack.parts.store.calendar().clone();
    stack.close().await;
    if options.json {
        return render::json(&views);
    }
    let mut table = render::table(&["id", "client", "for", "state", "until", "proposed by", "decided by", "reason"]);
    for view in &views {
        let decided: Vec<String> =
            view.reviews.iter().map(|review| format!("{} by {}", review.decision, review.by)).collect();
        table.add_row([
            view.exception.id.to_string(),
            view.exception.client.to_string(),
            view.exception.subject.to_string(),
            view.state.to_string(),
            calendar.last_day_before(view.exception.until).to_string(),
            view.exception.proposed_by.clone(),
            decided.join("\n"),
            view.exception.reason.clone(),
        ]);
    }
    render::text(&format!("{table}\n"))
}

fn show(view: &ExceptionView, calendar: &Calendar, json: bool) -> Result<(), CliError> {
    if json {
        return render::json(view);
    }
    let ExceptionView { exception, state, .. } = view;
    let next = match state {
        common::domain::decisions::ExceptionState::Proposed => {
            format!("\nsomebody else approves it: huntress-evidence exception approve {} --by NAME", exception.id)
        }
        _ => String::new(),
    };
    render::text(&format!(
        "exception {} for {} of {}: {state}, until {}{next}\n",
        exception.id,
        exception.subject,
        exception.client,
        calendar.last_day_before(exception.until),
    ))
}
