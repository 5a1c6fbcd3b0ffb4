//! Records that are not what they should be: never a silent wrong number.

use crate::records::{agent, hours_ago, incident, organization, small};
use acceptance::edr::{Outcome, Scene};
use common::domain::failure::FailureCode;
use common::domain::quality::QualityCode::{DuplicateRecord, RecordWithoutId, UnknownIncidentStatus, UnknownSeverity};
use serde_json::{Value, json};
use simulator::{Account, FaultKind, List};

fn online(id: u64) -> Value {
    agent(id, json!({"status": "online"}))
}

fn sent(id: u64) -> Value {
    incident(id, json!({"status": "sent", "sent_at": hours_ago(1)}))
}

/// Serves these bytes as the list of agents, beside one organization that claims nothing.
async fn with_agents(body: impl Into<Vec<u8>>) -> Outcome {
    let account = Account::from_records(vec![organization(1, json!({}))], vec![], vec![]);
    Scene::of(account).always(List::Agents, FaultKind::Body(body.into())).collect().await
}

#[tokio::test]
async fn ids_are_numbers_or_strings_and_both_are_the_same() {
    let mut as_text = online(2);
    (as_text["id"], as_text["organization_id"]) = (json!("2"), json!("1"));
    let mut worded = online(3);
    (worded["id"], worded["organization_id"]) = (json!("agent-three"), json!(" 1 "));
    let mut again = online(1);
    again["id"] = json!("1");
    let mut huge = online(0);
    huge["id"] = json!("99999999999999999999999");
    let mut organization = organization(1, json!({"agents_count": "4"}));
    organization["id"] = json!("1");
    let account = Account::from_records(vec![organization], vec![online(1), as_text, worded, again, huge], vec![]);
    let outcome = Scene::of(account).collect().await;
    outcome.assert_values(&[
        ("agents_total", "4"),
        ("organizations_with_agents", "1"),
        ("average_agents_per_org", "4.00"),
    ]);
    outcome.assert_quality(&[(DuplicateRecord, 1)]);
}

#[tokio::test]
async fn of_two_records_with_one_id_the_first_counts() {
    let offline = agent(5, json!({"status": "offline"}));
    let closed = incident(7, json!({"status": "closed"}));
    let renamed = organization(1, json!({"name": "Another", "agents_count": 900}));
    let account = Account::from_records(
        vec![organization(1, json!({"agents_count": 1})), renamed],
        vec![online(5), offline.clone(), offline],
        vec![sent(7), closed],
    );
    for size in [500, 1] {
        let outcome = Scene::of(account.clone()).max_page(size).collect().await;
        outcome.assert_values(&[
            ("agents_total", "1"),
            ("agents_online", "1"),
            ("incidents_total", "1"),
            ("incidents_open", "1"),
            ("organizations_total", "1"),
        ]);
        outcome.assert_quality(&[(DuplicateRecord, 4)]);
        assert_eq!(outcome.bundle().metadata.records_read.agents, 3);
    }
}

#[tokio::test]
async fn records_without_an_id_are_dropped_and_reported() {
    let without = |mut record: Value, id: Option<Value>| {
        let fields = record.as_object_mut().unwrap();
        fields.remove("id");
        fields.extend(id.map(|id| ("id".to_owned(), id)));
        record
    };
    let odd = [
        None,
        Some(json!(null)),
        Some(json!("")),
        Some(json!("  ")),
        Some(json!({"id": 1})),
        Some(json!(-5)),
        Some(json!(1.5)),
    ];
    let agents = odd.clone().map(|id| without(online(0), id));
    let incidents = odd.clone().map(|id| without(sent(0), id));
    let account = Account::from_records(
        vec![organization(1, json!({})), without(organization(0, json!({})), None)],
        agents.into_iter().chain([online(1), json!(null), json!("agent"), json!([1])]).collect(),
        incidents.into_iter().chain([sent(1)]).collect(),
    );
    let outcome = Scene::of(account).collect().await;
    outcome.assert_values(&[("agents_total", "1"), ("incidents_total", "1"), ("organizations_total", "1")]);
    outcome.assert_quality(&[(RecordWithoutId, 7 + 3 + 7 + 1)]);
}

#[tokio::test]
async fn a_list_of_nothing_but_records_without_an_id_is_a_failure() {
    let nothing = || vec![json!({"name": "x"}), json!({"id": null}), json!(7)];
    for (account, list) in [
        (Account::from_records(nothing(), vec![], vec![]), List::Organizations),
        (Account::from_records(vec![], nothing(), vec![]), List::Agents),
        (Account::from_records(vec![], vec![], nothing()), List::IncidentReports),
    ] {
        let outcome = Scene::of(account).collect().await;
        outcome.assert_failure(FailureCode::Inconsistent, list, &["none of the 3 records", "id"]);
    }
}

#[tokio::test]
async fn nulls_everywhere_are_absent_fields() {
    let fields = |record: Value, id: u64| {
        let nulls = record.as_object().unwrap().keys().map(|key| (key.clone(), Value::Null));
        let mut record = Value::Object(nulls.collect());
        record["id"] = json!(id);
        record
    };
    let example = Account::worked_example(acceptance::edr::as_of());
    let of = |list| fields(example.record(list, 0).unwrap(), 1);
    let bare = |_| json!({"id": 1});
    let nulls =
        Account::from_records(vec![of(List::Organizations)], vec![of(List::Agents)], vec![of(List::IncidentReports)]);
    let bare = Account::from_records(vec![bare(0)], vec![bare(0)], vec![bare(0)]);
    let (nulls, bare) = (Scene::of(nulls).collect().await, Scene::of(bare).collect().await);
    nulls.assert_values(&[("agents_unknown", "1"), ("incidents_open", "1"), ("incidents_unknown_status", "1")]);
    assert_eq!(nulls.bundle().metrics, bare.bundle().metrics);
    assert_eq!(nulls.bundle().metadata.data_quality, bare.bundle().metadata.data_quality);
}

