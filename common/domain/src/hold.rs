//! Legal holds: evidence that is not to end, whatever the retention says.

use super::id::ClientId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The client whose evidence is held; `None` for everything of the company.
    pub client: Option<ClientId>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who placed it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Whether the evidence of a client, or the company's own, is held.
///
/// ```
/// use evidence_domain::hold::{Hold, is_held};
/// use evidence_domain::id::ClientId;
///
/// let acme = ClientId::parse("acme").unwrap();
/// let hold = |client| Hold { client, since: Default::default(), by: "legal".into(), reason: "a suit".into() };
/// assert!(is_held(&[hold(Some(acme.clone()))], Some(&acme)));
/// assert!(!is_held(&[hold(Some(acme.clone()))], None));
/// assert!(is_held(&[hold(None)], Some(&acme)));
/// ```
#[must_use]
pub fn is_held(holds: &[Hold], client: Option<&ClientId>) -> bool {
    holds.iter().any(|hold| hold.client.is_none() || hold.client.as_ref() == client)
}
