//! Credentials of connections: found by a name that is computed, never stored, and bound to their connection by their content.

mod manager;
pub mod oauth_client;
mod sealed;
pub mod sealing;
mod table;
pub mod wrapping;

pub use manager::{NewSecrets, SecretsManager};
pub use sealed::SealedFiles;
pub use sealing::SealingError;
pub use table::SealedTable;

use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::domain::text::pasted;
use crate::huntress::edr::EdrCredential;
use crate::huntress::sat::{SatAgreement, SatCredential};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The credential of a connection. It cannot be printed, copied or serialized.
pub enum Credential {
    /// For the endpoint API.
    Edr(EdrCredential),
    /// For the training API.
    Sat(SatCredential),
    /// For the training API: what somebody agreed to at Huntress.
    Agreement(SatAgreement),
}

impl Credential {
    /// Whether somebody agreed to it at Huntress instead of pasting it.
    #[must_use]
    pub fn is_by_redirect(&self) -> bool {
        match self {
            Self::Edr(_) | Self::Sat(_) => false,
            Self::Agreement(_) => true,
        }
    }

    /// The product it is for.
    #[must_use]
    pub fn product(&self) -> Product {
        match self {
            Self::Edr(_) => Product::Edr,
            Self::Sat(_) | Self::Agreement(_) => Product::Sat,
        }
    }
}

/// Whose credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The company.
    pub company: &'a CompanyId,
    /// Its connection.
    pub connection: &'a ConnectionId,
    /// The product.
    pub product: Product,
}

/// Why a credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none for this connection.
    #[error("there is no credential for this connection")]
    Missing,
    /// What is there was made for another connection.
    #[error("the stored credential is bound to another connection")]
    BoundElsewhere,
    /// What is there is no credential.
    #[error("the stored credential cannot be read")]
    Malformed,
    /// The place where secrets are kept does not answer.
    #[error("the store of secrets does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where credentials are kept.
pub enum Credentials {
    /// AWS Secrets Manager.
    Manager(SecretsManager),
    /// Sealed files, on one machine.
    Sealed(SealedFiles),
    /// Sealed in the table.
    Table(Box<SealedTable>),
}

impl Credentials {
    /// The credential of a connection.
    ///
    /// # Errors
    /// [`SecretError`], also when what is stored under the connection's name was made for another one.
    pub async fn get(&self, binding: Binding<'_>) -> Result<Credential, SecretError> {
        let content = match self {
            Self::Manager(manager) => manager.get(binding).await?,
            Self::Sealed(files) => files.get(binding)?,
            Self::Table(table) => table.get(binding).await?,
        };
        parse(&content, binding)
    }

    /// Keeps the credential of a connection, replacing an earlier one.
    ///
    /// # Errors
    /// [`SecretError::Unavailable`].
    pub async fn put(&self, binding: Binding<'_>, credential: &Credential) -> Result<(), SecretError> {
        let content = content(binding, credential);
        match self {
            Self::Manager(manager) => manager.put(binding, &content).await,
            Self::Sealed(files) => files.put(binding, &content),
            Self::Table(table) => table.put(binding, &content).await,
        }
    }

    /// Removes the credential of a connection for good, if there is one.
    ///
    /// # Errors
    /// [`SecretError::Unavailable`].
    pub async fn remove(&self, binding: Binding<'_>) -> Result<(), SecretError> {
        match self {
            Self::Manager(manager) => manager.remove(binding).await,
            Self::Sealed(files) => files.remove(binding),
            Self::Table(table) => table.remove(binding).await,
        }
    }
}

#[derive(Deserialize)]
struct Content {
    company: String,
    connection: String,
    product: Product,
    api_key: Option<SecretString>,
    api_secret: Option<SecretString>,
    client_id: Option<SecretString>,
    client_secret: Option<SecretString>,
    refresh_token: Option<SecretString>,
}

