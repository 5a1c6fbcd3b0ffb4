//! Credentials in AWS Secrets Manager.

use super::{Binding, SecretError};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_sdk_secretsmanager::types::Tag;
use secrecy::{ExposeSecret, SecretString};

/// Secrets named `{prefix}/{company}/{connection}`.
pub struct SecretsManager {
    client: Client,
    prefix: String,
    new: NewSecrets,
}

/// How secrets are made.
#[derive(Debug, Clone, Default)]
pub struct NewSecrets {
    /// The key of KMS that they are under; `None` leaves them under the one that AWS manages.
    pub key_id: Option<String>,
    /// Their tags, beside those that every secret has.
    pub tags: Vec<(String, String)>,
}

impl SecretsManager {
    /// Secrets whose names begin with `prefix`.
    #[must_use]
    pub fn new(client: Client, prefix: impl Into<String>) -> Self {
        Self { client, prefix: prefix.into(), new: NewSecrets::default() }
    }

    /// New secrets are made so.
    #[must_use]
    pub fn making(self, new: NewSecrets) -> Self {
        Self { new, ..self }
    }

    fn tags(&self, binding: Binding<'_>) -> Vec<Tag> {
        let own = [
            ("application", "huntress-evidence".to_owned()),
            ("company", binding.company.to_string()),
            ("connection", binding.connection.to_string()),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value));
        let tag = |(key, value)| Tag::builder().key(key).value(value).build();
        self.new.tags.iter().cloned().chain(own).map(tag).collect()
    }

    fn name(&self, binding: Binding<'_>) -> String {
        format!("{}/{}/{}", self.prefix, binding.company, binding.connection)
    }

    pub(super) async fn get(&self, binding: Binding<'_>) -> Result<SecretString, SecretError> {
        let answer = self.client.get_secret_value().secret_id(self.name(binding)).send().await;
        let value = answer.map_err(|error| match error.into_service_error() {
            GetSecretValueError::ResourceNotFoundException(_) => SecretError::Missing,
            error => SecretError::Unavailable(error.into()),
        })?;
        value.secret_string.map(SecretString::from).ok_or(SecretError::Malformed)
    }

    pub(super) async fn put(&self, binding: Binding<'_>, content: &SecretString) -> Result<(), SecretError> {
        let name = self.name(binding);
        let put = self.client.put_secret_value().secret_id(&name).secret_string(content.expose_secret()).send().await;
        match put.map_err(aws_sdk_secretsmanager::error::SdkError::into_service_error) {
            Ok(_) => Ok(()),
            Err(PutSecretValueError::ResourceNotFoundException(_)) => {
                let create = self.client.create_secret().name(name).secret_string(content.expose_secret());
                let create = create.set_kms_key_id(self.new.key_id.clone()).set_tags(Some(self.tags(binding)));
                create
                    .send()
                    .await
                    .map(|_| ())
                    .map_err(|error| SecretError::Unavailable(error.into_service_error().into()))
            }
            Err(error) => Err(SecretError::Unavailable(error.into())),
        }
    }

    pub(super) async fn remove(&self, binding: Binding<'_>) -> Result<(), SecretError> {
        // At once: a name that waits for its deletion could not be given a new credential.
        let delete = self.client.delete_secret().secret_id(self.name(binding)).force_delete_without_recovery(true);
        match delete.send().await.map_err(aws_sdk_secretsmanager::error::SdkError::into_service_error) {
            Ok(_) | Err(DeleteSecretError::ResourceNotFoundException(_)) => Ok(()),
            Err(error) => Err(SecretError::Unavailable(error.into())),
        }
    }
}
