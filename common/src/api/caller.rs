//! Who calls: a person or program, of which companies, and what of them it may see.

use super::problem::Problem;
use crate::domain::calendar::Calendar;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::scope::{Role, Scope, Scopes};
use crate::domain::time::Window;
use crate::domain::token::AccessToken;
use crate::settings::{Lookup, schedule};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use lambda_http::request::RequestContext;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A caller whose identity the host has checked: API Gateway's JWT authorizer, or the local server's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The companies that the caller is in; staff of a service provider are in many.
    pub companies: BTreeSet<CompanyId>,
    /// Who it is.
    pub subject: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The clients that it may see; all of them without.
    pub clients: Option<BTreeSet<ClientId>>,
    /// The time whose evidence it may see; all of it without.
    pub window: Option<Window>,
}

impl Caller {
    /// Somebody of one company with a role, for all of its clients.
    #[must_use]
    pub fn with_role(company: CompanyId, subject: impl Into<String>, role: Role) -> Self {
        let (subject, scopes) = (subject.into(), role.scopes());
        Self { companies: [company].into(), subject, scopes, clients: None, window: None }
    }

    /// Who calls with a token of this machine.
    #[must_use]
    pub fn with_token(company: CompanyId, token: &AccessToken) -> Self {
        let (scopes, subject) = (token.granted(), token.name.to_string());
        Self { companies: [company].into(), subject, scopes, clients: token.clients.clone(), window: token.window }
    }

    /// Lets the caller act for its own companies only. Whether another company exists is not told.
    ///
    /// # Errors
    /// A [`Problem`] with status 403.
    pub fn act_for(&self, company: &CompanyId) -> Result<(), Problem> {
        if self.companies.contains(company) { Ok(()) } else { Err(Problem::forbidden()) }
    }

    /// Lets the caller see its own clients only. Whether another client exists is not told.
    ///
    /// # Errors
    /// A [`Problem`] with status 404, which a client that is not there gets, too.
    pub fn see_client(&self, client: &ClientId) -> Result<(), Problem> {
        let sees = self.clients.as_ref().is_none_or(|clients| clients.contains(client));
        if sees { Ok(()) } else { Err(Problem::not_found("client")) }
    }

    /// Lets the caller see what is the company's own, over all clients.
    ///
    /// # Errors
    /// A [`Problem`] with status 403 for a caller that is bound to clients.
    pub fn see_company(&self) -> Result<(), Problem> {
        if self.clients.is_none() { Ok(()) } else { Err(Problem::clients_only()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::unauthenticated_at(&parts.extensions))
    }
}

/// What a host tells who sends no token that it knows, as an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct TokenWanted(pub &'static str);

/// Which claims of a token say what. Issuers differ: docs/access.md has those of Cognito, Entra ID, Okta and Auth0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    company: String,
    role: String,
    clients: String,
    window: String,
    /// Whose days the window of a caller is told in.
    calendar: Calendar,
}

impl Claims {
    /// The names in `COMPANY_CLAIM`, `ROLE_CLAIM`, `CLIENTS_CLAIM` and `WINDOW_CLAIM`; `company_id`, `role`, `clients` and `window` without.
    #[must_use]
    pub fn read(lookup: Lookup<'_>) -> Self {
        let claim = |variable: &str, default: &str| lookup(variable).unwrap_or_else(|| default.to_owned());
        Self {
            company: claim("COMPANY_CLAIM", "company_id"),
            role: claim("ROLE_CLAIM", "role"),
            clients: claim("CLIENTS_CLAIM", "clients"),
            window: claim("WINDOW_CLAIM", "window"),
            // Where that cannot be read, no function of the stack starts.
            calendar: schedule(lookup).map(Calendar::from).unwrap_or_default(),
        }
    }

