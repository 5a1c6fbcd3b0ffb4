//! The test of a credential: every permission, by the client that a sync uses.

use super::Connections;
use crate::app::collection::worker::credential_of;
use crate::aws::secrets::Credential;
use crate::domain::audit::{Actor, AuditAction};
use crate::domain::connection::{Connection, TestOutcome};
use crate::domain::failure::Failure;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::domain::sat::id::SatId;
use crate::huntress::connection_test::{PermissionResult, TestReport};
use crate::huntress::sat::Access;
use crate::store::StoreError;
use chrono::TimeDelta;

/// No request of a test begins later than this; an answer is due within 29 seconds.
pub const TEST_TIME: TimeDelta = TimeDelta::seconds(20);

impl Connections {
    /// Tests a saved connection and keeps the outcome on it. It writes nothing else.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a connection that is not there.
    pub async fn test(&self, company: &CompanyId, id: &ConnectionId) -> Result<TestReport, StoreError> {
        self.test_and_keep(company, id, None).await
    }

    /// The same for somebody, who is recorded in the transaction that keeps the outcome.
    ///
    /// # Errors
    /// As [`Connections::test`].
    pub async fn test_as(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        actor: &Actor,
    ) -> Result<TestReport, StoreError> {
        self.test_and_keep(company, id, Some(actor)).await
    }

    async fn test_and_keep(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        actor: Option<&Actor>,
    ) -> Result<TestReport, StoreError> {
        let connection = self.get(company, id).await?;
        let report = match credential_of(&self.credentials, &connection).await {
            Ok(credential) => self.test_credential(&connection, &credential).await,
            Err(failure) => no_credential(failure),
        };
        let outcome = TestOutcome { tested_at: self.huntress.instant(), passed: report.passed };
        let event = actor.map(|actor| self.event(actor, AuditAction::ConnectionTested, company, id));
        let account = account_of(connection.product, &report);
        self.store.record_test(company, id, &outcome, account, event.as_ref()).await?;
        Ok(report)
    }

    /// Tests a credential of a connection, which need not be saved.
    pub(super) async fn test_credential(&self, connection: &Connection, credential: &Credential) -> TestReport {
        let (limiter, deadline) = (self.limiters.of(connection), self.huntress.clock.now() + TEST_TIME);
        let configured = connection.account_id.as_ref().map(SatId::as_str);
        match credential {
            Credential::Edr(credential) => self.huntress.test_edr(credential, limiter, deadline).await,
            Credential::Sat(credential) => self.huntress.test_sat(credential, configured, limiter, deadline).await,
            Credential::Agreement(_) => {
                let exchanger = self.exchanger(&connection.company, &connection.id);
                self.huntress.test_sat(Access::Agreement(&exchanger), configured, limiter, deadline).await
            }
        }
    }
}

/// The account that an endpoint key is for, which all keys of that account share their request limit with. That of a training credential is found by
/// its runs, or given.
pub(super) fn account_of(product: Product, report: &TestReport) -> Option<SatId> {
    match (product, report.accounts.as_slice()) {
        (Product::Edr, [account]) => SatId::parse(account.id.as_str()).ok(),
        _ => None,
    }
}

fn no_credential(failure: Failure) -> TestReport {
    TestReport::new(vec![PermissionResult {
        permission: "credential".to_owned(),
        granted: false,
        failure: Some(failure),
    }])
}
