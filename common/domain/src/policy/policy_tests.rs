use super::*;
use crate::controls::Category;
use crate::edr::EdrSettings;
use crate::edr::facts::EdrFacts;
use crate::edr::metrics::{EdrRules, extended_metrics, metrics};
use crate::evidence::MetricType;
use crate::product::Product;
use std::sync::Arc;

fn rule(fields: &str) -> String {
    policy(&format!(r#"[{{"id": "r", "evidence": "endpoint_protection", {fields}}}]"#))
}

fn policy(rules: &str) -> String {
    format!(r#"{{"policy": "ours", "version": "1.0.0", "rules": {rules}}}"#)
}

fn ours(version: &str, rules: &str) -> Arc<Policy> {
    let text = format!(r#"{{"policy": "ours", "version": "{version}", "rules": {rules}}}"#);
    Arc::new(Policy::parse(&text).unwrap())
}

const MISSING: &str =
    r#"{"id": "missing", "evidence": "endpoint_protection", "metric": "agents_missing", "pass": {"at_most": "0"}}"#;

#[test]
fn every_preset_can_be_read_and_is_hashed_as_it_is_written() {
    let names: Vec<_> = presets().iter().map(|policy| policy.to_string()).collect();
    assert_eq!(names, ["training 1.0.0", "baseline 1.0.0", "strict 1.0.0"]);
    for (file, policy) in [
        include_str!("presets/training.json"),
        include_str!("presets/baseline.json"),
        include_str!("presets/strict.json"),
    ]
    .into_iter()
    .zip(presets())
    {
        // What others hash, the file's own canonical form, is what we hash.
        let document: serde_json::Value = serde_json::from_str(file).unwrap();
        assert_eq!(policy.canonical(), jcs::to_bytes(&document).unwrap(), "{policy}");
        assert_eq!(policy.sha256(), Hash::of(&jcs::to_bytes(&document).unwrap()).hex());
        assert_eq!(Policy::parse(&String::from_utf8(policy.canonical()).unwrap()).unwrap(), **policy);
    }
}

#[test]
fn the_presets_have_the_limits_of_the_contract() {
    let shown = |policy: &Policy| -> Vec<String> {
        policy.rules().iter().map(|rule| format!("{} {} {}", rule.id, rule.metric, rule.limits)).collect()
    };
    assert_eq!(
        shown(training()),
        [
            "sat-coverage coverage_pct pass at least 90, warning at least 70",
            "sat-phishing compromise_rate_pct pass at most 5, warning at most 15",
        ]
    );
    assert_eq!(
        shown(baseline()),
        [
            "edr-online agents_online_percentage pass at least 95, warning at least 90",
            "edr-missing agents_missing pass at most 0, warning at most 2",
            "edr-coverage organization_coverage_pct pass at least 100, warning at least 95",
            "ir-critical-24h oldest_open_critical_incident_age_hours pass at most 24",
            "ir-resolve-90d p90_time_to_resolve_hours_90d pass at most 72, warning at most 168",
        ]
    );
    assert_eq!(
        shown(strict()),
        [
            "edr-online agents_online_percentage pass at least 98, warning at least 95",
            "edr-missing agents_missing pass at most 0",
            "edr-installed agents_edr_installed_pct pass at least 100, warning at least 98",
            "edr-defender agents_defender_healthy_pct pass at least 98, warning at least 95",
            "edr-tamper agents_tamper_protected_pct pass at least 98, warning at least 95",
            "edr-coverage organization_coverage_pct pass at least 100, warning at least 99",
            "ir-critical-24h oldest_open_critical_incident_age_hours pass at most 8",
            "ir-resolve-90d p90_time_to_resolve_hours_90d pass at most 24, warning at most 72",
        ]
    );
}

#[test]
fn the_catalog_has_every_metric_of_a_bundle_with_its_evidence_and_kind() {
    let (facts, rules) = (EdrFacts::default(), EdrRules::from(EdrSettings::default()));
    for metric in metrics(&facts, rules).into_iter().chain(extended_metrics(&facts, rules)) {
        let entry = MetricDefinition::find(metric.key).unwrap_or_else(|| panic!("{}", metric.key));
        assert_eq!(entry.evidence, Evidence::from(metric.category), "{}", entry.key);
        let kind = match metric.metric_type {
            MetricType::Count => ValueKind::Count,
            MetricType::Percentage => ValueKind::Percentage,
            MetricType::Number => ValueKind::Number,
            MetricType::Duration => ValueKind::Hours,
        };
        assert_eq!(entry.kind, kind, "{}", entry.key);
    }
    let mut keys: Vec<_> = CATALOG.iter().map(|entry| entry.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), CATALOG.len());
    assert_eq!(Evidence::from(Category::AssetInventory).product(), Some(Product::Edr));
}

#[test]
fn what_is_wrong_with_a_rule_is_said_with_its_name() {
    let pass = r#""pass": {"at_least": "95"}"#;
    let online = r#""metric": "agents_online_percentage""#;
    for (text, says) in [
        (rule(&format!(r#"{online}, {pass}, "colour": 1"#)), "rule r: unknown field `colour`"),
        (rule(pass), "rule r: missing field `metric`"),
        (rule(online), "rule r: missing field `pass`"),
        (
            rule(&format!(r#""metric": "agents_offlin", {pass}"#)),
            "rule r: there is no metric \"agents_offlin\" (is it agents_offline?)",
        ),
        (
            rule(&format!(r#""metric": "incidents_open", {pass}"#)),
            "rule r: the metric incidents_open is of incident_response, not of endpoint_protection",
        ),
        (rule(&format!(r#"{online}, "pass": {{"at_least": "95%"}}"#)), "rule r: pass: \"95%\" is no decimal"),
        (
            rule(&format!(r#"{online}, "pass": {{"at_least": 95}}"#)),
            "rule r: pass: \"95\" is no decimal: write it as text",
        ),
        (rule(&format!(r#"{online}, "pass": {{"at_least": "-5"}}"#)), "rule r: pass: \"-5\" is no decimal"),
        (rule(&format!(r#"{online}, "pass": {{"at_least": "9e1"}}"#)), "rule r: pass: \"9e1\" is no decimal"),
        (
            rule(&format!(r#"{online}, "pass": {{"at_least": "950"}}"#)),
            "rule r: pass: a percentage is at most 100, not 950",
        ),
        (rule(&format!(r#"{online}, "pass": {{"above": "95"}}"#)), "rule r: pass: a limit is one of"),
        (
            rule(&format!(r#"{online}, "pass": {{"at_least": "95", "at_most": "99"}}"#)),
            "rule r: pass: a limit is one of",
        ),
        (
            rule(&format!(r#"{online}, {pass}, "warning": {{"at_least": "95.000001"}}"#)),
            "rule r: the warning (at least 95.000001) is stricter than the pass (at least 95)",
        ),
        (
            rule(r#""metric": "agents_missing", "pass": {"at_most": "2"}, "warning": {"at_most": "1"}"#),
            "rule r: the warning (at most 1) is stricter than the pass (at most 2)",
        ),
        (
            rule(&format!(r#"{online}, {pass}, "warning": {{"at_most": "90"}}"#)),
            "rule r: pass is at least 95 and warning is at most 90",
        ),
        (rule(&format!(r#"{online}, {pass}, "needs": {{"agents": 1}}"#)), "rule r: there is no metric \"agents\""),
        (
            rule(&format!(r#"{online}, {pass}, "needs": {{"sent": 1}}"#)),
            "rule r: needs sent, which is a metric of huntress-sat",
        ),
        (rule(&format!(r#"{online}, {pass}, "needs": {{"agents_total": -1}}"#)), "rule r: invalid value"),
        (
            rule(&format!(r#"{online}, {pass}, "if_nothing_to_measure": "not_evaluated""#)),
            "rule r: if_nothing_to_measure is one of",
        ),
        (
            rule(&format!(r#"{online}, {pass}, "if_nothing_to_measure": "green""#)),
            "rule r: if_nothing_to_measure is one of",
        ),
        (policy(&format!("[{MISSING}, {MISSING}]")), "rule missing: the id stands twice"),
        (policy(r#"[{"evidence": "endpoint_protection"}]"#), "rule 1 (without id): missing field `id`"),
        (
            policy(&format!(
                r#"[{MISSING}, {{"id": "a b", "evidence": "asset_inventory", "metric": "organizations_total", "pass": {{"at_least": "1"}}}}]"#
            )),
            "rule a b: rule id must be",
        ),
        (
            policy(r#"[{"id": "r", "evidence": "weather", "metric": "sent", "pass": {"at_least": "1"}}]"#),
            "rule r: there is no evidence \"weather\"; there are workforce_coverage,",
        ),
        (
            policy(r#"[{"id": "r", "evidence": "person_training", "metric": "sent", "pass": {"at_least": "1"}}]"#),
            "rule r: the metric sent is of phishing_simulation, not of person_training",
        ),
    ] {
        let error = Policy::parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(says), "{text}\n{error}");
    }
}

#[test]
fn what_is_wrong_with_a_policy_is_said() {
    for (text, says) in [
        ("", "this is no policy"),
        ("[]", "this is no policy"),
        (&*policy("[]"), "a policy has 1 to 200 rules, not 0"),
        (&*policy(&format!("[{}]", vec![MISSING; 201].join(","))), "a policy has 1 to 200 rules, not 201"),
        (r#"{"policy": "Ours", "version": "1.0.0", "rules": []}"#, "policy name \"Ours\": use small letters only"),
        (r#"{"policy": "a/b", "version": "1.0.0", "rules": []}"#, "policy name must be"),
        (r#"{"policy": "ours", "version": "1.0", "rules": []}"#, "\"1.0\" is no version"),
        (
            r#"{"policy": "ours", "policy": "ours", "version": "1.0.0", "rules": []}"#,
            "this is no policy: `policy` stands twice",
        ),
        (
            r#"{"policy": "ours", "version": "1.0.0", "rules": [], "owner": "me"}"#,
            "this is no policy: unknown field `owner`",
        ),
        (
            r#"{"policy": "ours", "version": "1.0.0", "rules": [], "freshness": null}"#,
            "this is no policy: invalid type: null",
        ),
    ] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(says), "{text}\n{error}");
    }
    let with_freshness = |stale: u32, expired: u32| {
        let text = policy(&format!("[{MISSING}]"));
        let freshness =
            format!(r#", "freshness": {{"stale_after_hours": {stale}, "expired_after_days": {expired}}}}}"#);
        Policy::parse(&format!("\u{feff}{}{freshness}", text.strip_suffix('}').unwrap()))
    };
    assert_eq!(with_freshness(23, 1).unwrap().freshness(), Freshness { stale_after_hours: 23, expired_after_days: 1 });
    for (stale, expired) in [(24, 1), (0, 1), (26, 366)] {
        assert!(matches!(with_freshness(stale, expired), Err(InvalidPolicy::Freshness)), "{stale} {expired}");
    }
}

#[test]
fn an_empty_warning_band_may_be() {
    let text = rule(r#""metric": "agents_missing", "pass": {"at_most": "2"}, "warning": {"at_most": "2.0"}"#);
    assert!(Policy::parse(&text).is_ok());
}

#[test]
fn a_version_never_changes() {
    let one = ours("1.0.0", &format!("[{MISSING}]"));
    let other = ours("1.0.0", &format!("[{}]", MISSING.replace("\"0\"", "\"1\"")));
    let next = ours("1.0.1", &format!("[{}]", MISSING.replace("\"0\"", "\"1\"")));
    assert_eq!(one.check_against(&one), Ok(()));
    assert_eq!(next.check_against(&one), Ok(()));
    assert_eq!(other.check_against(baseline()), Ok(()));
    let error = other.check_against(&one).unwrap_err().to_string();
    assert!(error.starts_with("ours 1.0.0 exists with other content (rule missing differs)"), "{error}");
    // Even where the number is the same, the text is what was hashed.
    let same_number = ours("1.0.0", &format!("[{}]", MISSING.replace("\"0\"", "\"0.0\"")));
    assert!(same_number.check_against(&one).is_err());
    let mut fresh = (*one).clone();
    fresh.freshness = Some(Freshness::DEFAULT);
    assert_eq!(fresh.check_against(&one).unwrap_err().rule, None);
}

#[test]
fn a_choice_replaces_only_the_evidence_that_it_has_rules_for() {
    let policies = |in_force: &InForce| -> Vec<String> {
        [
            Evidence::WorkforceCoverage,
            Evidence::PhishingSimulation,
            Evidence::EndpointProtection,
            Evidence::AssetInventory,
            Evidence::IncidentResponse,
        ]
        .map(|kind| in_force.policy_for(kind).map_or_else(|| "-".to_owned(), |it| it.name().to_string()))
        .into()
    };
    let first = InForce::default();
    assert_eq!(policies(&first), ["training", "training", "-", "-", "-"]);
    let second = first.choose(baseline()).unwrap();
    assert_eq!(policies(&second), ["training", "training", "baseline", "baseline", "baseline"]);
    let endpoints = ours("1.0.0", &format!("[{MISSING}]"));
    let third = second.choose(&endpoints).unwrap();
    assert_eq!(policies(&third), ["training", "training", "ours", "baseline", "baseline"]);
    let ids: Vec<_> = third.rules().map(|(policy, rule)| format!("{}/{}", policy.policy, rule.id)).collect();
    assert_eq!(
        ids,
        [
            "training/sat-coverage",
            "training/sat-phishing",
            "ours/missing",
            "baseline/edr-coverage",
            "baseline/ir-critical-24h",
            "baseline/ir-resolve-90d"
        ]
    );
    assert_eq!(third, InForce::after([baseline(), &endpoints]));
    assert_eq!(third.choose(strict()).unwrap().policies().len(), 2);
    let phishing = ours(
        "2.0.0",
        r#"[{"id": "p", "evidence": "phishing_simulation", "metric": "compromise_rate_pct", "pass": {"at_most": "3"}}]"#,
    );
    assert_eq!(policies(&third.choose(&phishing).unwrap())[..2], ["training", "ours"]);
}

#[test]
fn a_rule_id_stands_for_one_rule() {
    let clash = ours(
        "1.0.0",
        r#"[{"id": "edr-coverage", "evidence": "endpoint_protection", "metric": "agents_missing", "pass": {"at_most": "0"}}]"#,
    );
    let error = InForce::default().choose(baseline()).unwrap().choose(&clash).unwrap_err().to_string();
    assert!(
        error.starts_with("rule edr-coverage of ours 1.0.0 would stand beside rule edr-coverage of baseline 1.0.0"),
        "{error}"
    );
    assert!(InForce::default().choose(&clash).is_ok());
}

#[test]
fn of_several_policies_the_smallest_limit_of_freshness_counts() {
    let text = policy(&format!("[{MISSING}]"));
    let tight = format!(
        r#"{}, "freshness": {{"stale_after_hours": 12, "expired_after_days": 30}}}}"#,
        text.strip_suffix('}').unwrap()
    );
    let in_force = InForce::after([baseline(), &Arc::new(Policy::parse(&tight).unwrap())]);
    let of = |kinds: &[Evidence]| {
        let limits = in_force.freshness(kinds.iter().copied());
        (limits.stale_after_hours, limits.expired_after_days)
    };
    assert_eq!(of(&[Evidence::EndpointProtection]), (12, 30));
    assert_eq!(of(&[Evidence::EndpointProtection, Evidence::AssetInventory]), (12, 7));
    assert_eq!(of(&[]), (26, 7));
}
