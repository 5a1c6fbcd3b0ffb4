//! What a caller may know of themselves and of how to connect.

use crate::api::Caller;
use crate::domain::guidance;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::product::Product;
use crate::domain::time::Window;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A caller, as this service understands the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// Who it is.
    pub subject: String,
    /// Its companies.
    pub companies: BTreeSet<CompanyId>,
    /// What it may do.
    pub scopes: Vec<&'static str>,
    /// The clients that it is limited to; null for none.
    pub clients: Option<BTreeSet<ClientId>>,
    /// The time that it is limited to; null for none.
    pub window: Option<WindowView>,
}

/// A window of time, both ends among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WindowView {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// Its last instant.
    pub to: DateTime<Utc>,
}

impl From<Caller> for Me {
    fn from(Caller { companies, subject, scopes, clients, window }: Caller) -> Self {
        let scopes = scopes.iter().map(|scope| scope.as_str()).collect();
        let window = window.map(|Window { start, end }| WindowView { from: start, to: end });
        Self { subject, companies, scopes, clients, window }
    }
}

/// That the process answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// The version of this release.
    pub version: &'static str,
}

/// What a credential of a product is made of, and how to get one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CredentialSchema {
    /// A JSON Schema of the credential.
    pub schema: JsonSchema,
    /// The steps to one.
    pub setup: Vec<StepView>,
}

/// A step of the setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// What, in a few words.
    pub title: &'static str,
    /// How.
    pub text: &'static str,
}

/// The steps to a credential, and what to do about its troubles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetupAnswer {
    /// The product.
    pub product: Product,
    /// The steps.
    pub setup: Vec<StepView>,
    /// What goes wrong.
    pub troubles: Vec<TroubleView>,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TroubleView {
    /// What people see.
    pub symptom: &'static str,
    /// Why.
    pub cause: &'static str,
    /// What to do.
    pub action: &'static str,
}

impl SetupAnswer {
    /// Those of a product.
    #[must_use]
    pub fn of(product: Product) -> Self {
        let troubles = guidance::troubles(product).iter().map(|trouble| TroubleView {
            symptom: trouble.symptom,
            cause: trouble.cause,
            action: trouble.action,
        });
        Self { product, setup: steps(product), troubles: troubles.collect() }
    }
}

fn steps(product: Product) -> Vec<StepView> {
    guidance::setup(product).iter().map(|step| StepView { title: step.title, text: step.text }).collect()
}

/// A JSON Schema of an object with text fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JsonSchema {
    /// The dialect.
    #[serde(rename = "$schema")]
    pub dialect: &'static str,
    /// `object`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The fields that must be there.
    pub required: Vec<&'static str>,
    /// The fields.
    pub properties: BTreeMap<&'static str, PropertySchema>,
}

/// A text field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PropertySchema {
    /// `string`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its label.
    pub title: &'static str,
    /// Where it is found.
    pub description: &'static str,
    /// Whether it must never be shown.
    pub secret: bool,
}

impl CredentialSchema {
    /// That of a product.
    #[must_use]
    pub fn of(product: Product) -> Self {
        let field = |title, description, secret| PropertySchema { kind: "string", title, description, secret };
        let (required, properties): (_, BTreeMap<_, _>) = match product {
            Product::Edr => (
                vec!["apiKey", "apiSecret"],
                [
                    ("apiKey", field("API Key", "From Huntress portal: Account → API Credentials → API Key", false)),
                    (
                        "apiSecret",
                        field(
                            "API Secret",
                            "From Huntress portal: Account → API Credentials → API Secret. Treat as a password.",
                            true,
                        ),
                    ),
                ]
                .into(),
            ),
            Product::Sat => (
                vec!["clientId", "clientSecret"],
                [
                    ("accountId", field("Account ID", "Needed only where the API client sees several accounts", false)),
                    ("clientId", field("Client ID", "From Huntress Managed SAT: Settings → API clients", false)),
                    (
                        "clientSecret",
                        field(
                            "Client Secret",
                            "From Huntress Managed SAT: Settings → API clients. Treat as a password.",
                            true,
                        ),
                    ),
                ]
                .into(),
            ),
        };
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        Self { schema: JsonSchema { dialect, kind: "object", required, properties }, setup: steps(product) }
    }
}