#[tokio::test]
async fn every_field_may_have_any_type_without_costing_the_run() {
    let example = Account::worked_example(acceptance::edr::as_of());
    for odd in [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!("\u{0}\u{1f600}"),
        json!([[]]),
        json!({"a": {"b": []}}),
    ] {
        let spoil = |list| {
            let mut record: Value = example.record(list, 0).unwrap();
            for (key, value) in record.as_object_mut().unwrap() {
                *value = if key == "id" { json!(1) } else { odd.clone() };
            }
            vec![record]
        };
        let account =
            Account::from_records(spoil(List::Organizations), spoil(List::Agents), spoil(List::IncidentReports));
        let outcome = Scene::of(account).collect().await;
        outcome.assert_values(&[
            ("agents_total", "1"),
            ("agents_online", "0"),
            ("agents_unknown", "1"),
            ("incidents_open", "1"),
            ("incidents_unknown_status", "1"),
        ]);
        let codes: Vec<_> = outcome.bundle().metadata.data_quality.iter().map(|entry| entry.code).collect();
        assert!(codes.contains(&UnknownIncidentStatus) && codes.contains(&UnknownSeverity), "{odd}: {codes:?}");
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let extra =
        json!({"details": {"agents": [1, 2], "id": 9}, "next_page_token": "x", "ids": [7], "Status": "offline"});
    let with = |mut record: Value| {
        record.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        record
    };
    let account =
        Account::from_records(vec![with(organization(1, json!({})))], vec![with(online(1))], vec![with(sent(1))]);
    let extra = FaultKind::patch(|page| {
        page["total_count"] = json!(900);
        page["next_page_token"] = json!("at the top it is no token");
        page["pagination"]["current_page"] = json!(1);
    });
    let outcome = Scene::of(account).always(List::Agents, extra).collect().await;
    outcome.assert_values(&[("agents_online", "1"), ("incidents_open", "1"), ("organizations_with_agents", "1")]);
    outcome.assert_quality(&[]);
    assert_eq!(outcome.requests.len(), 3);
}

#[tokio::test]
async fn escaped_keys_and_words_are_read_like_plain_ones() {
    let body =
        r#"{"\u0061gents":[{"i\u0064":1,"organization_id":1,"st\u0061tus":"onl\u0069ne"}],"p\u0061gination":{}}"#;
    with_agents(body).await.assert_values(&[("agents_online", "1")]);
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_malformed_and_not_guessed() {
    let outcome = with_agents(r#"{"agents":[{"id":1,"status":"online","status":"missing"}],"pagination":{}}"#).await;
    outcome.assert_failure(FailureCode::Malformed, List::Agents, &["at agents", "twice"]);
}

#[tokio::test]
async fn deep_nesting_in_a_field_that_nobody_uses_is_skipped() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for nested in [&deep, &objects] {
        let body = format!(
            r#"{{"agents":[{{"id":1,"x":{nested},"status":"online"}}],"y":{nested},"pagination":{{"z":{nested}}}}}"#
        );
        with_agents(body).await.assert_values(&[("agents_online", "1")]);
    }
}

#[tokio::test]
async fn deep_nesting_in_a_field_that_is_used_is_an_odd_value_like_any_other() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let outcome = with_agents(format!(
            r#"{{"agents":[{{"id":{deep}}},{{"id":2,"status":{deep},"last_callback_at":{deep}}}]}}"#
        ))
        .await;
        outcome.assert_values(&[("agents_total", "1"), ("agents_unknown", "1")]);
        let outcome =
            with_agents(format!(r#"{{"agents":[{deep},{{"id":2,"organization_id":1,"status":"online"}}]}}"#)).await;
        outcome.assert_values(&[("agents_total", "1"), ("agents_online", "1")]);
        outcome.assert_quality(&[(RecordWithoutId, 1)]);

        let body = format!(
            r#"{{"incident_reports":[{{"id":1,"status":"closed","remediations":{{"items":[{deep},{{"status":{deep}}}]}}}}]}}"#
        );
        let outcome = Scene::of(small()).always(List::IncidentReports, FaultKind::Body(body.into())).collect().await;
        outcome.assert_values(&[("incidents_auto_resolved", "0"), ("incidents_resolved", "1")]);
    }
}

#[tokio::test]
async fn a_list_that_is_deep_nesting_itself_is_no_list_of_records() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let outcome = with_agents(format!(r#"{{"agents":{deep}}}"#)).await;
    outcome.assert_failure(FailureCode::Inconsistent, List::Agents, &["none of the 1 records"]);
    let outcome = with_agents(format!(r#"{{"agents":[],"pagination":{{"next_page_token":{deep}}}}}"#)).await;
    outcome.assert_failure(FailureCode::Malformed, List::Agents, &["pagination.next_page_token"]);
}

#[tokio::test]
async fn invalid_utf8_is_malformed() {
    for body in [
        &b"{\"agents\":[{\"id\":1,\"status\":\"on\xffline\"}]}"[..],
        b"{\"agents\":[{\"id\":\"\xc3\x28\"}]}",
        b"{\"agents\":[],\"pagination\":{\"next_page_token\":\"\xf0\x28\x8c\xbc\"}}",
        b"{\"agents\":[{\"id\":1,\"hostname\":\"\xff\xfe\"}]}",
        b"\xff\xfe{\x00\"\x00",
    ] {
        let outcome = with_agents(body).await;
        outcome.assert_failure(FailureCode::Malformed, List::Agents, &[]);
        assert_eq!(outcome.requests_to(List::Agents).len(), 4);
    }
}