/// Reads a secret's content and checks that it repeats the binding it was found under: a changed row of the table cannot point at another tenant's secret.
fn parse(content: &SecretString, binding: Binding<'_>) -> Result<Credential, SecretError> {
    // The error of the parser is dropped: it may quote the content.
    let content: Content = serde_json::from_str(content.expose_secret()).map_err(|_| SecretError::Malformed)?;
    let bound = content.company == binding.company.as_str()
        && content.connection == binding.connection.as_str()
        && content.product == binding.product;
    if !bound {
        return Err(SecretError::BoundElsewhere);
    }
    let credential = match content.product {
        Product::Edr => {
            let (key, secret) = (without_paste(content.api_key), without_paste(content.api_secret));
            key.zip(secret).map(|(key, secret)| Credential::Edr(EdrCredential { key, secret }))
        }
        Product::Sat => {
            let (id, secret) = (without_paste(content.client_id), without_paste(content.client_secret));
            if let Some(refresh_token) = content.refresh_token {
                let agreement = id.map(|client_id| Credential::Agreement(SatAgreement { client_id, refresh_token }));
                return agreement.ok_or(SecretError::Malformed);
            }
            id.zip(secret).map(|(client_id, client_secret)| Credential::Sat(SatCredential { client_id, client_secret }))
        }
    };
    credential.ok_or(SecretError::Malformed)
}

/// One half of a credential, which people may have pasted where it is kept.
fn without_paste(half: Option<SecretString>) -> Option<SecretString> {
    half.and_then(|half| {
        let kept = pasted(half.expose_secret());
        (!kept.is_empty()).then(|| SecretString::from(kept))
    })
}

/// What was opened, which is text if it was sealed here.
fn utf8(opened: Vec<u8>) -> Result<SecretString, SecretError> {
    String::from_utf8(opened).map(SecretString::from).map_err(|_| SecretError::Malformed)
}

/// The content of the secret of a connection.
fn content(binding: Binding<'_>, credential: &Credential) -> SecretString {
    let mut content = serde_json::json!({
        "company": binding.company.as_str(),
        "connection": binding.connection.as_str(),
        "product": binding.product,
    });
    let fields = match credential {
        Credential::Edr(EdrCredential { key, secret }) => [("api_key", key), ("api_secret", secret)],
        Credential::Sat(SatCredential { client_id, client_secret }) => {
            [("client_id", client_id), ("client_secret", client_secret)]
        }
        Credential::Agreement(SatAgreement { client_id, refresh_token }) => {
            [("client_id", client_id), ("refresh_token", refresh_token)]
        }
    };
    if let Some(content) = content.as_object_mut() {
        for (name, value) in fields {
            content.insert(name.to_owned(), value.expose_secret().into());
        }
    }
    SecretString::from(content.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_another_connection_is_refused() {
        let (acme, other) = (CompanyId::parse("acme").unwrap(), CompanyId::parse("other").unwrap());
        let connection = ConnectionId::parse("edr").unwrap();
        let binding = |company| Binding { company, connection: &connection, product: Product::Edr };
        let credential = Credential::Edr(EdrCredential { key: "hk".into(), secret: "hs".into() });
        let stored = content(binding(&acme), &credential);
        assert!(parse(&stored, binding(&acme)).is_ok());
        assert!(matches!(parse(&stored, binding(&other)), Err(SecretError::BoundElsewhere)));
        assert!(matches!(parse(&"{}".into(), binding(&acme)), Err(SecretError::Malformed)));
        let pasted =
            r#"{"company":"acme","connection":"edr","product":"huntress-edr","api_key":" hk\r\n","api_secret":"'hs'"}"#;
        let Ok(Credential::Edr(read)) = parse(&pasted.into(), binding(&acme)) else { panic!("not read") };
        assert_eq!((read.key.expose_secret(), read.secret.expose_secret()), ("hk", "hs"));
        let blank = pasted.replace("'hs'", "' '");
        assert!(matches!(parse(&blank.into(), binding(&acme)), Err(SecretError::Malformed)));
        let half = r#"{"company":"acme","connection":"edr","product":"huntress-edr","api_key":"hk"}"#;
        assert!(matches!(parse(&half.into(), binding(&acme)), Err(SecretError::Malformed)));
    }
}
