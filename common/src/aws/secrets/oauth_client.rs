//! This service's own OAuth client at Huntress SAT: from the environment on one machine, from a secret of the operator on AWS.

use super::{SecretError, without_paste};
use crate::huntress::sat::SatCredential;
use crate::settings::{Lookup, SettingsError};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;

/// Where the client is.
pub enum OauthClient {
    /// There is none: nobody can connect by redirect.
    None,
    /// It is known.
    Given(Arc<SatCredential>),
    /// A secret of AWS Secrets Manager holds `client_id` and `client_secret`, as JSON.
    Secret {
        /// Secrets Manager.
        client: Client,
        /// The secret's ARN.
        id: String,
    },
}

const CLIENT_ID: &str = "HUNTRESS_SAT_OAUTH_CLIENT_ID";
const CLIENT_SECRET: &str = "HUNTRESS_SAT_OAUTH_CLIENT_SECRET";

impl OauthClient {
    /// The client of `HUNTRESS_SAT_OAUTH_CLIENT_ID` and `HUNTRESS_SAT_OAUTH_CLIENT_SECRET`; none if neither is set.
    ///
    /// # Errors
    /// [`SettingsError::Missing`] where one is set without the other.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, SettingsError> {
        let half = |name| without_paste(lookup(name).map(SecretString::from));
        match (half(CLIENT_ID), half(CLIENT_SECRET)) {
            (Some(client_id), Some(client_secret)) => {
                Ok(Self::Given(Arc::new(SatCredential { client_id, client_secret })))
            }
            (None, None) => Ok(Self::None),
            (Some(_), None) => Err(SettingsError::Missing(CLIENT_SECRET)),
            (None, Some(_)) => Err(SettingsError::Missing(CLIENT_ID)),
        }
    }

    /// The client, if there is one. A secret is read anew each time, so that a new one counts at once.
    ///
    /// # Errors
    /// [`SecretError::Missing`], [`SecretError::Malformed`] and [`SecretError::Unavailable`].
    pub async fn get(&self) -> Result<Option<Arc<SatCredential>>, SecretError> {
        match self {
            Self::None => Ok(None),
            Self::Given(client) => Ok(Some(Arc::clone(client))),
            Self::Secret { client, id } => {
                let answer = client.get_secret_value().secret_id(id).send().await;
                let value = answer.map_err(|error| match error.into_service_error() {
                    GetSecretValueError::ResourceNotFoundException(_) => SecretError::Missing,
                    error => SecretError::Unavailable(error.into()),
                })?;
                let content = value.secret_string.map(SecretString::from).ok_or(SecretError::Malformed)?;
                parse(&content).map(|client| Some(Arc::new(client)))
            }
        }
    }
}

#[derive(Deserialize)]
struct Content {
    client_id: SecretString,
    client_secret: SecretString,
}

fn parse(content: &SecretString) -> Result<SatCredential, SecretError> {
    // The error of the parser is dropped: it may quote the content.
    let content: Content = serde_json::from_str(content.expose_secret()).map_err(|_| SecretError::Malformed)?;
    let halves = without_paste(Some(content.client_id)).zip(without_paste(Some(content.client_secret)));
    halves.map(|(client_id, client_secret)| SatCredential { client_id, client_secret }).ok_or(SecretError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_needed_and_pasted_ones_are_cleaned() {
        let read = |id: Option<&'static str>, secret: Option<&'static str>| {
            OauthClient::read(&move |name| if name == CLIENT_ID { id } else { secret }.map(str::to_owned))
        };
        assert!(matches!(read(None, None), Ok(OauthClient::None)));
        assert!(matches!(read(Some("id"), None), Err(SettingsError::Missing(CLIENT_SECRET))));
        assert!(matches!(read(Some(" "), Some("s")), Err(SettingsError::Missing(CLIENT_ID))));
        let Ok(OauthClient::Given(client)) = read(Some(" id\r\n"), Some("'secret'")) else { panic!("not read") };
        assert_eq!((client.client_id.expose_secret(), client.client_secret.expose_secret()), ("id", "secret"));
        assert!(parse(&r#"{"client_id":"a","client_secret":" b "}"#.into()).is_ok());
        for wrong in ["", "{}", r#"{"client_id":"a"}"#, r#"{"client_id":"a","client_secret":" "}"#] {
            assert!(matches!(parse(&wrong.into()), Err(SecretError::Malformed)), "{wrong}");
        }
    }
}
