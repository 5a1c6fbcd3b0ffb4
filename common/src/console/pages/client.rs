//! `/clients/{client}`: a client's numbers as cards, and how they came to be what they are.

use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::{Evidence, Overview, Point, RuleResult};
use crate::console::layout::{At, Frame, State as Mark, age_at, product};
use crate::console::pictures::{LimitLine, Lines, Picture, Series};
use crate::console::{ClientViewer, Console, html, words};
use crate::domain::calendar::{self, Calendar};
use crate::domain::controls::Evidence as Kind;
use crate::domain::id::ClientId;
use crate::domain::policy::{InForce, Limit};
use crate::domain::product::Product;
use crate::store::StoreError;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<Console>>] =
    &[Route::new(Method::Get, "/clients/{client}", Scope::EvidenceRead, |method| on(method, show))];

#[derive(Deserialize)]
struct Wanted {
    days: Option<u16>,
}

/// Days that the lines show, where nobody asks for others.
const DAYS: u16 = 30;
/// And at most.
const MOST_DAYS: u16 = 90;

#[derive(askama::Template)]
#[template(path = "client.html")]
struct ClientPage {
    frame: Frame,
    client: String,
    at: At,
    cards: Vec<Card>,
    sources: Vec<Source>,
    pictures: Vec<Picture>,
    days: u16,
    may_choose_policy: bool,
    no_endpoint_rule: bool,
}

/// A subject: its rules and its numbers.
pub struct Card {
    title: &'static str,
    rules: Vec<RuleRow>,
    numbers: Vec<Number>,
    /// When the numbers are of, how old that is, and where they come from.
    from: Option<(At, String, String)>,
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
    failure: Option<(String, String)>,
    dated_ahead: Option<At>,
}

