//! `/clients/{client}/window`: each day of a window, with its evidence or the reason for the gap.

use super::client::letter_of;
use crate::api::{Method, Problem, Route, Scope, without_options};
use crate::app::evidence::{EvidenceError, WindowError};
use crate::console::layout::{At, Frame, State as Mark, kind_of};
use crate::console::pictures::{Cell, Picture, Strip, Table};
use crate::console::{ClientViewer, EvidencePages, html, words};
use crate::domain::calendar::{Calendar, DayRange, days_after};
use crate::domain::id::ConnectionId;
use crate::domain::policy::Outcome;
use crate::domain::time::Window;
use crate::domain::window::{AuditWindow, NoEvidence, WindowRow};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{NaiveDate, TimeDelta};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] = &[
    Route::new(Method::Get, "/clients/{client}/window", Scope::EvidenceRead, |method| on(method, show)),
    Route::new(Method::Get, "/clients/{client}/window.csv", Scope::EvidenceRead, |method| on(method, csv)),
];

/// Days that are shown where nobody asks for others.
const DAYS: u64 = 90;
/// Days that are shown at once; a year.
const MOST_DAYS: i64 = 366;

#[derive(Deserialize)]
struct Wanted {
    from: Option<String>,
    to: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "window.html")]
struct WindowPage {
    frame: Frame,
    client: String,
    from: String,
    to: String,
    wrong: Option<String>,
    zone: String,
    at: Option<At>,
    strips: Vec<Picture>,
    legend: Vec<(char, String)>,
    totals: Vec<(String, String)>,
    gaps: Vec<Gap>,
    rows: Vec<Row>,
    may_pack: bool,
}

struct Gap {
    from: String,
    to: String,
    connection: String,
    reason: String,
    meaning: String,
}

struct Row {
    day: String,
    connection: String,
    mark: Mark,
    as_of: Option<String>,
    href: Option<String>,
    unlogged: bool,
}

/// The letter of a gap.
fn gap_letter(reason: NoEvidence) -> char {
    match reason {
        NoEvidence::BeforeConnection => 'b',
        NoEvidence::Disconnected => 'd',
        NoEvidence::NotYet => '·',
        NoEvidence::Paused => 'p',
        NoEvidence::Failed => '!',
        NoEvidence::AuthBackoff => 'r',
        NoEvidence::NotMapped => 'm',
        NoEvidence::NoTick => 'o',
        NoEvidence::Unexplained => '?',
    }
}

/// What a gap is, in words.
fn gap_text(row: &WindowRow, reason: NoEvidence) -> String {
    match &row.failure {
        Some(failure) => {
            let request = failure.request.as_deref().map_or_else(String::new, |request| format!(" at {request}"));
            format!("failed: {}{request}", words::code(failure.code.as_str()))
        }
        None => words::code(reason.as_str()),
    }
}

/// The days that are asked for, within what the viewer may see. What cannot be understood is told, and the usual days are shown.
struct Asked {
    days: DayRange,
    wrong: Option<String>,
}

fn asked(wanted: &Wanted, span: Window, calendar: &Calendar, today: NaiveDate) -> Asked {
    let text =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let day = |given: Option<String>, name: &str| match given.map(|given| given.parse::<NaiveDate>()) {
        None => Ok(None),
        Some(Ok(day)) => Ok(Some(day)),
        Some(Err(_)) => Err(format!("{name} must be a day like 2026-03-22")),
    };
    let (from, to) = (day(text(&wanted.from), "From"), day(text(&wanted.to), "To"));
    let wrong = from.as_ref().err().or(to.as_ref().err()).cloned();
    // What a viewer is bound to begins and ends where it does.
    let (first, last) = (
        (span.start > Window::ALL.start).then(|| calendar.first_day_from(span.start)),
        if span.end < Window::ALL.end { calendar.day_of(span.end).min(today) } else { today },
    );
    let to = to.ok().flatten().unwrap_or(last);
    let to = if wrong.is_some() { last } else { to };
    let back = TimeDelta::days(i64::try_from(DAYS).unwrap_or(0) - 1);
    let usual = to.checked_sub_signed(back).unwrap_or(to);
    let from = from.ok().flatten().filter(|_| wrong.is_none()).unwrap_or(usual);
    let from = first.map_or(from, |first| from.max(first));
    let to = if span.end < Window::ALL.end { to.min(last) } else { to };
    if to.signed_duration_since(from).num_days() >= MOST_DAYS {
        let wrong = Some(format!("{MOST_DAYS} days are shown at once; these are the last of them"));
        let from = to.checked_sub_signed(TimeDelta::days(MOST_DAYS - 1)).unwrap_or(from);
        return Asked { days: DayRange { from, to }, wrong };
    }
    Asked { days: DayRange { from, to }, wrong }
}

