use super::*;
use crate::time::parse;
use chrono::TimeDelta;
use proptest::prelude::*;

fn at(text: &str) -> DateTime<Utc> {
    parse(text).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn run(id: &str, as_of: DateTime<Utc>, minutes: i64, end: RunEnd) -> EndedRun {
    EndedRun { run: RunId::parse(id).unwrap(), as_of, ended_at: as_of + TimeDelta::minutes(minutes), end }
}

fn evidence(outcome: Outcome) -> RunEnd {
    RunEnd::Evidence { bundle: Some(BundleSummary { outcome, policies: Vec::new(), unlogged: false }) }
}

fn not_mapped() -> RunEnd {
    RunEnd::Evidence { bundle: None }
}

fn failure(code: FailureCode) -> RunEnd {
    RunEnd::Failure { code, request: Some("GET /v1/agents".to_owned()) }
}

fn start_of(day: NaiveDate) -> DateTime<Utc> {
    Calendar::default().start_of(day)
}

fn end_of(day: NaiveDate) -> DateTime<Utc> {
    Calendar::default().end_of(day)
}

fn tick_of(day: NaiveDate) -> DateTime<Utc> {
    Calendar::default().tick_of(day, end_of(day)).unwrap()
}

/// Days in New York.
fn bounds_of(from: NaiveDate, to: NaiveDate, at: DateTime<Utc>) -> Result<WindowBounds, InvalidWindow> {
    WindowBounds::new(&Calendar::default(), DayRange { from, to }, at)
}

fn tick_on(day: NaiveDate) -> Tick {
    Tick { due: tick_of(day), handled: tick_of(day) + TimeDelta::seconds(30) }
}

fn history(runs: Vec<EndedRun>) -> ConnectionHistory {
    ConnectionHistory {
        connection: ConnectionId::parse("edr").unwrap(),
        product: Product::Edr,
        connected_at: at("2026-01-01T12:00:00Z"),
        pauses: Vec::new(),
        disconnections: Vec::new(),
        runs,
    }
}

/// What stands for 10 March 2026, seen two days later.
fn on_the_tenth(connection: &ConnectionHistory, with_tick: bool) -> WindowRow {
    seen(connection, with_tick, at("2026-03-12T20:00:00Z"))
}

fn seen(connection: &ConnectionHistory, with_tick: bool, now: DateTime<Utc>) -> WindowRow {
    let tenth = day("2026-03-10");
    let ticks: Vec<_> = [day("2026-03-09"), tenth, day("2026-03-11")]
        .into_iter()
        .filter(|day| with_tick || *day != tenth)
        .map(tick_on)
        .collect();
    let bounds = bounds_of(tenth, tenth, now).unwrap();
    let window = audit_window(&bounds, &ticks, std::slice::from_ref(connection), |_| false);
    assert_eq!(window.rows.len(), 1);
    window.rows.into_iter().next().unwrap()
}

fn noon() -> DateTime<Utc> {
    at("2026-03-10T16:00:00Z")
}

#[test]
fn each_reason_holds_where_it_should() {
    use NoEvidence::*;
    let reason = |connection: &ConnectionHistory, with_tick| on_the_tenth(connection, with_tick).reason;
    let tick = at("2026-03-10T11:00:00Z");
    let idle = history(Vec::new());
    let period = |from: DateTime<Utc>, to| Period { from, to };
    for (connection, with_tick, expected) in [
        (ConnectionHistory { connected_at: tick + TimeDelta::seconds(1), ..idle.clone() }, true, BeforeConnection),
        (ConnectionHistory { connected_at: tick, ..idle.clone() }, true, Unexplained),
        (ConnectionHistory { disconnections: vec![period(tick, None)], ..idle.clone() }, true, Disconnected),
        (
            ConnectionHistory { disconnections: vec![period(tick + TimeDelta::seconds(1), None)], ..idle.clone() },
            true,
            Unexplained,
        ),
        (
            ConnectionHistory { pauses: vec![period(tick, Some(tick + TimeDelta::seconds(1)))], ..idle.clone() },
            true,
            Paused,
        ),
        (ConnectionHistory { pauses: vec![period(tick, None)], ..idle.clone() }, false, Paused),
        (
            ConnectionHistory { pauses: vec![period(tick - TimeDelta::hours(5), Some(tick))], ..idle.clone() },
            true,
            Unexplained,
        ),
        // The tick is taken half a minute after the time that it is for.
        (ConnectionHistory { pauses: vec![period(tick + TimeDelta::seconds(2), None)], ..idle.clone() }, true, Paused),
        (
            ConnectionHistory { pauses: vec![period(tick + TimeDelta::seconds(31), None)], ..idle.clone() },
            true,
            Unexplained,
        ),
        (history(vec![run("r", noon(), 1, failure(FailureCode::Malformed))]), false, Failed),
        (history(vec![run("r", noon(), 1, not_mapped())]), true, NotMapped),
        (idle.clone(), false, NoTick),
        (idle, true, Unexplained),
    ] {
        assert_eq!(reason(&connection, with_tick), Some(expected), "{connection:?}");
    }
}

#[test]
fn the_first_reason_that_holds_is_given() {
    let tick = at("2026-03-10T11:00:00Z");
    let all = ConnectionHistory {
        pauses: vec![Period { from: tick, to: None }],
        disconnections: vec![Period { from: tick, to: None }],
        ..history(vec![run("a", noon(), 1, not_mapped()), run("b", noon(), 2, failure(FailureCode::Unavailable))])
    };
    // With a run, it was not before the connection, whatever the record says.
    let connected_later = ConnectionHistory { connected_at: noon(), ..all.clone() };
    assert_eq!(on_the_tenth(&connected_later, true).reason, Some(NoEvidence::Disconnected));
    assert_eq!(on_the_tenth(&all, true).reason, Some(NoEvidence::Disconnected));
    let paused = ConnectionHistory { disconnections: Vec::new(), ..all };
    assert_eq!(on_the_tenth(&paused, true).reason, Some(NoEvidence::Paused));
    let running = ConnectionHistory { pauses: Vec::new(), ..paused };
    let row = on_the_tenth(&running, true);
    assert_eq!(row.reason, Some(NoEvidence::Failed));
    assert_eq!(
        row.failure,
        Some(WindowFailure { code: FailureCode::Unavailable, request: Some("GET /v1/agents".to_owned()) })
    );
    // And evidence comes before every reason.
    let mut with_evidence = running.clone();
    with_evidence.pauses = vec![Period { from: tick, to: None }];
    with_evidence.runs.push(run("c", noon() - TimeDelta::hours(1), 1, evidence(Outcome::Warning)));
    let row = on_the_tenth(&with_evidence, false);
    assert_eq!((row.reason, row.outcome, row.failure), (None, Some(Outcome::Warning), None));
}

#[test]
fn the_newest_evidence_whose_instant_lies_in_the_day_counts() {
    let connection = history(vec![
        run("late", at("2026-03-11T03:59:59Z"), 30, evidence(Outcome::Fail)), // 23:59:59 in New York, ended the day after
        run("early", at("2026-03-10T04:00:00Z"), 1, evidence(Outcome::Pass)),
        run("next", at("2026-03-11T04:00:00Z"), 1, evidence(Outcome::Warning)),
    ]);
    let row = on_the_tenth(&connection, true);
    assert_eq!((row.run.unwrap().as_str(), row.outcome), ("late", Some(Outcome::Fail)));
    // Before that run ended it was not known.
    let row = seen(&connection, true, at("2026-03-11T04:20:00Z"));
    assert_eq!(row.run.unwrap().as_str(), "early");
}

#[test]
fn a_refusal_keeps_the_next_tick_away_for_a_day_and_no_longer() {
    let refused = |ended: &str| history(vec![run("r", at(ended), 0, failure(FailureCode::AuthFailed))]);
    assert_eq!(on_the_tenth(&refused("2026-03-09T11:00:01Z"), true).reason, Some(NoEvidence::AuthBackoff));
    assert_eq!(on_the_tenth(&refused("2026-03-09T11:00:00Z"), true).reason, Some(NoEvidence::Unexplained));
    assert_eq!(on_the_tenth(&refused("2026-03-09T11:00:01Z"), false).reason, Some(NoEvidence::NoTick));
    let mut cleared = refused("2026-03-09T12:00:00Z");
    cleared.runs.push(run("s", at("2026-03-09T13:00:00Z"), 1, not_mapped()));
    assert_eq!(on_the_tenth(&cleared, true).reason, Some(NoEvidence::Unexplained));
    let other = history(vec![run("r", at("2026-03-09T20:00:00Z"), 0, failure(FailureCode::Unavailable))]);
    assert_eq!(on_the_tenth(&other, true).reason, Some(NoEvidence::Unexplained));
}

#[test]
fn what_lies_ahead_is_not_yet() {
    let connection = history(vec![run("r", noon(), 90, evidence(Outcome::Pass))]);
    let reason = |now: &str| seen(&connection, true, at(now)).reason;
    assert_eq!(reason("2026-03-10T10:59:59Z"), Some(NoEvidence::NotYet));
    assert_eq!(reason("2026-03-10T11:00:10Z"), Some(NoEvidence::NoTick)); // due, and nobody took it yet
    assert_eq!(reason("2026-03-10T11:00:30Z"), Some(NoEvidence::NotYet)); // its run may be under way
    assert_eq!(reason("2026-03-10T17:29:59Z"), Some(NoEvidence::NotYet)); // it began and has not ended
    assert_eq!(reason("2026-03-10T17:30:00Z"), None);
    let nothing = history(Vec::new());
    assert_eq!(seen(&nothing, true, at("2026-03-11T10:00:30Z")).reason, Some(NoEvidence::NotYet));
    assert_eq!(seen(&nothing, true, at("2026-03-11T10:00:31Z")).reason, Some(NoEvidence::Unexplained));
    // Evidence of a wrong clock is passed over.
    let ahead = history(vec![run("r", noon(), -60, evidence(Outcome::Pass))]);
    assert_eq!(seen(&ahead, true, at("2026-03-10T15:54:00Z")).reason, Some(NoEvidence::NotYet));
    assert_eq!(seen(&ahead, true, at("2026-03-10T15:55:00Z")).reason, None);
}

#[test]
fn a_window_that_cannot_be_shown_says_what_to_do() {
    let now = at("2026-03-12T03:00:00Z"); // still the 11th in New York
    let refused = |from, to| bounds_of(day(from), day(to), now).unwrap_err().to_string();
    assert_eq!(
        refused("2026-03-10", "2026-03-09"),
        "the window ends on 2026-03-09, before it begins on 2026-03-10: swap --from and --to"
    );
    assert!(
        refused("2026-03-12", "2026-03-13")
            .starts_with("the window begins on 2026-03-12, which lies ahead (today is 2026-03-11)")
    );
    assert!(refused("2001-01-01", "2026-03-11").starts_with("the window has 9201 days"));
    assert!(bounds_of(day("2026-03-11"), day("2026-03-20"), now).is_ok());
}

#[test]
fn totals_count_days_gaps_and_exceptions() {
    let days: Vec<_> = calendar::days(day("2026-03-01"), day("2026-03-10")).collect();
    let baseline = PolicyRef::from(crate::policy::baseline().as_ref());
    let on = |index: usize, outcome, unlogged| {
        let end =
            RunEnd::Evidence { bundle: Some(BundleSummary { outcome, policies: vec![baseline.clone()], unlogged }) };
        run(&format!("r{index}"), tick_of(days[index]) + TimeDelta::minutes(5), 1, end)
    };
    let edr = history(vec![on(0, Outcome::Pass, true), on(1, Outcome::Fail, true), on(6, Outcome::Pass, false)]);
    let sat = ConnectionHistory {
        connection: ConnectionId::parse("sat").unwrap(),
        product: Product::Sat,
        ..history(vec![on(0, Outcome::Warning, true), on(2, Outcome::Pass, false)])
    };
    let ticks: Vec<_> = days.iter().copied().map(tick_on).collect();
    let bounds = bounds_of(days[0], days[9], at("2026-03-09T10:30:00Z")).unwrap();
    // Until the end of the 3rd, and once more for an hour that is over by the day's end.
    let (until, hour) = (end_of(day("2026-03-03")), at("2026-03-06T15:00:00Z"));
    let excepted = |instant| instant < until || (instant >= hour && instant < hour + TimeDelta::hours(1));
    let window = audit_window(&bounds, &ticks, &[sat, edr], excepted);
    assert_eq!(window.rows.len(), 20);
    assert_eq!((window.rows[0].connection.as_str(), window.rows[1].connection.as_str()), ("edr", "sat"));
    assert_eq!(
        serde_json::to_value(&window.totals).unwrap(),
        serde_json::json!({
            "days": 10, "covered": {"edr": 3, "sat": 2}, "outcomes": {"pass": 3, "warning": 1, "fail": 1},
            // Of sat: the 4th to the 8th; the 9th and 10th lie ahead.
            "longest_gap_days": 5, "exception_days": 3, "policies": ["baseline 1.0.0"], "unlogged_days": 2,
        })
    );
    let row = serde_json::to_value(&window.rows[0]).unwrap();
    assert_eq!(
        row,
        serde_json::json!({
            "day": "2026-03-01", "connection": "edr", "product": "huntress-edr", "as_of": "2026-03-01T12:05:00Z", "run": "r0",
            "reason": null, "outcome": "pass", "failure": null, "unlogged": true,
        })
    );
}

#[test]
fn pauses_stand_in_records_as_pairs() {
    let period = Period { from: at("2026-03-01T12:00:00Z"), to: None };
    assert_eq!(serde_json::to_string(&[period]).unwrap(), r#"[["2026-03-01T12:00:00Z",null]]"#);
    assert_eq!(serde_json::from_str::<Period>(r#"["2026-03-01T12:00:00Z",null]"#).unwrap(), period);
}

/// What happens on one day of the simulation.
#[derive(Debug, Clone)]
struct Plan {
    toggles_pause: bool,
    toggles_connection: bool,
    is_dead: bool,
    scheduled: RunEnd,
    on_demand: Option<RunEnd>,
}

fn any_end() -> impl Strategy<Value = RunEnd> {
    prop_oneof![
        6 => Just(evidence(Outcome::Pass)),
        2 => Just(evidence(Outcome::Fail)),
        1 => Just(not_mapped()),
        1 => Just(failure(FailureCode::Unavailable)),
        1 => Just(failure(FailureCode::AuthFailed)),
    ]
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let often = |of: u32| proptest::bool::weighted(1.0 / f64::from(of));
    (often(15), often(40), often(10), any_end(), proptest::option::weighted(0.1, any_end())).prop_map(
        |(toggles_pause, toggles_connection, is_dead, scheduled, on_demand)| Plan {
            toggles_pause,
            toggles_connection,
            is_dead,
            scheduled,
            on_demand,
        },
    )
}

/// A stack that lives through days, and what it knows of each of them.
struct Simulation {
    connection: ConnectionHistory,
    ticks: Vec<Tick>,
    paused: bool,
    removed: bool,
    next_run_at: DateTime<Utc>,
    expected: Vec<Option<NoEvidence>>,
}

impl Simulation {
    fn live(&mut self, day: NaiveDate, plan: &Plan) {
        let (before, tick, after) =
            (start_of(day) + TimeDelta::hours(4), tick_of(day), tick_of(day) + TimeDelta::hours(8));
        let exists = self.connection.connected_at <= after;
        if exists && plan.toggles_pause {
            toggle(&mut self.connection.pauses, &mut self.paused, before);
        }
        if exists && plan.toggles_connection {
            toggle(&mut self.connection.disconnections, &mut self.removed, before);
        }
        if !plan.is_dead {
            self.ticks.push(tick_on(day));
        }
        let connected_in_time = self.connection.connected_at <= tick;
        let mut ends = Vec::new();
        let due = connected_in_time && !self.removed && !self.paused && !plan.is_dead;
        let passed_over = due && self.next_run_at > tick;
        if due && !passed_over {
            ends.push(self.run(&format!("{day}.s"), tick + TimeDelta::minutes(7), &plan.scheduled));
        }
        if let Some(end) = plan.on_demand.as_ref().filter(|_| exists && !self.removed) {
            ends.push(self.run(&format!("{day}.d"), after, end));
        }
        let is = |wanted: fn(&RunEnd) -> bool| ends.iter().any(wanted);
        self.expected.push(if is(|end| matches!(end, RunEnd::Evidence { bundle: Some(_) })) {
            None
        } else {
            Some(match () {
                () if !connected_in_time && ends.is_empty() => NoEvidence::BeforeConnection,
                () if self.removed => NoEvidence::Disconnected,
                () if self.paused => NoEvidence::Paused,
                () if is(|end| matches!(end, RunEnd::Failure { .. })) => NoEvidence::Failed,
                () if passed_over => NoEvidence::AuthBackoff,
                () if is(|end| matches!(end, RunEnd::Evidence { .. })) => NoEvidence::NotMapped,
                () => NoEvidence::NoTick,
            })
        });
    }

    fn run(&mut self, id: &str, as_of: DateTime<Utc>, end: &RunEnd) -> RunEnd {
        let ended = run(id, as_of, 3, end.clone());
        self.next_run_at = match end {
            RunEnd::Failure { code, .. } if code.is_auth() => ended.ended_at + AUTH_BACKOFF,
            _ => ended.ended_at,
        };
        self.connection.runs.push(ended);
        end.clone()
    }
}

fn toggle(periods: &mut Vec<Period>, on: &mut bool, at: DateTime<Utc>) {
    match periods.last_mut().filter(|_| *on) {
        Some(last) => last.to = Some(at),
        None => periods.push(Period { from: at, to: None }),
    }
    *on = !*on;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// 400 days, over both changes of the clocks: what the stack knew of each day is what the window says from the records.
    #[test]
    fn each_day_has_evidence_or_the_one_reason_that_was_true(
        plans in proptest::collection::vec(any_plan(), 400),
        connected_on in 0_u64..20,
        connected_hour in 1_i64..23,
    ) {
        let from = day("2025-09-01");
        let connected_at = start_of(calendar::days_after(from, connected_on)) + TimeDelta::hours(connected_hour);
        let mut simulation = Simulation {
            connection: ConnectionHistory { connected_at, ..history(Vec::new()) },
            ticks: Vec::new(),
            paused: false,
            removed: false,
            next_run_at: connected_at,
            expected: Vec::new(),
        };
        let days: Vec<_> = from.iter_days().take(400).collect();
        for (day, plan) in days.iter().zip(&plans) {
            simulation.live(*day, plan);
        }
        let last = *days.last().unwrap();
        let now = end_of(last) + TimeDelta::days(2);
        let bounds = bounds_of(from, last, now).unwrap();
        simulation.connection.runs.reverse();
        let window = audit_window(&bounds, &simulation.ticks, std::slice::from_ref(&simulation.connection), |_| false);
        prop_assert_eq!(window.rows.len(), 400);
        for ((row, day), expected) in window.rows.iter().zip(&days).zip(&simulation.expected) {
            prop_assert_eq!((row.day, row.reason), (*day, *expected));
            prop_assert_eq!(row.is_covered(), row.reason.is_none());
            prop_assert_eq!(row.failure.is_some(), row.reason == Some(NoEvidence::Failed));
        }
        // The sums are those of the rows.
        let covered = window.rows.iter().filter(|row| row.is_covered()).count() as u64;
        prop_assert_eq!(window.totals.days, 400);
        prop_assert_eq!(window.totals.covered.values().sum::<u64>(), covered);
        prop_assert_eq!(window.totals.outcomes.values().sum::<u64>(), covered);
        let missing: Vec<_> = window.rows.iter().map(|row| if row.is_covered() { ' ' } else { 'x' }).collect();
        let longest = String::from_iter(missing).split(' ').map(str::len).max().unwrap() as u64;
        prop_assert_eq!(window.totals.longest_gap_days, longest);
        // As the days went by, nothing was unexplained either.
        let seen_then = bounds_of(from, last, tick_of(days[200]) + TimeDelta::hours(1)).unwrap();
        let then = audit_window(&seen_then, &simulation.ticks, std::slice::from_ref(&simulation.connection), |_| false);
        for (row, later) in then.rows.iter().zip(&window.rows).take(200) {
            // A refusal or a run of the afternoon before was known by then.
            prop_assert_eq!(row.reason, later.reason);
        }
        for row in then.rows.iter().skip(201) {
            let reasons = [NoEvidence::NotYet, NoEvidence::Disconnected, NoEvidence::BeforeConnection];
            prop_assert!(row.reason.is_some_and(|reason| reasons.contains(&reason)), "{:?}", row);
        }
    }

    /// Whatever the records hold, every day has one row for each connection, in order, and evidence or a reason.
    #[test]
    fn a_window_is_whole_whatever_the_records_hold(
        offsets in proptest::collection::vec((-500_i64..1_500, -10_i64..2_000, any_end()), 0..30),
        pauses in proptest::collection::vec((-500_i64..1_500, proptest::option::of(0_i64..500)), 0..4),
        ticks in proptest::collection::vec((-500_i64..1_500, 0_i64..100), 0..40),
        now in 0_i64..1_500,
    ) {
        let start = at("2026-03-01T12:00:00Z");
        let hour = |hours: i64| start + TimeDelta::hours(hours);
        let runs = offsets.into_iter().enumerate().map(|(index, (begin, minutes, end))| run(&format!("r{index}"), hour(begin), minutes, end));
        let periods: Vec<_> = pauses.into_iter().map(|(from, length)| Period { from: hour(from), to: length.map(|it| hour(from + it)) }).collect();
        let one = ConnectionHistory { pauses: periods.clone(), ..history(runs.collect()) };
        let other = ConnectionHistory { connection: ConnectionId::parse("a").unwrap(), disconnections: periods, pauses: Vec::new(), ..one.clone() };
        let ticks: Vec<_> = ticks.into_iter().map(|(due, late)| Tick { due: hour(due), handled: hour(due + late) }).collect();
        let bounds = bounds_of(day("2026-03-01"), day("2026-04-15"), hour(now)).unwrap();
        let window = audit_window(&bounds, &ticks, &[one, other], |instant| instant < hour(200));
        prop_assert_eq!(window.rows.len(), 46 * 2);
        for (pair, day) in window.rows.chunks(2).zip(bounds.days()) {
            prop_assert!(pair.iter().all(|row| row.day == day && row.reason.is_none() == row.as_of.is_some()));
            prop_assert_eq!((pair[0].connection.as_str(), pair[1].connection.as_str()), ("a", "edr"));
        }
        prop_assert_eq!(window.totals.covered.len(), 2);
        prop_assert!(window.totals.exception_days <= 46);
    }
}

fn days(from: &str, to: &str) -> DayRange {
    DayRange { from: day(from), to: day(to) }
}

/// Reasons and evidence of some days of a connection in a zone, as they are seen at an instant.
fn told(calendar: &Calendar, days: DayRange, ticks: &[Tick], runs: Vec<EndedRun>, now: &str) -> Vec<String> {
    let bounds = WindowBounds::new(calendar, days, at(now)).unwrap();
    let window = audit_window(&bounds, ticks, &[history(runs)], |instant| instant < at("2026-03-29T22:00:00Z"));
    assert_eq!(window.zone, calendar.zone());
    let told = |row: &WindowRow| {
        let what = row.reason.map_or_else(|| row.run.as_ref().unwrap().to_string(), |it| it.as_str().to_owned());
        format!("{} {what}", row.day)
    };
    window.rows.iter().map(told).chain([format!("excepted {}", window.totals.exception_days)]).collect()
}

#[test]
fn days_are_those_of_the_zone_that_the_schedule_is_in() {
    let vienna = Calendar::parse("cron(0 6 * * ? *)", "Europe/Vienna").unwrap();
    let tick = |text: &str| Tick { due: at(text), handled: at(text) + TimeDelta::seconds(20) };
    let ticks = ["2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"].map(tick);
    let runs = vec![
        // The last instant of 28 March there and the first of the 29th, which has 23 hours, and of the 30th.
        run("a", at("2026-03-28T22:59:59Z"), 1, evidence(Outcome::Pass)),
        run("b", at("2026-03-28T23:00:00Z"), 1, evidence(Outcome::Pass)),
        run("c", at("2026-03-29T22:00:00Z"), 1, evidence(Outcome::Pass)),
    ];
    let days = days("2026-03-27", "2026-03-31");
    // What ends with 29 March is in force on its last instant, and not a day longer.
    let rows = told(&vienna, days, &ticks, runs.clone(), "2026-03-31T03:59:59Z");
    let expected =
        ["2026-03-27 no_tick", "2026-03-28 a", "2026-03-29 b", "2026-03-30 c", "2026-03-31 not_yet", "excepted 3"];
    assert_eq!(rows, expected);
    // The tick of the last day is at six in the morning there, which is four o'clock in summer.
    let rows = told(&vienna, days, &ticks, runs.clone(), "2026-03-31T04:00:00Z");
    assert!(rows.iter().any(|row| row == "2026-03-31 no_tick"), "{rows:?}");
    // The same runs are of other days in New York.
    let rows = told(&Calendar::default(), days, &ticks, runs, "2026-03-31T03:59:59Z");
    for expected in ["2026-03-28 b", "2026-03-29 c", "2026-03-30 unexplained"] {
        assert!(rows.iter().any(|row| row == expected), "{expected}: {rows:?}");
    }
}

#[test]
fn of_several_ticks_a_day_the_last_that_has_come_counts_and_a_day_without_any_has_none() {
    let kolkata = Calendar::parse("cron(30 6,18 ? * MON-FRI *)", "Asia/Kolkata").unwrap();
    let saturday = days("2026-03-21", "2026-03-21");
    let seen = |days, now| told(&kolkata, days, &[], Vec::new(), now).remove(0);
    // Ahead, then there, and nothing is due.
    let ahead = WindowBounds::new(&kolkata, days("2026-03-20", "2026-03-21"), at("2026-03-20T18:29:59Z")).unwrap();
    assert_eq!(audit_window(&ahead, &[], &[history(Vec::new())], |_| false).rows[1].reason, Some(NoEvidence::NotYet));
    assert_eq!(seen(saturday, "2026-03-20T18:30:00Z"), "2026-03-21 no_tick");
    let friday = days("2026-03-20", "2026-03-20");
    assert_eq!(seen(friday, "2026-03-20T00:59:59Z"), "2026-03-20 not_yet");
    assert_eq!(seen(friday, "2026-03-20T01:00:00Z"), "2026-03-20 no_tick");
    // Connected between the two ticks: the second one counts, once it has come.
    let bounds = |now| WindowBounds::new(&kolkata, days("2026-03-20", "2026-03-20"), at(now)).unwrap();
    let between = ConnectionHistory { connected_at: at("2026-03-20T05:00:00Z"), ..history(Vec::new()) };
    let reason = |now| audit_window(&bounds(now), &[], std::slice::from_ref(&between), |_| false).rows[0].reason;
    assert_eq!(reason("2026-03-20T12:59:59Z"), Some(NoEvidence::BeforeConnection));
    assert_eq!(reason("2026-03-20T13:00:00Z"), Some(NoEvidence::NoTick));
}

#[test]
fn a_tick_of_an_earlier_schedule_says_itself_when_it_was() {
    // At noon it was taken; since then the schedule is another one, at six in the morning.
    let now = Calendar::parse("cron(0 6 * * ? *)", "America/New_York").unwrap();
    let taken = Tick { due: at("2026-03-10T16:00:00Z"), handled: at("2026-03-10T16:00:20Z") };
    let pauses = vec![Period { from: at("2026-03-10T09:00:00Z"), to: Some(at("2026-03-10T15:00:00Z")) }];
    let paused_at_six = ConnectionHistory { pauses, ..history(Vec::new()) };
    let bounds = WindowBounds::new(&now, days("2026-03-10", "2026-03-10"), at("2026-03-12T00:00:00Z")).unwrap();
    let reason =
        |ticks: &[Tick]| audit_window(&bounds, ticks, std::slice::from_ref(&paused_at_six), |_| false).rows[0].reason;
    assert_eq!(reason(&[taken]), Some(NoEvidence::Unexplained));
    assert_eq!(reason(&[]), Some(NoEvidence::Paused));
}

#[test]
fn no_day_that_lies_ahead_is_under_an_exception() {
    let bounds = bounds_of(day("2026-03-09"), day("2026-03-14"), at("2026-03-11T20:00:00Z")).unwrap();
    let window = audit_window(&bounds, &[], &[history(Vec::new())], |_| true);
    assert_eq!((window.totals.days, window.totals.exception_days), (6, 3));
}

#[test]
fn a_tick_that_was_taken_a_day_late_is_not_the_own_one_of_that_day() {
    let late = Tick { due: at("2026-03-09T11:00:00Z"), handled: at("2026-03-10T05:00:00Z") };
    let pauses = vec![Period { from: at("2026-03-10T07:00:00Z"), to: Some(at("2026-03-10T15:00:00Z")) }];
    let paused_in_the_morning = ConnectionHistory { pauses, ..history(Vec::new()) };
    let bounds = bounds_of(day("2026-03-10"), day("2026-03-10"), at("2026-03-12T20:00:00Z")).unwrap();
    let window = audit_window(&bounds, &[late], &[paused_in_the_morning], |_| false);
    assert_eq!(window.rows[0].reason, Some(NoEvidence::Paused));
}
