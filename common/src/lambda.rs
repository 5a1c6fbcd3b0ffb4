//! What every function starts with: its log, its settings and the AWS clients it needs.

use crate::clock::{Clock, SystemClock};
use crate::huntress::transport::{Timeouts, http_client};
use crate::queue::Queue;
use crate::secrets::{Credentials, SecretsManager};
use crate::settings::{Lookup, Origins, SettingsError, required};
use crate::store::Store;
use crate::sync::collect::Huntress;
use std::sync::Arc;

/// JSON lines on stdout, as Lambda's JSON log format expects them; the level is the function's own setting.
pub fn start_logging() {
    lambda_http::tracing::init_default_subscriber();
}

/// AWS as one function sees it. Nothing is asked of it before it is used.
pub struct Aws<'a> {
    config: aws_config::SdkConfig,
    lookup: Lookup<'a>,
}

impl<'a> Aws<'a> {
    /// Reads region, credentials and endpoint as every AWS tool does; the rest from `lookup`.
    pub async fn load(lookup: Lookup<'a>) -> Self {
        Self { config: aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await, lookup }
    }

    /// The table `TABLE_NAME`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn store(&self) -> Result<Store, SettingsError> {
        Ok(Store::new(aws_sdk_dynamodb::Client::new(&self.config), required(self.lookup, "TABLE_NAME")?))
    }

    /// The queue `QUEUE_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn queue(&self) -> Result<Queue, SettingsError> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        Ok(Queue::Sqs { client, url: required(self.lookup, "QUEUE_URL")? })
    }

    /// Secrets below `SECRET_PREFIX`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn credentials(&self) -> Result<Arc<Credentials>, SettingsError> {
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        let manager = SecretsManager::new(client, required(self.lookup, "SECRET_PREFIX")?);
        Ok(Arc::new(Credentials::Manager(manager)))
    }

    /// The vendor.
    ///
    /// # Errors
    /// An origin that is not allowed, or a TLS library that does not start.
    pub fn huntress(&self) -> Result<Huntress, Box<dyn std::error::Error + Send + Sync>> {
        let origins = Origins::read(self.lookup)?;
        Ok(Huntress { http: http_client(Timeouts::default())?, clock: self.clock(), origins })
    }

    /// The machine's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }
}
