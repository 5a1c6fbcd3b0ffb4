use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::generated::{ACCOUNT_ID, AccountSpec, Generated, Shape};
use crate::list::List;
use crate::query::{Filters, SortField};
use crate::stored::Stored;
use crate::token::SortKey;
use crate::worked_example;

/// The records behind the simulated API. Cheap to clone.
#[derive(Clone)]
pub struct Account {
    records: Arc<Records>,
}

enum Records {
    Generated(Generated),
    Stored(Stored),
}

impl Account {
    /// Hand-written records, of any shape and in any order; they are sorted per request.
    pub fn from_records(organizations: Vec<Value>, agents: Vec<Value>, incident_reports: Vec<Value>) -> Self {
        Self { records: Arc::new(Records::Stored(Stored { organizations, agents, incident_reports })) }
    }

    /// The same records with names that would harm whoever shows them as anything but text.
    #[must_use]
    pub fn with_hostile_names(&self) -> Self {
        let of = |list| crate::hostile::named(self.records(list).collect());
        Self::from_records(of(List::Organizations), of(List::Agents), of(List::IncidentReports))
    }

    /// An MSP with a dozen organizations, 11 of them with agents, in the vendor's shape.
    pub fn demo(as_of: DateTime<Utc>) -> Self {
        // A seed whose small account has something of everything: see the test.
        AccountSpec { seed: DEMO_SEED, shape: Shape::Vendor, organizations: 12, agents: 90, incidents: 15, as_of }
            .generate()
    }

    /// The platforms' worked example: 87 agents of which 85 are online, in 11 of 12 organizations, and 14 incidents with a
    /// mean time to detect of 4.2 h, to resolve of 18.5 h, and 8 resolved automatically.
    pub fn worked_example(as_of: DateTime<Utc>) -> Self {
        worked_example::account(as_of)
    }

    pub(crate) fn generated(generated: Generated) -> Self {
        Self { records: Arc::new(Records::Generated(generated)) }
    }

    pub fn organizations(&self) -> u64 {
        self.count(List::Organizations)
    }

    pub fn agents(&self) -> u64 {
        self.count(List::Agents)
    }

    pub fn incident_reports(&self) -> u64 {
        self.count(List::IncidentReports)
    }

    /// Record `index` of a list, counted from 0 in the order of creation.
    pub fn record(&self, list: List, index: u64) -> Option<Value> {
        if index >= self.count(list) {
            return None;
        }
        let mut bytes = Vec::new();
        self.write(list, index, &mut bytes);
        serde_json::from_slice(&bytes).ok()
    }

    pub fn records(&self, list: List) -> impl Iterator<Item = Value> + '_ {
        (0..self.count(list)).filter_map(move |index| self.record(list, index))
    }

    pub(crate) fn count(&self, list: List) -> u64 {
        match &*self.records {
            _ if matches!(list, List::Account | List::Actor) => 1,
            Records::Generated(generated) => generated.count(list),
            Records::Stored(stored) => stored.count(list),
        }
    }

    pub(crate) fn write(&self, list: List, index: u64, out: &mut Vec<u8>) {
        match (list, &*self.records) {
            (List::Account, _) => out.extend_from_slice(account().to_string().as_bytes()),
            (List::Actor, _) => out.extend_from_slice(actor().to_string().as_bytes()),
            (_, Records::Generated(generated)) => generated.write(list, index, out),
            (_, Records::Stored(stored)) => {
                let record = stored.get(list, index).unwrap_or(&Value::Null);
                out.extend_from_slice(record.to_string().as_bytes());
            }
        }
    }

    pub(crate) fn id(&self, list: List, index: u64) -> SortKey {
        self.sort_key(list, index, SortField::Id)
    }

    pub(crate) fn sort_key(&self, list: List, index: u64, field: SortField) -> SortKey {
        match &*self.records {
            Records::Generated(generated) => generated.sort_key(list, index, field),
            Records::Stored(stored) => stored.sort_key(list, index, field),
        }
    }

    pub(crate) fn matches(&self, list: List, index: u64, filters: &Filters) -> bool {
        match &*self.records {
            Records::Generated(generated) => generated.matches(list, index, filters),
            Records::Stored(stored) => stored.matches(list, index, filters),
        }
    }

    /// The generated records, if they lie in the order of this field.
    pub(crate) fn in_order_of(&self, field: SortField) -> Option<&Generated> {
        match &*self.records {
            Records::Generated(generated) if generated.lies_in_order_of(field) => Some(generated),
            _ => None,
        }
    }
}

const DEMO_SEED: u64 = 7_918;

fn account() -> Value {
    json!({
        "id": ACCOUNT_ID,
        "name": "Northlight Managed IT",
        "subdomain": "northlight",
        "status": "enabled",
        "support_type": "huntress_supported",
        "neighborhood_watch": {"edr": 10, "ispm": 10, "itdr": 10, "sat": 10, "siem": 10},
        "billing_address": null,
        "shipping_address": null,
    })
}

/// What a key of the account sees of itself: no reseller and no user.
fn actor() -> Value {
    json!({"account": {"id": ACCOUNT_ID, "name": "Northlight Managed IT", "subdomain": "northlight", "status": "enabled"}})
}
