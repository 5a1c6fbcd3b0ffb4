//! What a path names, once the caller may act for its company.

use super::caller::Caller;
use super::problem::Problem;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::people::person::PersonId;
use crate::domain::time::Window;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A connection of the caller's own company, in a path below `/v1/companies/{company}/connections/{connection}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPath {
    /// The company.
    pub company: CompanyId,
    /// The connection, which need not be there.
    pub connection: ConnectionId,
    /// Who calls.
    pub subject: String,
}

/// A client of the caller's own company, in a path below `/v1/companies/{company}/clients/{client}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPath {
    /// The company.
    pub company: CompanyId,
    /// The client, which need not be there.
    pub client: ClientId,
    /// Who calls.
    pub subject: String,
    /// The time whose evidence they may see; all of it without.
    pub window: Option<Window>,
}

/// A person of a connection of the caller's own company, in a path below `/v1/companies/{company}/connections/{connection}/people/{person}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonPath {
    /// The company.
    pub company: CompanyId,
    /// The connection, which need not be there.
    pub connection: ConnectionId,
    /// The person, who need not be there.
    pub person: PersonId,
    /// Who calls.
    pub subject: String,
}

/// Parts of the path by their names; a path has the names of its route.
///
/// # Errors
/// A [`Problem`] with status 400.
pub async fn path_params<T: DeserializeOwned + Send, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, Problem> {
    let found = Path::<T>::from_request_parts(parts, state).await;
    found.map(|Path(params)| params).map_err(|_| Problem::bad_request("the path cannot be read"))
}

/// Parts of a path that names no company.
pub struct PathParams<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_params(parts, state).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ConnectionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            company: String,
            connection: String,
        }
        let caller = Caller::from_request_parts(parts, state).await?;
        let Named { company, connection } = path_params(parts, state).await?;
        let (company, connection) = (CompanyId::parse(company)?, ConnectionId::parse(connection)?);
        caller.act_for(&company)?;
        // A connection is of many clients.
        caller.see_company()?;
        Ok(Self { company, connection, subject: caller.subject })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            company: String,
            client: String,
        }
        let caller = Caller::from_request_parts(parts, state).await?;
        let Named { company, client } = path_params(parts, state).await?;
        let (company, client) = (CompanyId::parse(company)?, ClientId::parse(client)?);
        caller.act_for(&company)?;
        caller.see_client(&client)?;
        Ok(Self { company, client, subject: caller.subject, window: caller.window })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PersonPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            person: String,
        }
        let ConnectionPath { company, connection, subject } = ConnectionPath::from_request_parts(parts, state).await?;
        let Named { person } = path_params(parts, state).await?;
        // Only ids of ours: a path is in many logs, and a learner's id must be in none.
        let person = PersonId::parse(&person).map_err(|_| Problem::not_found("person"))?;
        Ok(Self { company, connection, person, subject })
    }
}

/// A company of the caller's own, in a path below `/v1/companies/{company}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanyPath {
    /// The company.
    pub company: CompanyId,
    /// Who calls.
    pub caller: Caller,
}

impl<S: Send + Sync> FromRequestParts<S> for CompanyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            company: String,
        }
        let caller = Caller::from_request_parts(parts, state).await?;
        let Named { company } = path_params(parts, state).await?;
        let company = CompanyId::parse(company)?;
        caller.act_for(&company)?;
        Ok(Self { company, caller })
    }
}

/// What is the company's own, over all of its clients, in a path below `/v1/companies/{company}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanyWidePath {
    /// The company.
    pub company: CompanyId,
    /// Who calls.
    pub subject: String,
    /// The time whose evidence they may see; all of it without.
    pub window: Option<Window>,
}

impl<S: Send + Sync> FromRequestParts<S> for CompanyWidePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let CompanyPath { company, caller } = CompanyPath::from_request_parts(parts, state).await?;
        caller.see_company()?;
        Ok(Self { company, subject: caller.subject, window: caller.window })
    }
}
