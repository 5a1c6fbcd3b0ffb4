//! Attestations: numbers that Huntress cannot know.

use super::{DecisionError, Decisions};
use crate::domain::decisions::{Attestation, AttestationKey, AttestationRequest, Decision, newest_attestation};
use crate::domain::id::{ClientId, CompanyId};
use chrono::{DateTime, Utc};

impl Decisions {
    /// Keeps what somebody states.
    ///
    /// # Errors
    /// [`DecisionError::Attestation`], and [`DecisionError::Store`] for a client that nobody knows.
    pub async fn attest(&self, company: &CompanyId, request: AttestationRequest) -> Result<Attestation, DecisionError> {
        self.store.check_client(company, &request.client).await?;
        let attestation = request.state(self.new_record()?, self.store.calendar())?;
        self.store.decide(company, &Decision::Attestation(attestation.clone())).await?;
        Ok(attestation)
    }

    /// The attestation of a client that counts at an instant.
    ///
    /// # Errors
    /// [`DecisionError::Store`], also for a client that nobody knows.
    pub async fn attestation(
        &self,
        company: &CompanyId,
        client: &ClientId,
        key: AttestationKey,
        at: DateTime<Utc>,
    ) -> Result<Option<Attestation>, DecisionError> {
        let mut attestations = Vec::new();
        for decision in self.store.decisions(company, Some(client)).await? {
            if let Decision::Attestation(attestation) = decision {
                attestations.push(attestation);
            }
        }
        let found = newest_attestation(&attestations, key, at).cloned();
        if found.is_none() {
            self.store.check_client(company, client).await?;
        }
        Ok(found)
    }
}
