//! The table: its keys, items, queries and transactions. It knows ids, and nothing of what the records are for.

pub(super) mod items;
pub(super) mod keys;
pub(super) mod queries;
pub(super) mod schema;
pub(super) mod transactions;
