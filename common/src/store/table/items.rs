//! Records to and from items of the table, with their version.

use super::Item;
use super::keys::Key;
use crate::store::error::StoreError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// The version that records are written in.
pub const SCHEMA_VERSION: u32 = 1;

/// The oldest version that is still read: the previous one, once there is one.
const OLDEST_VERSION: u32 = 1;

/// The largest body of one record; the table holds 400 KB with the names, the keys and the rest of it.
pub const BODY_LIMIT: usize = 390 * 1024;

/// A kind of record.
pub(in crate::store) trait Record: Serialize + DeserializeOwned {
    /// Its name in errors.
    const KIND: &'static str;

    /// The item to store.
    fn to_item(&self, key: &Key) -> Result<Item, StoreError> {
        let mut item: Item =
            serde_dynamo::to_item(self).map_err(|_| StoreError::corrupt(Self::KIND, "it cannot be written"))?;
        item.extend(key.to_item());
        item.insert("schema_version".to_owned(), number(SCHEMA_VERSION));
        Ok(item)
    }

    /// Reads an item.
    fn from_item(item: Item) -> Result<Self, StoreError> {
        let version: Option<u32> = item.get("schema_version").and_then(|version| version.as_n().ok()?.parse().ok());
        if !version.is_some_and(|version| (OLDEST_VERSION..=SCHEMA_VERSION).contains(&version)) {
            let reason = "its schema version is not one that this release reads";
            return Err(StoreError::corrupt(Self::KIND, reason));
        }
        serde_dynamo::from_item(item).map_err(|error| {
            let error = error.to_string();
            // Other errors may quote a value.
            let field = error.strip_prefix("missing field ");
            let reason =
                field.map_or("an attribute is not what it has to be".to_owned(), |it| format!("{it} is missing"));
            StoreError::corrupt(Self::KIND, reason)
        })
    }
}

pub(in crate::store) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(in crate::store) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A put of a whole item.
pub(in crate::store) fn put(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = put.build().map_err(StoreError::unavailable)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// A put that is refused where the record is already.
pub(in crate::store) fn put_new(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression("attribute_not_exists(pk)");
    let put = put.build().map_err(StoreError::unavailable)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// A put in the place of a record whose attribute has this value.
pub(in crate::store) fn put_if(
    table: &str,
    item: Item,
    name: &str,
    value: AttributeValue,
) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression("#name = :value");
    let put = put.expression_attribute_names("#name", name).expression_attribute_values(":value", value);
    let put = put.build().map_err(StoreError::unavailable)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// A change of some attributes of a record that is there, in a version that is known.
///
/// Every name and value goes through a placeholder, so that no attribute can collide with a reserved word.
pub(in crate::store) struct Change {
    key: Key,
    set: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

/// What became of a change of one record.
pub(in crate::store) enum Applied {
    /// It was made; the record after it.
    Changed(Item),
    /// The conditions do not hold for this record.
    Refused(Item),
    /// There is no record.
    Missing,
}

impl Applied {
    pub fn is_changed(&self) -> bool {
        matches!(self, Self::Changed(_))
    }
}

impl Change {
    pub fn of(key: Key) -> Self {
        Self {
            key,
            set: Vec::new(),
            remove: Vec::new(),
            conditions: vec!["#schema_version BETWEEN :oldest AND :newest".to_owned()],
            names: [("#schema_version".to_owned(), "schema_version".to_owned())].into(),
            values: [(":oldest".to_owned(), number(OLDEST_VERSION)), (":newest".to_owned(), number(SCHEMA_VERSION))]
                .into(),
        }
    }

    fn name(&mut self, name: &'static str) {
        self.names.insert(format!("#{name}"), name.to_owned());
    }

    /// Sets an attribute to what `value` is in a record.
    pub fn set(self, name: &'static str, value: &impl Serialize) -> Result<Self, StoreError> {
        let value =
            serde_dynamo::to_attribute_value(value).map_err(|_| StoreError::corrupt(name, "it cannot be written"))?;
        Ok(self.set_raw(name, value))
    }

    /// Sets an attribute.
    pub fn set_raw(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.name(name);
        self.set.push(format!("#{name} = :{name}"));
        self.values.insert(format!(":{name}"), value);
        self
    }

    /// Adds one to a count, which begins at 0.
    pub fn increment(mut self, name: &'static str) -> Self {
        self.name(name);
        self.set.push(format!("#{name} = if_not_exists(#{name}, :none) + :one"));
        self.values.insert(":none".to_owned(), number(0));
        self.values.insert(":one".to_owned(), number(1));
        self
    }

    /// Refuses the change unless a count has this value; one that is not there is 0.
    pub fn only_if_count(mut self, name: &'static str, count: u64) -> Self {
        self.name(name);
        let absent = if count == 0 { format!("attribute_not_exists(#{name}) OR ") } else { String::new() };
        self.conditions.push(format!("({absent}#{name} = :if_{name})"));
        self.values.insert(format!(":if_{name}"), number(count));
        self
    }

    /// Removes an attribute.
    pub fn remove(mut self, name: &'static str) -> Self {
        self.name(name);
        self.remove.push(format!("#{name}"));
        self
    }

    /// Refuses the change unless the attribute has this value.
    pub fn only_if(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.name(name);
        self.conditions.push(format!("#{name} = :if_{name}"));
        self.values.insert(format!(":if_{name}"), value);
        self
    }

    /// The same for an attribute as it is in a record.
    pub fn only_if_is(self, name: &'static str, value: &impl Serialize) -> Result<Self, StoreError> {
        let value =
            serde_dynamo::to_attribute_value(value).map_err(|_| StoreError::corrupt(name, "it cannot be written"))?;
        Ok(self.only_if(name, value))
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }

    /// The conditions alone, as a part of a transaction.
    pub fn check(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(self.key.to_item()))
            .condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .build()
            .map_err(StoreError::unavailable)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The change as a part of a transaction.
    pub fn update(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(self.key.to_item()))
            .update_expression(self.expression())
            .condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .build()
            .map_err(StoreError::unavailable)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The removal of the whole record, under the same conditions, as a part of a transaction.
    pub fn delete(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(table)
            .set_key(Some(self.key.to_item()))
            .condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .build()
            .map_err(StoreError::unavailable)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Makes the change, unless its conditions do not hold.
    pub async fn apply(self, client: &aws_sdk_dynamodb::Client, table: &str) -> Result<Applied, StoreError> {
        use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
        let answer = client
            .update_item()
            .table_name(table)
            .set_key(Some(self.key.to_item()))
            .update_expression(self.expression())
            .condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(changed) => Ok(Applied::Changed(changed.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Ok(match &refused.item {
                    Some(item) => Applied::Refused(item.clone()),
                    None => Applied::Missing,
                }),
                _ => Err(error.into()),
            },
        }
    }

    fn expression(&self) -> String {
        let mut parts = Vec::new();
        if !self.set.is_empty() {
            parts.push(format!("SET {}", self.set.join(", ")));
        }
        if !self.remove.is_empty() {
            parts.push(format!("REMOVE {}", self.remove.join(", ")));
        }
        parts.join(" ")
    }
}
