//! Connections: listed, made, changed, tested, removed. A credential goes in and never comes out.

use super::query::Page;
use crate::api::answer::{self, Created};
use crate::api::cursor::{self, place};
use crate::api::views::{ConnectionAnswer, ConnectionPage, ConnectionView, OrganizationList, SetupAnswer};
use crate::api::{
    Body, CompanyWidePath, ConnectionPath, Explained, IfMatch, Method, Parameters, Problem, Route, Scope, route,
};
use crate::app::connections::{Check, ClientLimits, Connections, ExpiryChange, NewCredential, SettingsChange};
use crate::aws::secrets::Credential;
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;
use crate::domain::expiry::CredentialTerm;
use crate::domain::id::{ClientId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::sat::id::SatId;
use crate::domain::text::pasted;
use crate::huntress::connection_test::TestReport;
use crate::huntress::edr::EdrCredential;
use crate::huntress::sat::SatCredential;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const CONNECTIONS: &str = "/v1/companies/{company}/connections";
const CONNECTION: &str = "/v1/companies/{company}/connections/{connection}";
const CREDENTIAL: &str = "/v1/companies/{company}/connections/{connection}/credential";
const MAPPING: &str = "/v1/companies/{company}/connections/{connection}/mapping";
const ORGANIZATIONS: &str = "/v1/companies/{company}/connections/{connection}/organizations";
const PAUSE: &str = "/v1/companies/{company}/connections/{connection}/pause";
const RESUME: &str = "/v1/companies/{company}/connections/{connection}/resume";
const SETUP: &str = "/v1/companies/{company}/connections/{connection}/setup";
const TEST: &str = "/v1/companies/{company}/connections/{connection}/test";

pub(super) const ROUTES: &[Route<Arc<Connections>>] = &[
    route!(Method::Get, CONNECTIONS, Scope::ConnectionsRead, list),
    route!(Method::Post, CONNECTIONS, Scope::ConnectionsWrite, create, fails: [CONFLICT, REFUSED_MAPPING, CREDENTIAL_EMPTY, OTHER_PRODUCT, REFUSED_SETTING, UPSTREAM]),
    route!(Method::Get, CONNECTION, Scope::ConnectionsRead, get),
    route!(Method::Patch, CONNECTION, Scope::ConnectionsWrite, change_settings, fails: [REFUSED_SETTING, OTHER_PRODUCT]),
    route!(Method::Delete, CONNECTION, Scope::ConnectionsWrite, disconnect, fails: [CONFLICT]),
    route!(Method::Put, CREDENTIAL, Scope::ConnectionsWrite, replace_credential, fails: [CREDENTIAL_EMPTY, OTHER_PRODUCT, REFUSED_SETTING, UPSTREAM]),
    route!(Method::Put, MAPPING, Scope::ConnectionsWrite, map, fails: [REFUSED_MAPPING, REFUSED_SETTING, OTHER_PRODUCT]),
    route!(Method::Get, ORGANIZATIONS, Scope::ConnectionsRead, organizations),
    route!(Method::Post, PAUSE, Scope::ConnectionsWrite, pause),
    route!(Method::Post, RESUME, Scope::ConnectionsWrite, resume),
    route!(Method::Get, SETUP, Scope::ConnectionsRead, setup),
];

/// The test, which is served by a function of its own that changes nothing.
pub(super) const TEST_ROUTES: &[Route<Arc<Connections>>] = &[route!(Method::Post, TEST, Scope::SyncRun, test)];

/// A connection with its revision.
type Revised = answer::Revised<ConnectionAnswer>;

fn revised(connections: &Connections, connection: Connection) -> Revised {
    let now = connections.huntress.clock.now();
    Revised { revision: connection.revision, answer: ConnectionAnswer::at(connection, now) }
}

/// The connections of the company by id, a page at a time.
async fn list(
    State(connections): State<Arc<Connections>>,
    CompanyWidePath { company, .. }: CompanyWidePath,
    Parameters(Page { limit, after }): Parameters<Page>,
) -> Result<Json<ConnectionPage>, Problem> {
    let limit = cursor::limit(limit, 100)?;
    let after: Option<ConnectionId> = after.map(|after| place(CONNECTIONS, &after)).transpose()?;
    let all = connections.list(&company).await?;
    let rest = all.into_iter().filter(|connection| after.as_ref().is_none_or(|after| connection.id > *after));
    let (mut items, last) = first(rest, limit);
    let next_after = last.and_then(|last| cursor::cursor(CONNECTIONS, &last.id));
    let now = connections.huntress.clock.now();
    Ok(Json(ConnectionPage { items: items.drain(..).map(|it| ConnectionView::at(it, now)).collect(), next_after }))
}

/// The first of a list, and the last of these where there are more.
fn first<T: Clone>(mut list: impl Iterator<Item = T>, limit: usize) -> (Vec<T>, Option<T>) {
    let items: Vec<T> = list.by_ref().take(limit).collect();
    let last = list.next().and_then(|_| items.last().cloned());
    (items, last)
}

/// The organizations of a connection as its newest evidence lists them, with the client of each, for whoever maps them. A training account has none.
async fn organizations(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Parameters(Page { limit, after }): Parameters<Page>,
) -> Result<Json<OrganizationList>, Problem> {
    let limit = cursor::limit(limit, 100)?;
    let after: Option<String> = after.map(|after| place(ORGANIZATIONS, &after)).transpose()?;
    let found = connections.organizations(&company, &connection).await?;
    let rest = found.organizations.into_iter().filter(|it| after.as_ref().is_none_or(|after| it.id > *after));
    let (items, last) = first(rest, limit);
    let next_after = last.and_then(|last| cursor::cursor(ORGANIZATIONS, &last.id));
    Ok(Json(OrganizationList { items, next_after, run_id: found.run, as_of: found.as_of }))
}

/// One connection.
async fn get(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Revised, Problem> {
    Ok(revised(&connections, connections.get(&company, &connection).await?))
}

/// What a credential is made of, by its product.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
enum CredentialBody {
    Edr(EdrBody),
    Sat(SatBody),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EdrBody {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    api_key: SecretString,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    api_secret: SecretString,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SatBody {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    client_id: SecretString,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    client_secret: SecretString,
    #[expect(dead_code, reason = "the account of a connection is set when it is made")]
    account_id: Option<SatId>,
}

/// A secret without the blanks, line ends and quotes that pasting adds; whether there were any.
fn unwrapped(secret: &SecretString, trimmed: &mut bool) -> Result<SecretString, Problem> {
    let text = secret.expose_secret();
    let clean = pasted(text);
    *trimmed |= clean.len() != text.len();
    if clean.is_empty() {
        return Err(Problem::unprocessable("credential_missing", "a part of the credential is empty"));
    }
    Ok(clean.to_owned().into())
}

impl CredentialBody {
    fn credential(&self) -> Result<(Credential, bool), Problem> {
        let mut trimmed = false;
        let credential = match self {
            Self::Edr(EdrBody { api_key, api_secret }) => Credential::Edr(EdrCredential {
                key: unwrapped(api_key, &mut trimmed)?,
                secret: unwrapped(api_secret, &mut trimmed)?,
            }),
            Self::Sat(SatBody { client_id, client_secret, .. }) => Credential::Sat(SatCredential {
                client_id: unwrapped(client_id, &mut trimmed)?,
                client_secret: unwrapped(client_secret, &mut trimmed)?,
            }),
        };
        Ok((credential, trimmed))
    }
}

/// Which client each organization's evidence belongs to.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct MappingBody {
    #[serde(default)]
    clients: BTreeMap<String, ClientId>,
    #[serde(default)]
    ignored: BTreeSet<String>,
    default_client: Option<ClientId>,
}

impl MappingBody {
    pub(super) fn mapping(self) -> Result<Mapping, Problem> {
        let by_organization = !self.clients.is_empty() || !self.ignored.is_empty();
        match (self.default_client, by_organization) {
            (Some(client), false) => Ok(Mapping::OneClient { client }),
            (None, true) => {
                if let Some(both) = self.ignored.iter().find(|id| self.clients.contains_key(*id)) {
                    let detail = format!("organization {both} is mapped and ignored: choose one");
                    return Err(Problem::unprocessable("refused_mapping", detail));
                }
                Ok(Mapping::ByOrganization { clients: self.clients, ignored: self.ignored })
            }
            _ => Err(Problem::unprocessable(
                "refused_mapping",
                "give default_client, which takes all organizations, or clients and ignored, by organization",
            )),
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct NewConnection {
    id: ConnectionId,
    product: Product,
    credential: CredentialBody,
    account_id: Option<SatId>,
    mapping: Option<MappingBody>,
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Testing {
    test: Option<bool>,
}

/// How a credential takes the place of another.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Replacing {
    test: Option<bool>,
    expires_at: Option<DateTime<Utc>>,
}

impl Explained for Replacing {
    const WANTED: &str = "test must be true or false, expires_at a time as in 2027-03-01T00:00:00Z";
}

impl Explained for Testing {
    const WANTED: &str = "test must be true or false";
}

impl Testing {
    fn check(&self) -> Check {
        if self.test == Some(false) { Check::Skip } else { Check::Test }
    }
}

/// Makes a connection; its credential is tested first, unless `test=false`.
async fn create(
    State(connections): State<Arc<Connections>>,
    CompanyWidePath { company, subject, .. }: CompanyWidePath,
    Parameters(testing): Parameters<Testing>,
    Body(new): Body<NewConnection>,
) -> Result<Created<Revised>, Problem> {
    let NewConnection { id, product, credential, account_id, mapping, expires_at } = new;
    let (credential, trimmed) = credential.credential()?;
    let mapping = match mapping {
        Some(mapping) => mapping.mapping()?,
        None => Mapping::OneClient { client: ClientId::parse(company.as_str())? },
    };
    let now = connections.huntress.instant();
    let credential_term = CredentialTerm { expires_at, ..CredentialTerm::default() };
    let connection =
        Connection { account_id, credential_term, ..Connection::new(company.clone(), id, product, mapping, now) };
    let actor = Actor::api(subject);
    let saved = connections.add(connection, &credential, testing.check(), &actor).await?;
    let location = format!("/v1/companies/{company}/connections/{}", saved.id);
    let Revised { revision, answer } = revised(&connections, saved);
    Ok(Created { location, answer: Revised { revision, answer: answer.trimmed(trimmed) } })
}

/// Gives a connection another credential, which is tested first, unless `test=false`; the earlier one stays if this one does not pass.
async fn replace_credential(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IfMatch(revision): IfMatch,
    Parameters(Replacing { test, expires_at }): Parameters<Replacing>,
    Body(credential): Body<CredentialBody>,
) -> Result<Revised, Problem> {
    let (credential, trimmed) = credential.credential()?;
    let (check, actor) = (Testing { test }.check(), Actor::api(subject));
    let new = NewCredential { credential: &credential, check, expires_at, account_id: None };
    let saved = connections.replace_credential(&company, &connection, new, revision, &actor).await?;
    let Revised { revision, answer } = revised(&connections, saved);
    Ok(Revised { revision, answer: answer.trimmed(trimmed) })
}

/// Divides the evidence among clients otherwise, from the next sync on.
async fn map(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IfMatch(revision): IfMatch,
    Body(mapping): Body<MappingBody>,
) -> Result<Revised, Problem> {
    let mapping = mapping.mapping()?;
    Ok(revised(&connections, connections.map(&company, &connection, mapping, revision, &Actor::api(subject)).await?))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Settings {
    online_within_hours: Option<u32>,
    missing_after_days: Option<u32>,
    max_assignments: Option<u64>,
    max_activity: Option<u64>,
    max_campaigns: Option<u64>,
    training_covers_privacy_policies: Option<bool>,
    /// Limits of agent age of single clients; null gives a client those of all others again.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<ClientId, ClientLimitsBody>))]
    clients: BTreeMap<ClientId, Option<ClientLimitsBody>>,
    /// Null where no date is known.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DateTime<Utc>>))]
    expires_at: Option<Option<DateTime<Utc>>>,
    credential_valid_days: Option<u16>,
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<DateTime<Utc>>>, D::Error> {
    Option::<DateTime<Utc>>::deserialize(deserializer).map(Some)
}

/// Limits of agent age of one client; what is not given stays, or is as all others have it.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct ClientLimitsBody {
    online_within_hours: Option<u32>,
    missing_after_days: Option<u32>,
}

/// Changes limits and caps; what is not given stays.
async fn change_settings(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IfMatch(revision): IfMatch,
    Body(settings): Body<Settings>,
) -> Result<Revised, Problem> {
    let limits = |body: ClientLimitsBody| ClientLimits {
        online_within_hours: body.online_within_hours,
        missing_after_days: body.missing_after_days,
    };
    let clients = settings.clients.into_iter().map(|(client, body)| (client, body.map(limits))).collect();
    let change = SettingsChange {
        online_within_hours: settings.online_within_hours,
        missing_after_days: settings.missing_after_days,
        max_assignments: settings.max_assignments,
        max_activity: settings.max_activity,
        max_campaigns: settings.max_campaigns,
        training_covers_privacy_policies: settings.training_covers_privacy_policies,
        clients,
        expires_at: settings.expires_at.map(|at| at.map_or(ExpiryChange::Unknown, ExpiryChange::At)),
        valid_days: settings.credential_valid_days,
    };
    let actor = Actor::api(subject);
    Ok(revised(&connections, connections.change_settings(&company, &connection, change, revision, &actor).await?))
}

/// Has the daily tick pass the connection over.
async fn pause(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
) -> Result<Revised, Problem> {
    Ok(revised(&connections, connections.pause(&company, &connection, &Actor::api(subject)).await?))
}

/// Has the daily tick take the connection again.
async fn resume(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
) -> Result<Revised, Problem> {
    Ok(revised(&connections, connections.resume(&company, &connection, &Actor::api(subject)).await?))
}

/// Removes a connection and its credential; its runs and its evidence stay.
async fn disconnect(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IfMatch(revision): IfMatch,
) -> Result<StatusCode, Problem> {
    connections.disconnect(&company, &connection, revision, &Actor::api(subject)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The steps to a credential, and what to do about its troubles.
async fn setup(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Json<SetupAnswer>, Problem> {
    Ok(Json(SetupAnswer::of(connections.get(&company, &connection).await?.product)))
}

/// A result per permission, within 29 seconds.
async fn test(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
) -> Result<Json<TestReport>, Problem> {
    let actor = Actor::api(subject);
    let report = connections.test_as(&company, &connection, &actor).await?;
    tracing::info!(%company, %connection, subject = actor.name, passed = report.passed, "connection tested");
    Ok(Json(report))
}
