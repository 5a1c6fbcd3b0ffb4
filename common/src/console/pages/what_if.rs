//! `/clients/{client}/what-if`: other limits of rules, another policy, and other ages of agents. Nothing is stored.

use super::client::evidence_path;
use super::other_limits::{OtherLimits, tried as try_limits};
use crate::api::{Method, Problem, Route, Scope};
use crate::console::forms::Fields;
use crate::console::layout::{At, Frame, age_at};
use crate::console::pictures::{Bar, Histogram, Picture};
use crate::console::{ClientViewer, EvidencePages, html};
use crate::domain::edr::EdrSettings;
use crate::domain::edr::facts::{Agents, ByState, EdrFacts};
use crate::domain::facts::Histogram as Counts;
use crate::domain::product::Product;
use axum::extract::{Query, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/clients/{client}/what-if", Scope::EvidenceRead, |method| on(method, show))];

#[derive(Deserialize)]
struct Wanted {
    hours: Option<String>,
    days: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "what_if.html")]
struct WhatIf {
    frame: Frame,
    client: String,
    hours: u32,
    days: u32,
    wrong: Option<String>,
    sources: Vec<Source>,
    limits: OtherLimits,
}

struct Source {
    connection: String,
    as_of: At,
    age: String,
    href: String,
    picture: Option<Picture>,
    /// Agents whose state is told by a word, which no limit changes.
    by_word: u64,
    rows: Vec<Row>,
}

/// A state under the limits of the connection, and under those that are tried.
struct Row {
    name: &'static str,
    now: u64,
    then: u64,
    difference: String,
}

#[derive(Deserialize)]
struct WithFacts {
    #[serde(default)]
    facts: Option<EdrFacts>,
}

/// Ages that bars begin and end at, in hours; the limits are among them.
const EDGES: [u32; 10] = [1, 6, 24, 72, 168, 336, 720, 1440, 2160, 4320];

async fn show(
    State(console): State<Arc<EvidencePages>>,
    of: ClientViewer,
    Query(wanted): Query<Wanted>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ClientViewer { viewer, client } = of;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let (latest, in_force) =
        console.evidence.latest_with_rules(viewer.company(), &client, Product::Edr, viewer.span()).await?;
    let limits = try_limits(&console, &viewer, &client, &in_force, &fields).await?;
    let own = latest.iter().find_map(|it| it.connection.as_ref()).map(|it| it.agent_limits().of(Some(&client)));
    let own = own.unwrap_or_default();
    let (tried, wrong) = tried(&wanted, own);
    let mut sources = Vec::new();
    for evidence in &latest {
        let WithFacts { facts } = evidence.bundle()?;
        let limits = evidence.connection.as_ref().map_or(own, |it| it.agent_limits().of(Some(&client)));
        let stored = &evidence.stored;
        let agents = facts.map(|facts| facts.agents);
        sources.push(Source {
            connection: stored.connection.to_string(),
            as_of: At(stored.as_of),
            age: age_at(stored.as_of, evidence.read_at),
            href: evidence_path(&client, stored.product, &stored.run_id),
            picture: agents.as_ref().and_then(|agents| histogram(&agents.hours, tried).picture()),
            by_word: agents.as_ref().map_or(0, |agents| agents.total().saturating_sub(agents.hours.total())),
            rows: agents.map_or_else(Vec::new, |agents| rows(&agents, limits, tried)),
        });
    }
    let page = WhatIf {
        frame: Frame::of_client("What if", &viewer.session, &client, "/what-if"),
        client: client.to_string(),
        hours: tried.online_within_hours(),
        days: tried.missing_after_days(),
        wrong,
        sources,
        limits,
    };
    Ok(html(StatusCode::OK, &page))
}

/// The limits that are asked for; those of the connection where they cannot be.
fn tried(wanted: &Wanted, own: EdrSettings) -> (EdrSettings, Option<String>) {
    let number = |text: &Option<String>, own: u32| match text.as_deref().map(str::trim).filter(|text| !text.is_empty())
    {
        None => Ok(own),
        Some(text) => text.parse::<u32>().map_err(|_| "give whole numbers of hours and days".to_owned()),
    };
    let both = number(&wanted.hours, own.online_within_hours())
        .and_then(|hours| Ok((hours, number(&wanted.days, own.missing_after_days())?)))
        .and_then(|(hours, days)| EdrSettings::new(hours, days).map_err(|error| error.to_string()));
    match both {
        Ok(tried) => (tried, None),
        Err(wrong) => (own, Some(wrong)),
    }
}

