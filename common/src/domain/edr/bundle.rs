//! From a finished tally to bundles: the company's own, and one for each client.

use super::NEVER_CALLED_BACK_DAYS;
use super::metrics::{Totals, extended_metrics, metrics};
use super::tally::{Counts, EdrTally};
use crate::domain::controls::{ControlMap, ControlOptions, Evidence};
use crate::domain::evidence::{EdrBundle, Metadata, OrganizationCoverage, OrganizationRef, Tenant, UNMAPPED_LISTED};
use crate::domain::id::{ClientId, CompanyId, RecordKey, RunId};
use crate::domain::mapping::Mapping;
use crate::domain::quality::{Quality, QualityCode};
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
    if organizations.is_empty() {
        return Ok(bundle(tally, collection, tenant, Scope::AllBut(&none), OrganizationCoverage::default()));
    }
    let mut wanted = BTreeSet::new();
    for organization in organizations {
        let key = RecordKey::from_text(organization).filter(|key| tally.organizations().contains_key(key));
        wanted.insert(key.ok_or_else(|| UnknownOrganization(organization.clone()))?);
    }
    Ok(bundle(tally, collection, tenant, Scope::Only(&wanted), OrganizationCoverage::default()))
}

/// All bundles of one collection: first the company's own, then each client's.
#[must_use]
pub fn split(tally: &EdrTally, collection: &Collection, company: &CompanyId, mapping: &Mapping) -> Vec<EdrBundle> {
    let tenant = |client: Option<&ClientId>| Tenant { company_id: Some(company.clone()), client_id: client.cloned() };
    match mapping {
        Mapping::OneClient { client } => {
            let none = BTreeSet::new();
            let whole = |client| {
                bundle(tally, collection, tenant(client), Scope::AllBut(&none), OrganizationCoverage::default())
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
                unmapped: unmapped()
                    .take(UNMAPPED_LISTED)
                    .map(|(_, organization)| OrganizationRef {
                        id: organization.id.clone(),
                        name: organization.name.clone(),
                    })
                    .collect(),
                ignored: ignored.iter().cloned().collect(),
                missing: clients.keys().chain(ignored).filter(missing).cloned().collect(),
            };
            let own = bundle(tally, collection, tenant(None), Scope::AllBut(&ignored_keys), coverage);
            let of_clients = mapping.by_client().into_iter().map(|(client, keys)| {
                let gone = clients.iter().filter(|(_, owner)| *owner == client).map(|(id, _)| id).filter(missing);
                let coverage = OrganizationCoverage { missing: gone.cloned().collect(), ..Default::default() };
                bundle(tally, collection, tenant(Some(client)), Scope::Only(&keys), coverage)
            });
            std::iter::once(own).chain(of_clients).collect()
        }
    }
}

fn bundle(
    tally: &EdrTally,
    collection: &Collection,
    tenant: Tenant,
    scope: Scope<'_>,
    coverage: OrganizationCoverage,
) -> EdrBundle {
    let (totals, quality) = totals(tally, scope);
    let map = ControlMap::current();
    EdrBundle {
        connector_type_id: EdrBundle::CONNECTOR.to_owned(),
        collected_at: collection.collected_at,
        tenant,
        metrics: metrics(&totals),
        extended_metrics: extended_metrics(&totals, tally.as_of()),
        metadata: Metadata {
            api_calls_made: collection.api_calls,
            collection_duration_ms: collection.duration_ms,
            collection_method: "collectAll".to_owned(),
            truncated: false,
            data_quality: quality.entries(),
            as_of: tally.as_of(),
            derivation: derivation(tally, &totals.counts),
            records_read: tally.records_read(),
            organizations: OrganizationCoverage { in_scope: totals.organizations, ..coverage },
            control_map_version: map.version().to_owned(),
            controls: map.controls_of(&EVIDENCE, ControlOptions::default()),
            run_id: collection.run.clone(),
        },
    }
}

/// Adds up the organizations of the scope and cross-checks them.
fn totals(tally: &EdrTally, scope: Scope<'_>) -> (Totals, Quality) {
    let listed = tally.organizations();
    let mut totals = Totals::default();
    let mut outside = 0;
    for (key, counts) in tally.counts().filter(|(key, _)| scope.covers(*key)) {
        totals.counts.add(counts);
        if key.is_some_and(|key| listed.contains_key(&key)) {
            totals.with_agents += u64::from(counts.agents() > 0);
            totals.with_online_agents += u64::from(counts.online > 0);
        } else {
            outside += counts.agents();
        }
    }
    let (mut claimed, mut all_claim) = (0_u64, true);
    for organization in listed.iter().filter(|(key, _)| scope.covers(Some(**key))).map(|(_, organization)| organization)
    {
        totals.organizations += 1;
        claimed = claimed.saturating_add(organization.agents_count.unwrap_or(0));
        all_claim &= organization.agents_count.is_some();
    }
    let mut quality = totals.counts.quality.clone();
    if let Scope::Only(_) = scope {
        // A record without an id and an organization may be anybody's, so it is in everybody's report.
        let nobodys = tally.counts().find(|(key, _)| key.is_none());
        let dropped = nobodys.map_or(0, |(_, counts)| counts.quality.count(QualityCode::RecordWithoutId));
        quality.note_many(QualityCode::RecordWithoutId, dropped);
    }
    quality.note_many(QualityCode::AgentWithoutOrganization, outside);
    if all_claim && totals.organizations > 0 {
        quality.note_many(QualityCode::AgentsCountMismatch, totals.counts.agents().abs_diff(claimed));
    }
    (totals, quality)
}

/// Which fields and limits the values were derived from, with how often each field decided.
fn derivation(tally: &EdrTally, counts: &Counts) -> serde_json::Value {
    let [detected, sent, created] = counts.starts;
    let [resolved, closed] = counts.ends;
    json!({
        "agent_state": {
            "derived_from": {"status": counts.by_status, "last_callback_at": counts.by_last_callback, "created_at": counts.by_created},
            "online_within_hours": tally.settings().online_within_hours(),
            "missing_after_days": tally.settings().missing_after_days(),
            "never_called_back_missing_after_days": NEVER_CALLED_BACK_DAYS,
        },
        "time_to_resolve": {
            "measured": counts.resolve.count,
            "start": {"detected_at": detected, "sent_at": sent, "created_at": created},
            "end": {"resolved_at": resolved, "closed_at": closed},
        },
        "time_to_detect": {"measured": counts.detect.count},
        "auto_resolved": {"derived_from": {"resolver_words": counts.auto_by_words, "remediations": counts.auto_by_remediations}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::edr::EdrSettings;
    use crate::domain::time::parse;

    #[test]
    fn evidence_names_the_controls_of_each_category() {
        let as_of = parse("2026-03-22T12:00:00Z").unwrap();
        let collection = Collection { collected_at: as_of, duration_ms: 0, api_calls: 3, run: None };
        let tenant = Tenant { company_id: None, client_id: None };
        let tally = EdrTally::new(EdrSettings::default(), as_of);
        let bundle = bundle_of(&tally, &collection, tenant, &[]).unwrap();
        let named: Vec<(&str, usize)> =
            bundle.metadata.controls.iter().map(|(kind, named)| (kind.as_str(), named.len())).collect();
        assert_eq!(named, [("endpoint_protection", 11), ("asset_inventory", 6), ("incident_response", 14)]);
        assert_eq!(bundle.metadata.control_map_version, ControlMap::current().version());
        let text = serde_json::to_string(&bundle).unwrap();
        assert_eq!(serde_json::from_str::<EdrBundle>(&text).unwrap(), bundle);
    }
}
