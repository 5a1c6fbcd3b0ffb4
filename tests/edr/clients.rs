//! One key, many clients: the organizations of one collection, divided.

use crate::records::{agent, hours_ago, incident, organization};
use acceptance::edr::{Collector, Outcome, Scene, as_of, assert_values, metric, quality};
use common::domain::edr::bundle::split;
use common::domain::edr::findings::FindingKind;
use common::domain::edr::{AgentLimits, EdrSettings};
use common::domain::evidence::EdrBundle;
use common::domain::id::{ClientId, CompanyId};
use common::domain::mapping::Mapping;
use common::domain::policy::ClientPolicies;
use common::domain::quality::QualityCode::{
    AgentWithoutOrganization, AgentsCountMismatch, DuplicateRecord, UnknownAgentStatus,
};
use serde_json::json;
use simulator::{Account, AccountSpec, List, Shape};
use std::collections::BTreeMap;

/// Organization 1 has two agents online and an incident, 2 one offline and none, 3 none but two incidents, 4 an agent missing.
fn four() -> Account {
    let online =
        |id, organization: u64, status: &str| agent(id, json!({"organization_id": organization, "status": status}));
    let closed = |id, organization: u64, hours: i64| {
        incident(
            id,
            json!({"organization_id": organization, "status": "closed", "sent_at": hours_ago(100), "closed_at": hours_ago(100 - hours)}),
        )
    };
    Account::from_records(
        (1..).zip([2, 1, 0, 1]).map(|(id, count)| organization(id, json!({"agents_count": count}))).collect(),
        vec![online(1, 1, "online"), online(2, 1, "online"), online(3, 2, "offline"), online(4, 4, "missing")],
        vec![closed(1, 1, 2), closed(2, 3, 4), closed(3, 3, 9)],
    )
}

fn mapping(clients: &[(&str, &str)], ignored: &[&str]) -> Mapping {
    Mapping::ByOrganization {
        clients: clients.iter().map(|(id, client)| ((*id).to_owned(), ClientId::parse(*client).unwrap())).collect(),
        ignored: ignored.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn of_client<'b>(bundles: &'b [EdrBundle], client: &str) -> &'b EdrBundle {
    let is = |bundle: &&EdrBundle| bundle.tenant.client_id.as_ref().is_some_and(|id| id.as_str() == client);
    bundles.iter().find(is).unwrap_or_else(|| panic!("no bundle of {client}"))
}

fn number(bundle: &EdrBundle, key: &str) -> u64 {
    metric(bundle, key).metric_value.unwrap().parse().unwrap()
}

async fn collected() -> Outcome {
    Scene::of(four()).collect().await
}

#[tokio::test]
async fn a_scope_counts_its_organizations_and_nothing_else() {
    let outcome = collected().await;
    let scoped = |ids: &[&str]| outcome.bundle_of(ids).unwrap();
    assert_values(
        &scoped(&["1"]),
        &[
            ("agents_total", "2"),
            ("agents_online_percentage", "100.0"),
            ("organizations_total", "1"),
            ("average_agents_per_org", "2.00"),
            ("incidents_total", "1"),
            ("mean_time_to_resolve_hours", "2.0"),
        ],
    );
    assert_values(
        &scoped(&["2", "3"]),
        &[
            ("agents_total", "1"),
            ("agents_offline", "1"),
            ("organizations_total", "2"),
            ("organization_coverage_pct", "50.0"),
            ("incidents_total", "2"),
            ("mean_time_to_resolve_hours", "6.5"),
        ],
    );
    assert_eq!(scoped(&["1", "2", "3", "4", "4"]).metrics, outcome.bundle().metrics);
    assert_eq!(scoped(&["2", "3"]).metadata.organizations.in_scope, 2);
}

#[tokio::test]
async fn a_scope_with_an_organization_that_is_not_there_is_refused() {
    let outcome = collected().await;
    for id in ["5", "", "01", "Organization 1"] {
        assert_eq!(outcome.bundle_of(&["1", id]).unwrap_err().0, id);
    }
}

#[tokio::test]
async fn by_default_all_of_it_is_one_clients_and_the_companys() {
    let outcome = collected().await;
    let bundles = outcome.split(&Mapping::OneClient { client: ClientId::parse("all-of-it").unwrap() });
    assert_eq!(bundles.len(), 2);
    assert_eq!(bundles[0].tenant.client_id, None);
    assert_eq!(of_client(&bundles, "all-of-it").metrics, bundles[0].metrics);
    assert_eq!(bundles[0].metrics, outcome.bundle().metrics);
}

