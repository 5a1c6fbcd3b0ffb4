//! The state of agents, and what is measured of them.

use crate::records::{agent, agents, ago, hours_ago, organization, timestamp};
use acceptance::edr::{Scene, as_of, assert_values};
use chrono::TimeDelta;
use common::domain::evidence::Reason;
use common::domain::quality::QualityCode::{
    AgentWithoutOrganization, AgentsCountMismatch, FutureTimestamp, MalformedTimestamp, UnknownAgentStatus,
};
use serde_json::{Value, json};
use simulator::Account;

const STATES: [&str; 4] = ["agents_online", "agents_offline", "agents_missing", "agents_unknown"];

/// The state of an agent with these fields, as the only one of its account.
async fn state(fields: Value) -> &'static str {
    state_in(|scene| scene, fields).await
}

async fn state_in(change: impl FnOnce(Scene) -> Scene, fields: Value) -> &'static str {
    let outcome = change(Scene::of(agents([fields]))).collect().await;
    let found: Vec<_> = STATES.into_iter().filter(|key| outcome.value(key).as_deref() == Some("1")).collect();
    outcome.assert_values(&[("agents_total", &found.len().to_string())]);
    match found[..] {
        [] => "left out",
        [one] => one,
        _ => panic!("an agent is in one state: {found:?}"),
    }
}

#[tokio::test]
async fn a_status_word_wins_in_any_case_over_the_last_call() {
    for (word, expected) in [
        ("online", "agents_online"),
        ("Active", "agents_online"),
        ("OFFLINE", "agents_offline"),
        (" missing ", "agents_missing"),
        ("Decommissioned", "left out"),
        ("asleep", "agents_unknown"),
    ] {
        for last_callback_at in [hours_ago(1), hours_ago(24 * 5), hours_ago(24 * 100), "nonsense".to_owned()] {
            let fields = json!({"status": word, "last_callback_at": last_callback_at});
            assert_eq!(state(fields).await, expected, "{word}");
        }
    }
}

#[tokio::test]
async fn without_a_status_the_last_call_decides_and_its_limits_belong_to_the_better_state() {
    let second = TimeDelta::seconds(1);
    for (age, expected) in [
        (TimeDelta::zero(), "agents_online"),
        (TimeDelta::hours(24), "agents_online"),
        (TimeDelta::hours(24) + second, "agents_offline"),
        (TimeDelta::days(21), "agents_offline"),
        (TimeDelta::days(21) + second, "agents_missing"),
        (TimeDelta::days(3000), "agents_missing"),
        // After the evaluation, but not after it was read by more than clocks may differ.
        (-TimeDelta::minutes(5), "agents_online"),
        (-TimeDelta::minutes(5) - second, "agents_unknown"),
    ] {
        assert_eq!(state(json!({"last_callback_at": ago(age)})).await, expected, "{age}");
    }
    for no_status in [json!(null), json!(""), json!("  "), json!(5), json!({"state": "missing"})] {
        let fields = json!({"status": no_status, "last_callback_at": hours_ago(1)});
        assert_eq!(state(fields).await, "agents_online", "{no_status}");
    }
}

#[tokio::test]
async fn an_agent_that_never_called_is_missing_once_it_is_more_than_three_days_old() {
    for (created_at, expected) in [
        (json!(ago(TimeDelta::days(3))), "agents_unknown"),
        (json!(ago(TimeDelta::days(3) + TimeDelta::seconds(1))), "agents_missing"),
        (json!(hours_ago(1)), "agents_unknown"),
        (json!(null), "agents_unknown"),
    ] {
        assert_eq!(state(json!({"created_at": created_at})).await, expected, "{created_at}");
        let fields = json!({"created_at": created_at, "last_callback_at": null, "status": null});
        assert_eq!(state(fields).await, expected, "{created_at}");
    }
    assert_eq!(state(json!({})).await, "agents_unknown");
}

#[tokio::test]
async fn the_limits_are_settings_and_are_recorded_with_what_decided() {
    let calls = [1, 2, 3, 24, 25].map(|hours| json!({"last_callback_at": hours_ago(hours)}));
    let others =
        [json!({"status": "online"}), json!({"created_at": hours_ago(90)}), json!({"status": "decommissioned"})];
    let account = agents(calls.into_iter().chain(others));
    let outcome = Scene::of(account.clone()).settings(2, 1).collect().await;
    // An hour and two online, three and 24 offline, 25 hours missing; and those that others decided.
    outcome.assert_values(&[("agents_online", "3"), ("agents_offline", "2"), ("agents_missing", "2")]);
    assert_eq!(
        outcome.bundle().metadata.derivation["agent_state"],
        json!({
            "derived_from": {"status": 1, "last_callback_at": 5, "created_at": 1},
            "online_within_hours": 2,
            "missing_after_days": 1,
            "never_called_back_missing_after_days": 3,
        })
    );
    let usual = Scene::of(account).collect().await;
    usual.assert_values(&[("agents_online", "5"), ("agents_offline", "1"), ("agents_missing", "1")]);
    let derivation = &usual.bundle().metadata.derivation["agent_state"];
    assert_eq!((&derivation["online_within_hours"], &derivation["missing_after_days"]), (&json!(24), &json!(21)));
}

