//! The table of routes. A route stands once, as data, beside its handler; routers, scopes and documents come from it.

use super::body::LARGEST_BODY;
use super::caller::Caller;
use super::problem::Problem;
use super::scope::Scope;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn_with_state, map_response};
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

/// Whom a route lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Who has the scope.
    Scope(Scope),
    /// Any caller who is known.
    Known,
    /// Everybody.
    Public,
}

/// A route: what it answers to, what it asks of its caller, and who answers.
pub struct Route<S> {
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn(MethodFilter) -> MethodRouter<S>,
}

impl<S> Route<S> {
    /// A route for who has a scope; its `handler` is put behind the method that it is given, as in `|method| on(method, list)`.
    #[must_use]
    pub const fn new(
        method: Method,
        path: &'static str,
        scope: Scope,
        handler: fn(MethodFilter) -> MethodRouter<S>,
    ) -> Self {
        Self { method, path, access: Access::Scope(scope), handler }
    }

    /// Its path, with its parameters in braces.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// A route for any caller who is known, whatever they may do.
    #[must_use]
    pub const fn known(method: Method, path: &'static str, handler: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self { method, path, access: Access::Known, handler }
    }

    /// A route for everybody.
    #[must_use]
    pub const fn public(method: Method, path: &'static str, handler: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self { method, path, access: Access::Public, handler }
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
    /// What the caller needs; `None` where any caller may, or everybody.
    pub scope: Option<Scope>,
    /// Whether everybody may, without a token.
    pub is_public: bool,
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
            router.route(route.path, handler.layer(from_fn_with_state(route.access, require)))
        };
        self.routes().fold(Router::new(), add).with_state(state)
    }

    /// The rows of these routes.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let function = self.function;
        self.routes().map(move |route| Entry {
            path: route.path,
            method: route.method,
            scope: match route.access {
                Access::Scope(scope) => Some(scope),
                Access::Known | Access::Public => None,
            },
            is_public: route.access == Access::Public,
            function,
        })
    }
}

/// Lets a caller in whom the route is for.
async fn require(State(access): State<Access>, request: Request, next: Next) -> Response {
    match (access, request.extensions().get::<Caller>()) {
        (Access::Public, _) | (Access::Known, Some(_)) => next.run(request).await,
        (_, None) => Problem::unauthenticated().into_response(),
        (Access::Scope(scope), Some(caller)) if caller.scopes.contains(scope) => next.run(request).await,
        (Access::Scope(scope), Some(_)) => Problem::scope_missing(scope).into_response(),
    }
}

/// What holds for all routes, whoever hosts them: how large a body may be, what is answered where there is no route, and that nothing is kept or guessed at
/// on the way unless a route says otherwise.
pub fn host(routes: Router) -> Router {
    routes
        .fallback(async || Problem::not_found("route"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(map_response(guarded))
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