/// An age as people say it.
fn hours_in_words(hours: u32) -> String {
    if hours > 48 && hours.is_multiple_of(24) { format!("{} d", hours / 24) } else { format!("{hours} h") }
}

fn histogram(ages: &Counts, limits: EdrSettings) -> Histogram {
    let (online, missing) = (limits.online_within_hours(), limits.missing_after_hours());
    let edges: BTreeSet<u32> = EDGES.into_iter().chain([online, missing]).collect();
    let (mut bars, mut marks, mut from) = (Vec::new(), Vec::new(), 0);
    for edge in edges {
        let kind = if edge <= online {
            "within"
        } else if edge <= missing {
            "beyond"
        } else {
            "far"
        };
        let count = ages.up_to(edge).saturating_sub(if from == 0 { 0 } else { ages.up_to(from) });
        bars.push(Bar { label: format!("≤ {}", hours_in_words(edge)), count, kind });
        if edge == online {
            marks.push((bars.len(), format!("online up to {}", hours_in_words(edge))));
        } else if edge == missing {
            marks.push((bars.len(), format!("missing after {}", hours_in_words(edge))));
        }
        from = edge;
    }
    let rest = ages.total().saturating_sub(ages.up_to(from));
    bars.push(Bar { label: format!("> {}", hours_in_words(from)), count: rest, kind: "far" });
    Histogram {
        caption: "Age of the last call of each agent".to_owned(),
        what: "agents",
        by: "time since the last call",
        bars,
        marks,
    }
}

fn rows(agents: &Agents, own: EdrSettings, tried: EdrSettings) -> Vec<Row> {
    let (now, then) = (agents.by_state(own), agents.by_state(tried));
    let of = |name, of: fn(&ByState) -> u64| {
        let (now, then) = (of(&now), of(&then));
        let difference = match then.cmp(&now) {
            std::cmp::Ordering::Equal => "the same".to_owned(),
            std::cmp::Ordering::Greater => format!("{} more", then - now),
            std::cmp::Ordering::Less => format!("{} fewer", now - then),
        };
        Row { name, now, then, difference }
    };
    vec![
        of("online", |it| it.online),
        of("offline", |it| it.offline),
        of("missing", |it| it.missing),
        of("unknown", |it| it.unknown),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(hours: u32, days: u32) -> EdrSettings {
        EdrSettings::new(hours, days).unwrap()
    }

    #[test]
    fn every_agent_is_in_one_bar_and_on_its_side_of_the_limits() {
        let ages: Counts = [0, 1, 2, 24, 25, 30, 720, 721, 9_999].into_iter().collect();
        for tried in [limits(24, 30), limits(1, 1), limits(25, 31), limits(100, 3650)] {
            let histogram = histogram(&ages, tried);
            let sum =
                |kind: &str| histogram.bars.iter().filter(|bar| bar.kind == kind).map(|bar| bar.count).sum::<u64>();
            assert_eq!(sum("within"), ages.up_to(tried.online_within_hours()), "{tried:?}");
            assert_eq!(sum("within") + sum("beyond"), ages.up_to(tried.missing_after_hours()), "{tried:?}");
            assert_eq!(sum("within") + sum("beyond") + sum("far"), ages.total(), "{tried:?}");
            assert_eq!(histogram.marks.len(), 2);
        }
    }

    #[test]
    fn limits_that_make_no_sense_are_told_and_the_own_are_shown() {
        let own = limits(24, 30);
        let of = |hours: &str, days: &str| {
            tried(&Wanted { hours: Some(hours.to_owned()), days: Some(days.to_owned()) }, own)
        };
        assert_eq!(of("48", "7"), (limits(48, 7), None));
        assert_eq!(of("", " "), (own, None));
        for (hours, days) in [("800", "7"), ("0", "7"), ("x", "7"), ("1", "-1"), ("1", "99999999999")] {
            let (shown, wrong) = of(hours, days);
            assert!(shown == own && wrong.is_some(), "{hours} {days}");
        }
    }
}
