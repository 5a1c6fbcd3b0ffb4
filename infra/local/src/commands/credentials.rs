//! `copy-credentials`: from where a deployed stack keeps credentials to where it is to keep them.

use crate::arguments::{CopyCredentials, SecretsName};
use crate::outcome::CliError;
use crate::render;
use common::aws::lambda::Aws;
use common::aws::secrets::{Binding, SecretError};
use common::settings::environment;
use serde_json::json;

/// Copies each credential and reads the copy. What was there before stays, so that the stack finds its credentials before and after it is changed.
pub async fn copy(options: CopyCredentials) -> Result<(), CliError> {
    if !options.place.aws {
        return Err(CliError::usage("copy-credentials is for a deployed stack; add --aws"));
    }
    let aws = Aws::load(&environment);
    let (managed, sealed) = (aws.managed()?, aws.sealed()?);
    let (from, to) = match options.to {
        SecretsName::Manager => (sealed, managed),
        SecretsName::Sealed => (managed, sealed),
    };
    let company = &options.place.company;
    let connections = aws.store()?.connections(company).await;
    let connections = connections.map_err(|error| CliError::other(format!("the table cannot be used: {error}")))?;
    let (mut copied, mut missing) = (Vec::new(), Vec::new());
    for connection in &connections {
        let id = &connection.id;
        let fault = |error: SecretError| {
            CliError::other(format!(
                "the credential of {id} cannot be copied: {error}; those before it are, and it is safe to repeat"
            ))
        };
        let binding = Binding { company, connection: id, product: connection.product };
        match from.get(binding).await {
            Ok(credential) => {
                to.put(binding, &credential).await.map_err(fault)?;
                to.get(binding).await.map_err(fault)?;
                copied.push(id.as_str());
            }
            Err(SecretError::Missing) => missing.push(id.as_str()),
            Err(error) => return Err(fault(error)),
        }
    }
    if options.json {
        return render::json(&json!({"copied": copied, "missing": missing}));
    }
    let left = match missing.as_slice() {
        [] => String::new(),
        ids => format!("; these have none to copy: {}", ids.join(", ")),
    };
    render::text(&format!("{} credentials copied{left}\n", copied.len()))
}
