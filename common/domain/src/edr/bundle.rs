//! From a finished tally to bundles: the company's own, and one for each client.

use super::facts::{EdrFacts, Organizations};
use super::findings::{FindingKind, Findings, worst};
use super::measures::measures;
use super::metrics::{EdrRules, extended_metrics, metrics};
use super::tally::{Counts, Derivation, EdrTally, Organization};
use super::{EdrSettings, NEVER_CALLED_BACK_DAYS};
use crate::controls::{ControlMap, ControlOptions, Evidence};
use crate::evidence::{
    EdrBundle, Metadata, OrganizationCoverage, OrganizationRef, SchemaVersion, Tenant, UNMAPPED_LISTED,
};
use crate::id::{ClientId, CompanyId, RecordKey, RunId};
use crate::mapping::Mapping;
use crate::policy::{self, ClientPolicies};
use crate::product::Product;
use crate::quality::{Quality, QualityCode};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::collections::BTreeSet;

/// The categories of the metrics.
const EVIDENCE: [Evidence; 3] = [Evidence::EndpointProtection, Evidence::AssetInventory, Evidence::IncidentResponse];

/// What is known of a collection besides its records.
#[derive(Debug, Clone)]
pub struct Collection {
    /// When it started.
    pub collected_at: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: u64,
    /// Every HTTP request it made.
    pub api_calls: u64,
    /// The run it belongs to, if it is stored.
    pub run: Option<RunId>,
}

/// Which organizations a bundle is about.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    /// All, with what belongs to none, but these.
    AllBut(&'a BTreeSet<RecordKey>),
    /// These, as far as they are listed.
    Only(&'a BTreeSet<RecordKey>),
}

impl Scope<'_> {
    fn covers(self, key: Option<RecordKey>) -> bool {
        match self {
            Self::AllBut(ignored) => key.is_none_or(|key| !ignored.contains(&key)),
            Self::Only(wanted) => key.is_some_and(|key| wanted.contains(&key)),
        }
    }
}

/// An organization that was asked for and is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("organization {0} is not in the account's list")]
pub struct UnknownOrganization(pub String);

/// One bundle over the given organizations, or over all when none are given.
///
/// # Errors
/// [`UnknownOrganization`] for one that the account does not list.
pub fn bundle_of(
    tally: &EdrTally,
    collection: &Collection,
    tenant: Tenant,
    organizations: &[String],
) -> Result<EdrBundle, UnknownOrganization> {
    let none = BTreeSet::new();
    let policies = &ClientPolicies::default();
    if organizations.is_empty() {
        return Ok(bundle(tally, collection, tenant, policies, Scope::AllBut(&none), OrganizationCoverage::default()));
    }
    let mut wanted = BTreeSet::new();
    for organization in organizations {
        let key = RecordKey::from_text(organization).filter(|key| tally.organizations().contains_key(key));
        wanted.insert(key.ok_or_else(|| UnknownOrganization(organization.clone()))?);
    }
    Ok(bundle(tally, collection, tenant, policies, Scope::Only(&wanted), OrganizationCoverage::default()))
}

/// All bundles of one collection: first the company's own, then each client's, with what the policies in force say of it.
#[must_use]
pub fn split(
    tally: &EdrTally,
    collection: &Collection,
    company: &CompanyId,
    mapping: &Mapping,
    policies: &ClientPolicies,
) -> Vec<EdrBundle> {
    let tenant = |client: Option<&ClientId>| Tenant { company_id: Some(company.clone()), client_id: client.cloned() };
    match mapping {
        Mapping::OneClient { client } => {
            let none = BTreeSet::new();
            let whole = |client: Option<&ClientId>| {
                bundle(
                    tally,
                    collection,
                    tenant(client),
                    policies,
                    Scope::AllBut(&none),
                    if client.is_none() {
                        OrganizationCoverage { others: named(tally.organizations().values()), ..Default::default() }
                    } else {
                        OrganizationCoverage::default()
                    },
                )
            };
            vec![whole(None), whole(Some(client))]
        }
        Mapping::ByOrganization { clients, ignored } => {
            let listed = tally.organizations();
            let missing = |id: &&String| RecordKey::from_text(id).is_none_or(|key| !listed.contains_key(&key));
            let ignored_keys: BTreeSet<RecordKey> = ignored.iter().filter_map(|id| RecordKey::from_text(id)).collect();
            let mapped: BTreeSet<RecordKey> = clients.keys().filter_map(|id| RecordKey::from_text(id)).collect();
            let unmapped = || listed.iter().filter(|(key, _)| !mapped.contains(key) && !ignored_keys.contains(key));
            let coverage = OrganizationCoverage {
                in_scope: 0,
                unmapped_total: unmapped().count() as u64,
                unmapped: named(unmapped().map(|(_, organization)| organization)),
                others: named(
                    listed
                        .iter()
                        .filter(|(key, _)| mapped.contains(key) || ignored_keys.contains(key))
                        .map(|(_, organization)| organization),
                ),
                ignored: ignored.iter().cloned().collect(),
                missing: clients.keys().chain(ignored).filter(missing).cloned().collect(),
            };
            let own = bundle(tally, collection, tenant(None), policies, Scope::AllBut(&ignored_keys), coverage);
            let of_clients = mapping.by_client().into_iter().map(|(client, keys)| {
                let gone = clients.iter().filter(|(_, owner)| *owner == client).map(|(id, _)| id).filter(missing);
                let coverage = OrganizationCoverage { missing: gone.cloned().collect(), ..Default::default() };
                bundle(tally, collection, tenant(Some(client)), policies, Scope::Only(&keys), coverage)
            });
            std::iter::once(own).chain(of_clients).collect()
        }
    }
}

