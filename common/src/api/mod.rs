//! HTTP in: the table of routes, who calls, what bodies and answers are, and how errors are told.

mod body;
mod caller;
mod cursor;
mod path;
mod problem;
mod revision;
mod route;
pub mod routes;
mod scope;
pub mod views;

pub use body::{Body, Explained, LARGEST_BODY, Parameters};
pub use caller::{Caller, Claims, Window, lambda_caller};
pub use path::{ClientPath, CompanyPath, CompanyWidePath, ConnectionPath, PersonPath, path_params};
pub use problem::Problem;
pub use revision::IfMatch;
pub use route::{Entry, Group, Method, Route, host};
pub use scope::{Role, Scope, Scopes};
