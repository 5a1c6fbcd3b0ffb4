//! What people decide about a client: which policy counts, which failing outcome is accepted, and what is attested.

use super::query::{AsOf, span};
use crate::api::views::{ClientPolicyView, ExceptionList, PolicyList, PolicyView};
use crate::api::{Body, ClientPath, CompanyWidePath, Method, Parameters, Problem, Route, Scope, route};
use crate::app::decisions::{Decisions, ExceptionSpec, ExceptionView};
use crate::domain::calendar::Until;
use crate::domain::decisions::{
    Attestation, AttestationKey, AttestationRequest, Decider, ExceptionRequest, ExceptionSubject, ReviewKind,
};
use crate::domain::id::DecisionId;
use crate::domain::policy::PolicyVersion;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer};
use std::sync::Arc;

const POLICY: &str = "/v1/companies/{company}/clients/{client}/policy";
const POLICIES: &str = "/v1/companies/{company}/policies";
const POLICY_VERSION: &str = "/v1/companies/{company}/policies/{name}/{version}";
const EXCEPTIONS: &str = "/v1/companies/{company}/clients/{client}/exceptions";
const APPROVE: &str = "/v1/companies/{company}/clients/{client}/exceptions/{id}/approve";
const REJECT: &str = "/v1/companies/{company}/clients/{client}/exceptions/{id}/reject";
const REVOKE: &str = "/v1/companies/{company}/clients/{client}/exceptions/{id}/revoke";
const ATTESTATION: &str = "/v1/companies/{company}/clients/{client}/attestations/{key}";

pub(super) const ROUTES: &[Route<Arc<Decisions>>] = &[
    route!(Method::Get, POLICIES, Scope::EvidenceRead, policies),
    route!(Method::Get, POLICY_VERSION, Scope::EvidenceRead, policy_version, fails: [NOT_FOUND]),
    route!(Method::Put, POLICY_VERSION, Scope::PolicyWrite, import, fails: [CONFLICT, REFUSED_POLICY]),
    route!(Method::Get, POLICY, Scope::EvidenceRead, in_force),
    route!(Method::Put, POLICY, Scope::PolicyWrite, choose, fails: [CONFLICT, REFUSED_POLICY]),
    route!(Method::Get, EXCEPTIONS, Scope::EvidenceRead, exceptions),
    route!(Method::Post, EXCEPTIONS, Scope::ExceptionsPropose, propose, fails: [CONFLICT, REFUSED_EXCEPTION]),
    route!(Method::Post, APPROVE, Scope::ExceptionsApprove, approve, fails: [CONFLICT, REFUSED_EXCEPTION]),
    route!(Method::Post, REJECT, Scope::ExceptionsApprove, reject, fails: [CONFLICT, REFUSED_EXCEPTION]),
    route!(Method::Post, REVOKE, Scope::ExceptionsApprove, revoke, fails: [CONFLICT, REFUSED_EXCEPTION]),
    route!(Method::Get, ATTESTATION, Scope::EvidenceRead, attestation),
    route!(Method::Put, ATTESTATION, Scope::PolicyWrite, attest, fails: [CONFLICT, REFUSED_ATTESTATION]),
];

/// A day, which means its end in the schedule's zone, or an instant.
fn until<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Until, D::Error> {
    let text = String::deserialize(deserializer)?;
    Until::parse(&text).ok_or_else(|| serde::de::Error::custom("a day, or an instant"))
}

/// Over HTTP a name is that of a token, and no claim.
fn decider(subject: String) -> Decider {
    Decider { name: subject, on_this_machine: false }
}

/// The policies that clients can be measured by.
async fn policies(
    State(decisions): State<Arc<Decisions>>,
    CompanyWidePath { company, .. }: CompanyWidePath,
) -> Result<Json<PolicyList>, Problem> {
    Ok(Json(PolicyList { items: decisions.policies(&company).await?, next_after: None }))
}

#[derive(Deserialize)]
struct Named {
    name: String,
    version: String,
}

/// A version of a policy.
async fn policy_version(
    State(decisions): State<Arc<Decisions>>,
    CompanyWidePath { company, .. }: CompanyWidePath,
    Path(Named { name, version }): Path<Named>,
) -> Result<Json<PolicyView>, Problem> {
    let version = PolicyVersion::parse(&version).map_err(|_| Problem::not_found("policy"))?;
    Ok(Json(decisions.policy(&company, &name, Some(version)).await?.as_ref().into()))
}

/// Keeps a version of a policy, which never changes then.
async fn import(
    State(decisions): State<Arc<Decisions>>,
    CompanyWidePath { company, subject, .. }: CompanyWidePath,
    Path(Named { name, version }): Path<Named>,
    Body(policy): Body<serde_json::Value>,
) -> Result<Json<PolicyView>, Problem> {
    let named = |field: &str| policy.get(field).and_then(serde_json::Value::as_str).map(str::to_owned);
    if named("policy").as_ref() != Some(&name) || named("version").as_ref() != Some(&version) {
        let detail = "the policy in the body must have the name and the version of the path";
        return Err(Problem::unprocessable("refused_policy", detail));
    }
    Ok(Json(decisions.import(&company, &policy.to_string(), &decider(subject)).await?.as_ref().into()))
}

