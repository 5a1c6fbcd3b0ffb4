//! The records of the training API, reduced to what a rule uses. Names and e-mail addresses are not even read, but by [`Named`], which is for
//! connections that keep them.

use super::super::error::BodyError;
use super::super::wire::{Element, Scalar, Value};
use super::page::{Identified, Resource, SatPage};
use evidence_domain::id::RecordKey;
use evidence_domain::people::roster::{LearnerId, Profile};
use evidence_domain::people::selection::DescribedAssignment;
use evidence_domain::sat::account::AccountFacts;
use evidence_domain::sat::activity::ActivityFacts;
use evidence_domain::sat::assignment::AssignmentFacts;
use evidence_domain::sat::coverage::LearnerFacts;
use evidence_domain::sat::id::LearnerKey;
use evidence_domain::sat::phishing::CampaignFacts;
use evidence_domain::text;
use evidence_domain::time::RawTimestamp;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A JSON:API resource object with the attributes `A` and the relationships `L`.
#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "A: Deserialize<'de> + Default, L: Deserialize<'de> + Default"))]
pub(super) struct Record<'a, A, L = None> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(default = "other")]
    attributes: Element<A>,
    #[serde(default = "other")]
    relationships: Element<L>,
}

fn other<T>() -> Element<T> {
    Element::Other
}

/// No relationship is of interest.
#[derive(Default, Deserialize)]
pub(super) struct None {}

impl<A, L> Record<'_, A, L> {
    fn text(&self, field: impl Fn(&A) -> Option<&str>) -> Option<&str> {
        self.attributes.object().and_then(field)
    }
}

impl<A, L> Identified for Record<'_, A, L> {
    fn key(&self) -> Option<RecordKey> {
        self.id.key()
    }
}

macro_rules! resource {
    ($name:ident of $record:ident) => {
        /// The list of such records.
        pub(super) struct $name;

        impl Resource for $name {
            type Of<'a> = $record<'a>;

            fn page(text: &str) -> Result<SatPage<'_, $record<'_>>, BodyError> {
                SatPage::parse(text)
            }
        }
    };
}

/// `/accounts`
pub(super) type Account<'a> = Record<'a, AccountAttributes<'a>>;
/// `/accounts/{id}/assignments` and `/accounts/{id}/learners`, of which only the status is read
pub(super) type WithStatus<'a> = Record<'a, StatusAttribute<'a>>;
/// `/accounts/{id}/assignments`, with what is shown to whoever selects
pub(super) type Described<'a> = Record<'a, AssignmentAttributes<'a>>;
/// `/accounts/{id}/learners` and `/assignments/{id}/learners`, with name and address
pub(super) type Named<'a> = Record<'a, PersonAttributes<'a>>;
/// `/assignments/{id}/learner-activity`
pub(super) type Activity<'a> = Record<'a, ActivityAttributes<'a>, ActivityLinks<'a>>;
/// `/accounts/{id}/phishing-campaigns`
pub(super) type Campaign<'a> = Record<'a, CampaignAttributes<'a>>;

resource!(Accounts of Account);
resource!(Statuses of WithStatus);
resource!(Descriptions of Described);
resource!(Names of Named);
resource!(Activities of Activity);
resource!(Campaigns of Campaign);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AccountAttributes<'a> {
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, rename = "ioOrgId")]
    io_org_id: Scalar<'a>,
}

/// What is kept of a listed account until one is chosen.
pub(super) struct AccountFields {
    id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    io_org_id: Option<String>,
}

impl AccountFields {
    pub(super) fn facts(&self) -> AccountFacts<'_> {
        AccountFacts {
            id: self.id.as_deref(),
            name: self.name.as_deref(),
            kind: self.kind.as_deref(),
            io_org_id: self.io_org_id.as_deref(),
        }
    }
}

