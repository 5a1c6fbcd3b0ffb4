//! What holds for any account: the order, the sizes of pages and duplicates do not matter, and parts add up to their whole.

use crate::records::{ago, organization};
use acceptance::edr::{Outcome, Scene, metric, quality};
use chrono::TimeDelta;
use common::domain::evidence::EdrBundle;
use common::domain::quality::QualityCode;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use simulator::Account;

/// Fields of a record, by name; what is null here is absent or null there.
type Fields = Map<String, Value>;

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 4 => select(words).prop_map(|word| json!(word))]
}

/// A time within a month before the evaluation, rarely one after it or none at all.
fn time() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        8 => (0_i64..30 * 24 * 60).prop_map(|minutes| json!(ago(TimeDelta::minutes(minutes)))),
        1 => (0_i64..20).prop_map(|minutes| json!(ago(TimeDelta::minutes(-minutes)))),
        1 => Just(json!("no time")),
    ]
}

fn fields(named: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Fields> {
    let (names, values): (Vec<_>, Vec<_>) = named.into_iter().unzip();
    values.prop_map(move |values| names.iter().map(|name| (*name).to_owned()).zip(values).collect())
}

fn agent() -> impl Strategy<Value = Fields> {
    fields(vec![
        ("organization_id", select(vec![json!(1), json!("2"), json!(3), json!(9), json!(null)]).boxed()),
        (
            "status",
            prop_oneof![Just(Value::Null), word(&["online", "OFFLINE", "missing", "decommissioned", "asleep"])].boxed(),
        ),
        ("last_callback_at", time().boxed()),
        ("created_at", time().boxed()),
        ("edr_version", word(&["0.4.12"]).boxed()),
        ("defender_status", word(&["Healthy", "Protected", "Unhealthy"]).boxed()),
        ("firewall_status", word(&["Enabled", "Disabled", "Isolated"]).boxed()),
        ("tamper_protection_actual", select(vec![json!(true), json!(false), json!(null)]).boxed()),
    ])
}

fn incident() -> impl Strategy<Value = Fields> {
    let done = json!({"type": "assisted", "status": "completed", "approved_by": null});
    let manual = json!({"type": "manual", "status": "completed"});
    let remediations = vec![
        json!(null),
        json!([done]),
        json!({"has_more": false, "items": [done, manual]}),
        json!({"has_more": true, "items": [done]}),
    ];
    fields(vec![
        ("organization_id", select(vec![json!(1), json!(2), json!("3"), json!(9), json!(null)]).boxed()),
        ("status", word(&["sent", "In Progress", "closed", "resolved", "dismissed", "draft", "paused"]).boxed()),
        ("severity", word(&["low", "HIGH", "critical", "medium"]).boxed()),
        ("created_at", time().boxed()),
        ("detected_at", time().boxed()),
        ("sent_at", time().boxed()),
        ("resolved_at", time().boxed()),
        ("closed_at", time().boxed()),
        ("resolved_by", word(&["automation", "analyst"]).boxed()),
        ("remediations", select(remediations).boxed()),
    ])
}

#[derive(Debug, Clone)]
struct Plan {
    agents: Vec<Fields>,
    incidents: Vec<Fields>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let lists = (prop::collection::vec(agent(), 0..14), prop::collection::vec(incident(), 0..12));
    lists.prop_map(|(agents, incidents)| Plan { agents, incidents })
}

/// How the same records are served: lists come in the order of the ids, so who gets which id is the order.
#[derive(Debug, Clone)]
struct Serving {
    /// Sort keys, which give the ids; a text sorts behind all numbers, and `"10"` before `"9"`.
    order: Vec<(u16, bool)>,
    doubled: Vec<bool>,
    page: u32,
}

fn serving() -> impl Strategy<Value = Serving> {
    let places = prop::collection::vec((any::<u16>(), any::<bool>()), 14);
    (places, prop::collection::vec(prop::bool::weighted(0.3), 14), 1_u32..8)
        .prop_map(|(order, doubled, page)| Serving { order, doubled, page })
}

impl Serving {
    /// The records with their ids, and how many of them are copies.
    fn serve(&self, records: &[Fields]) -> (Vec<Value>, u64) {
        let mut served = Vec::new();
        let mut copies = 0;
        for (index, fields) in records.iter().enumerate() {
            let (place, as_text) = self.order[index];
            let id = u64::from(place) * 100 + index as u64 + 1;
            let id = |as_text: bool| if as_text { json!(id.to_string()) } else { json!(id) };
            let with = |id: Value| {
                let mut fields = fields.clone();
                fields.insert("id".to_owned(), id);
                Value::Object(fields)
            };
            served.push(with(id(as_text)));
            if self.doubled[index] {
                // The copy has the id in the other form, so it comes somewhere else.
                served.push(with(id(!as_text)));
                copies += 1;
            }
        }
        (served, copies)
    }

    fn collect(&self, plan: &Plan) -> (Outcome, u64) {
        let (agents, agent_copies) = self.serve(&plan.agents);
        let (incidents, incident_copies) = self.serve(&plan.incidents);
        let organizations = (1..=4).map(|id| organization(id, json!({}))).collect();
        let scene = Scene::of(Account::from_records(organizations, agents, incidents)).max_page(self.page);
        (scene.collect_blocking(), agent_copies + incident_copies)
    }
}

fn number(bundle: &EdrBundle, key: &str) -> u64 {
    metric(bundle, key).metric_value.unwrap().parse().unwrap()
}

fn sum(bundle: &EdrBundle, keys: &[&str]) -> u64 {
    keys.iter().map(|key| number(bundle, key)).sum()
}

/// The anomalies but for duplicates, and how many of these.
fn anomalies(bundle: &EdrBundle) -> (Vec<(QualityCode, u64)>, u64) {
    let (duplicates, others): (Vec<_>, Vec<_>) =
        quality(bundle).into_iter().partition(|(code, _)| *code == QualityCode::DuplicateRecord);
    (others, duplicates.iter().map(|(_, count)| count).sum())
}

fn parts_add_up(bundle: &EdrBundle) {
    let number = |key| number(bundle, key);
    let agents = number("agents_total");
    assert_eq!(sum(bundle, &["agents_online", "agents_offline", "agents_missing", "agents_unknown"]), agents);
    let incidents = number("incidents_total");
    let states = ["incidents_open", "incidents_in_progress", "incidents_resolved", "incidents_dismissed"];
    assert_eq!(sum(bundle, &states), incidents);
    assert!(sum(bundle, &["incidents_critical", "incidents_high", "incidents_low"]) <= incidents);
    assert!(number("incidents_unknown_status") <= number("incidents_open"));
    assert!(number("agents_isolated") <= agents);
    assert!(number("organizations_with_agents") <= number("organizations_total"));
    assert!(number("organizations_with_online_agents") <= number("organizations_with_agents"));
    let auto_resolved = metric(bundle, "incidents_auto_resolved").metric_value;
    assert!(auto_resolved.is_none_or(|count| count.parse::<u64>().unwrap() <= number("incidents_resolved")));
    for metric in bundle.metrics.iter().chain(&bundle.extended_metrics) {
        assert_eq!(metric.metric_value.is_none(), metric.reason.is_some(), "{}", metric.metric_key);
        let Some(value) = &metric.metric_value else { continue };
        let shown: f64 = value.parse().unwrap();
        assert!(shown >= 0.0, "{} {value}", metric.metric_key);
        let decimals = value.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let expected = match metric.unit.as_str() {
            "%" | "hours" => 1,
            _ if metric.metric_key.starts_with("average") => 2,
            _ => 0,
        };
        assert_eq!(decimals, expected, "{} {value}", metric.metric_key);
        assert!(metric.unit != "%" || shown <= 100.0, "{} {value}", metric.metric_key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_page_size_and_duplicates_do_not_change_the_evidence(plan in plan(), one in serving(), other in serving()) {
        let ((first, copies), (second, other_copies)) = (one.collect(&plan), other.collect(&plan));
        let (first, second) = (first.bundle(), second.bundle());
        prop_assert_eq!(&first.metrics, &second.metrics);
        prop_assert_eq!(&first.extended_metrics, &second.extended_metrics);
        prop_assert_eq!(&first.metadata.derivation, &second.metadata.derivation);
        let ((odd, duplicates), (other_odd, other_duplicates)) = (anomalies(&first), anomalies(&second));
        prop_assert_eq!(odd, other_odd);
        prop_assert_eq!((duplicates, other_duplicates), (copies, other_copies));
    }

    #[test]
    fn parts_add_up_to_their_whole(plan in plan(), serving in serving()) {
        let (outcome, _) = serving.collect(&plan);
        parts_add_up(&outcome.bundle());
        parts_add_up(&outcome.bundle_of(&["1", "3"]).unwrap());
        // A scope is never more than the whole.
        let (whole, scope) = (outcome.bundle(), outcome.bundle_of(&["1", "3"]).unwrap());
        for key in ["agents_total", "agents_online", "incidents_total", "incidents_open", "organizations_with_agents"] {
            prop_assert!(number(&scope, key) <= number(&whole, key), "{}", key);
        }
    }

    /// Counted anew in the plainest way.
    #[test]
    fn states_are_what_a_plain_count_says(plan in plan(), serving in serving()) {
        let bundle = serving.collect(&plan).0.bundle();
        let with = |word: &str| plan.agents.iter().filter(|it| it["status"] == word).count() as u64;
        let derived = plan.agents.iter().filter(|it| it["status"].is_null()).count() as u64;
        prop_assert!(number(&bundle, "agents_online") >= with("online"));
        prop_assert!(number(&bundle, "agents_missing") >= with("missing"));
        prop_assert!(number(&bundle, "agents_unknown") >= with("asleep"));
        prop_assert_eq!(number(&bundle, "agents_total"), plan.agents.len() as u64 - with("decommissioned"));
        prop_assert_eq!(
            number(&bundle, "agents_total") - derived,
            with("online") + with("OFFLINE") + with("missing") + with("asleep")
        );
        let are = |words: &[&str]| {
            plan.incidents.iter().filter(|it| words.contains(&it["status"].as_str().unwrap_or("no word"))).count() as u64
        };
        prop_assert_eq!(number(&bundle, "incidents_open"), are(&["sent", "paused", "no word"]));
        prop_assert_eq!(number(&bundle, "incidents_in_progress"), are(&["In Progress"]));
        prop_assert_eq!(number(&bundle, "incidents_resolved"), are(&["closed", "resolved"]));
        prop_assert_eq!(number(&bundle, "incidents_dismissed"), are(&["dismissed"]));
    }
}
