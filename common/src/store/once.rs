//! Requests that must be carried out once, by their keys. They lie beside the audit events: who may record what was done may record that it was.

use super::Store;
use super::error::StoreError;
use crate::domain::id::CompanyId;
use crate::store::table::items::{Record, number};
use crate::store::table::keys;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How long a key is remembered.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// A request that was not answered by then never will be: whoever carried it out is gone.
const CARRIED_OUT_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// What is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OnceItem {
    /// The SHA-256 of what it asks for.
    request: String,
    /// Epoch seconds.
    started_at: i64,
    /// Epoch seconds. The table removes it some time after, so claiming checks it, too.
    expires_at: i64,
    /// The answer, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

impl Record for OnceItem {
    const KIND: &'static str = "request";
}

/// Whose a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody has carried it out: it is for who asks.
    New,
    /// Somebody is at it.
    Running,
    /// It was carried out, with this answer; `None` where the answer is kept nowhere.
    Answered(Option<String>),
    /// The key was used for something else.
    Other,
}

impl Store {
    /// Claims a request by its key. `request` tells what it asks for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn claim_once(
        &self,
        company: &CompanyId,
        key: &str,
        request: &str,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError> {
        let request = keys::sha256(request);
        let (started_at, expires_at) = (now.timestamp(), (now + KEPT).timestamp());
        let item = OnceItem { request: request.clone(), started_at, expires_at, answer: None };
        let item = item.to_item(&keys::once(company, key))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let free =
            "attribute_not_exists(pk) OR expires_at <= :now OR (attribute_not_exists(answer) AND started_at <= :gone)";
        let put = put
            .condition_expression(free)
            .expression_attribute_values(":now", number(now.timestamp()))
            .expression_attribute_values(":gone", number((now - CARRIED_OUT_WITHIN).timestamp()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Claim::New) };
        let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() else {
            return Err(error.into());
        };
        let there = OnceItem::from_item(refused.item.clone().unwrap_or_default())?;
        Ok(match there {
            OnceItem { request: other, .. } if other != request => Claim::Other,
            OnceItem { answer: Some(answer), .. } => Claim::Answered((!answer.is_empty()).then_some(answer)),
            OnceItem { answer: None, .. } => Claim::Running,
        })
    }

    /// Keeps the answer to a request; one that is empty says that there was one. `None` lets the request be tried again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn answer_once(
        &self,
        company: &CompanyId,
        key: &str,
        request: &str,
        answer: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let until = if answer.is_some() { now + KEPT } else { now };
        let request = keys::sha256(request);
        let item = OnceItem { request, started_at: now.timestamp(), expires_at: until.timestamp(), answer };
        self.put_item(item.to_item(&keys::once(company, key))?).await
    }
}
