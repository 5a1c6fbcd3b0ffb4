//! Who calls: a person or program of one company.

use super::problem::Problem;
use super::scope::{Role, Scopes};
use crate::domain::id::CompanyId;
use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use lambda_http::request::RequestContext;

/// A caller whose identity the host has checked: API Gateway's JWT authorizer, or the local server's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The company that the caller is in.
    pub company: CompanyId,
    /// Who it is.
    pub subject: String,
    /// What it may do.
    pub scopes: Scopes,
}

impl Caller {
    /// Lets the caller act for its own company only. Whether another company exists is not told.
    ///
    /// # Errors
    /// A [`Problem`] with status 403.
    pub fn act_for(&self, company: &CompanyId) -> Result<(), Problem> {
        if self.company == *company { Ok(()) } else { Err(Problem::forbidden()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthenticated)
    }
}

/// Takes the caller from the claims `sub` and `company_id` that API Gateway has checked. Without them, no route answers.
pub async fn lambda_caller(mut request: Request, next: Next) -> Response {
    if let Some(RequestContext::ApiGatewayV2(context)) = request.extensions().get::<RequestContext>() {
        let claims = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref()).map(|jwt| &jwt.claims);
        let claim = |name: &str| claims.and_then(|claims| claims.get(name)).cloned();
        let company = claim("company_id").and_then(|company| CompanyId::parse(company).ok());
        if let (Some(company), Some(subject)) = (company, claim("sub")) {
            request.extensions_mut().insert(Caller { company, subject, scopes: Role::Admin.scopes() });
        }
    }
    next.run(request).await
}

/// The status of a caller that is not known.
pub(super) const UNAUTHENTICATED: StatusCode = StatusCode::UNAUTHORIZED;