/// The rules in force for a client.
async fn in_force(
    State(decisions): State<Arc<Decisions>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<ClientPolicyView>, Problem> {
    let at = span(window).until(as_of).end.min(decisions.clock.now());
    let in_force = decisions.in_force_for(&company, &client, at).await?;
    Ok(Json(ClientPolicyView::of(client, at, &in_force)))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Choice {
    policy: String,
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    version: Option<PolicyVersion>,
}

/// Measures a client by a policy from now on.
async fn choose(
    State(decisions): State<Arc<Decisions>>,
    ClientPath { company, client, subject, .. }: ClientPath,
    Body(Choice { policy, version }): Body<Choice>,
) -> Result<Json<ClientPolicyView>, Problem> {
    let policy = decisions.policy(&company, &policy, version).await.map_err(Problem::of_named)?;
    let choice = decisions.choose(&company, &client, &policy, &decider(subject)).await?;
    let in_force = decisions.in_force(&company, &client, choice.at).await?;
    Ok(Json(ClientPolicyView::of(client, choice.at, &in_force)))
}

/// The exceptions of a client, newest first.
async fn exceptions(
    State(decisions): State<Arc<Decisions>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<ExceptionList>, Problem> {
    let at = span(window).until(as_of).end.min(decisions.clock.now());
    let items = decisions.exceptions(&company, Some(&client), Some(at)).await?;
    Ok(Json(ExceptionList { items, next_after: None }))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct NewException {
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    control: Option<String>,
    #[serde(default)]
    person: Option<String>,
    reason: String,
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "until")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    until: Until,
    #[serde(default)]
    link: Option<String>,
}

/// Proposes an exception; somebody else approves it.
async fn propose(
    State(decisions): State<Arc<Decisions>>,
    ClientPath { company, client, subject, .. }: ClientPath,
    Body(new): Body<NewException>,
) -> Result<(StatusCode, Json<ExceptionView>), Problem> {
    let spec = match (new.rule, new.control, new.person) {
        (Some(rule), None, None) => ExceptionSpec::Rule(rule),
        (None, Some(control), None) => ExceptionSpec::Control(control),
        (None, None, Some(person)) => ExceptionSpec::Person(person),
        _ => return Err(Problem::bad_request("name exactly one of rule, control and person")),
    };
    let request = ExceptionRequest {
        client,
        // The use case puts the one there that it finds.
        subject: ExceptionSubject::Control(String::new()),
        reason: new.reason,
        by: decider(subject),
        from: new.from,
        until: new.until,
        link: new.link,
    };
    let view = decisions.except(&company, &spec, request, None).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

#[derive(Deserialize)]
struct OfException {
    id: String,
}

async fn review(
    decisions: &Decisions,
    ClientPath { company, client, subject, .. }: ClientPath,
    id: &str,
    kind: ReviewKind,
) -> Result<Json<ExceptionView>, Problem> {
    let id = DecisionId::parse(id).map_err(|_| Problem::not_found("exception"))?;
    // One of another client is not there.
    let own = decisions.exceptions(&company, Some(&client), None).await?;
    if !own.iter().any(|view| view.exception.id == id) {
        return Err(Problem::not_found("exception"));
    }
    Ok(Json(decisions.review(&company, &id, kind, &decider(subject)).await?))
}

/// Approves a proposed exception.
async fn approve(
    State(decisions): State<Arc<Decisions>>,
    path: ClientPath,
    Path(OfException { id }): Path<OfException>,
) -> Result<Json<ExceptionView>, Problem> {
    review(&decisions, path, &id, ReviewKind::Approved).await
}

/// Refuses a proposed exception.
async fn reject(
    State(decisions): State<Arc<Decisions>>,
    path: ClientPath,
    Path(OfException { id }): Path<OfException>,
) -> Result<Json<ExceptionView>, Problem> {
    review(&decisions, path, &id, ReviewKind::Rejected).await
}

/// Ends an approved exception before its time.
async fn revoke(
    State(decisions): State<Arc<Decisions>>,
    path: ClientPath,
    Path(OfException { id }): Path<OfException>,
) -> Result<Json<ExceptionView>, Problem> {
    review(&decisions, path, &id, ReviewKind::Revoked).await
}

#[derive(Deserialize)]
struct OfKey {
    key: String,
}

fn attestation_key(key: &str) -> Result<AttestationKey, Problem> {
    AttestationKey::parse(key).map_err(|_| Problem::not_found("attestation"))
}

/// The attestation that counts.
async fn attestation(
    State(decisions): State<Arc<Decisions>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(OfKey { key }): Path<OfKey>,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<Attestation>, Problem> {
    let at = span(window).until(as_of).end.min(decisions.clock.now());
    let found = decisions.attestation(&company, &client, attestation_key(&key)?, at).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("attestation"))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct NewAttestation {
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    value: serde_json::Number,
    source: String,
    dated: NaiveDate,
    #[serde(deserialize_with = "until")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    until: Until,
}

/// Keeps what somebody states, in place of what was stated before.
async fn attest(
    State(decisions): State<Arc<Decisions>>,
    ClientPath { company, client, subject, .. }: ClientPath,
    Path(OfKey { key }): Path<OfKey>,
    Body(new): Body<NewAttestation>,
) -> Result<Json<Attestation>, Problem> {
    let request = AttestationRequest {
        client,
        key: attestation_key(&key)?,
        value: new.value.to_string(),
        source: new.source,
        dated: new.dated,
        by: decider(subject),
        until: new.until,
    };
    Ok(Json(decisions.attest(&company, request).await?))
}
