//! Lists of people that the request limit does not allow to read in one part of a run: they wait, sealed, for the next one.

use super::collect::selected;
use super::world::{Part, World, contains};
use acceptance::engine::TABLE;
use acceptance::people::{ACCOUNT, Workforce};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use common::app::collection::collect::RateLimiters;
use common::app::collection::worker::Processed;
use common::app::people::Opening;
use common::app::runs::forecast::forecast_of;
use common::domain::id::{ConnectionId, RecordKey, RunId};
use common::domain::people::person::{PeopleSummary, PrivacyMode};
use common::domain::people::roster::Roster;
use common::domain::people::status::PersonStatus::{self, Compliant, NotCompliant, NotEnrolled};
use common::domain::run::RunStatus;
use common::huntress::sat::PeopleState;
use simulator::{List, Request};
use std::collections::{BTreeMap, BTreeSet};

const SELECTED: [&str; 4] = ["P1", "P2", "P3", "P4"];
const LEARNERS: [&str; 6] = ["l-done", "l-partly", "l-never", "l-one-of-one", "l-in-none", "l-left"];
const STATUSES: [Option<PersonStatus>; 6] =
    [Some(Compliant), Some(NotCompliant), Some(NotCompliant), Some(Compliant), Some(NotEnrolled), None];

/// Requests of the signals besides one for each assignment: a token, accounts, the account, assignments, learners and campaigns.
const BESIDES: usize = 6;

/// Requests that only people need: who is enrolled in each selected assignment. Everything else is read once for the signals and for them.
const OF_PEOPLE: usize = SELECTED.len();

/// Requests after which no list of people is wanted: the activity of the selected assignments comes last.
const LAST: usize = OF_PEOPLE + SELECTED.len();

/// An account of so many assignments with activity, the selected among them.
fn account(assignments: usize) -> Workforce {
    let mut account = SELECTED.iter().fold(Workforce::new(), |account, id| account.assignment(id, "in-progress"));
    for n in SELECTED.len()..assignments {
        account = account.assignment(&format!("other-{n}"), "completed");
    }
    for learner in LEARNERS {
        account = account.learner(learner, if learner == "l-left" { "inactive" } else { "active" });
    }
    for id in SELECTED {
        account = account.completed(id, "l-done");
        account =
            ["l-done", "l-partly", "l-never", "l-left"].iter().fold(account, |account, who| account.enrolled(id, who));
    }
    account.completed("P1", "l-partly").enrolled("P1", "l-one-of-one").completed("P1", "l-one-of-one")
}

/// A run of which the limit of a minute, 200 requests, ends the first part when so many requests of the selected assignments are made.
async fn paused_after(requests: usize, mode: PrivacyMode) -> World {
    let others = 200 - BESIDES - requests;
    let mut world = World::new(&account(others + SELECTED.len()), mode, &SELECTED).await;
    world.ask().await;
    let part = world.part().await.unwrap();
    assert!(matches!(part.processed, Processed::Waiting { .. }), "{requests}: {:?}", part.processed);
    assert_eq!(world.simulator.requests().len(), 200, "{requests}");
    world
}

async fn go_on(world: &mut World) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(part) = world.part().await {
        parts.push(part);
    }
    assert_eq!(parts.last().unwrap().processed, Processed::Succeeded { bundles: 1 });
    parts
}

fn asked(requests: &[Request], list: List) -> usize {
    requests.iter().filter(|request| request.list == Some(list)).count()
}

/// How often each page was asked for.
fn times(requests: &[Request]) -> BTreeMap<&str, usize> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let pages = requests.iter().filter(|it| it.list != Some(List::Token));
    pages.for_each(|it| *times.entry(&it.path).or_default() += 1);
    times
}

#[tokio::test]
async fn a_run_goes_on_in_any_list_of_people_and_asks_for_no_page_twice() {
    let mut cut_at = BTreeSet::new();
    for requests in 0..LAST {
        let mut world = paused_after(requests, PrivacyMode::Pseudonymous).await;
        let before = world.simulator.requests().len();
        let parts = go_on(&mut world).await;
        assert_eq!(parts.len(), 1, "{requests}");
        assert!(parts.iter().all(|part| part.waited < TimeDelta::seconds(10)), "{requests}");
        let all = world.simulator.requests();
        let rest = &all[before..];
        assert_eq!((rest[0].list, asked(rest, List::Token)), (Some(List::Token), 1));
        assert_eq!(rest.len(), 1 + LAST - requests, "{requests}");
        cut_at.insert(rest[1].path.clone());
        assert!(times(&all).values().all(|times| *times == 1), "{requests}: {:?}", times(&all));

        let run = world.store.runs(&world.company, &world.id, 1).await.unwrap().remove(0);
        assert_eq!((run.status, run.api_calls), (RunStatus::Succeeded, all.len() as u64));
        assert_eq!(world.statuses(LEARNERS).await, STATUSES, "{requests}");
        let people = world.bundle().await.people.unwrap();
        assert_eq!(people.summary, PeopleSummary { compliant: 2, not_compliant: 2, not_enrolled: 1, unknown: 0 });
    }
    let kinds: BTreeSet<&str> = cut_at.iter().filter_map(|path| path.rsplit('/').next()).collect();
    assert_eq!(kinds, BTreeSet::from(["learner-activity", "learners"]));
}