#[tokio::test]
async fn decommissioned_agents_are_in_no_count() {
    let account = Account::from_records(
        vec![organization(1, json!({"agents_count": 0})), organization(2, json!({"agents_count": 1}))],
        vec![
            agent(1, json!({"status": "decommissioned", "firewall_status": "Isolated", "edr_version": "0.4"})),
            agent(2, json!({"status": "online", "organization_id": 2, "edr_version": null})),
        ],
        vec![],
    );
    let outcome = Scene::of(account).collect().await;
    outcome.assert_values(&[
        ("agents_total", "1"),
        ("agents_online_percentage", "100.0"),
        ("organizations_with_agents", "1"),
        ("organization_coverage_pct", "50.0"),
        ("average_agents_per_org", "0.50"),
        ("agents_isolated", "0"),
        ("agents_edr_installed_pct", "0.0"),
    ]);
    outcome.assert_quality(&[]);
}

#[tokio::test]
async fn a_last_call_that_cannot_be_read_makes_that_one_agent_unknown() {
    let bad = [json!("yesterday"), json!(1_711_108_800), json!("2026-02-30T00:00:00Z"), json!({"at": 1}), json!("")];
    let mut fields: Vec<Value> =
        bad.into_iter().map(|it| json!({"last_callback_at": it, "created_at": hours_ago(900)})).collect();
    fields.push(json!({"last_callback_at": hours_ago(1)}));
    let outcome = Scene::of(agents(fields)).collect().await;
    outcome.assert_values(&[
        ("agents_unknown", "5"),
        ("agents_online", "1"),
        ("agents_missing", "0"),
        ("agents_total", "6"),
    ]);
    outcome.assert_quality(&[(MalformedTimestamp, 5)]);
}

#[tokio::test]
async fn a_creation_that_cannot_be_read_is_reported_only_where_it_decides() {
    let outcome = Scene::of(agents([
        json!({"created_at": "long ago"}),
        json!({"created_at": "long ago", "last_callback_at": hours_ago(1)}),
        json!({"created_at": "long ago", "status": "online"}),
    ]));
    let outcome = outcome.collect().await;
    outcome.assert_values(&[("agents_unknown", "1"), ("agents_online", "2")]);
    outcome.assert_quality(&[(MalformedTimestamp, 1)]);
}

#[tokio::test]
async fn every_way_of_writing_a_time_is_read() {
    for written in [
        "2026-03-22T11:00:00Z",
        "2026-03-22T11:00:00.123Z",
        "2026-03-22T13:00:00+02:00",
        "2026-03-22T01:30:00-09:30",
        "2026-03-22 11:00:00 UTC",
        " 2026-03-22T11:00:00Z ",
    ] {
        assert_eq!(state(json!({"last_callback_at": written})).await, "agents_online", "{written}");
    }
    // Of a time without a zone nobody knows when it was.
    assert_eq!(state(json!({"last_callback_at": "2026-03-22T11:00:00"})).await, "agents_unknown");
}

#[tokio::test]
async fn a_call_in_the_future_is_unknown_and_reported() {
    let future =
        |minutes: i64| json!({"last_callback_at": ago(TimeDelta::minutes(-minutes)), "created_at": hours_ago(900)});
    let outcome = Scene::of(agents([future(4), future(6), future(60 * 24 * 365)])).collect().await;
    outcome.assert_values(&[("agents_online", "1"), ("agents_unknown", "2")]);
    outcome.assert_quality(&[(FutureTimestamp, 2)]);
}

/// A long run reads its last pages well after the instant that it evaluates at.
#[tokio::test]
async fn a_call_between_the_evaluation_and_the_reading_is_online() {
    let called = json!({"last_callback_at": ago(TimeDelta::minutes(-20))});
    let wait = simulator::FaultKind::RetryAfter(503, "240".to_owned());
    let late = |scene: Scene| scene.fault(simulator::List::Agents, 1, 3, wait.clone());
    // Read after 12 minutes of waiting it lies 8 minutes ahead; after 16 it would lie within the tolerance.
    assert_eq!(state_in(late, called.clone()).await, "agents_unknown");
    let later = simulator::FaultKind::RetryAfter(503, "300".to_owned());
    let later = |scene: Scene| scene.fault(simulator::List::Agents, 1, 3, later.clone());
    assert_eq!(state_in(later, called).await, "agents_online");
}

#[tokio::test]
async fn unknown_status_words_are_unknown_agents_and_are_named() {
    let outcome = Scene::of(agents(
        ["online", "asleep", "Snoozing", "asleep", "PC of J. Smith"].map(|word| json!({"status": word})),
    ));
    let outcome = outcome.collect().await;
    outcome.assert_values(&[
        ("agents_total", "5"),
        ("agents_online", "1"),
        ("agents_unknown", "4"),
        ("agents_online_percentage", "20.0"),
    ]);
    outcome.assert_quality(&[(UnknownAgentStatus, 4)]);
    let detail = &outcome.bundle().metadata.data_quality[0].detail;
    assert!(detail.ends_with("(asleep, snoozing)"), "{detail}");
    assert!(!detail.contains("smith"), "{detail}");
}

