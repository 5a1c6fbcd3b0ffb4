//! The table of routes. A route stands once, as data, beside its handler; routers, scopes and documents come from it.

use super::caller::Caller;
use super::problem::Problem;
use super::scope::Scope;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use std::fmt;

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Puts a whole in the place of another.
    Put,
    /// Changes what it names.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// Its name in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A route: what it answers to, what it asks of its caller, and who answers.
pub struct Route<S> {
    method: Method,
    path: &'static str,
    scope: Scope,
    handler: fn(MethodFilter) -> MethodRouter<S>,
}

impl<S> Route<S> {
    /// A route whose `handler` is put behind the method that it is given, as in `|method| on(method, list)`.
    #[must_use]
    pub const fn new(
        method: Method,
        path: &'static str,
        scope: Scope,
        handler: fn(MethodFilter) -> MethodRouter<S>,
    ) -> Self {
        Self { method, path, scope, handler }
    }
}

/// The routes that one function serves, by noun, over one use case.
pub struct Group<S: 'static> {
    /// The Lambda function's name.
    pub function: &'static str,
    /// The routes of each noun.
    pub nouns: &'static [&'static [Route<S>]],
}

/// A row of the table of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// What the caller needs.
    pub scope: Scope,
    /// The Lambda function that serves it.
    pub function: &'static str,
}

impl<S: Clone + Send + Sync + 'static> Group<S> {
    fn routes(&self) -> impl Iterator<Item = &'static Route<S>> {
        self.nouns.iter().flat_map(|noun| noun.iter())
    }

    /// The routes over their use case, each behind its scope.
    pub fn router(&self, state: S) -> Router {
        let add = |router: Router<S>, route: &Route<S>| {
            let handler = (route.handler)(route.method.filter());
            router.route(route.path, handler.layer(from_fn_with_state(route.scope, require)))
        };
        self.routes().fold(Router::new(), add).with_state(state)
    }

    /// The rows of these routes.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let function = self.function;
        self.routes().map(move |route| Entry { path: route.path, method: route.method, scope: route.scope, function })
    }
}

/// Lets a caller in who has the scope.
async fn require(State(scope): State<Scope>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        None => Problem::unauthenticated().into_response(),
        Some(caller) if !caller.scopes.contains(scope) => Problem::scope_missing(scope).into_response(),
        Some(_) => next.run(request).await,
    }
}

/// The largest body of a request.
pub const LARGEST_BODY: usize = 64 * 1024;

/// What holds for all routes, whoever hosts them: how large a body may be, and what is answered where there is no route.
pub fn host(routes: Router) -> Router {
    routes
        .fallback(async || Problem::not_found("route"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}