#[tokio::test]
async fn a_run_asks_for_exactly_the_pages_that_signals_and_people_need() {
    // Several pages of each shared list, and a draft, which the signals do not read.
    let mut workforce = account(6).assignment("draft", "draft").enrolled("draft", "l-never");
    for n in 0..1_100 {
        let who = format!("many-{n:04}");
        workforce = workforce.learner(&who, "active").enrolled("P1", &who).completed("P1", &who);
    }
    let selected = ["P1", "P2", "draft"];
    let asked_by = async |mode| {
        let mut world = World::new(&workforce, mode, &selected).await;
        world.cap(5_000).await;
        assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
        let requests: Vec<(String, String)> =
            world.simulator.requests().iter().map(|it| (it.path.clone(), format!("{:?}", it.query))).collect();
        (world, requests)
    };
    let (_, mut signals) = asked_by(PrivacyMode::Aggregate).await;
    let (mut world, mut both) = asked_by(PrivacyMode::Full).await;
    let of_people = |(path, _): &(String, String)| {
        selected.iter().any(|id| *path == format!("/api/v1/assignments/{id}/learners"))
            || path == "/api/v1/assignments/draft/learner-activity"
    };
    let only_people: Vec<_> = both.iter().filter(|it| of_people(it)).cloned().collect();
    assert_eq!(only_people.len(), 3 + 1 + 1 + 1, "three pages of P1, and one of each other list");
    both.retain(|it| !of_people(it) && !it.0.contains("certificate"));
    signals.sort();
    both.sort();
    assert_eq!(both, signals, "what they share is asked for once");
    assert_eq!(both.iter().filter(|(path, _)| path.ends_with("/P1/learner-activity")).count(), 3);
    // And what the signals say is the same.
    let tracked = world.bundle().await;
    world.configure(|people| people.mode = PrivacyMode::Aggregate).await;
    world.sync().await;
    assert_eq!(world.bundle().await.signals, tracked.signals);
}

#[tokio::test]
async fn who_is_tracked_anew_in_mid_run_is_given_what_the_signals_have_and_no_page_more() {
    // The selection is changed when the signals have read everything but the activity of two selected assignments.
    let mut world = paused_after(LAST - 2, PrivacyMode::Pseudonymous).await;
    let before = world.simulator.requests().len();
    world.configure(|people| people.selected = selected(&["P1", "P4"])).await;
    go_on(&mut world).await;
    let all = world.simulator.requests();
    let rest = times(&all[before..]);
    let path = |id: &str, list: &str| format!("/api/v1/assignments/{id}/{list}");
    let first_part = times(&all[..before]);
    let mut expected: BTreeMap<String, usize> = ["assignments", "learners"]
        .map(|list| (format!("/api/v1/accounts/{ACCOUNT}/{list}"), 1))
        .into_iter()
        .chain(["P1", "P4"].map(|id| (path(id, "learners"), 1)))
        .chain(["P1", "P4"].map(|id| (path(id, "learner-activity"), 1)))
        .collect();
    // What the signals had not read yet comes once for both.
    for id in SELECTED {
        if !first_part.contains_key(path(id, "learner-activity").as_str()) {
            expected.insert(path(id, "learner-activity"), 1);
        }
    }
    assert_eq!(rest, expected.iter().map(|(path, times)| (path.as_str(), *times)).collect());
    assert_eq!(world.status("l-partly").await.map(|(status, _)| status), Some(NotCompliant));
    assert_eq!(world.bundle().await.people.unwrap().assignments, selected(&["P1", "P4"]));
}

/// The pieces of the waiting run's checkpoint.
async fn checkpoint(world: &World) -> Vec<u8> {
    let run = world.store.active_run(&world.company, &world.id).await.unwrap().unwrap().run_id;
    let (pk, sk) = (format!("CONNECTION#{}#{}", world.company, world.id), format!("CHECKPOINT#{run}#"));
    let pieces = world.engine.client().query().table_name(TABLE);
    let pieces = pieces.key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
    let (pk, sk) = (AttributeValue::S(pk), AttributeValue::S(sk));
    let pieces = pieces.expression_attribute_values(":pk", pk).expression_attribute_values(":sk", sk).send().await;
    let pieces = pieces.unwrap();
    pieces.items().iter().flat_map(|item| item["body"].as_b().unwrap().as_ref().to_vec()).collect()
}

