//! `/clients/{client}`: a client's numbers as cards, how they came to be what they are, and what the last days said. It reads no day itself: the lines over
//! time are a page of their own.

use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::{Evidence, Overview, Point, RuleResult};
use crate::console::layout::{At, Frame, State as Mark, age_at, kind_of, product};
use crate::console::pictures::{Cell, Picture, Strip, Table};
use crate::console::{ClientViewer, EvidencePages, html, words};
use crate::domain::controls::Evidence as Kind;
use crate::domain::failure::Failure;
use crate::domain::id::ClientId;
use crate::domain::policy::{InForce, Outcome};
use crate::domain::product::Product;
use crate::store::StoreError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use chrono::{DateTime, NaiveDate, Utc};
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/clients/{client}", Scope::EvidenceRead, |method| on(method, show))];

#[derive(askama::Template)]
#[template(path = "client.html")]
struct ClientPage {
    frame: Frame,
    client: String,
    at: At,
    cards: Vec<Card>,
    sources: Vec<Source>,
    days: Vec<Picture>,
    may_choose_policy: bool,
    no_endpoint_rule: bool,
}

/// A subject: its rules and its numbers.
pub struct Card {
    title: &'static str,
    rules: Vec<RuleRow>,
    numbers: Vec<Number>,
    from: Option<Origin>,
}

/// Where the numbers of a card come from.
pub struct Origin {
    as_of: At,
    age: String,
    /// The page of the evidence.
    href: String,
}

/// A rule of a card.
pub struct RuleRow {
    /// The rule; `None` where none was chosen.
    pub(super) id: Option<String>,
    pub(super) mark: Mark,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) words: String,
    pub(super) age: String,
    pub(super) reason: Option<String>,
}

/// A number of a card.
pub struct Number {
    value: String,
    label: &'static str,
}

/// Where evidence comes from.
struct Source {
    connection: String,
    product: &'static str,
    as_of: At,
    age: String,
    stale: bool,
    href: String,
    failure: Option<Failure>,
    dated_ahead: Option<At>,
}

/// What a card is about.
struct Subject {
    title: &'static str,
    product: Product,
    kinds: &'static [Kind],
    numbers: &'static [Measured],
}

/// A value of the evidence as a card shows it.
struct Measured {
    key: &'static str,
    label: &'static str,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        title: "Endpoints",
        product: Product::Edr,
        kinds: &[Kind::EndpointProtection, Kind::AssetInventory],
        numbers: &[
            Measured { key: "agents_total", label: "agents" },
            Measured { key: "agents_online", label: "online" },
            Measured { key: "agents_offline", label: "offline" },
            Measured { key: "agents_missing", label: "missing" },
        ],
    },
    Subject {
        title: "Incidents",
        product: Product::Edr,
        kinds: &[Kind::IncidentResponse],
        numbers: &[
            Measured { key: "incidents_open", label: "open" },
            Measured { key: "incidents_open_critical", label: "of them critical" },
            Measured { key: "incidents_resolved_90d", label: "resolved in 90 days" },
            Measured { key: "p90_time_to_resolve_hours_90d", label: "hours to resolve, 90th percentile" },
        ],
    },
    Subject {
        title: "Security awareness training",
        product: Product::Sat,
        kinds: &[Kind::WorkforceCoverage],
        numbers: &[
            Measured { key: "workforce_coverage.distinct_trained_learners", label: "trained within 365 days" },
            Measured { key: "workforce_coverage.active_learners", label: "active learners" },
            Measured { key: "workforce_coverage.departed_trained_learners", label: "of the trained have left" },
        ],
    },
    Subject {
        title: "Phishing simulations",
        product: Product::Sat,
        kinds: &[Kind::PhishingSimulation],
        numbers: &[
            Measured { key: "phishing_simulation.sent", label: "messages sent in 90 days" },
            Measured { key: "phishing_simulation.compromised", label: "gave themselves away" },
            Measured { key: "phishing_simulation.reported", label: "reported the message" },
            Measured { key: "phishing_simulation.campaigns", label: "campaigns" },
        ],
    },
];

async fn show(
    State(console): State<Arc<EvidencePages>>,
    ClientViewer { viewer, client }: ClientViewer,
) -> Result<Response, Problem> {
    let overview = console.evidence.overview(viewer.company(), &client, viewer.span()).await?;
    if overview.latest.is_empty() && overview.statuses.rules().is_empty() {
        return Err(StoreError::NotFound { record: "client" }.into());
    }
    let frame = Frame::of_client("Overview", &viewer.session, &client, "");
    let page = page(frame, &client, &overview);
    let may_choose_policy = viewer.caller().scopes.contains(Scope::PolicyWrite);
    Ok(html(StatusCode::OK, &ClientPage { may_choose_policy, ..page }))
}