impl Account<'_> {
    pub(super) fn fields(&self) -> AccountFields {
        AccountFields {
            id: self.id.id().map(Cow::into_owned),
            name: self.text(|attributes| attributes.name.text()).map(str::to_owned),
            kind: self.text(|attributes| attributes.kind.text()).map(str::to_owned),
            io_org_id: self.attributes.object().and_then(|attributes| attributes.io_org_id.id()).map(Cow::into_owned),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StatusAttribute<'a> {
    #[serde(borrow)]
    status: Scalar<'a>,
}

impl WithStatus<'_> {
    pub(super) fn id(&self) -> Option<Cow<'_, str>> {
        self.id.id()
    }

    pub(super) fn status(&self) -> Option<&str> {
        self.text(|attributes| attributes.status.text())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AssignmentAttributes<'a> {
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    starts_at: Scalar<'a>,
    #[serde(borrow)]
    ends_at: Scalar<'a>,
}

impl Described<'_> {
    pub(super) fn id(&self) -> Option<Cow<'_, str>> {
        self.id.id()
    }

    /// What is shown of it; `id` is its [`Self::id`].
    pub(super) fn described<'r>(&'r self, id: Option<&'r str>) -> DescribedAssignment<'r> {
        let times = self.attributes.object().map(|it| (it.starts_at.timestamp(), it.ends_at.timestamp()));
        let (starts_at, ends_at) = times.unwrap_or_default();
        DescribedAssignment {
            facts: AssignmentFacts { id, status: self.text(|attributes| attributes.status.text()) },
            name: self.text(|attributes| attributes.name.text()),
            starts_at,
            ends_at,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PersonAttributes<'a> {
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    first_name: Scalar<'a>,
    #[serde(borrow)]
    last_name: Scalar<'a>,
    #[serde(borrow)]
    email: Scalar<'a>,
}

/// A record that names a learner.
pub(super) trait Learner {
    /// Who it is.
    fn learner_id(&self) -> Option<LearnerId>;
    /// The status word.
    fn status_word(&self) -> Option<&str>;
    /// Name and address, if they are read at all.
    fn profile(&self) -> Profile;
    /// What the coverage of the workforce is made of; `seed` makes the learner's hash.
    fn facts(&self, seed: &str) -> LearnerFacts<'_>;
}

impl Learner for WithStatus<'_> {
    fn learner_id(&self) -> Option<LearnerId> {
        learner_id(&self.id)
    }
    fn status_word(&self) -> Option<&str> {
        self.status()
    }
    fn profile(&self) -> Profile {
        Profile::default()
    }
    fn facts(&self, seed: &str) -> LearnerFacts<'_> {
        LearnerFacts { learner: learner_key(seed, &self.id), status: self.status_word() }
    }
}

impl Learner for Named<'_> {
    fn learner_id(&self) -> Option<LearnerId> {
        learner_id(&self.id)
    }
    fn status_word(&self) -> Option<&str> {
        self.text(|attributes| attributes.status.text())
    }
    fn profile(&self) -> Profile {
        let Some(attributes) = self.attributes.object() else { return Profile::default() };
        let names: Vec<&str> =
            [&attributes.first_name, &attributes.last_name].into_iter().filter_map(Scalar::text).collect();
        Profile { name: text::name(&names.join(" ")), email: attributes.email.text().and_then(text::name) }
    }
    fn facts(&self, seed: &str) -> LearnerFacts<'_> {
        LearnerFacts { learner: learner_key(seed, &self.id), status: self.status_word() }
    }
}

fn learner_id(id: &Scalar<'_>) -> Option<LearnerId> {
    id.id().and_then(|id| LearnerId::new(&id))
}

fn learner_key(seed: &str, id: &Scalar<'_>) -> Option<LearnerKey> {
    id.id().and_then(|id| LearnerKey::of(seed, &id))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ActivityAttributes<'a> {
    #[serde(borrow)]
    learner_id: Scalar<'a>,
    #[serde(borrow)]
    completed_at: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ActivityLinks<'a> {
    #[serde(borrow)]
    learner: Element<ToOne<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToOne<'a> {
    #[serde(borrow)]
    data: Linkage<'a>,
}

