//! The certificates of who is newly compliant: fetched once, sealed and kept. That there is none is a fact, and no trouble with them fails a run.

use super::keyring::ConnectionKeyring;
use super::update::PersonUpdate;
use crate::aws::documents::Documents;
use crate::clock::Clock;
use crate::domain::people::person::PersonId;
use crate::domain::people::person::{Certificate, CertificateOutcome, StoredCertificate};
use crate::domain::people::roster::LearnerId;
use crate::huntress::error::FetchError;
use crate::huntress::sat::{Fetched, SatClient};
use chrono::{SubsecRound, TimeDelta};

/// Certificates that one run asks for, at most: each costs a request or two of an hour's 1,500. The next run goes on.
pub const CERTIFICATES_PER_RUN: usize = 200;

/// The time that one run gives to certificates.
const TIME: TimeDelta = TimeDelta::seconds(60);

/// What asking takes.
pub(super) struct Asked<'a> {
    pub client: &'a SatClient<'a>,
    pub clock: &'a dyn Clock,
    pub documents: &'a Documents,
    pub keyring: &'a ConnectionKeyring<'a>,
}

/// Asks for the certificates that are due, as far as number and time allow. Trouble leaves the rest for the next run.
pub(super) async fn fetch(asked: &Asked<'_>, candidates: &mut [PersonUpdate]) {
    let is_due = |certificate: &Certificate| certificate.outcome == CertificateOutcome::Due;
    let until = asked.clock.now() + TIME;
    let mut left = CERTIFICATES_PER_RUN;
    for candidate in candidates {
        let PersonUpdate { learner, record, .. } = candidate;
        for certificate in record.state.certificates.iter_mut().filter(|certificate| is_due(certificate)) {
            if left == 0 || asked.clock.now() >= until {
                tracing::info!("certificates are left for the next run");
                return;
            }
            left -= 1;
            match fetch_one(asked, learner, &record.person, certificate).await {
                Ok(outcome) => certificate.outcome = outcome,
                Err(CertificateError::Source(error)) => {
                    // Whatever it is, the next one would meet it too.
                    tracing::warn!(%error, "the certificates are left for the next run");
                    return;
                }
                Err(CertificateError::Storing(error)) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a certificate could not be kept");
                    return;
                }
            }
        }
    }
}

enum CertificateError {
    Source(FetchError),
    Storing(super::keyring::KeyringError),
}

async fn fetch_one(
    asked: &Asked<'_>,
    learner: &LearnerId,
    person: &PersonId,
    certificate: &Certificate,
) -> Result<CertificateOutcome, CertificateError> {
    let now = asked.clock.now().trunc_subsecs(0);
    let fetched = asked.client.certificate(&certificate.assignment, learner).await.map_err(CertificateError::Source)?;
    let (bytes, content_type, source) = match fetched {
        Fetched::NoneAvailable { answer } => {
            return Ok(CertificateOutcome::NoneAvailable { asked_at: now, answer });
        }
        Fetched::Document { bytes, content_type, source } => (bytes, content_type, source),
    };
    let kept = asked.keyring.keep_certificate(asked.documents, person, certificate, &bytes).await;
    let sha256 = kept.map_err(CertificateError::Storing)?;
    let stored = StoredCertificate { fetched_at: now, sha256, content_type, bytes: bytes.len() as u64, source };
    Ok(CertificateOutcome::Stored(stored))
}
