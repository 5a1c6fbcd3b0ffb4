//! What was decided about a client, kept once more in one record, so that a read of the client takes one key for it and not two ranges.
//!
//! The record is written by the transaction of the decision that it gains, and only if nobody else wrote it meanwhile. The decisions themselves stay what
//! the log commits to.

use super::Store;
use super::body::CompressedText;
use super::decisions::PolicyItem;
use super::error::StoreError;
use crate::domain::decisions::Decision;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::policy::Policy;
use crate::store::table::items::{BODY_LIMIT, Record, number, put_if, put_new};
use crate::store::table::keys;
use crate::store::table::queries::{Consistency, Found};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

/// What was decided about a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// Choices of policies, exceptions, what became of them, and attestations; those of a kind oldest first.
    pub decisions: Vec<Decision>,
    /// The policies among the choices that the company imported.
    pub policies: Vec<Policy>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Body {
    decisions: Vec<Decision>,
    /// Each as it was imported.
    policies: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DecidedItem {
    /// How often it was written.
    written: u64,
    /// All of it as JSON.
    body: CompressedText,
    /// There is more than a record holds, so the body is empty and the decisions are read one by one.
    #[serde(default)]
    too_many: bool,
}

impl Record for DecidedItem {
    const KIND: &'static str = "decisions about a client";
}

/// Every decision of the company is also in such a record: there were such records when the first one was made.
#[derive(Debug, Serialize, Deserialize)]
struct AllTogether {}

impl Record for AllTogether {
    const KIND: &'static str = "mark of a company's decisions";
}

impl DecidedItem {
    fn body(&self) -> Result<Body, StoreError> {
        serde_json::from_str(&self.body.0).map_err(|error| StoreError::corrupt(Self::KIND, error.to_string()))
    }
}

impl Body {
    fn read(self) -> Result<Decided, StoreError> {
        let policy =
            |text: &String| Policy::parse(text).map_err(|it| StoreError::corrupt(DecidedItem::KIND, it.to_string()));
        let policies = self.policies.iter().map(policy).collect::<Result<_, _>>()?;
        let mut decisions = self.decisions;
        // As their own keys have them.
        decisions.sort_by(|a, b| (a.at(), a.id()).cmp(&(b.at(), b.id())));
        Ok(Decided { decisions, policies })
    }
}

impl Store {
    /// The keys that say what was decided about a client: see [`Store::decided_in`].
    pub(super) fn decided_keys(company: &CompanyId, client: &ClientId) -> [keys::Key; 3] {
        [keys::together(company, client), keys::all_together(company), keys::company_log_head(company)]
    }

    /// What was decided about a client, of the records of [`Store::decided_keys`] that are there. Only decisions of a release that did not keep them together are
    /// read one by one.
    pub(super) async fn decided_in(
        &self,
        company: &CompanyId,
        client: &ClientId,
        found: &Found,
    ) -> Result<Decided, StoreError> {
        let [together, all, head] = Self::decided_keys(company, client);
        if let Some(item) = found.get::<DecidedItem>(&together)? {
            if !item.too_many {
                return item.body()?.read();
            }
        } else if found.has(&all) || !found.has(&head) {
            return Ok(Decided::default());
        }
        self.read_body(company, client).await?.read()
    }

    /// What was decided about a client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn decided(&self, company: &CompanyId, client: &ClientId) -> Result<Decided, StoreError> {
        let found = self.found(Self::decided_keys(company, client), Consistency::Strong).await?;
        self.decided_in(company, client, &found).await
    }

    /// The same from the decisions themselves.
    async fn read_body(&self, company: &CompanyId, client: &ClientId) -> Result<Body, StoreError> {
        let mut decisions = self.policy_choices(company, Some(client)).await?;
        decisions.extend(self.decisions(company, Some(client)).await?);
        let mut body = Body { decisions, policies: Vec::new() };
        for decision in &body.decisions {
            body.policies.extend(self.chosen(company, decision, &body.policies).await?);
        }
        Ok(body)
    }

    /// The policy that a decision chooses, where it was imported and is not known yet.
    async fn chosen(
        &self,
        company: &CompanyId,
        decision: &Decision,
        known: &[String],
    ) -> Result<Option<String>, StoreError> {
        let Decision::Policy(choice) = decision else { return Ok(None) };
        let key = keys::policy(company, &choice.chosen.policy, choice.chosen.version);
        let item: Option<PolicyItem> = self.get(&key).await?;
        Ok(item.map(|item| item.body).filter(|body| !known.contains(body)))
    }

    /// What the transaction of a decision needs to keep it with the others of its client; `first` if it is the first one of the company.
    pub(super) async fn kept_together(
        &self,
        company: &CompanyId,
        decision: &Decision,
        first: bool,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let client = decision.client();
        let key = keys::together(company, client);
        let before: Option<DecidedItem> = self.get(&key).await?;
        let written = before.as_ref().map(|item| item.written);
        let mut body = match &before {
            Some(item) if !item.too_many => item.body()?,
            Some(_) => Body::default(),
            None => self.read_body(company, client).await?,
        };
        let policy = self.chosen(company, decision, &body.policies).await?;
        body.policies.extend(policy);
        body.decisions.push(decision.clone());
        let text = serde_json::to_string(&body);
        let text = text.map_err(|error| StoreError::corrupt(DecidedItem::KIND, error.to_string()))?;
        let too_many = text.len() > BODY_LIMIT || before.is_some_and(|item| item.too_many);
        let body = CompressedText(if too_many { String::new() } else { text });
        let item = DecidedItem { written: written.unwrap_or(0) + 1, body, too_many }.to_item(&key)?;
        let kept = match written {
            Some(written) => put_if(&self.table, item, "written", number(written))?,
            None => put_new(&self.table, item)?,
        };
        let mut actions = vec![kept];
        if first {
            actions.push(put_new(&self.table, AllTogether {}.to_item(&keys::all_together(company))?)?);
        }
        Ok(actions)
    }
}
