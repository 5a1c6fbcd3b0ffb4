//! Records written by hand: whose they are.

use serde_json::Value;

use super::accounts::{as_id, id};

pub(crate) fn home(accounts: &[Value]) -> Option<String> {
    let is_real = |it: &&Value| {
        let kind = it.get("attributes").and_then(|it| it.get("type")).and_then(Value::as_str);
        !matches!(kind, Some("sandbox" | "demo"))
    };
    accounts.iter().find(is_real).or(accounts.first()).and_then(id)
}

pub(crate) fn of_account<'a>(records: &'a [Value], account: &str, is_home: bool) -> Vec<&'a Value> {
    let belongs = |it: &&Value| match owner(it) {
        Some(owner) => owner == account,
        None => is_home,
    };
    records.iter().filter(belongs).collect()
}

fn owner(record: &Value) -> Option<String> {
    as_id(record.get("relationships")?.get("account")?.get("data")?.get("id")?)
}

pub(crate) fn is_active(learner: &Value) -> bool {
    learner.get("attributes").and_then(|it| it.get("status")).is_some_and(|it| it == "active")
}
