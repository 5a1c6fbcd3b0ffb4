//! AWS as the person at this desk reaches it: with the region and the credentials that every other tool of theirs finds.
//!
//! The functions read theirs from the environment alone, since a chain of other places would be a sixth of every bootstrap.

use crate::outcome::CliError;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use common::aws::lambda::Aws;
use common::aws::sdk_http::SdkHttp;
use common::settings::environment;
use std::error::Error;

type OwnedLookup = Box<dyn Fn(&str) -> Option<String>>;

/// The region and the credentials of this desk.
pub struct Desk {
    lookup: OwnedLookup,
    credentials: Credentials,
}

impl Desk {
    /// What the environment names, or else a profile (its keys, a role, SSO, a process), a container or the instance.
    ///
    /// # Errors
    /// That there is no region, or that there are no credentials, and what to do.
    pub async fn find() -> Result<Self, CliError> {
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(SdkHttp::https()).load().await;
        let region = config.region().map(ToString::to_string);
        let Some(region) = region else {
            return Err(CliError::usage(format!(
                "no AWS region is set; set AWS_REGION, or a region in the profile {}",
                profile()
            )));
        };
        let credentials = credentials(&config).await?;
        let lookup = move |name: &str| match name {
            "AWS_REGION" => Some(region.clone()),
            other => environment(other),
        };
        Ok(Self { lookup: Box::new(lookup), credentials })
    }

    /// The stack that the environment names. Credentials that end within a command are none to work with, so they are found once.
    #[must_use]
    pub fn aws(&self) -> Aws<'_> {
        Aws::load(&*self.lookup).with_credentials(SharedCredentialsProvider::new(self.credentials.clone()))
    }
}

async fn credentials(config: &SdkConfig) -> Result<Credentials, CliError> {
    let Some(provider) = config.credentials_provider() else { return Err(none_found()) };
    provider.provide_credentials().await.map_err(|error| match &error {
        CredentialsError::CredentialsNotLoaded(_) => none_found(),
        CredentialsError::ProviderTimedOut(_) => CliError::usage(format!(
            "whoever was asked for AWS credentials did not answer ({}); try again, or name a profile that has them by AWS_PROFILE",
            causes(&error)
        )),
        _ => CliError::usage(format!(
            "the AWS credentials of the profile {profile} cannot be used: {}; if it signs in by SSO, run aws sso login --profile {profile}",
            causes(&error),
            profile = profile()
        )),
    })
}

fn none_found() -> CliError {
    CliError::usage(format!(
        "no AWS credentials were found: neither in the environment, nor in the profile {profile}, nor of a container or an instance; run aws configure, or aws sso login --profile {profile}, or name another profile by AWS_PROFILE",
        profile = profile()
    ))
}

fn profile() -> String {
    environment("AWS_PROFILE").unwrap_or_else(|| "default".to_owned())
}

/// What led to an error, from the outside in.
fn causes(error: &CredentialsError) -> String {
    let (mut causes, mut next) = (Vec::new(), error.source());
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}