fn page(frame: Frame, client: &ClientId, overview: &Overview) -> ClientPage {
    let rules = overview.statuses.rules();
    let cards = SUBJECTS.iter().filter_map(|subject| card(subject, client, overview, &rules)).collect();
    let no_endpoint_rule = rules.iter().any(|rule| rule.evidence.product() == Some(Product::Edr))
        && rules.iter().all(|rule| rule.evidence.product() != Some(Product::Edr) || rule.rule.is_none());
    ClientPage {
        frame,
        client: client.to_string(),
        at: At(overview.at),
        cards,
        sources: overview.latest.iter().map(|evidence| source(client, evidence)).collect(),
        days: overview.days.iter().filter_map(|(product, days)| strip(*product, days).picture()).collect(),
        may_choose_policy: false,
        no_endpoint_rule,
    }
}

/// Where a piece of evidence is shown whole.
pub(super) fn evidence_path(client: &ClientId, product: Product, run: &crate::domain::id::RunId) -> String {
    format!("/clients/{client}/evidence/{product}/{run}")
}

fn source(client: &ClientId, evidence: &Evidence) -> Source {
    let stored = &evidence.stored;
    Source {
        connection: stored.connection.to_string(),
        product: product(stored.product),
        as_of: At(stored.as_of),
        age: age_at(stored.as_of, evidence.read_at),
        stale: evidence.age().stale,
        href: evidence_path(client, stored.product, &stored.run_id),
        failure: evidence.last_failure().cloned(),
        dated_ahead: evidence.dated_ahead.map(At),
    }
}

/// A rule as a reader sees it; in words where the rules in force are given.
pub(super) fn rule_row(result: &RuleResult, in_force: Option<&InForce>, at: DateTime<Utc>) -> RuleRow {
    let rule = result.rule.as_ref().zip(in_force).and_then(|(id, in_force)| in_force.rule(id)).map(|(_, rule)| rule);
    let key = result.key.as_deref().unwrap_or_default();
    let value = match (&result.value, &result.rule) {
        (Some(value), _) => format!("{value}{}", words::unit(key)),
        (None, Some(_)) => "no value".to_owned(),
        (None, None) => String::new(),
    };
    RuleRow {
        id: result.rule.as_ref().map(ToString::to_string),
        mark: Mark::of_status(&result.status),
        name: if key.is_empty() { words::evidence(result.evidence).to_owned() } else { words::metric(key) },
        value,
        words: match (rule, &result.rule) {
            (Some(rule), _) => words::rule(rule),
            (None, Some(_)) => "judged by a policy that is no longer in force".to_owned(),
            (None, None) => "no policy was chosen for this".to_owned(),
        },
        age: result.as_of.map_or_else(|| "no evidence yet".to_owned(), |as_of| age_at(as_of, at)),
        reason: result.reason.map(|reason| reason.to_string()),
    }
}

fn card(subject: &Subject, client: &ClientId, overview: &Overview, rules: &[RuleResult]) -> Option<Card> {
    let &Subject { title, product, kinds, numbers } = subject;
    let own: Vec<&RuleResult> = rules.iter().filter(|rule| kinds.contains(&rule.evidence)).collect();
    let stored = overview.latest.iter().filter(|evidence| evidence.stored.product == product);
    let newest = stored.max_by_key(|it| it.stored.as_of).and_then(|evidence| Point::of(&evidence.stored).ok());
    if own.is_empty() && newest.is_none() {
        return None;
    }
    let number = |&Measured { key, label }: &Measured| {
        let value = newest.as_ref()?.values.get(key).cloned().unwrap_or_else(|| "not known".to_owned());
        Some(Number { value, label })
    };
    Some(Card {
        title,
        rules: own.into_iter().map(|rule| rule_row(rule, Some(&overview.in_force), overview.at)).collect(),
        numbers: numbers.iter().filter_map(number).collect(),
        from: newest.map(|point| Origin {
            as_of: At(point.as_of),
            age: age_at(point.as_of, overview.at),
            href: evidence_path(client, product, &point.run_id),
        }),
    })
}

/// The letter of an outcome, in capitals.
pub(super) fn letter_of(outcome: Outcome) -> char {
    match outcome {
        Outcome::Pass => 'P',
        Outcome::Warning => 'W',
        Outcome::Fail => 'F',
        Outcome::Inconclusive => 'I',
        Outcome::NotApplicable => 'A',
        Outcome::NotEvaluated => 'N',
    }
}

/// What the evidence of each day said. Why there was none the window knows.
fn strip(of: Product, days: &[(NaiveDate, Option<Outcome>)]) -> Strip {
    let cell = |(day, outcome): &(NaiveDate, Option<Outcome>)| {
        let (kind, letter, text) = match outcome {
            Some(outcome) => (kind_of(*outcome), letter_of(*outcome), outcome.to_string()),
            None => ("missing", '·', "no evidence".to_owned()),
        };
        Cell { day: *day, kind, letter, text, href: None }
    };
    let row = |(day, outcome): &(NaiveDate, Option<Outcome>)| {
        vec![day.to_string(), outcome.map_or_else(|| "no evidence".to_owned(), |outcome| outcome.to_string())]
    };
    let head = ["Day", "What the evidence said"].map(str::to_owned).into();
    let table = Table { head, rows: days.iter().rev().map(row).collect() };
    Strip { caption: product(of).to_owned(), cells: days.iter().map(cell).collect(), table }
}
