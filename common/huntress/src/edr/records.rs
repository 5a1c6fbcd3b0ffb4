//! The records of the endpoint API, reduced to the fields that a rule uses, and what they mean.

use crate::error::BodyError;
use crate::page::Page;
use crate::pagination::Cursor;
use crate::wire::{Element, List, Scalar, Value, read_json};
use chrono::{DateTime, Utc};
use evidence_domain::edr::agent::{AgentFacts, Presence};
use evidence_domain::edr::incident::{IncidentFacts, RemediationFacts, Remediations, TextField};
use evidence_domain::edr::tally::{EdrList, EdrTally, OrganizationFacts};
use serde::{Deserialize, Deserializer};

/// Where a list is.
pub(super) fn path_of(list: EdrList) -> &'static str {
    match list {
        EdrList::Organizations => "/v1/organizations",
        EdrList::Agents => "/v1/agents",
        EdrList::IncidentReports => "/v1/incident_reports",
    }
}

/// The key that a list has in its pages.
pub(super) fn key_of(list: EdrList) -> &'static str {
    match list {
        EdrList::Organizations => "organizations",
        EdrList::Agents => "agents",
        EdrList::IncidentReports => "incident_reports",
    }
}

/// What a list is of, for people.
pub(super) fn noun_of(list: EdrList) -> &'static str {
    match list {
        EdrList::Organizations => "organizations",
        EdrList::Agents => "agents",
        EdrList::IncidentReports => "incident reports",
    }
}

/// A page as it arrived.
#[derive(Clone, Copy)]
pub(super) struct Received<'b> {
    /// Its body.
    pub body: &'b [u8],
    /// When it was read.
    pub observed_at: DateTime<Utc>,
    /// The list fails if it has more pages.
    pub max_pages: u32,
}

/// Counts the records of a page of `list`, moves the cursor behind it, and returns how many records it has.
///
/// # Errors
/// [`BodyError`] for a body that is no page of this list, or does not fit the pages before it.
pub(super) fn fold(
    list: EdrList,
    page: Received<'_>,
    tally: &mut EdrTally,
    cursor: &mut Cursor,
) -> Result<u64, BodyError> {
    read_json(page.body, |text| match list {
        EdrList::Organizations => fold_records::<Organization<'_>>(list, text, page, tally, cursor),
        EdrList::Agents => fold_records::<Agent<'_>>(list, text, page, tally, cursor),
        EdrList::IncidentReports => fold_records::<IncidentReport<'_>>(list, text, page, tally, cursor),
    })
}

fn fold_records<'t, R: Record<'t>>(
    list: EdrList,
    text: &'t str,
    received: Received<'_>,
    tally: &mut EdrTally,
    cursor: &mut Cursor,
) -> Result<u64, BodyError> {
    let page = Page::<R>::parse(text, key_of(list))?;
    cursor.advance_by_token(page.records.len(), page.announced, received.max_pages)?;
    let no_record = R::default();
    for record in &page.records {
        record.object().unwrap_or(&no_record).add_to(tally, received.observed_at);
    }
    Ok(page.records.len() as u64)
}

/// A record, borrowed from the text of its page.
trait Record<'t>: Deserialize<'t> + Default {
    /// Counts it, as read at an instant.
    fn add_to(&self, tally: &mut EdrTally, observed_at: DateTime<Utc>);
}

impl<'t> Record<'t> for Organization<'t> {
    fn add_to(&self, tally: &mut EdrTally, _: DateTime<Utc>) {
        tally.add_organization(&OrganizationFacts {
            id: self.id.id().as_deref(),
            name: self.name.text(),
            agents_count: self.agents_count.count(),
            incident_reports_count: self.incident_reports_count.count(),
        });
    }
}

