//! HTTP in: the table of routes, who calls, what bodies and answers are, and how errors are told.

pub mod answer;
mod body;
mod caller;
mod cursor;
mod header;
mod once;
#[cfg(feature = "openapi")]
pub mod openapi;
mod page;
mod path;
mod problem;
mod revision;
mod route;
pub mod routes;

pub mod views;

pub use crate::domain::scope::{Role, Scope, Scopes};
pub use body::{Body, Explained, LARGEST_BODY, NoBody, Parameters};
pub use caller::{Caller, Claims, TokenWanted, lambda_caller};
pub use header::{IdempotencyKey, IfNoneMatch};
pub use once::{Once, once};
pub use page::{escaped, page};
pub use path::{ClientPath, CompanyPath, CompanyWidePath, ConnectionPath, PathParams, PersonPath, path_params};
pub use problem::{Problem, kinds, without_options};
pub use revision::IfMatch;
#[cfg(feature = "console")]
pub(crate) use route::numbered;
pub(crate) use route::route;
pub use route::{Entry, Group, Method, Route, host};
