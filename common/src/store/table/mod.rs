//! The table: its keys, items, queries, batches and transactions. It knows ids, and nothing of what the records are for.

pub(super) mod batches;
pub(super) mod items;
pub(super) mod keys;
pub(super) mod queries;
pub(super) mod schema;
pub(super) mod transactions;

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// One item of the table.
pub(in crate::store) type Item = HashMap<String, AttributeValue>;
