//! `/clients/{client}/over-time`: a client's numbers over days, as lines with their limits and as tables.

use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::{OverTime, Point};
use crate::console::layout::{At, Frame};
use crate::console::pictures::{LimitLine, Lines, Picture, Series};
use crate::console::{ClientViewer, EvidencePages, html};
use crate::domain::calendar::{self, Calendar};
use crate::domain::policy::{InForce, Limit};
use crate::domain::product::Product;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use chrono::NaiveDate;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/clients/{client}/over-time", Scope::EvidenceRead, |method| on(method, show))];

#[derive(Deserialize)]
struct Wanted {
    days: Option<u16>,
}

/// Days that there are links to; the first where nobody asks for others.
const DAYS: [u16; 3] = [30, 90, 365];
/// At least, so that there is a line.
const FEWEST_DAYS: u16 = 7;
/// At most; a year.
const MOST_DAYS: u16 = 366;

#[derive(askama::Template)]
#[template(path = "over_time.html")]
struct OverTimePage {
    frame: Frame,
    client: String,
    at: At,
    from: NaiveDate,
    to: NaiveDate,
    days: u16,
    others: [u16; 3],
    pictures: Vec<Picture>,
}

async fn show(
    State(console): State<Arc<EvidencePages>>,
    ClientViewer { viewer, client }: ClientViewer,
    Query(Wanted { days }): Query<Wanted>,
) -> Result<Response, Problem> {
    let days = days.unwrap_or(DAYS[0]).clamp(FEWEST_DAYS, MOST_DAYS);
    let over_time = console.evidence.over_time(viewer.company(), &client, viewer.span(), days).await?;
    let page = OverTimePage {
        frame: Frame::of_client("Over time", &viewer.session, &client, "/over-time"),
        client: client.to_string(),
        at: At(over_time.at),
        from: over_time.from,
        to: over_time.to,
        days,
        others: DAYS,
        pictures: pictures(&over_time, console.entrance.calendar()),
    };
    Ok(html(StatusCode::OK, &page))
}

/// Lines over the days.
struct Drawing {
    product: Product,
    caption: &'static str,
    unit: &'static str,
    lines: &'static [Line],
    /// The metric whose limits they show; empty for none.
    limited: &'static str,
}

/// A value over the days.
struct Line {
    key: &'static str,
    label: &'static str,
}

const DRAWINGS: &[Drawing] = &[
    Drawing {
        product: Product::Edr,
        caption: "Agents by state",
        unit: "",
        lines: &[
            Line { key: "agents_online", label: "online" },
            Line { key: "agents_offline", label: "offline" },
            Line { key: "agents_missing", label: "missing" },
        ],
        limited: "",
    },
    Drawing {
        product: Product::Edr,
        caption: "Agents online",
        unit: " %",
        lines: &[Line { key: "agents_online_percentage", label: "online" }],
        limited: "agents_online_percentage",
    },
    Drawing {
        product: Product::Edr,
        caption: "Incidents",
        unit: "",
        lines: &[
            Line { key: "incidents_open", label: "open" },
            Line { key: "incidents_opened_30d", label: "opened in 30 days" },
        ],
        limited: "incidents_open",
    },
    Drawing {
        product: Product::Sat,
        caption: "Training coverage",
        unit: " %",
        lines: &[Line { key: "workforce_coverage.coverage_pct", label: "trained" }],
        limited: "coverage_pct",
    },
    Drawing {
        product: Product::Sat,
        caption: "Phishing rates",
        unit: " %",
        lines: &[
            Line { key: "phishing_simulation.compromise_rate_pct", label: "compromised" },
            Line { key: "phishing_simulation.report_rate_pct", label: "reported" },
        ],
        limited: "compromise_rate_pct",
    },
];

fn pictures(over_time: &OverTime, calendar: &Calendar) -> Vec<Picture> {
    let all: Vec<NaiveDate> = calendar::days(over_time.from, over_time.to).collect();
    let drawn = DRAWINGS.iter().map(|drawing| lines(over_time, drawing, calendar, &all));
    drawn.filter_map(|lines| lines.picture()).collect()
}

fn lines(
    over_time: &OverTime,
    &Drawing { product, caption, unit, lines, limited }: &Drawing,
    calendar: &Calendar,
    all: &[NaiveDate],
) -> Lines {
    let mut newest: BTreeMap<NaiveDate, &Point> = BTreeMap::new();
    // Oldest first, so that the last of a day stays.
    for point in over_time.points.iter().filter(|point| point.product == product) {
        newest.insert(calendar.day_of(point.as_of), point);
    }
    let value = |day: &NaiveDate, key: &str| newest.get(day)?.values.get(key)?.parse::<f64>().ok();
    let series = lines.iter().map(|Line { key, label }| Series {
        label: (*label).to_owned(),
        values: all.iter().map(|day| value(day, key)).collect(),
    });
    Lines {
        caption: caption.to_owned(),
        unit,
        days: all.to_vec(),
        series: series.collect(),
        limits: limits(&over_time.in_force, limited, unit),
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
