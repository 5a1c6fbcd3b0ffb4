//! A client's newest evidence with all that readers need beside it: three reads of the table for what is newest now.

use super::EvidenceReader;
use crate::app::decisions::PolicyHistory;
use crate::domain::connection::Connection;
use crate::domain::decisions::{Decision, ExceptionHistory};
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::policy::{InForce, PolicyRef};
use crate::domain::policy::{Policy, presets};
use crate::domain::portfolio::Trend;
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::{ClientNow, Decided, EvidenceOwner, StoreError, StoredEvidence};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A client at the end of a span.
pub(super) struct AroundClient {
    /// The connections of the company.
    pub connections: Vec<Connection>,
    /// The newest evidence of each product and connection.
    pub evidence: Vec<StoredEvidence>,
    /// What lies so far ahead that it is passed over.
    pub ahead: Vec<StoredEvidence>,
    /// The outcomes of the last days, as far as the short records have them.
    pub trends: Vec<(Product, Trend)>,
    /// The rules in force.
    pub in_force: InForce,
    /// Every policy that counted for the client at some time.
    pub known: BTreeMap<PolicyRef, Arc<Policy>>,
    /// What was decided.
    pub decisions: Vec<Decision>,
    /// The end of the span, which is not after now.
    pub at: DateTime<Utc>,
}

impl AroundClient {
    /// Exceptions and what became of them.
    pub fn exceptions(&self) -> ExceptionHistory {
        self.decisions.iter().cloned().collect()
    }
}

/// The policies that were chosen for a client, and the presets.
pub(super) fn known_policies(decided: &Decided) -> BTreeMap<PolicyRef, Arc<Policy>> {
    let imported = decided.policies.iter().cloned().map(Arc::new);
    presets().iter().cloned().chain(imported).map(|policy| (PolicyRef::from(policy.as_ref()), policy)).collect()
}

/// The rules in force for a client at an instant.
pub(super) fn in_force_at(
    client: &ClientId,
    decided: &Decided,
    known: &BTreeMap<PolicyRef, Arc<Policy>>,
    at: DateTime<Utc>,
) -> Result<InForce, StoreError> {
    Ok(PolicyHistory::of(&decided.decisions, known.clone()).at(at)?.of(Some(client)))
}

impl EvidenceReader {
    /// A client at the end of a span, with its evidence of a product or of all.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::UnknownClient`] for a client that nobody knows, so all that is told of one refuses it.
    pub(super) async fn around_client(
        &self,
        company: &CompanyId,
        client: &ClientId,
        product: Option<Product>,
        span: Window,
    ) -> Result<AroundClient, StoreError> {
        let believed = span.until(Some(self.believed_until()));
        let ClientNow { connections, evidence, trends, decided } =
            self.store.client_now(company, client, product, believed).await?;
        let (evidence, ahead) = match evidence {
            // The newest of each connection is among it, so nothing lies ahead.
            Some(evidence) => (evidence, Vec::new()),
            None => {
                let owner = EvidenceOwner::Client(client.clone());
                let latest = self.store.latest_between(company, &owner, product, believed).await?;
                (latest, self.passed_over(company, &owner, product, span).await?)
            }
        };
        let at = span.end.min(self.clock.now());
        let known = known_policies(&decided);
        let in_force = in_force_at(client, &decided, &known, at)?;
        Ok(AroundClient { connections, evidence, ahead, trends, in_force, known, decisions: decided.decisions, at })
    }
}
