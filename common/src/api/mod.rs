//! HTTP in: who calls, and how errors are told. The routes are the functions'.

mod caller;
mod path;
mod problem;

pub use caller::{Caller, lambda_caller};
pub use path::{ClientPath, ConnectionPath, path_params};
pub use problem::Problem;