async fn read(
    console: &EvidencePages,
    ClientViewer { viewer, client }: &ClientViewer,
    wanted: &Wanted,
) -> Result<(Asked, Result<AuditWindow, String>), Problem> {
    let (span, now) = (viewer.span(), console.entrance.clock.now());
    let asked = asked(wanted, span, console.entrance.calendar(), console.entrance.calendar().day_of(now));
    let at = (span.end < now).then_some(span.end);
    match console.evidence.window(viewer.company(), client, asked.days, at).await {
        Ok(window) => Ok((asked, Ok(window))),
        Err(WindowError::Days(error)) => Ok((asked, Err(without_options(&error.to_string())))),
        Err(WindowError::Evidence(EvidenceError::Store(error))) => Err(error.into()),
        Err(WindowError::Evidence(error)) => Err(error.into()),
    }
}

async fn show(
    State(console): State<Arc<EvidencePages>>,
    of: ClientViewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let (asked, window) = read(&console, &of, &wanted).await?;
    let ClientViewer { viewer, client } = of;
    let frame = Frame::of_client("Window", &viewer.session, &client, "/window");
    let empty = WindowPage {
        frame,
        client: client.to_string(),
        from: asked.days.from.to_string(),
        to: asked.days.to.to_string(),
        wrong: asked.wrong,
        zone: console.entrance.calendar().zone().to_owned(),
        at: None,
        strips: Vec::new(),
        legend: Vec::new(),
        totals: Vec::new(),
        gaps: Vec::new(),
        rows: Vec::new(),
        may_pack: viewer.caller().scopes.contains(Scope::PacksMake),
    };
    let window = match window {
        Ok(window) => window,
        Err(wrong) => return Ok(html(StatusCode::OK, &WindowPage { wrong: Some(wrong), ..empty })),
    };
    let page = WindowPage {
        at: Some(At(window.at)),
        strips: strips(&window),
        legend: legend(&window),
        totals: totals(&window),
        gaps: gaps(&window),
        rows: window.rows.iter().rev().map(row).collect(),
        ..empty
    };
    Ok(html(StatusCode::OK, &page))
}

/// The page of the evidence of a day, if there is any, from the page of the window on: a year has hundreds of them.
fn href(row: &WindowRow) -> Option<String> {
    row.run.as_ref().map(|run| format!("evidence/{}/{run}", row.product))
}

fn strips(window: &AuditWindow) -> Vec<Picture> {
    let mut by_connection: BTreeMap<&ConnectionId, Strip> = BTreeMap::new();
    for row in &window.rows {
        let strip = by_connection.entry(&row.connection).or_insert_with(|| Strip {
            caption: format!("{} · {}, {} to {}", row.connection, words::product(row.product), window.from, window.to),
            cells: Vec::new(),
            table: Table::default(),
        });
        let (kind, letter, text) = match (row.outcome, row.reason) {
            (Some(outcome), _) => (kind_of(outcome), letter_of(outcome), outcome.to_string()),
            (None, Some(reason)) => ("missing", gap_letter(reason), gap_text(row, reason)),
            (None, None) => continue,
        };
        strip.cells.push(Cell { day: row.day, kind, letter, text, href: href(row) });
    }
    by_connection.into_values().filter_map(|strip| strip.picture()).collect()
}

/// What the letters mean that are there.
fn legend(window: &AuditWindow) -> Vec<(char, String)> {
    let outcomes = Outcome::WORST_FIRST.into_iter().filter(|it| window.rows.iter().any(|row| row.outcome == Some(*it)));
    let outcomes = outcomes.map(|outcome| (letter_of(outcome), outcome.to_string()));
    let reasons = NoEvidence::ALL.into_iter().filter(|it| window.rows.iter().any(|row| row.reason == Some(*it)));
    outcomes.chain(reasons.map(|reason| (gap_letter(reason), reason.meaning().to_owned()))).collect()
}