#[tokio::test]
async fn mapped_organizations_go_to_their_clients_and_all_to_the_company() {
    let outcome = collected().await;
    let bundles = outcome.split(&mapping(&[("1", "acme"), ("3", "acme"), ("2", "birch"), ("4", "cedar")], &[]));
    let clients: Vec<_> = bundles.iter().map(|it| it.tenant.client_id.as_ref().map(ClientId::as_str)).collect();
    assert_eq!(clients, [None, Some("acme"), Some("birch"), Some("cedar")]);
    assert!(bundles.iter().all(|it| it.tenant.company_id.as_ref().is_some_and(|id| id.as_str() == "msp-acme")));
    assert_values(
        of_client(&bundles, "acme"),
        &[
            ("agents_total", "2"),
            ("organizations_total", "2"),
            ("incidents_total", "3"),
            ("mean_time_to_resolve_hours", "5.0"),
            ("average_agents_per_org", "1.00"),
        ],
    );
    assert_values(of_client(&bundles, "birch"), &[("agents_offline", "1"), ("incidents_total", "0")]);
    assert_values(of_client(&bundles, "cedar"), &[("agents_missing", "1"), ("agents_online_percentage", "0.0")]);
    assert_values(&bundles[0], &[("agents_total", "4"), ("organizations_total", "4"), ("incidents_total", "3")]);
    assert_eq!(bundles[0].metadata.organizations.unmapped_total, 0);
    assert_eq!(outcome.requests.len(), 3);
}

#[tokio::test]
async fn unmapped_organizations_are_listed_and_count_for_the_company() {
    let bundles = collected().await.split(&mapping(&[("1", "acme")], &[]));
    assert_eq!(bundles.len(), 2);
    let coverage = &bundles[0].metadata.organizations;
    let unmapped: Vec<_> = coverage.unmapped.iter().map(|it| (it.id.as_str(), it.name.as_deref().unwrap())).collect();
    assert_eq!(unmapped, [("2", "Organization 2"), ("3", "Organization 3"), ("4", "Organization 4")]);
    assert_eq!((coverage.in_scope, coverage.unmapped_total), (4, 3));
    assert_values(&bundles[0], &[("agents_total", "4"), ("organizations_total", "4"), ("incidents_total", "3")]);
    // A client learns nothing of the company's other organizations.
    let text = serde_json::to_string(of_client(&bundles, "acme")).unwrap();
    assert!(!text.contains("Organization 2"), "{text}");
}

#[tokio::test]
async fn ignored_organizations_are_in_no_evidence() {
    let bundles = collected().await.split(&mapping(&[("1", "acme"), ("2", "birch")], &["3", "4"]));
    assert_values(
        &bundles[0],
        &[("agents_total", "3"), ("organizations_total", "2"), ("incidents_total", "1"), ("agents_missing", "0")],
    );
    let coverage = &bundles[0].metadata.organizations;
    assert_eq!(
        (coverage.in_scope, coverage.unmapped_total, &coverage.ignored),
        (2, 0, &vec!["3".to_owned(), "4".to_owned()])
    );
    assert_eq!(quality(&bundles[0]), []);
}

#[tokio::test]
async fn a_mapped_organization_that_is_gone_is_reported_and_counts_nothing() {
    let bundles = collected().await.split(&mapping(&[("1", "acme"), ("77", "acme"), ("78", "birch")], &["79"]));
    assert_eq!(bundles[0].metadata.organizations.missing, ["77", "78", "79"]);
    assert_eq!(of_client(&bundles, "acme").metadata.organizations.missing, ["77"]);
    assert_values(of_client(&bundles, "acme"), &[("organizations_total", "1"), ("agents_total", "2")]);
    let birch = of_client(&bundles, "birch");
    assert_values(birch, &[("organizations_total", "0"), ("agents_total", "0")]);
    assert_eq!(metric(birch, "organization_coverage_pct").metric_value, None);
}

#[tokio::test]
async fn what_belongs_to_no_organization_counts_for_the_company_alone() {
    let account = Account::from_records(
        vec![organization(1, json!({}))],
        vec![
            agent(1, json!({"status": "online"})),
            agent(2, json!({"status": "online", "organization_id": null})),
            agent(3, json!({"status": "online", "organization_id": 50})),
        ],
        vec![incident(1, json!({"status": "sent", "organization_id": null}))],
    );
    let bundles = Scene::of(account).collect().await.split(&mapping(&[("1", "acme"), ("50", "birch")], &[]));
    assert_values(&bundles[0], &[("agents_total", "3"), ("incidents_total", "1"), ("organizations_total", "1")]);
    assert_values(of_client(&bundles, "acme"), &[("agents_total", "1"), ("incidents_total", "0")]);
    assert_eq!(quality(&bundles[0]), [(AgentWithoutOrganization, 2)]);
    assert_eq!(quality(of_client(&bundles, "acme")), []);
}

