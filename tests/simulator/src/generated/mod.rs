//! Accounts of any size whose records are computed when asked for: nothing is kept but two counts per organization.

mod agent;
mod draw;
mod ids;
mod incident;
mod organization;
#[cfg(test)]
mod tests;
mod threat;
mod timestamp;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::account::Account;
use crate::list::List;
use crate::query::{Filters, SortField};
use crate::token::SortKey;
pub(crate) use draw::{Draw, Stream};
use ids::Ids;
pub(crate) use timestamp::{DAY, HOUR, MINUTE, OffsetTimestamp, Timestamp, YEAR};

pub(crate) const ACCOUNT_ID: i64 = 5121;

/// Whose idea of a record is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The vendor's published schema, exactly: agents without `status`, incidents `sent`, `closed`, `dismissed`, … with
    /// `sent_at` and `closed_at`.
    Vendor,
    /// The compliance platforms' documents: agents with a `status` word, incidents `open`, `in_progress`, `resolved`, … with
    /// `created_at`, `detected_at`, `resolved_at` and either `resolution_source` or `resolved_by`.
    Platform,
}

/// An account to generate. Equal specifications give equal accounts, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSpec {
    pub seed: u64,
    pub shape: Shape,
    /// One in twelve, the newest, has no agents yet.
    pub organizations: u64,
    pub agents: u64,
    pub incidents: u64,
    /// The instant that all times lie before; parts of a second are dropped.
    pub as_of: DateTime<Utc>,
}

impl AccountSpec {
    /// Takes some milliseconds per 100,000 records, for the counts in the organizations, and 16 bytes per organization.
    pub fn generate(self) -> Account {
        Account::generated(Generated::new(self))
    }
}

pub(crate) struct Generated {
    pub(crate) spec: AccountSpec,
    pub(crate) as_of: i64,
    agents_in: Vec<u64>,
    incidents_in: Vec<u64>,
}

impl Generated {
    pub(crate) fn new(spec: AccountSpec) -> Self {
        let organizations = usize::try_from(spec.organizations).unwrap_or(0);
        let mut generated = Self {
            spec,
            as_of: spec.as_of.timestamp(),
            agents_in: vec![0; organizations],
            incidents_in: vec![0; organizations],
        };
        for index in 0..spec.agents {
            // A source that lists a retired agent still does not count it.
            if !generated.is_retired(index) {
                let owner = generated.owner_of_agent(index);
                increment(&mut generated.agents_in, owner);
            }
        }
        for index in 0..spec.incidents {
            let owner = generated.scene(index).organization;
            increment(&mut generated.incidents_in, owner);
        }
        generated
    }

    pub(crate) fn count(&self, list: List) -> u64 {
        match list {
            List::Account | List::Actor => 1,
            List::Organizations => self.spec.organizations,
            List::Agents => self.spec.agents,
            List::IncidentReports => self.spec.incidents,
            _ => 0,
        }
    }

    pub(crate) fn write(&self, list: List, index: u64, out: &mut Vec<u8>) {
        match list {
            List::Organizations => append(out, &self.organization(index)),
            List::Agents => append(out, &self.agent(index)),
            List::IncidentReports => append(out, &self.incident(index)),
            _ => {}
        }
    }

    /// Whether the records lie in the order of this field, so that a page is found by its id.
    pub(crate) fn lies_in_order_of(&self, field: SortField) -> bool {
        matches!(field, SortField::Id | SortField::CreatedAt)
    }

    pub(crate) fn id(&self, list: List, index: u64) -> i64 {
        ids(list).map_or(ACCOUNT_ID, |ids| ids.id(self.spec.seed, index))
    }

    /// The first index whose id is at least `id`.
    pub(crate) fn lower_bound(&self, list: List, id: i64) -> u64 {
        ids(list).map_or(0, |ids| ids.lower_bound(self.spec.seed, id)).min(self.count(list))
    }