/// What cards are about: their titles, kinds of evidence and numbers.
type Subject = (&'static str, Product, &'static [Kind], &'static [(&'static str, &'static str)]);

const SUBJECTS: &[Subject] = &[
    (
        "Endpoints",
        Product::Edr,
        &[Kind::EndpointProtection, Kind::AssetInventory],
        &[
            ("agents_total", "agents"),
            ("agents_online", "online"),
            ("agents_offline", "offline"),
            ("agents_missing", "missing"),
        ],
    ),
    (
        "Incidents",
        Product::Edr,
        &[Kind::IncidentResponse],
        &[
            ("incidents_open", "open"),
            ("incidents_open_critical", "of them critical"),
            ("incidents_resolved_90d", "resolved in 90 days"),
            ("p90_time_to_resolve_hours_90d", "hours to resolve, 90th percentile"),
        ],
    ),
    (
        "Security awareness training",
        Product::Sat,
        &[Kind::WorkforceCoverage],
        &[
            ("workforce_coverage.distinct_trained_learners", "trained within 365 days"),
            ("workforce_coverage.active_learners", "active learners"),
            ("workforce_coverage.departed_trained_learners", "of the trained have left"),
        ],
    ),
    (
        "Phishing simulations",
        Product::Sat,
        &[Kind::PhishingSimulation],
        &[
            ("phishing_simulation.sent", "messages sent in 90 days"),
            ("phishing_simulation.compromised", "gave themselves away"),
            ("phishing_simulation.reported", "reported the message"),
            ("phishing_simulation.campaigns", "campaigns"),
        ],
    ),
];

async fn show(
    State(console): State<Arc<Console>>,
    ClientViewer { viewer, client }: ClientViewer,
    Query(Wanted { days }): Query<Wanted>,
) -> Result<Response, Problem> {
    let days = days.unwrap_or(DAYS).clamp(7, MOST_DAYS);
    let overview = console.evidence.overview(viewer.company(), &client, viewer.span(), days).await?;
    if overview.latest.is_empty() && overview.statuses.rules().is_empty() {
        return Err(StoreError::NotFound { record: "client" }.into());
    }
    let frame = Frame::of_client("Overview", &viewer.session, &client, "");
    let page = page(frame, &client, &overview, (console.calendar(), days));
    let may_choose_policy = viewer.caller().scopes.contains(Scope::PolicyWrite);
    Ok(html(StatusCode::OK, &ClientPage { may_choose_policy, ..page }))
}

fn page(frame: Frame, client: &ClientId, overview: &Overview, (calendar, days): (&Calendar, u16)) -> ClientPage {
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
        pictures: pictures(overview, calendar, days),
        days,
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
    let failure = evidence.connection.as_ref().and_then(|connection| connection.last_failure.as_ref());
    Source {
        connection: stored.connection.to_string(),
        product: product(stored.product),
        as_of: At(stored.as_of),
        age: age_at(stored.as_of, evidence.read_at),
        stale: evidence.age().stale,
        href: evidence_path(client, stored.product, &stored.run_id),
        failure: failure.map(|failure| (failure.message.clone(), failure.action.clone())),
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
    let (title, product, kinds, keys) = *subject;
    let own: Vec<&RuleResult> = rules.iter().filter(|rule| kinds.contains(&rule.evidence)).collect();
    let newest = overview.points.iter().rev().find(|point| point.product == product);
    let newest = match newest {
        Some(point) => Some(point.clone()),
        // Older than the days that are shown.
        None => {
            let stored = overview.latest.iter().filter(|evidence| evidence.stored.product == product);
            stored.max_by_key(|it| it.stored.as_of).and_then(|evidence| Point::of(&evidence.stored).ok())
        }
    };
    if own.is_empty() && newest.is_none() {
        return None;
    }
    let number = |(key, label): &(&str, &'static str)| {
        let value = newest.as_ref()?.values.get(*key).cloned().unwrap_or_else(|| "not known".to_owned());
        Some(Number { value, label })
    };
    Some(Card {
        title,
        rules: own.into_iter().map(|rule| rule_row(rule, Some(&overview.in_force), overview.at)).collect(),
        numbers: keys.iter().filter_map(number).collect(),
        from: newest.map(|point| {
            (At(point.as_of), age_at(point.as_of, overview.at), evidence_path(client, product, &point.run_id))
        }),
    })
}

/// Lines over the days: their caption, unit, keys with names, and the metric whose limits they show.
type Drawing = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const DRAWINGS: &[(Product, Drawing)] = &[
    (
        Product::Edr,
        (
            "Agents by state",
            "",
            &[("agents_online", "online"), ("agents_offline", "offline"), ("agents_missing", "missing")],
            "",
        ),
    ),
    (Product::Edr, ("Agents online", " %", &[("agents_online_percentage", "online")], "agents_online_percentage")),
    (
        Product::Edr,
        (
            "Incidents",
            "",
            &[("incidents_open", "open"), ("incidents_opened_30d", "opened in 30 days")],
            "incidents_open",
        ),
    ),
    (Product::Sat, ("Training coverage", " %", &[("workforce_coverage.coverage_pct", "trained")], "coverage_pct")),
    (
        Product::Sat,
        (
            "Phishing rates",
            " %",
            &[
                ("phishing_simulation.compromise_rate_pct", "compromised"),
                ("phishing_simulation.report_rate_pct", "reported"),
            ],
            "compromise_rate_pct",
        ),
    ),
];

fn pictures(overview: &Overview, calendar: &Calendar, days: u16) -> Vec<Picture> {
    let last = calendar.day_of(overview.at);
    let first = last.checked_sub_signed(TimeDelta::days(i64::from(days) - 1)).unwrap_or(last);
    let all: Vec<NaiveDate> = calendar::days(first, last).collect();
    let drawn =
        DRAWINGS.iter().filter_map(|(product, drawing)| lines(overview, *product, drawing, (calendar, &all)).picture());
    drawn.collect()
}

fn lines(
    overview: &Overview,
    product: Product,
    drawing: &Drawing,
    (calendar, all): (&Calendar, &[NaiveDate]),
) -> Lines {
    let (caption, unit, keys, limited) = *drawing;
    let mut newest: BTreeMap<NaiveDate, &Point> = BTreeMap::new();
    // Oldest first, so that the last of a day stays.
    for point in overview.points.iter().filter(|point| point.product == product) {
        newest.insert(calendar.day_of(point.as_of), point);
    }
    let value = |day: &NaiveDate, key: &str| newest.get(day)?.values.get(key)?.parse::<f64>().ok();
    let series = keys.iter().map(|(key, label)| Series {
        label: (*label).to_owned(),
        values: all.iter().map(|day| value(day, key)).collect(),
    });
    Lines {
        caption: caption.to_owned(),
        unit,
        days: all.to_vec(),
        series: series.collect(),
        limits: limits(&overview.in_force, limited, unit),
        percent: unit == " %",
        gap: "no value on that day",
    }
}

/// The limits of the rules in force about a metric.
pub(super) fn limits(in_force: &InForce, metric: &str, unit: &str) -> Vec<LimitLine> {
    let mut found = Vec::new();
    for (_, rule) in in_force.rules().filter(|(_, rule)| rule.metric == metric) {
        let mut add = |limit: &Limit, what: &str, warning| {
            if let Ok(value) = limit.decimal().to_string().parse::<f64>() {
                let side = if limit.is_at_least() { "from" } else { "up to" };
                found.push(LimitLine { label: format!("{what} {side} {}{unit}", limit.decimal()), value, warning });
            }
        };
        add(&rule.limits.pass, "pass", false);
        if let Some(warning) = &rule.limits.warning {
            add(warning, "warning", true);
        }
    }
    found
}