/// The first so many of these organizations by id and name.
fn named<'a>(organizations: impl Iterator<Item = &'a Organization>) -> Vec<OrganizationRef> {
    let named = |it: &Organization| OrganizationRef { id: it.id.clone(), name: it.name.clone() };
    organizations.take(UNMAPPED_LISTED).map(named).collect()
}

fn bundle(
    tally: &EdrTally,
    collection: &Collection,
    tenant: Tenant,
    policies: &ClientPolicies,
    scope: Scope<'_>,
    coverage: OrganizationCoverage,
) -> EdrBundle {
    let limits = tally.limits().of(tenant.client_id.as_ref());
    let Scoped { facts, quality, derived } = scoped(tally, scope);
    let map = ControlMap::current();
    let rules = EdrRules::from(limits);
    let in_force = policies.of(tenant.client_id.as_ref());
    let verdicts = policy::evaluate(&in_force, Product::Edr, &measures(&facts, rules), None);
    EdrBundle {
        connector_type_id: EdrBundle::CONNECTOR.to_owned(),
        collected_at: collection.collected_at,
        tenant,
        metrics: metrics(&facts, rules).into_iter().map(Into::into).collect(),
        extended_metrics: extended_metrics(&facts, rules).into_iter().map(Into::into).collect(),
        schema_version: SchemaVersion::CURRENT,
        findings: Some(findings(tally, scope, &facts, limits)),
        verdicts: Some(verdicts),
        metadata: Metadata {
            api_calls_made: collection.api_calls,
            collection_duration_ms: collection.duration_ms,
            collection_method: "collectAll".to_owned(),
            truncated: false,
            data_quality: quality.entries(),
            as_of: tally.as_of(),
            derivation: derivation(&facts, limits, derived),
            records_read: tally.records_read(),
            organizations: OrganizationCoverage { in_scope: facts.organizations.total, ..coverage },
            control_map_version: map.version().to_owned(),
            completeness: tally.completeness(),
            controls: map.controls_of(&EVIDENCE, ControlOptions::default()),
            run_id: collection.run.clone(),
        },
        facts: Some(facts),
    }
}

/// What the organizations of a scope come to.
struct Scoped {
    facts: EdrFacts,
    quality: Quality,
    derived: Derivation,
}

/// Adds up the organizations of the scope and cross-checks them.
fn scoped(tally: &EdrTally, scope: Scope<'_>) -> Scoped {
    let listed = tally.organizations();
    let mut sum = Counts::default();
    let mut organizations = Organizations::default();
    let mut outside = 0;
    for (key, counts) in tally.counts().filter(|(key, _)| scope.covers(*key)) {
        sum.add(counts);
        if !key.is_some_and(|key| listed.contains_key(&key)) {
            outside += counts.agents();
            continue;
        }
        if let Some(agents) = counts.agent_facts() {
            organizations.count_agents(agents);
        }
    }
    let (mut claimed, mut all_claim) = (0_u64, true);
    for organization in listed.iter().filter(|(key, _)| scope.covers(Some(**key))).map(|(_, organization)| organization)
    {
        organizations.total += 1;
        claimed = claimed.saturating_add(organization.agents_count.unwrap_or(0));
        all_claim &= organization.agents_count.is_some();
    }
    let mut quality = sum.quality().cloned().unwrap_or_default();
    if let Scope::Only(_) = scope {
        // A record without an id and an organization may be anybody's, so it is in everybody's report.
        let nobodys = tally.counts().find(|(key, _)| key.is_none());
        let odd = nobodys.and_then(|(_, counts)| counts.quality());
        let dropped = odd.map_or(0, |quality| quality.count(QualityCode::RecordWithoutId));
        quality.note_many(QualityCode::RecordWithoutId, dropped);
    }
    quality.note_many(QualityCode::AgentWithoutOrganization, outside);
    if all_claim && organizations.total > 0 {
        quality.note_many(QualityCode::AgentsCountMismatch, sum.agents().abs_diff(claimed));
    }
    Scoped { facts: sum.facts(tally.as_of(), organizations), quality, derived: sum.derivation() }
}