    pub(crate) fn sort_key(&self, list: List, index: u64, field: SortField) -> SortKey {
        let time = |at: Timestamp| SortKey::Number(at.0);
        match (field, list) {
            (SortField::Id, _) => SortKey::Number(self.id(list, index)),
            (SortField::CreatedAt, List::Organizations) => time(Timestamp(self.organization_created_at(index))),
            (SortField::CreatedAt, List::Agents) => time(Timestamp(self.agent_created_at(index))),
            (SortField::CreatedAt, List::IncidentReports) => time(Timestamp(self.incident_created_at(index))),
            (SortField::UpdatedAt, List::Organizations) => time(self.organization(index).updated_at),
            (SortField::UpdatedAt, List::Agents) => time(self.agent(index).updated_at),
            (SortField::UpdatedAt, List::IncidentReports) => time(self.incident(index).updated_at()),
            (SortField::CreatedAt | SortField::UpdatedAt, _) => SortKey::Null,
            (SortField::Name, _) => SortKey::Text(self.organization_name(index).0),
            (SortField::Key, _) => SortKey::Text(self.organization_name(index).1),
        }
    }

    /// Reads only as much of the record as the filters ask for.
    pub(crate) fn matches(&self, list: List, index: u64, filters: &Filters) -> bool {
        if filters.is_empty() {
            return true;
        }
        let organization = filters.organization_id.map(|id| Ids::ORGANIZATIONS.index_of(self.spec.seed, id));
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        match list {
            List::Organizations => {
                let (name, key) = self.organization_name(index);
                is(&filters.name, &name) && is(&filters.key, &key)
            }
            List::Agents => {
                organization.is_none_or(|wanted| wanted.is_some() && wanted == self.owner_of_agent(index))
                    && (filters.platform.is_none() || is(&filters.platform, self.machine(index).platform))
            }
            List::IncidentReports => {
                if organization.is_some_and(|wanted| wanted.is_none() || wanted != self.scene(index).organization) {
                    return false;
                }
                let incident = self.incident(index);
                is(&filters.platform, incident.platform())
                    && is(&filters.severity, incident.severity())
                    && is(&filters.status, incident.status())
            }
            _ => true,
        }
    }

    fn agents_in(&self, organization: u64) -> u64 {
        count_at(&self.agents_in, organization)
    }

    fn incidents_in(&self, organization: u64) -> u64 {
        count_at(&self.incidents_in, organization)
    }

    fn staffed_organizations(&self) -> u64 {
        self.spec.organizations - self.spec.organizations / 12
    }

    fn owner_of_agent(&self, index: u64) -> Option<u64> {
        let staffed = self.staffed_organizations();
        (staffed > 0).then(|| Draw::new(self.spec.seed, Stream::AgentOwner, index).skewed_below(staffed))
    }

    /// `count` instants in ascending order from `oldest` to `newest` seconds before `as_of`.
    fn spread(&self, index: u64, count: u64, oldest: i64, newest: i64) -> i64 {
        let span = u64::try_from(oldest - newest).unwrap_or(0);
        let step = u128::from(span) * u128::from(index) / u128::from(count.max(1));
        self.as_of - oldest + i64::try_from(step).unwrap_or(0)
    }

    /// How many agents, the first ones by index, were installed at `instant`.
    fn agents_created_by(&self, instant: i64) -> u64 {
        let elapsed = u64::try_from(instant - (self.as_of - 4 * YEAR)).unwrap_or(0);
        let agents = u128::from(self.spec.agents) * u128::from(elapsed) / u128::from(4 * YEAR.unsigned_abs());
        u64::try_from(agents).unwrap_or(0).min(self.spec.agents)
    }
}

fn ids(list: List) -> Option<Ids> {
    match list {
        List::Organizations => Some(Ids::ORGANIZATIONS),
        List::Agents => Some(Ids::AGENTS),
        List::IncidentReports => Some(Ids::INCIDENTS),
        _ => None,
    }
}

fn increment(counts: &mut [u64], at: Option<u64>) {
    if let Some(count) = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| counts.get_mut(at)) {
        *count += 1;
    }
}

fn count_at(counts: &[u64], at: u64) -> u64 {
    usize::try_from(at).ok().and_then(|at| counts.get(at)).copied().unwrap_or(0)
}

pub(crate) fn append(out: &mut Vec<u8>, record: &impl Serialize) {
    // Writing to memory fails only for maps whose keys are not strings, and there is none.
    let _ = serde_json::to_writer(out, record);
}
