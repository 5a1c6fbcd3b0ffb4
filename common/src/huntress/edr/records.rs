//! The records of the endpoint API, reduced to the fields that a rule uses, and what they mean.

use super::page::{NextPage, read_page};
use crate::domain::edr::agent::{AgentFacts, Presence};
use crate::domain::edr::incident::{IncidentFacts, RemediationFacts, Remediations, TextField};
use crate::domain::edr::tally::{EdrList, EdrTally, OrganizationFacts};
use crate::huntress::error::BodyError;
use crate::huntress::wire::{Element, List, Scalar};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One of the vendor's lists.
pub(super) struct ListOf {
    /// Where it is.
    pub path: &'static str,
    /// The key of the list in its page.
    pub key: &'static str,
    /// Which one.
    pub list: EdrList,
    /// What it lists, for people.
    pub noun: &'static str,
    /// Counts the records of a page that was read at an instant.
    ///
    /// A plain function, so that it is compiled here, for speed, and not where the future that calls it is polled, for size.
    pub fold: Fold,
}

/// Takes a body, the tally and the instant at which it was read.
type Fold = fn(&[u8], &mut EdrTally, DateTime<Utc>) -> Result<Folded, BodyError>;

/// `/v1/organizations`
pub(super) static ORGANIZATIONS: ListOf = ListOf {
    path: "/v1/organizations",
    key: Organizations::KEY,
    list: EdrList::Organizations,
    noun: "organizations",
    fold: fold::<Organizations>,
};
/// `/v1/agents`
pub(super) static AGENTS: ListOf =
    ListOf { path: "/v1/agents", key: Agents::KEY, list: EdrList::Agents, noun: "agents", fold: fold::<Agents> };
/// `/v1/incident_reports`
pub(super) static INCIDENT_REPORTS: ListOf = ListOf {
    path: "/v1/incident_reports",
    key: IncidentReports::KEY,
    list: EdrList::IncidentReports,
    noun: "incident reports",
    fold: fold::<IncidentReports>,
};

/// What a page brought.
pub(super) struct Folded {
    /// Its records.
    pub records: u64,
    /// Whether there is another.
    pub next: NextPage,
}

fn fold<R: Records>(body: &[u8], tally: &mut EdrTally, observed_at: DateTime<Utc>) -> Result<Folded, BodyError> {
    let page = read_page::<R>(body)?;
    page.records.iter().for_each(|record| R::add(tally, record, observed_at));
    Ok(Folded { records: page.records.len() as u64, next: page.next })
}

/// The records of a list, at any lifetime of the page they are borrowed from.
pub(super) trait Records {
    /// The key of the list in its page.
    const KEY: &'static str;
    /// A record.
    type Record<'a>: Deserialize<'a> + Default;
    /// Counts a record that was read at `observed_at`.
    fn add(tally: &mut EdrTally, record: &Self::Record<'_>, observed_at: DateTime<Utc>);
}

pub(super) struct Organizations;
pub(super) struct Agents;
pub(super) struct IncidentReports;

impl Records for Organizations {
    const KEY: &'static str = "organizations";
    type Record<'a> = Organization<'a>;

    fn add(tally: &mut EdrTally, record: &Organization<'_>, _: DateTime<Utc>) {
        let number;
        let id = match &record.id {
            Scalar::Number(value) => {
                number = value.to_string();
                Some(number.as_str())
            }
            other => other.text(),
        };
        tally.add_organization(&OrganizationFacts {
            id,
            name: record.name.text(),
            agents_count: record.agents_count.count(),
            incident_reports_count: record.incident_reports_count.count(),
        });
    }
}

impl Records for Agents {
    const KEY: &'static str = "agents";
    type Record<'a> = Agent<'a>;

    fn add(tally: &mut EdrTally, record: &Agent<'_>, observed_at: DateTime<Utc>) {
        let facts = AgentFacts {
            id: record.id.key(),
            organization: record.organization_id.key(),
            status: record.status.text(),
            last_callback_at: record.last_callback_at.stamp(),
            created_at: record.created_at.stamp(),
            edr_version: match &record.edr_version {
                Scalar::NoKey => Presence::NoKey,
                Scalar::Null => Presence::Null,
                _ => Presence::Value,
            },
            defender_status: record.defender_status.text(),
            firewall_status: record.firewall_status.text(),
            tamper_protection: record.tamper_protection_actual.flag(),
            os: record.os.text(),
            id_text: record.id.text(),
        };
        tally.add_agent(&facts, observed_at);
    }
}

impl Records for IncidentReports {
    const KEY: &'static str = "incident_reports";
    type Record<'a> = IncidentReport<'a>;

