//! What people decided about clients, and the policies that they imported.
//!
//! A decision and its leaf in the company's log are written in one transaction, and never changed.

use super::error::StoreError;
use super::{ATTEMPTS, Store};
use crate::domain::audit::AuditEvent;
use crate::domain::decisions::{Decision, ReviewKind};
use crate::domain::id::DecisionId;
use crate::domain::id::{ClientId, CompanyId, PolicyName};
use crate::domain::log::jcs;
use crate::domain::log::statement::CompanyStatement;
use crate::domain::policy::{Policy, PolicyVersion};
use crate::store::table::items::{Record, put_new};
use crate::store::table::keys;
use serde::{Deserialize, Serialize};

/// A decision as it is kept: its canonical form, which the log commits to.
#[derive(Serialize, Deserialize)]
struct DecisionItem {
    body: String,
}

impl Record for DecisionItem {
    const KIND: &'static str = "decision";
}

impl DecisionItem {
    fn of(decision: &Decision) -> Result<Self, StoreError> {
        Ok(Self { body: canonical(decision, Self::KIND)? })
    }

    fn read(&self) -> Result<Decision, StoreError> {
        serde_json::from_str(&self.body).map_err(|error| StoreError::corrupt(Self::KIND, error.to_string()))
    }
}

/// Where a decision lies, by its id.
#[derive(Serialize, Deserialize)]
struct DecisionPlace {
    client: ClientId,
    /// The sort key of the decision itself.
    place: String,
}

impl Record for DecisionPlace {
    const KIND: &'static str = "place of a decision";
}

/// An imported policy.
#[derive(Serialize, Deserialize)]
pub(super) struct PolicyItem {
    pub body: String,
}

impl Record for PolicyItem {
    const KIND: &'static str = "policy";
}

impl PolicyItem {
    fn read(&self) -> Result<Policy, StoreError> {
        Policy::parse(&self.body).map_err(|error| StoreError::corrupt(Self::KIND, error.to_string()))
    }
}

fn canonical(value: &impl Serialize, kind: &'static str) -> Result<String, StoreError> {
    let bytes = jcs::to_bytes(value).map_err(|error| StoreError::corrupt(kind, error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| StoreError::corrupt(kind, "it is no text"))
}

impl Store {
    /// Keeps a policy that somebody imports, who is recorded in the same transaction. The same content again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the version is there with other content; [`Store::imported_policy`] tells which.
    pub async fn keep_policy(
        &self,
        company: &CompanyId,
        policy: &Policy,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let key = keys::policy(company, policy.name(), policy.version());
        let item = PolicyItem { body: canonical(policy, PolicyItem::KIND)? }.to_item(&key)?;
        if self.transact(vec![put_new(&self.table, item)?, self.audited(event)?]).await?.is_written() {
            return Ok(());
        }
        match self.imported_policy(company, policy.name(), policy.version()).await? {
            Some(stored) if stored == *policy => Ok(()),
            _ => Err(StoreError::Conflict { record: PolicyItem::KIND }),
        }
    }

    /// An imported policy.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn imported_policy(
        &self,
        company: &CompanyId,
        name: &PolicyName,
        version: PolicyVersion,
    ) -> Result<Option<Policy>, StoreError> {
        let item: Option<PolicyItem> = self.get(&keys::policy(company, name, version)).await?;
        item.map(|item| item.read()).transpose()
    }

    /// All imported policies of a company.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn imported_policies(&self, company: &CompanyId) -> Result<Vec<Policy>, StoreError> {
        let items: Vec<PolicyItem> = self.all(&keys::policies(company)).await?;
        items.iter().map(PolicyItem::read).collect()
    }

    /// Keeps a decision, with its leaf in the company's log and its event in the audit log. A repetition changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the same was decided by another record: an exception is approved or rejected once, and revoked once.
    pub async fn decide(&self, company: &CompanyId, decision: &Decision) -> Result<(), StoreError> {
        let (client, at, id) = (decision.client(), decision.at(), decision.id());
        let key = match decision {
            Decision::Policy(_) => keys::policy_choice(company, client, at, id),
            Decision::Exception(_) | Decision::Review(_) | Decision::Attestation(_) => {
                keys::decision(company, client, at, id)
            }
        };
        let place = DecisionPlace { client: decision.client().clone(), place: key.sk.clone() };
        let mut own = vec![
            put_new(&self.table, DecisionItem::of(decision)?.to_item(&key)?)?,
            put_new(&self.table, place.to_item(&keys::decision_by_id(company, decision.id()))?)?,
        ];
        if let Decision::Review(review) = decision {
            let guard = keys::review_of(company, &review.exception, review.decision == ReviewKind::Revoked);
            own.push(put_new(&self.table, place.to_item(&guard)?)?);
        }
        // The last one: its place is random, so it is never what refuses the others.
        let event = self.audited(&decision.event(company))?;
        let (id, at) = (decision.id().as_str(), decision.at());
        let statement = CompanyStatement::decision(company.clone(), id, at, decision)
            .map_err(|error| StoreError::corrupt(DecisionItem::KIND, error.to_string()))?;
        for _ in 0..ATTEMPTS {
            let leaf = self.append_company(&statement).await?;
            let together = self.kept_together(company, decision, leaf.index == 0).await?;
            let actions = [own.clone(), leaf.actions.to_vec(), together, vec![event.clone()]].concat();
            let outcome = self.transact(actions).await?;
            if outcome.is_written() {
                return Ok(());
            }
            if (0..own.len()).any(|position| outcome.refused(position)) {
                // Our own write, whose answer was lost and which was sent again, or somebody else's.
                return match self.decision(company, decision.id()).await? {
                    Some(stored) if stored == *decision => Ok(()),
                    _ => Err(StoreError::Conflict { record: DecisionItem::KIND }),
                };
            }
        }
        Err(StoreError::Conflict { record: DecisionItem::KIND })
    }

    /// A decision by its id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn decision(&self, company: &CompanyId, id: &DecisionId) -> Result<Option<Decision>, StoreError> {
        let Some(place) = self.get::<DecisionPlace>(&keys::decision_by_id(company, id)).await? else { return Ok(None) };
        let key = keys::decision_at(company, place.place);
        let item: Option<DecisionItem> = self.get(&key).await?;
        item.map(|item| item.read()).transpose()
    }

    /// Exceptions, what became of them, and attestations: of one client or of all, each client's oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn decisions(&self, company: &CompanyId, client: Option<&ClientId>) -> Result<Vec<Decision>, StoreError> {
        self.decisions_in(&keys::decisions(company, client)).await
    }

    /// The choices of policies: of one client or of all, each client's oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn policy_choices(
        &self,
        company: &CompanyId,
        client: Option<&ClientId>,
    ) -> Result<Vec<Decision>, StoreError> {
        self.decisions_in(&keys::policy_choices(company, client)).await
    }

    async fn decisions_in(&self, range: &keys::Range) -> Result<Vec<Decision>, StoreError> {
        let items: Vec<DecisionItem> = self.all(range).await?;
        items.iter().map(DecisionItem::read).collect()
    }
}