    /// The caller of a token's claims, as API Gateway hands them over: each a text, a list in brackets. `None` without `sub` or a company.
    ///
    /// A role gives its scopes; so does each scope by its own name, in the claims `scope` and `scp` or among the roles. A claim that cannot be read gives
    /// nothing: a limit that is not understood lets nobody see anything.
    #[must_use]
    pub fn caller(&self, claims: &HashMap<String, String>) -> Option<Caller> {
        let of = |name: &str| claims.get(name).map(String::as_str);
        let companies: BTreeSet<CompanyId> =
            words(of(&self.company)?).filter_map(|company| CompanyId::parse(company).ok()).collect();
        let subject = of("sub").filter(|subject| !subject.is_empty())?.to_owned();
        if companies.is_empty() {
            return None;
        }
        let clients =
            of(&self.clients).map(|clients| words(clients).filter_map(|it| ClientId::parse(it).ok()).collect());
        let window = of(&self.window).and_then(|window| self.calendar.window(window));
        let roles = of(&self.role).unwrap_or_default();
        let scopes = |text: &str| words(text).filter_map(scope_of).collect::<Scopes>();
        let given = [of("scope"), of("scp"), Some(roles)].into_iter().flatten().map(scopes);
        let mut scopes = given.fold(Scopes::NONE, Scopes::and);
        for role in roles_of(roles) {
            // An auditor sees named clients and a window of time, and nothing without both.
            if role != Role::Auditor || (clients.is_some() && window.is_some()) {
                scopes = scopes.and(role.scopes());
            }
        }
        if of(&self.window).is_some() && window.is_none() {
            scopes = Scopes::NONE;
        }
        Some(Caller { companies, subject, scopes, clients, window })
    }
}

/// The words of a claim: a text, several with blanks or commas between, or a list as API Gateway writes one, `[a b]`.
fn words(claim: &str) -> impl Iterator<Item = &str> {
    let inner = claim.trim().trim_start_matches('[').trim_end_matches(']');
    inner.split([' ', ',', '"']).filter(|word| !word.is_empty())
}

/// A scope by its name, which Cognito puts behind that of its resource server: `huntress-evidence/evidence:read`.
fn scope_of(word: &str) -> Option<Scope> {
    Scope::parse(word.rsplit('/').next().unwrap_or(word))
}

/// Roles, whose names may have blanks: as a whole, or word by word.
fn roles_of(claim: &str) -> Vec<Role> {
    let whole = claim.trim().trim_start_matches('[').trim_end_matches(']');
    match Role::parse(whole) {
        Some(role) => vec![role],
        None if whole.contains(',') => {
            whole.split(',').filter_map(|it| Role::parse(it.trim_matches([' ', '"']))).collect()
        }
        None => words(claim).filter_map(Role::parse).collect(),
    }
}

