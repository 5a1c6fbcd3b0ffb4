use serde_json::{Value, json};

/// Which accounts a client sees; the records belong to the home account alone, and the others are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SatAccounts {
    None,
    One,
    /// The home account and two more paid ones, which is listed neither first nor last.
    Many,
    /// A sandbox, listed first, and the home account.
    WithSandbox,
    /// A demo, listed first, and the home account.
    WithDemo,
    /// The home account, which is a sandbox.
    OnlySandbox,
    /// The home account, which is a demo.
    OnlyDemo,
}

impl SatAccounts {
    pub(crate) fn around(self, home: Value) -> Vec<Value> {
        let other = |id: &str, name: &str, kind: &str| {
            let mut account = account(id, name, None, 0);
            set_kind(&mut account, kind);
            account
        };
        let home_as = |kind: &str| {
            let mut home = home.clone();
            set_kind(&mut home, kind);
            home
        };
        match self {
            Self::None => Vec::new(),
            Self::One => vec![home],
            Self::Many => {
                let first = other("kV83mQz", "Larch Harbor Dental", "paid");
                vec![first, home, other("w0Tn5_e", "Opal Ridge Freight", "paid")]
            }
            Self::WithSandbox => vec![other("b7Xd2Rk", "Sandbox", "sandbox"), home],
            Self::WithDemo => vec![other("d4Hc9-Y", "Product Tour", "demo"), home],
            Self::OnlySandbox => vec![home_as("sandbox")],
            Self::OnlyDemo => vec![home_as("demo")],
        }
    }
}

fn set_kind(account: &mut Value, kind: &str) {
    if let Some(attributes) = account.get_mut("attributes").and_then(Value::as_object_mut) {
        attributes.insert("type".to_owned(), json!(kind));
    }
}

pub(crate) fn account(id: &str, name: &str, organization: Option<String>, licenses: u64) -> Value {
    json!({
        "type": "accounts",
        "id": id,
        "attributes": {
            "name": name,
            "status": "active",
            "type": "paid",
            "plan": "managed",
            "licenses": licenses,
            "ioOrgId": organization,
            "createdAt": "2023-01-10T15:00:00+00:00",
            "updatedAt": "2025-07-01T09:00:00+00:00",
        },
    })
}

/// An id may be written as a number, too.
pub(crate) fn id(record: &Value) -> Option<String> {
    as_id(record.get("id")?)
}

pub(crate) fn as_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