/// The findings of a scope under the limits of its client.
fn findings(tally: &EdrTally, scope: Scope<'_>, facts: &EdrFacts, limits: EdrSettings) -> Findings {
    let EdrFacts { agents, organizations, incidents } = facts;
    let states = agents.by_state(limits);
    let edr_is_given = agents.edr.of > 0;
    let total = FindingKind::ALL.into_iter().filter_map(|kind| {
        let count = match kind {
            FindingKind::AgentMissing => states.missing,
            FindingKind::AgentUnknown => states.unknown,
            FindingKind::AgentIsolated => agents.isolated,
            FindingKind::AgentWithoutEdr if edr_is_given => agents.total() - agents.edr.these,
            FindingKind::AgentWithoutEdr => return None,
            FindingKind::AgentDefenderUnhealthy => agents.defender.of - agents.defender.these,
            FindingKind::OrganizationWithoutAgents => organizations.total - organizations.with_agents,
            FindingKind::IncidentOpen => incidents.states().unfinished(),
        };
        Some((kind, count))
    });
    let listed = tally.organizations();
    let mut candidates = Vec::new();
    for (key, counts) in tally.counts().filter(|(key, _)| scope.covers(*key)) {
        let of = key.and_then(|key| listed.get(&key)).map(|organization| organization.id.as_str());
        candidates.extend(counts.candidates().under(limits).map(|candidate| (candidate, of)));
    }
    candidates.retain(|(candidate, _)| edr_is_given || candidate.kind != FindingKind::AgentWithoutEdr);
    let empty = tally.organizations_without_agents(|key| scope.covers(Some(key)));
    candidates.extend(empty.iter().map(|(candidate, id)| (candidate, Some(*id))));
    Findings { total: total.collect(), items: worst(candidates) }
}

/// Which fields and limits the values were derived from, with how often each field decided.
fn derivation(facts: &EdrFacts, limits: EdrSettings, derived: Derivation) -> serde_json::Value {
    let [by_status, by_last_callback, by_created] = derived.states;
    let [detected, sent, created] = derived.starts;
    let [resolved, closed] = derived.ends;
    let [by_words, by_remediations] = derived.auto;
    json!({
        "agent_state": {
            "derived_from": {"status": by_status, "last_callback_at": by_last_callback, "created_at": by_created},
            "online_within_hours": limits.online_within_hours(),
            "missing_after_days": limits.missing_after_days(),
            "never_called_back_missing_after_days": NEVER_CALLED_BACK_DAYS,
        },
        "time_to_resolve": {
            "measured": facts.incidents.ended.all().measured,
            "start": {"detected_at": detected, "sent_at": sent, "created_at": created},
            "end": {"resolved_at": resolved, "closed_at": closed},
        },
        "time_to_detect": {"measured": facts.incidents.detection.measured},
        "auto_resolved": {"derived_from": {"resolver_words": by_words, "remediations": by_remediations}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edr::EdrSettings;
    use crate::time::parse;

    #[test]
    fn evidence_names_the_controls_of_each_category() {
        let as_of = parse("2026-03-22T12:00:00Z").unwrap();
        let collection = Collection { collected_at: as_of, duration_ms: 0, api_calls: 3, run: None };
        let tenant = Tenant { company_id: None, client_id: None };
        let tally = EdrTally::new(EdrSettings::default(), as_of);
        let bundle = bundle_of(&tally, &collection, tenant, &[]).unwrap();
        let named: Vec<(&str, usize)> =
            bundle.metadata.controls.iter().map(|(kind, named)| (kind.as_str(), named.len())).collect();
        assert_eq!(named, [("endpoint_protection", 13), ("asset_inventory", 6), ("incident_response", 16)]);
        assert_eq!(bundle.metadata.control_map_version, ControlMap::current().version());
        let text = serde_json::to_string(&bundle).unwrap();
        assert_eq!(serde_json::from_str::<EdrBundle>(&text).unwrap(), bundle);
    }
}