#[tokio::test]
async fn agents_of_no_listed_organization_count_for_the_company_and_are_reported() {
    let online = |id, organization: Value| agent(id, json!({"organization_id": organization, "status": "online"}));
    let account = Account::from_records(
        vec![organization(1, json!({}))],
        vec![online(1, json!(1)), online(2, json!(99)), online(3, json!(null)), online(4, json!({"id": 1}))],
        vec![],
    );
    let outcome = Scene::of(account).collect().await;
    outcome.assert_values(&[
        ("agents_total", "4"),
        ("organizations_with_agents", "1"),
        ("organization_coverage_pct", "100.0"),
    ]);
    outcome.assert_quality(&[(AgentWithoutOrganization, 3)]);
    assert_values(&outcome.bundle_of(&["1"]).unwrap(), &[("agents_total", "1")]);
}

#[tokio::test]
async fn agents_that_the_organizations_count_otherwise_are_reported_with_the_difference() {
    let account = |claims: [Value; 2]| {
        let organizations =
            (1..).zip(claims).map(|(id, count)| organization(id, json!({"agents_count": count}))).collect();
        let agents = (1..=4).map(|id| agent(id, json!({"status": "online"}))).collect();
        Account::from_records(organizations, agents, vec![])
    };
    for (claims, expected) in [
        ([json!(3), json!(1)], vec![]),
        ([json!("3"), json!("1")], vec![]),
        ([json!(6), json!(1)], vec![(AgentsCountMismatch, 3)]),
        ([json!(1), json!(0)], vec![(AgentsCountMismatch, 3)]),
        // Where one organization does not say, nothing can be compared.
        ([json!(1), json!(null)], vec![]),
    ] {
        let outcome = Scene::of(account(claims)).collect().await;
        outcome.assert_quality(&expected);
        outcome.assert_values(&[("agents_total", "4")]);
    }
}

#[tokio::test]
async fn shares_are_of_those_that_say_something() {
    let fields = [
        json!({"edr_version": "0.4.12", "defender_status": "Healthy", "firewall_status": "Enabled", "tamper_protection_actual": true}),
        json!({"edr_version": "0.4.12", "defender_status": "PROTECTED", "firewall_status": "Isolated", "tamper_protection_actual": "false"}),
        json!({"edr_version": null, "defender_status": "Unhealthy", "firewall_status": "disabled", "tamper_protection_actual": null}),
        json!({"edr_version": null, "defender_status": null, "firewall_status": "Pending Isolation"}),
        json!({"defender_status": "", "firewall_status": null, "tamper_protection_actual": "perhaps"}),
    ];
    let online = fields.into_iter().map(|mut fields| {
        fields["status"] = json!("online");
        fields
    });
    let outcome = Scene::of(agents(online)).collect().await;
    outcome.assert_values(&[
        ("agents_edr_installed_pct", "40.0"),
        ("agents_defender_healthy_pct", "66.7"),
        ("agents_firewall_enabled_pct", "75.0"),
        ("agents_tamper_protected_pct", "50.0"),
        ("agents_isolated", "1"),
        ("organizations_with_online_agents", "1"),
    ]);
}

#[tokio::test]
async fn a_share_that_nobody_speaks_of_is_null() {
    let outcome = Scene::of(agents([json!({"status": "offline"})])).collect().await;
    outcome.assert_null("agents_edr_installed_pct", Reason::NotProvidedBySource);
    for key in ["agents_defender_healthy_pct", "agents_firewall_enabled_pct", "agents_tamper_protected_pct"] {
        outcome.assert_null(key, Reason::NothingToMeasure);
    }
    outcome.assert_values(&[("agents_online_percentage", "0.0"), ("organizations_with_online_agents", "0")]);
}

#[tokio::test]
async fn an_operators_instant_is_both_the_evaluation_and_the_reading() {
    let earlier = as_of() - TimeDelta::days(30);
    let at = |offset: TimeDelta| json!({"last_callback_at": timestamp(earlier + offset)});
    let account = agents([
        at(-TimeDelta::hours(24)),
        at(-TimeDelta::hours(25)),
        at(TimeDelta::minutes(5)),
        at(TimeDelta::minutes(6)),
    ]);
    let outcome = Scene::of(account).given_as_of(earlier).collect().await;
    outcome.assert_values(&[("agents_online", "2"), ("agents_offline", "1"), ("agents_unknown", "1")]);
    outcome.assert_quality(&[(FutureTimestamp, 1)]);
    let bundle = outcome.bundle();
    assert_eq!((bundle.metadata.as_of, bundle.collected_at), (earlier, as_of()));
}
