//! Access tokens of one machine. On AWS there are none: tokens are the issuer's.

use crate::api::answer::Created;
use crate::api::views::{NewToken, TokenList};
use crate::api::{Body, Caller, CompanyWidePath, Method, Problem, Route, Scope, route};
use crate::app::tokens::Tokens;
use crate::domain::audit::Actor;
use crate::domain::id::{ClientId, TokenName};
use crate::domain::token::TokenRequest;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

const TOKENS: &str = "/v1/companies/{company}/tokens";
const TOKEN: &str = "/v1/companies/{company}/tokens/{id}";

pub(super) const ROUTES: &[Route<Arc<Tokens>>] = &[
    route!(Method::Get, TOKENS, Scope::TokensWrite, list),
    route!(Method::Post, TOKENS, Scope::TokensWrite, add, fails: [REFUSED_TOKEN, CONFLICT]),
    route!(Method::Delete, TOKEN, Scope::TokensWrite, revoke, fails: [NOT_FOUND]),
];

/// The tokens of the company.
async fn list(
    State(tokens): State<Arc<Tokens>>,
    CompanyWidePath { company, .. }: CompanyWidePath,
) -> Result<Json<TokenList>, Problem> {
    Ok(Json(tokens.list(&company).await?.into()))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TokenRequest))]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: TokenName,
    role: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    clients: BTreeSet<ClientId>,
    from: Option<String>,
    to: Option<String>,
    expires_in_days: Option<u16>,
}

/// Makes a token, which this answer shows and no other.
async fn add(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller,
    CompanyWidePath { company, subject, .. }: CompanyWidePath,
    Body(wanted): Body<Wanted>,
) -> Result<Created<Json<NewToken>>, Problem> {
    let window = match (wanted.from, wanted.to) {
        (None, None) => None,
        (Some(from), Some(to)) => {
            let window = tokens.store.calendar().window(&format!("{from}/{to}"));
            let wrong = "from and to must be days as 2026-01-01, or instants, the first one first";
            Some(window.ok_or_else(|| Problem::unprocessable("refused_token", wrong))?)
        }
        _ => return Err(Problem::unprocessable("refused_token", "give both from and to, or neither")),
    };
    let request = TokenRequest {
        name: wanted.name,
        role: wanted.role,
        scopes: wanted.scopes,
        clients: wanted.clients,
        window,
        days: wanted.expires_in_days.unwrap_or(90),
    };
    // Nobody makes a token that may do more than they.
    if let Some(more) = request.asks_for().iter().find(|scope| !caller.scopes.contains(*scope)) {
        return Err(Problem::scope_missing(more));
    }
    let (token, kept) = tokens.add(&company, request, &Actor::api(subject)).await?;
    let location = format!("/v1/companies/{company}/tokens/{}", kept.name);
    Ok(Created { location, answer: Json(NewToken::of(&token, kept)) })
}

#[derive(Deserialize)]
struct OfToken {
    id: String,
}

/// Revokes a token: from now on it is good for nothing.
async fn revoke(
    State(tokens): State<Arc<Tokens>>,
    CompanyWidePath { company, subject, .. }: CompanyWidePath,
    Path(OfToken { id }): Path<OfToken>,
) -> Result<StatusCode, Problem> {
    let token = TokenName::parse(id).map_err(|_| Problem::not_found("token"))?;
    tokens.revoke(&company, &token, &Actor::api(subject)).await?;
    Ok(StatusCode::NO_CONTENT)
}
