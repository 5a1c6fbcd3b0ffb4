//! The compliance platforms' worked example, and the form of the bundle.

use acceptance::edr::{Scene, as_of};
use simulator::{Account, AccountSpec, Shape};

/// In the order of the contract: category, key, type, unit.
const TABLE: [(&str, &str, &str, &str); 18] = [
    ("endpoint_protection", "agents_total", "count", "devices"),
    ("endpoint_protection", "agents_online", "count", "devices"),
    ("endpoint_protection", "agents_offline", "count", "devices"),
    ("endpoint_protection", "agents_missing", "count", "devices"),
    ("endpoint_protection", "agents_online_percentage", "percentage", "%"),
    ("incident_response", "incidents_total", "count", "incidents"),
    ("incident_response", "incidents_open", "count", "incidents"),
    ("incident_response", "incidents_in_progress", "count", "incidents"),
    ("incident_response", "incidents_resolved", "count", "incidents"),
    ("incident_response", "incidents_critical", "count", "incidents"),
    ("incident_response", "incidents_high", "count", "incidents"),
    ("asset_inventory", "organizations_total", "count", "organizations"),
    ("asset_inventory", "organizations_with_agents", "count", "organizations"),
    ("asset_inventory", "average_agents_per_org", "number", "devices"),
    ("asset_inventory", "organization_coverage_pct", "percentage", "%"),
    ("incident_response", "mean_time_to_detect_hours", "duration", "hours"),
    ("incident_response", "mean_time_to_resolve_hours", "duration", "hours"),
    ("incident_response", "incidents_auto_resolved", "count", "incidents"),
];

const EXTENDED: [&str; 24] = [
    "agents_unknown",
    "agents_isolated",
    "agents_edr_installed_pct",
    "agents_defender_healthy_pct",
    "agents_firewall_enabled_pct",
    "agents_tamper_protected_pct",
    "organizations_with_online_agents",
    "incidents_dismissed",
    "incidents_low",
    "incidents_unknown_status",
    "median_time_to_resolve_hours",
    "p90_time_to_resolve_hours",
    "oldest_open_incident_age_hours",
    "incidents_open_critical",
    "incidents_open_high",
    "oldest_open_critical_incident_age_hours",
    "oldest_open_high_incident_age_hours",
    "incidents_opened_30d",
    "incidents_resolved_90d",
    "mean_time_to_resolve_hours_90d",
    "median_time_to_resolve_hours_90d",
    "p90_time_to_resolve_hours_90d",
    "agents_servers_total",
    "agents_servers_online",
];

#[tokio::test]
async fn the_worked_example_gives_the_worked_numbers() {
    let outcome = Scene::of(Account::worked_example(as_of())).collect().await;
    outcome.assert_values(&[
        ("agents_total", "87"),
        ("agents_online", "85"),
        ("agents_online_percentage", "97.7"),
        ("organizations_total", "12"),
        ("organizations_with_agents", "11"),
        ("average_agents_per_org", "7.25"),
        ("organization_coverage_pct", "91.7"),
        ("incidents_total", "14"),
        ("mean_time_to_detect_hours", "4.2"),
        ("mean_time_to_resolve_hours", "18.5"),
        ("incidents_auto_resolved", "8"),
    ]);
    // Simulated time stands still while nobody waits, so the duration is the same every time.
    insta::assert_json_snapshot!(outcome.bundle());
}

/// The generated account in the vendor's own shape: no status words, no detection times.
#[tokio::test]
async fn an_account_in_the_vendors_own_shape_is_measured_too() {
    let spec =
        AccountSpec { seed: 7, shape: Shape::Vendor, organizations: 9, agents: 140, incidents: 60, as_of: as_of() };
    let outcome = Scene::of(spec.generate()).collect().await;
    insta::assert_json_snapshot!(outcome.bundle());
}

#[tokio::test]
async fn all_18_are_there_in_the_order_of_the_table_however_little_there_is_to_measure() {
    let nothing = Account::from_records(vec![], vec![], vec![]);
    for account in [nothing, Account::worked_example(as_of()), Account::demo(as_of())] {
        let bundle = serde_json::to_value(Scene::of(account).collect().await.bundle()).unwrap();
        let metrics = bundle["metrics"].as_array().unwrap();
        let rows: Vec<_> = metrics
            .iter()
            .map(|metric| ["category", "metric_key", "metric_type", "unit"].map(|key| metric[key].as_str().unwrap()))
            .collect();
        assert_eq!(rows, TABLE.map(|(category, key, kind, unit)| [category, key, kind, unit]));
        let extended: Vec<_> = bundle["extended_metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["metric_key"].as_str().unwrap())
            .collect();
        assert_eq!(extended, EXTENDED);
        for metric in metrics.iter().chain(bundle["extended_metrics"].as_array().unwrap()) {
            let reason = metric.get("reason");
            match &metric["metric_value"] {
                serde_json::Value::String(_) => assert_eq!(reason, None, "{metric}"),
                serde_json::Value::Null => assert!(reason.is_some_and(serde_json::Value::is_string), "{metric}"),
                _ => panic!("neither text nor null: {metric}"),
            }
        }
    }
}

#[tokio::test]
async fn the_keys_stand_in_the_order_of_the_contract() {
    let text =
        serde_json::to_string(&Scene::of(Account::from_records(vec![], vec![], vec![])).collect().await.bundle());
    let text = text.unwrap();
    let mut rest = text.as_str();
    for key in [
        "connector_type_id",
        "collected_at",
        "tenant",
        "company_id",
        "client_id",
        "metrics",
        "category",
        "metric_key",
        "metric_value",
        "metric_type",
        "unit",
        // A null value has its reason beside it.
        "agents_online_percentage",
        "metric_value\":null,\"reason",
        "metric_type",
        "extended_metrics",
        "schema_version\":2,\"facts\":{\"agents",
        "organizations",
        "incidents",
        "findings\":{\"total",
        "items",
        "metadata",
        "api_calls_made",
        "collection_duration_ms",
        "collection_method\":\"collectAll",
        "truncated\":false",
        "data_quality\":[]",
        "as_of",
        "derivation",
    ] {
        let (_, behind) =
            rest.split_once(&format!("\"{key}")).unwrap_or_else(|| panic!("{key} is not behind the rest"));
        rest = behind;
    }
}