impl<'t> Record<'t> for Agent<'t> {
    fn add_to(&self, tally: &mut EdrTally, observed_at: DateTime<Utc>) {
        let facts = AgentFacts {
            id: self.id.key(),
            organization: self.organization_id.key(),
            status: self.status.text(),
            last_callback_at: self.last_callback_at.timestamp(),
            created_at: self.created_at.timestamp(),
            edr_version: match &self.edr_version {
                Scalar::NoKey => Presence::NoKey,
                Scalar::Null => Presence::Null,
                _ => Presence::Value,
            },
            defender_status: self.defender_status.text(),
            firewall_status: self.firewall_status.text(),
            tamper_protection: self.tamper_protection_actual.flag(),
            os: self.os.text(),
            serial_number: self.serial_number.text(),
            id_text: self.id.text(),
        };
        tally.add_agent(&facts, observed_at);
    }
}

impl<'t> Record<'t> for IncidentReport<'t> {
    fn add_to(&self, tally: &mut EdrTally, observed_at: DateTime<Utc>) {
        fn words<'s>(field: &'s Scalar<'_>) -> Option<TextField<'s>> {
            field.is_given().then(|| field.text().map_or(TextField::Other, TextField::Text))
        }
        let facts = IncidentFacts {
            id: self.id.key(),
            organization: self.organization_id.key(),
            status: self.status.text(),
            severity: self.severity.text(),
            created_at: self.created_at.timestamp(),
            detected_at: self.detected_at.timestamp(),
            sent_at: self.sent_at.timestamp(),
            resolved_at: self.resolved_at.timestamp(),
            closed_at: self.closed_at.timestamp(),
            resolution_source: words(&self.resolution_source),
            resolved_by: words(&self.resolved_by),
            remediations: self.remediations.0,
            id_text: self.id.text(),
        };
        tally.add_incident(&facts, observed_at);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Organization<'a> {
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
struct Agent<'a> {
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
    #[serde(borrow)]
    serial_number: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IncidentReport<'a> {
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

/// The object that the field may hold: an envelope, or one remediation.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RemediationsObject<'a> {
    #[serde(borrow)]
    items: List<Remediation<'a>>,
    #[serde(borrow)]
    has_more: Scalar<'a>,
    #[serde(borrow)]
    total_count: Scalar<'a>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    approved_by: Scalar<'a>,
}

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

fn complete(items: &[Element<Remediation<'_>>]) -> Remediations {
    let is_automatic = |item: &Element<Remediation<'_>>| item.object().is_some_and(Remediation::is_automatic);
    Remediations::Complete { automatic: !items.is_empty() && items.iter().all(is_automatic) }
}

impl RemediationsObject<'_> {
    fn evaluate(self) -> Remediations {
        let Self { items, has_more, total_count, status, kind, approved_by } = self;
        let items = match items {
            List::Of(items) => items,
            List::Absent if has_more == Scalar::NoKey && total_count == Scalar::NoKey => {
                vec![Element::Object(Remediation { status, kind, approved_by })]
            }
            List::Absent | List::NotAList => Vec::new(),
        };
        // A flag that cannot be read may mean that there is more.
        let more = has_more.is_given() && has_more.flag() != Some(false);
        if more || total_count.count().is_some_and(|total| total > items.len() as u64) {
            return Remediations::Incomplete;
        }
        complete(&items)
    }
}

impl<'de> Deserialize<'de> for RemediationsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Field<'f> = Value<'f, RemediationsObject<'f>, Vec<Element<Remediation<'f>>>>;
        let remediations = match Field::<'de>::deserialize(deserializer)? {
            Value::Scalar(scalar) if !scalar.is_given() => None,
            // A value that is neither object nor array says nothing that would speak for automatic work.
            Value::Scalar(_) => Some(Remediations::Complete { automatic: false }),
            Value::Object(object) => Some(object.evaluate()),
            Value::Array(items) => Some(complete(&items)),
        };
        Ok(Self(remediations))
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
        for more in
            [r#""has_more":1"#, r#""has_more":"more""#, r#""total_count":2"#, r#""has_more":false,"total_count":"2""#]
        {
            let envelope = format!(r#"{{{more},"items":[{done}]}}"#);
            assert_eq!(read(&envelope), Some(Remediations::Incomplete), "{more}");
        }
        for whole in [r#""has_more":0"#, r#""has_more":"false""#, r#""has_more":null"#, r#""total_count":1"#] {
            assert_eq!(read(&format!(r#"{{{whole},"items":[{done}]}}"#)), automatic(true), "{whole}");
        }
    }
}