    fn add(tally: &mut EdrTally, record: &IncidentReport<'_>, observed_at: DateTime<Utc>) {
        fn said<'s>(field: &'s Scalar<'_>) -> Option<TextField<'s>> {
            field.is_given().then(|| field.text().map_or(TextField::Other, TextField::Text))
        }
        let facts = IncidentFacts {
            id: record.id.key(),
            organization: record.organization_id.key(),
            status: record.status.text(),
            severity: record.severity.text(),
            created_at: record.created_at.stamp(),
            detected_at: record.detected_at.stamp(),
            sent_at: record.sent_at.stamp(),
            resolved_at: record.resolved_at.stamp(),
            closed_at: record.closed_at.stamp(),
            resolution_source: said(&record.resolution_source),
            resolved_by: said(&record.resolved_by),
            remediations: record.remediations.0,
            id_text: record.id.text(),
        };
        tally.add_incident(&facts, observed_at);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Organization<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow)]
    agents_count: Scalar<'a>,
    #[serde(borrow)]
    incident_reports_count: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Agent<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    #[serde(borrow)]
    organization_id: Scalar<'a>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    last_callback_at: Scalar<'a>,
    #[serde(borrow)]
    created_at: Scalar<'a>,
    #[serde(borrow)]
    edr_version: Scalar<'a>,
    #[serde(borrow)]
    defender_status: Scalar<'a>,
    #[serde(borrow)]
    firewall_status: Scalar<'a>,
    #[serde(borrow)]
    tamper_protection_actual: Scalar<'a>,
    #[serde(borrow)]
    os: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct IncidentReport<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    #[serde(borrow)]
    organization_id: Scalar<'a>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    severity: Scalar<'a>,
    #[serde(borrow)]
    created_at: Scalar<'a>,
    #[serde(borrow)]
    detected_at: Scalar<'a>,
    #[serde(borrow)]
    sent_at: Scalar<'a>,
    #[serde(borrow)]
    resolved_at: Scalar<'a>,
    #[serde(borrow)]
    closed_at: Scalar<'a>,
    #[serde(borrow)]
    resolution_source: Scalar<'a>,
    #[serde(borrow)]
    resolved_by: Scalar<'a>,
    remediations: RemediationsField,
}

/// `remediations`: an envelope `{total_count, has_more, items}`, a bare array, or one bare remediation.
#[derive(Default)]
struct RemediationsField(Option<Remediations>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Remediation<'a> {
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    approved_by: Scalar<'a>,
}

impl Remediation<'_> {
    fn is_automatic(&self) -> bool {
        let facts = RemediationFacts {
            status: self.status.text(),
            kind: self.kind.text(),
            approved: self.approved_by.is_given(),
        };
        facts.is_automatic()
    }
}

fn is_automatic(item: &Element<Remediation<'_>>) -> bool {
    matches!(item, Element::Object(remediation) if remediation.is_automatic())
}

impl<'de> Deserialize<'de> for RemediationsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        // A value that is neither object nor array says nothing that would speak for automatic work.
        const UNREADABLE: RemediationsField = RemediationsField(Some(Remediations::Complete { automatic: false }));
        macro_rules! other {
            ($($visit:ident: $type:ty),*) => {
                $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> { Ok(UNREADABLE) })*
            };
        }
        impl<'de> Visitor<'de> for Any {
            type Value = RemediationsField;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("remediations")
            }
            other!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(RemediationsField(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let (mut count, mut automatic) = (0_u32, true);
                while let Some(item) = items.next_element::<Element<Remediation<'de>>>()? {
                    count += 1;
                    automatic &= is_automatic(&item);
                }
                Ok(RemediationsField(Some(Remediations::Complete { automatic: automatic && count > 0 })))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut envelope = false;
                let mut incomplete = false;
                let mut automatic = false;
                let mut single = Remediation::default();
                while let Some(key) = fields.next_key::<std::borrow::Cow<'de, str>>()? {
                    match key.as_ref() {
                        "items" => {
                            envelope = true;
                            automatic = match fields.next_value::<List<Remediation<'de>>>()? {
                                List::Of(items) => !items.is_empty() && items.iter().all(is_automatic),
                                List::Absent | List::NotAList => false,
                            };
                        }
                        "has_more" => {
                            envelope = true;
                            let flag: Scalar<'de> = fields.next_value()?;
                            // A flag that cannot be read may mean that there is more.
                            incomplete = flag.is_given() && flag.flag() != Some(false);
                        }
                        "total_count" => {
                            envelope = true;
                            fields.next_value::<IgnoredAny>()?;
                        }
                        "status" => single.status = fields.next_value()?,
                        "type" => single.kind = fields.next_value()?,
                        "approved_by" => single.approved_by = fields.next_value()?,
                        _ => {
                            fields.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let complete =
                    Remediations::Complete { automatic: if envelope { automatic } else { single.is_automatic() } };
                Ok(RemediationsField(Some(if incomplete { Remediations::Incomplete } else { complete })))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remediations_come_in_every_shape() {
        let read = |text: &str| serde_json::from_str::<RemediationsField>(text).unwrap().0;
        let automatic = |automatic| Some(Remediations::Complete { automatic });
        let done = r#"{"id":1,"type":"assisted","status":"completed","approved_by":null}"#;
        let manual = r#"{"id":2,"type":"manual","status":"completed"}"#;
        assert_eq!(read("null"), None);
        assert_eq!(read(done), automatic(true));
        assert_eq!(read(&format!("[{done}]")), automatic(true));
        assert_eq!(read(&format!("[{done},{manual}]")), automatic(false));
        assert_eq!(read("[]"), automatic(false));
        assert_eq!(read("{}"), automatic(false));
        assert_eq!(read("\"done\""), automatic(false));
        assert_eq!(read(&format!(r#"{{"total_count":1,"has_more":false,"items":[{done}]}}"#)), automatic(true));
        assert_eq!(read(&format!(r#"{{"items":[{done}]}}"#)), automatic(true));
        assert_eq!(read(r#"{"total_count":0,"has_more":false,"items":[]}"#), automatic(false));
        assert_eq!(read(r#"{"has_more":false,"items":null}"#), automatic(false));
        assert_eq!(read(&format!(r#"{{"items":[{done},7]}}"#)), automatic(false));
        assert_eq!(read(&format!(r#"{{"has_more":true,"items":[{done}]}}"#)), Some(Remediations::Incomplete));
        assert_eq!(read(&format!(r#"{{"has_more":1,"items":[{done}]}}"#)), Some(Remediations::Incomplete));
    }
}