fn totals(window: &AuditWindow) -> Vec<(String, String)> {
    let totals = &window.totals;
    let mut told = vec![("Days".to_owned(), totals.days.to_string())];
    for (connection, covered) in &totals.covered {
        told.push((format!("Days with evidence of {connection}"), format!("{covered} of {}", totals.days)));
    }
    for (outcome, rows) in &totals.outcomes {
        told.push((format!("Days that say {outcome}, over all connections"), rows.to_string()));
    }
    told.push((
        "Longest gap".to_owned(),
        match totals.longest_gap_days {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        },
    ));
    told.push(("Days under an exception".to_owned(), totals.exception_days.to_string()));
    told.push(("Policies".to_owned(), totals.policies.join(", ")));
    if totals.unlogged_days > 0 {
        told.push(("Days from before the evidence log".to_owned(), totals.unlogged_days.to_string()));
    }
    told.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Days one after the other without evidence for the same reason.
fn gaps(window: &AuditWindow) -> Vec<Gap> {
    let mut found: Vec<(NaiveDate, NaiveDate, &WindowRow, NoEvidence)> = Vec::new();
    let mut by_connection: BTreeMap<&ConnectionId, Vec<&WindowRow>> = BTreeMap::new();
    window.rows.iter().for_each(|row| by_connection.entry(&row.connection).or_default().push(row));
    for row in by_connection.values().flatten() {
        let Some(reason) = row.reason.filter(|reason| *reason != NoEvidence::NotYet) else { continue };
        match found.last_mut() {
            Some((_, last, before, same))
                if *same == reason
                    && before.connection == row.connection
                    && before.failure == row.failure
                    && days_after(*last, 1) == row.day =>
            {
                *last = row.day;
            }
            _ => found.push((row.day, row.day, row, reason)),
        }
    }
    let gap = |(from, to, row, reason): (NaiveDate, NaiveDate, &WindowRow, NoEvidence)| Gap {
        from: from.to_string(),
        to: to.to_string(),
        connection: row.connection.to_string(),
        reason: gap_text(row, reason),
        meaning: reason.meaning().to_owned(),
    };
    found.into_iter().rev().map(gap).collect()
}

fn row(row: &WindowRow) -> Row {
    let mark = match (row.outcome, row.reason) {
        (Some(outcome), _) => Mark::of_outcome(outcome),
        (None, Some(reason)) => Mark::new("none", gap_text(row, reason)),
        (None, None) => Mark::new("none", "no evidence"),
    };
    Row {
        day: row.day.to_string(),
        connection: row.connection.to_string(),
        mark,
        as_of: row.as_of.map(|as_of| as_of.format("%Y-%m-%d %H:%M UTC").to_string()),
        href: href(row),
        unlogged: row.unlogged,
    }
}

/// The rows as RFC 4180 has them. No cell holds what people typed: ids, times, closed words and paths.
async fn csv(
    State(console): State<Arc<EvidencePages>>,
    of: ClientViewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let (asked, window) = read(&console, &of, &wanted).await?;
    let window = window.map_err(Problem::bad_request)?;
    let mut text = "day,connection,product,as_of,run,outcome,reason,failure_code,failure_request\r\n".to_owned();
    for row in &window.rows {
        let failure = row.failure.as_ref();
        let cells = [
            row.day.to_string(),
            row.connection.to_string(),
            row.product.to_string(),
            row.as_of.map_or_else(String::new, |as_of| as_of.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            row.run.as_ref().map_or_else(String::new, ToString::to_string),
            row.outcome.map_or_else(String::new, |outcome| outcome.as_str().to_owned()),
            row.reason.map_or_else(String::new, |reason| reason.as_str().to_owned()),
            failure.map_or_else(String::new, |failure| failure.code.as_str().to_owned()),
            failure.and_then(|failure| failure.request.clone()).unwrap_or_default(),
        ];
        let quoted = cells.map(|cell| {
            if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
        });
        text.push_str(&quoted.join(","));
        text.push_str("\r\n");
    }
    let name = format!("attachment; filename=\"window-{}-{}-{}.csv\"", of.client, asked.days.from, asked.days.to);
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;

    #[test]
    fn the_days_stay_within_what_may_be_seen() {
        let today: NaiveDate = "2026-03-22".parse().unwrap();
        let wanted =
            |from: Option<&str>, to: Option<&str>| Wanted { from: from.map(str::to_owned), to: to.map(str::to_owned) };
        let told = |it: Asked| (it.days.from.to_string(), it.days.to.to_string(), it.wrong.is_some());
        assert_eq!(
            told(asked(&wanted(None, None), Window::ALL, &Calendar::default(), today)),
            ("2025-12-23".into(), "2026-03-22".into(), false)
        );
        assert_eq!(
            told(asked(&wanted(Some("2026-03-01"), Some("<b>")), Window::ALL, &Calendar::default(), today)),
            ("2025-12-23".into(), "2026-03-22".into(), true)
        );
        assert_eq!(
            told(asked(&wanted(Some("2020-01-01"), None), Window::ALL, &Calendar::default(), today)),
            ("2025-03-22".into(), "2026-03-22".into(), true)
        );
        let span =
            Window { start: parse("2026-02-01T12:00:00Z").unwrap(), end: parse("2026-02-10T12:00:00Z").unwrap() };
        assert_eq!(
            told(asked(&wanted(Some("2020-01-01"), Some("2026-03-22")), span, &Calendar::default(), today)),
            ("2026-02-02".into(), "2026-02-10".into(), false)
        );
    }

    #[test]
    fn no_two_letters_are_the_same() {
        let letters: Vec<char> =
            Outcome::WORST_FIRST.map(letter_of).into_iter().chain(NoEvidence::ALL.map(gap_letter)).collect();
        let different: std::collections::BTreeSet<_> = letters.iter().collect();
        assert_eq!(different.len(), letters.len(), "{letters:?}");
    }
}