#[tokio::test]
async fn nobody_can_be_told_from_what_waits() {
    for mode in [PrivacyMode::Pseudonymous, PrivacyMode::Full] {
        let world = paused_after(LAST - 1, mode).await;
        // As they were given to the table, which writes bytes as base64.
        let waits = checkpoint(&world).await;
        let bytes = [waits.as_slice(), &world.end().await].concat();
        assert!(contains(&waits, "P1"), "the signals are as they are, so names would be found");
        for learner in LEARNERS {
            assert!(!contains(&bytes, learner), "{learner}, mode {mode}");
            // Nor by the hash that other records are told apart by, which anybody can make of an id.
            let Some(RecordKey::Text(mut hash)) = RecordKey::from_text(learner) else { panic!("{learner}") };
            let mut varint = Vec::new();
            while hash > 0 {
                varint.push(u8::try_from(hash & 0x7f).unwrap() | 0x80);
                hash >>= 7;
            }
            *varint.last_mut().unwrap() &= 0x7f;
            assert!(!waits.windows(varint.len()).any(|part| part == varint), "{learner}, mode {mode}");
        }
    }
}

#[tokio::test]
async fn what_waits_does_not_outlive_the_people_that_it_names() {
    let mut world = paused_after(LAST - 1, PrivacyMode::Full).await;
    world.keyring.erase_people(&world.store, &world.company, &world.id).await.unwrap();
    let before = world.simulator.requests().len();
    go_on(&mut world).await;
    let rest = &world.simulator.requests()[before..];
    assert_eq!(
        asked(rest, List::AssignmentLearners),
        SELECTED.len(),
        "the lists are read anew, as in a run after an erasure"
    );
    assert_eq!(world.statuses(LEARNERS).await, STATUSES);
}

#[tokio::test]
async fn names_and_picks_that_are_changed_meanwhile_count() {
    let mut world = paused_after(LAST - 1, PrivacyMode::Pseudonymous).await;
    world.configure(|people| people.mode = PrivacyMode::Full).await;
    go_on(&mut world).await;
    let record = world.person("l-done").await.unwrap();
    let opening = Opening { by: "auditor", reason: "audit", at: common::clock::Clock::now(&world.clock) };
    let opened = world.keyring.open_identity(&world.store, &world.company, &world.id, &record, opening).await.unwrap();
    assert_eq!(opened.name.as_deref(), Some("First-l-done Last-l-done"));

    let mut world = paused_after(LAST - 1, PrivacyMode::Pseudonymous).await;
    world.configure(|people| people.selected = selected(&["P1"])).await;
    go_on(&mut world).await;
    assert_eq!(world.status("l-partly").await.map(|(status, _)| status), Some(Compliant));
    assert_eq!(world.bundle().await.people.unwrap().assignments, selected(&["P1"]));
}

#[tokio::test]
async fn the_next_run_is_foretold_to_the_request() {
    let mut world = World::new(&account(195), PrivacyMode::Pseudonymous, &SELECTED).await;
    world.ask().await;
    go_on(&mut world).await;
    // What the first run sent, before it knew the account, is under the connection's name.
    world.wait(TimeDelta::days(1)).await;
    let now = common::clock::Clock::now(&world.clock);
    let forecast = forecast_of(&world.store, &RateLimiters::default(), &world.company, &world.id, now).await.unwrap();
    let forecast = forecast.unwrap();
    world.ask().await;
    let parts = go_on(&mut world).await;
    assert_eq!(forecast.requests, world.simulator.requests().len() as u64);
    assert_eq!((forecast.parts, parts.len()), (2, 2));
    let of_people = forecast.lists.iter().find(|it| it.list == "learners_of_the_assignment").unwrap();
    assert_eq!(of_people.requests, SELECTED.len() as u64);
}

#[tokio::test]
async fn what_waits_opens_for_its_run_and_its_connection_alone() {
    let world = World::new(&account(5), PrivacyMode::Full, &SELECTED).await;
    let lists = PeopleState::new(Roster::new(acceptance::edr::as_of(), &selected(&SELECTED), 10), 10, true);
    let keyring = async |connection| {
        world.keyring.for_connection(&world.store, &world.company, connection, PrivacyMode::Full).await.unwrap()
    };
    let (own, other) = (RunId::parse("run-1").unwrap(), RunId::parse("run-2").unwrap());
    let sealed = keyring(&world.id).await.seal_lists(&own, &lists).unwrap();
    assert!(keyring(&world.id).await.open_lists(&own, &sealed).is_ok_and(|it| it.is_for(&selected(&SELECTED), true)));
    assert!(keyring(&world.id).await.open_lists(&other, &sealed).is_err());
    let elsewhere = ConnectionId::parse("sat-2").unwrap();
    // Even with the record of the key record copied.
    let key_record = world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap();
    let mut keyring = keyring(&elsewhere).await;
    keyring.key_record = key_record;
    assert!(keyring.open_lists(&own, &sealed).is_err());
}
