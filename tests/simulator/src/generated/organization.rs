use serde::Serialize;

use super::draw::{Draw, Stream};
use super::ids::Ids;
use super::timestamp::{DAY, Timestamp, YEAR};
use super::{ACCOUNT_ID, Generated};

/// The vendor's `Organization`, field by field.
#[derive(Serialize)]
pub(crate) struct Organization {
    pub(crate) id: i64,
    pub(crate) account_id: i64,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) agents_count: u64,
    pub(crate) incident_reports_count: u64,
    pub(crate) logs_sources_count: u64,
    pub(crate) billable_identity_count: u64,
    pub(crate) sat_learner_count: u64,
    pub(crate) identity_provider_tenant_id: Option<String>,
    pub(crate) report_recipients: Vec<String>,
}

const FIRST: [&str; 48] = [
    "Alder", "Amber", "Birch", "Blue", "Bramble", "Brook", "Cedar", "Chestnut", "Clover", "Copper", "Coral", "Crimson",
    "Cypress", "Elm", "Ember", "Fern", "Flint", "Foxglove", "Golden", "Granite", "Hazel", "Heather", "Hollow",
    "Indigo", "Iron", "Ivy", "Juniper", "Larch", "Lavender", "Linden", "Maple", "Marble", "Meadow", "Mossy", "North",
    "Oak", "Opal", "Pebble", "Pine", "Quartz", "Rowan", "Saffron", "Sage", "Silver", "Slate", "Thistle", "Willow",
    "Winter",
];
const SECOND: [&str; 32] = [
    "Bay", "Bend", "Bluff", "Bridge", "Canyon", "Cove", "Creek", "Crossing", "Dale", "Falls", "Field", "Ford", "Gate",
    "Glen", "Grove", "Harbor", "Heath", "Hill", "Hollow", "Lake", "Landing", "Mill", "Pass", "Peak", "Point", "Pond",
    "Ridge", "River", "Shore", "Spring", "Valley", "View",
];
const TRADE: [&str; 20] = [
    "Accounting",
    "Animal Hospital",
    "Architects",
    "Brewing",
    "Charter School",
    "Civil Engineering",
    "Construction",
    "Credit Union",
    "Dental",
    "Family Medicine",
    "Farm Supply",
    "Freight",
    "Insurance",
    "Law",
    "Logistics",
    "Manufacturing",
    "Orthopedics",
    "Outfitters",
    "Property Group",
    "Roofing",
];
const NAMES: u64 = (FIRST.len() * SECOND.len() * TRADE.len()) as u64;
/// Coprime to `NAMES` (2¹¹·3·5), so that multiplying by it visits each name once before any repeats.
const NAME_STEP: u64 = 13_147;

impl Generated {
    pub(crate) fn organization(&self, index: u64) -> Organization {
        let seed = self.spec.seed;
        let mut draw = Draw::new(seed, Stream::OrganizationDetail, index);
        let (name, key) = self.organization_name(index);
        let created_at = self.organization_created_at(index);
        let agents = self.agents_in(index);
        let tenant = (draw.next(), draw.next());
        Organization {
            id: Ids::ORGANIZATIONS.id(seed, index),
            account_id: ACCOUNT_ID,
            created_at: Timestamp(created_at),
            updated_at: Timestamp(draw.between(created_at, self.as_of)),
            agents_count: agents,
            incident_reports_count: self.incidents_in(index),
            logs_sources_count: draw.below(6),
            billable_identity_count: agents + draw.below(agents / 2 + 3),
            sat_learner_count: if draw.chance(600) { agents + draw.below(agents / 4 + 2) } else { 0 },
            identity_provider_tenant_id: draw.chance(850).then(|| tenant_id(tenant)),
            report_recipients: vec![format!("it@{key}.example"), format!("alerts@{key}.example")],
            name,
            key,
        }
    }

    /// The name, and the key made of it.
    pub(crate) fn organization_name(&self, index: u64) -> (String, String) {
        let start = Draw::new(self.spec.seed, Stream::OrganizationName, 0).below(NAMES);
        let place = (index % NAMES * NAME_STEP + start) % NAMES;
        let (first, rest) = (place % FIRST.len() as u64, place / FIRST.len() as u64);
        let (second, trade) = (rest % SECOND.len() as u64, rest / SECOND.len() as u64);
        let word = |words: &[&'static str], at: u64| usize::try_from(at).ok().and_then(|at| words.get(at)).copied();
        let mut name = format!(
            "{} {} {}",
            word(&FIRST, first).unwrap_or_default(),
            word(&SECOND, second).unwrap_or_default(),
            word(&TRADE, trade).unwrap_or_default()
        );
        if index >= NAMES {
            name.push_str(&format!(" {}", index / NAMES + 1));
        }
        let key = name.to_ascii_lowercase().replace(' ', "-");
        (name, key)
    }

    /// Six to four years before `as_of`, before any agent; those without agents came in the last 60 days and are not
    /// rolled out yet.
    pub(crate) fn organization_created_at(&self, index: u64) -> i64 {
        let staffed = self.staffed_organizations();
        if index < staffed {
            self.spread(index, staffed, 6 * YEAR, 4 * YEAR)
        } else {
            self.spread(index - staffed, self.spec.organizations - staffed, 60 * DAY, DAY)
        }
    }
}

fn tenant_id((high, low): (u64, u64)) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}