/// The id that a relationship points at: of an object, or of the first in an array.
#[derive(Default)]
struct Linkage<'a>(Scalar<'a>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identifier<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Linkage<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Data<'d> = Value<'d, Identifier<'d>, Vec<Element<Identifier<'d>>>>;
        Ok(match Data::<'de>::deserialize(deserializer)? {
            Value::Scalar(_) => Self::default(),
            Value::Object(identifier) => Self(identifier.id),
            Value::Array(identifiers) => Self(identifiers.into_iter().next().unwrap_or_default().or_default().id),
        })
    }
}

impl Activity<'_> {
    /// The record's own id.
    pub(super) fn record_key(&self) -> Option<RecordKey> {
        self.id.key()
    }

    /// Whose activity, as the source writes the id.
    pub(super) fn learner_id(&self) -> Option<LearnerId> {
        let attribute = self.attributes.object().and_then(|attributes| learner_id(&attributes.learner_id));
        attribute.or_else(|| learner_id(&self.relationships.object()?.learner.object()?.data.0))
    }

    /// When it was completed.
    pub(super) fn completed_at(&self) -> RawTimestamp<'_> {
        self.attributes.object().map_or_else(Default::default, |attributes| attributes.completed_at.timestamp())
    }

    pub(super) fn facts(&self, seed: &str) -> ActivityFacts<'_> {
        let attributes = self.attributes.object();
        let attribute = attributes.and_then(|attributes| learner_key(seed, &attributes.learner_id));
        let linked = || learner_key(seed, &self.relationships.object()?.learner.object()?.data.0);
        ActivityFacts { id: self.id.key(), learner: attribute.or_else(linked), completed_at: self.completed_at() }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CampaignAttributes<'a> {
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    is_parent: Scalar<'a>,
    #[serde(borrow)]
    campaign_ends_at: Scalar<'a>,
    #[serde(borrow)]
    ends_at: Scalar<'a>,
    #[serde(borrow)]
    completed_at: Scalar<'a>,
    #[serde(borrow)]
    attempt_stats: Element<AttemptStats<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AttemptStats<'a> {
    #[serde(borrow)]
    sent: Scalar<'a>,
    #[serde(borrow)]
    compromised: Scalar<'a>,
    #[serde(borrow)]
    reported: Scalar<'a>,
}

impl Campaign<'_> {
    pub(super) fn facts(&self) -> CampaignFacts<'_> {
        let id = self.id.key();
        let Some(attributes) = self.attributes.object() else { return CampaignFacts { id, ..Default::default() } };
        let stats = attributes.attempt_stats.object();
        CampaignFacts {
            id,
            status: attributes.status.text(),
            is_parent: attributes.is_parent.flag() == Some(true),
            campaign_ends_at: attributes.campaign_ends_at.timestamp(),
            ends_at: attributes.ends_at.timestamp(),
            completed_at: attributes.completed_at.timestamp(),
            sent: stats.and_then(|stats| stats.sent.count()),
            compromised: stats.and_then(|stats| stats.compromised.count()),
            reported: stats.and_then(|stats| stats.reported.count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_is_named_by_attribute_or_relationship() {
        let read = |text: &'static str| serde_json::from_str::<Activity<'_>>(text).unwrap().facts("run").learner;
        let expected = LearnerKey::of("run", "L9");
        assert!(expected.is_some());
        assert_eq!(read(r#"{"id":"a","attributes":{"learnerId":"L9"}}"#), expected);
        assert_eq!(read(r#"{"id":"a","attributes":{},"relationships":{"learner":{"data":{"id":"L9"}}}}"#), expected);
        assert_eq!(read(r#"{"id":"a","relationships":{"learner":{"data":[{"id":"L9"},{"id":"L8"}]}}}"#), expected);
        for nobody in [
            r#"{"id":"a"}"#,
            r#"{"id":"a","attributes":[],"relationships":{"learner":null}}"#,
            r#"{"id":"a","relationships":{"learner":{"data":[]}}}"#,
            r#"{"id":"a","relationships":{"learner":{"data":"L9"}}}"#,
        ] {
            assert_eq!(read(nobody), Option::None, "{nobody}");
        }
    }
}