/// Takes the caller from the claims that API Gateway has checked. Without them, no route answers.
pub async fn lambda_caller(State(claims): State<Arc<Claims>>, mut request: Request, next: Next) -> Response {
    if let Some(RequestContext::ApiGatewayV2(context)) = request.extensions().get::<RequestContext>()
        && let Some(jwt) = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref())
        && let Some(caller) = claims.caller(&jwt.claims)
    {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// The status of a caller that is not known.
pub(super) const UNAUTHENTICATED: StatusCode = StatusCode::UNAUTHORIZED;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;

    fn caller(claims: &Claims, given: &[(&str, &str)]) -> Option<Caller> {
        claims.caller(&given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn standard() -> Claims {
        Claims::read(&|_| None)
    }

    #[test]
    fn without_role_or_scope_a_token_reads_nothing() {
        let known = caller(&standard(), &[("sub", "u"), ("company_id", "acme")]).unwrap();
        assert_eq!((known.scopes, known.clients, known.window), (Scopes::NONE, None, None));
        for role in ["root", "", "Admin2", "adm in"] {
            let known = caller(&standard(), &[("sub", "u"), ("company_id", "acme"), ("role", role)]).unwrap();
            assert_eq!(known.scopes, Scopes::NONE, "{role}");
        }
        assert_eq!(caller(&standard(), &[("company_id", "acme")]), None);
        assert_eq!(caller(&standard(), &[("sub", "u"), ("company_id", "a#b")]), None);
    }

    /// The claims of each issuer as API Gateway hands them over, with the recipe of docs/access.md.
    #[test]
    fn the_tokens_of_four_issuers_are_understood() {
        let reads = Scopes::of(&[Scope::EvidenceRead, Scope::PeopleRead]);
        let named = |company: &'static str, role: &'static str| {
            Claims::read(&move |name| match name {
                "COMPANY_CLAIM" => Some(company.to_owned()),
                "ROLE_CLAIM" => Some(role.to_owned()),
                _ => None,
            })
        };
        // Cognito: groups are a list, scopes carry the name of the resource server.
        let cognito = named("custom:company_id", "cognito:groups");
        let given = [("sub", "a-b"), ("custom:company_id", "acme"), ("cognito:groups", "[access-reviewer staff]")];
        assert_eq!(caller(&cognito, &given).unwrap().scopes, Role::AccessReviewer.scopes());
        let given =
            [("sub", "a-b"), ("custom:company_id", "acme"), ("scope", "he/evidence:read he/people:read openid")];
        assert_eq!(caller(&cognito, &given).unwrap().scopes, reads);
        // Entra ID: app roles are a list, and delegated scopes are in scp; the tenant is a company.
        let entra = named("tid", "roles");
        let given =
            [("sub", "x"), ("tid", "2f1c0e5a-0000-4000-8000-000000000001"), ("roles", "[WorkspaceManager.x Admin]")];
        assert_eq!(caller(&entra, &given).unwrap().scopes, Role::Admin.scopes());
        let given = [("sub", "x"), ("tid", "t"), ("scp", "evidence:read people:read")];
        assert_eq!(caller(&entra, &given).unwrap().scopes, reads);
        // Okta: scp is a list, the role a claim of its own.
        let given = [("sub", "o@x"), ("company_id", "acme"), ("scp", "[evidence:read people:read]")];
        assert_eq!(caller(&standard(), &given).unwrap().scopes, reads);
        // Auth0: names of claims are URLs, roles have blanks, staff is in several companies.
        let auth0 = named("https://evidence.example/company", "https://evidence.example/role");
        let given = [
            ("sub", "auth0|1"),
            ("https://evidence.example/company", "[acme globex]"),
            ("https://evidence.example/role", "Workspace Manager"),
        ];
        let known = caller(&auth0, &given).unwrap();
        assert_eq!((known.scopes, known.companies.len()), (Role::WorkspaceManager.scopes(), 2));
    }

    #[test]
    fn an_auditor_needs_clients_and_a_window() {
        let base = [("sub", "u"), ("company_id", "msp"), ("role", "auditor")];
        let with = |more: &[(&str, &str)]| caller(&standard(), &[&base[..], more].concat()).unwrap();
        let window = ("window", "2026-01-01/2026-03-31");
        for incomplete in [&[][..], &[("clients", "acme")], &[window], &[("clients", "acme"), ("window", "soon")]] {
            assert_eq!(with(incomplete).scopes, Scopes::NONE, "{incomplete:?}");
        }
        let auditor = with(&[("clients", "[acme globex]"), window]);
        assert_eq!(auditor.scopes, Role::Auditor.scopes());
        let sees = |client: &str| auditor.see_client(&ClientId::parse(client).unwrap()).is_ok();
        assert_eq!((sees("acme"), sees("globex"), sees("initech")), (true, true, false));
        assert!(auditor.see_company().is_err());
        let at = |text: &str| auditor.window.unwrap().contains(parse(text).unwrap());
        // Days are those of the schedule's zone.
        assert_eq!((at("2026-01-01T04:59:59Z"), at("2026-01-01T05:00:00Z")), (false, true));
        assert_eq!((at("2026-04-01T03:59:59Z"), at("2026-04-01T04:00:00Z")), (true, false));
        // A limit that is not understood lets nobody see anything, whatever the role.
        let limited = caller(&standard(), &[("sub", "u"), ("company_id", "m"), ("role", "admin"), ("window", "x")]);
        assert_eq!(limited.unwrap().scopes, Scopes::NONE);
    }
}