#[tokio::test]
async fn what_is_odd_is_told_to_those_whom_it_concerns() {
    let account = Account::from_records(
        vec![organization(1, json!({"agents_count": 1})), organization(2, json!({"agents_count": 5}))],
        vec![
            agent(1, json!({"status": "asleep"})),
            agent(2, json!({"status": "online", "organization_id": 2})),
            agent(2, json!({"status": "online", "organization_id": 2})),
        ],
        vec![],
    );
    let bundles = Scene::of(account).collect().await.split(&mapping(&[("1", "acme"), ("2", "birch")], &[]));
    assert_eq!(quality(of_client(&bundles, "acme")), [(UnknownAgentStatus, 1)]);
    assert_eq!(quality(of_client(&bundles, "birch")), [(AgentsCountMismatch, 4), (DuplicateRecord, 1)]);
    assert_eq!(quality(&bundles[0]), [(AgentsCountMismatch, 4), (UnknownAgentStatus, 1), (DuplicateRecord, 1)]);
}

#[tokio::test]
async fn five_hundred_clients_cost_one_listing_and_add_up_to_the_company() {
    let spec = AccountSpec {
        seed: 11,
        shape: Shape::Platform,
        organizations: 500,
        agents: 3000,
        incidents: 700,
        as_of: as_of(),
    };
    let account = spec.generate();
    let ids: Vec<String> = account.records(List::Organizations).map(|it| it["id"].to_string()).collect();
    let clients: BTreeMap<String, ClientId> =
        ids.iter().map(|id| (id.clone(), ClientId::parse(format!("client-{id}")).unwrap())).collect();
    let outcome = Scene::of(account.clone()).collect().await;
    assert_eq!(outcome.requests.len(), 1 + 6 + 2);
    let bundles = outcome.split(&Mapping::ByOrganization { clients, ignored: [].into() });
    assert_eq!(bundles.len(), 501);
    assert_eq!(bundles[0].metrics, outcome.bundle().metrics);
    for key in [
        "agents_total",
        "agents_online",
        "agents_offline",
        "agents_missing",
        "incidents_total",
        "incidents_open",
        "incidents_in_progress",
        "incidents_resolved",
        "incidents_critical",
        "incidents_high",
        "organizations_total",
        "organizations_with_agents",
    ] {
        let sum: u64 = bundles[1..].iter().map(|bundle| number(bundle, key)).sum();
        assert!(sum > 0, "{key}");
        assert_eq!(sum, number(&bundles[0], key), "{key}");
    }
    // Counted from the records themselves, for some.
    for id in ids.iter().step_by(97) {
        let is_theirs = |record: &serde_json::Value| record["organization_id"].as_u64() == id.parse().ok();
        let agents =
            account.records(List::Agents).filter(|it| is_theirs(it) && it["status"] != "decommissioned").count();
        let incidents = account.records(List::IncidentReports).filter(is_theirs).count();
        let bundle = of_client(&bundles, &format!("client-{id}"));
        assert_eq!(number(bundle, "agents_total"), agents as u64);
        assert_eq!(number(bundle, "incidents_total"), incidents as u64);
    }
}

/// Two clients, each with an agent that called 30 hours ago and one that did 10 days ago.
#[tokio::test]
async fn a_client_may_have_its_own_limits_of_agent_age() {
    let ages = [(1, 30), (2, 30), (1, 240), (2, 240)];
    let agents = (1..).zip(ages).map(|(id, (organization, hours))| {
        agent(id, json!({"organization_id": organization, "last_callback_at": hours_ago(hours)}))
    });
    let account =
        Account::from_records(vec![organization(1, json!({})), organization(2, json!({}))], agents.collect(), vec![]);
    let strict = ClientId::parse("strict").unwrap();
    let limits = AgentLimits::new(EdrSettings::default(), [(strict, EdrSettings::new(12, 7).unwrap())].into());
    let (tally, collection) = Collector::default().within(limits).collect_from(account).await;
    let mapping = mapping(&[("1", "plain"), ("2", "strict")], &[]);
    let company = CompanyId::parse("msp-acme").unwrap();
    let bundles = split(&tally, &collection, &company, &mapping, &ClientPolicies::default());

    let states =
        |bundle: &EdrBundle| ["agents_online", "agents_offline", "agents_missing"].map(|key| number(bundle, key));
    assert_eq!(states(of_client(&bundles, "plain")), [0, 2, 0]);
    assert_eq!(states(of_client(&bundles, "strict")), [0, 1, 1]);
    // The company's own goes by the limits of the connection.
    assert_eq!(states(&bundles[0]), [0, 4, 0]);
    let missing = |bundle: &EdrBundle| {
        let findings = bundle.findings.clone().unwrap();
        let of_kind = findings.items.iter().filter(|finding| finding.kind == FindingKind::AgentMissing);
        (findings.total[&FindingKind::AgentMissing], of_kind.map(|finding| finding.id.clone()).collect::<Vec<_>>())
    };
    assert_eq!(missing(of_client(&bundles, "strict")), (1, vec!["4".to_owned()]));
    assert_eq!(missing(of_client(&bundles, "plain")), (0, vec![]));
    assert_eq!(missing(&bundles[0]), (0, vec![]));
    let used = |bundle: &EdrBundle| bundle.metadata.derivation["agent_state"]["missing_after_days"].clone();
    assert_eq!([used(of_client(&bundles, "strict")), used(&bundles[0])], [json!(7), json!(21)]);
}
