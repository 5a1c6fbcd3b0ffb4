//! The table of routes. A route stands once, as data, beside its handler; routers, scopes and documents come from it.
//!
//! A row is made by the macro `route!`, in the `ROUTES` of its noun:
//!
//! ```ignore
//! route!(Method::Put, MAPPING, Scope::ConnectionsWrite, map, fails: [REFUSED_MAPPING, CONFLICT]),
//! ```
//!
//! It is described in docs/openapi.json by what it already is: the handler's doc comment, its extractors, its answer (with the feature `openapi`; without it
//! nothing of this is compiled). What there is to do for a new one:
//!
//! 1. Types of bodies, answers and what is in them: `#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]`, with a doc comment on each field; types of
//!    query strings: `#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]`.
//! 2. The handler takes the extractors of this module (`ConnectionPath`, `Body`, `Parameters`, `IfMatch`, …), and no `HeaderMap`; it answers
//!    `Result<_, Problem>` of `Json`, of `StatusCode` for 204, or of a type of `answer.rs` (`Created`, `Accepted`, `Revised`, …). Another kind of
//!    extractor or answer says in `openapi.rs` what it means.
//! 3. `fails` names the problems that only the handler knows, from `problem/kinds.rs`; what its extractors and its scope refuse is known.
//! 4. `UPDATE_OPENAPI=1 cargo test --workspace --test functions openapi` writes the document.
//!
//! A row of `Route::new` without the macro serves as well and fails the test that all routes are described.

use super::body::LARGEST_BODY;
use super::caller::Caller;
#[cfg(feature = "openapi")]
use super::openapi::Handler;
use super::problem::Problem;
use super::problem::kinds::Kinds;
use crate::domain::scope::Scope;
use crate::request;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use lambda_http::request::RequestContext;
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
    #[cfg(feature = "openapi")]
    described: Option<Handler>,
    fails: &'static [Kinds],
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
        Self::with(method, path, Access::Scope(scope), handler)
    }

    const fn with(
        method: Method,
        path: &'static str,
        access: Access,
        handler: fn(MethodFilter) -> MethodRouter<S>,
    ) -> Self {
        Self {
            method,
            path,
            access,
            handler,
            #[cfg(feature = "openapi")]
            described: None,
            fails: &[],
        }
    }

    /// With what describes its handler.
    #[cfg(feature = "openapi")]
    #[must_use]
    pub(super) const fn described(mut self, handler: Handler) -> Self {
        self.described = Some(handler);
        self
    }

    /// With the problems that only its handler knows.
    #[must_use]
    pub const fn fails(mut self, kinds: &'static [Kinds]) -> Self {
        self.fails = kinds;
        self
    }

    /// Its path, with its parameters in braces.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// A route for any caller who is known, whatever they may do.
    #[must_use]
    pub const fn known(method: Method, path: &'static str, handler: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self::with(method, path, Access::Known, handler)
    }

    /// A route for everybody.
    #[must_use]
    pub const fn public(method: Method, path: &'static str, handler: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self::with(method, path, Access::Public, handler)
    }
}

/// A row of the table, with what describes its handler: see the documentation of this module.
macro_rules! route {
    ($method:expr, $path:expr, public, $handler:ident $(, fails: [$($kinds:ident),*])?) => {
        route!(@ $crate::api::Route::public($method, $path, |method| axum::routing::on(method, $handler)), $handler, $($($kinds),*)?)
    };
    ($method:expr, $path:expr, known, $handler:ident $(, fails: [$($kinds:ident),*])?) => {
        route!(@ $crate::api::Route::known($method, $path, |method| axum::routing::on(method, $handler)), $handler, $($($kinds),*)?)
    };
    ($method:expr, $path:expr, $scope:expr, $handler:ident $(, fails: [$($kinds:ident),*])?) => {
        route!(@ $crate::api::Route::new($method, $path, $scope, |method| axum::routing::on(method, $handler)), $handler, $($($kinds),*)?)
    };
    (@ $route:expr, $handler:ident, $($kinds:ident),*) => {{
        let route = $route.fails(&[$($crate::api::kinds::$kinds),*]);
        #[cfg(feature = "openapi")]
        let route = route.described($crate::api::openapi::Handler {
            name: stringify!($handler),
            file: file!(),
            describe: $crate::api::openapi::described($handler),
        });
        route
    }};
}
pub(crate) use route;

/// The routes that one function serves, by noun, over one use case.
pub struct Group<S: 'static> {
    /// The Lambda function's name.
    pub function: &'static str,
    /// The routes of each noun.
    pub nouns: &'static [&'static [Route<S>]],
}

/// A row of the table of routes.
#[derive(Debug, Clone, Copy)]
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
    /// The problems that only its handler knows.
    pub fails: &'static [Kinds],
    /// What describes its handler.
    #[cfg(feature = "openapi")]
    pub handler: Option<Handler>,
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
            fails: route.fails,
            #[cfg(feature = "openapi")]
            handler: route.described,
        })
    }
}

/// Lets a caller in whom the route is for.
async fn require(State(access): State<Access>, request: Request, next: Next) -> Response {
    match (access, request.extensions().get::<Caller>()) {
        (Access::Public, _) | (Access::Known, Some(_)) => next.run(request).await,
        (_, None) => Problem::unauthenticated_at(request.extensions()).into_response(),
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
        .layer(from_fn(numbered))
}

/// Serves a request under its id, which the answer has and whatever is recorded of it: API Gateway's, or a new one.
pub(crate) async fn numbered(request: Request, next: Next) -> Response {
    let given = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    let id = given.unwrap_or_else(|| format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)));
    let header = HeaderValue::try_from(id.as_str());
    let mut response = request::within(id, next.run(request)).await;
    if let Ok(header) = header {
        response.headers_mut().insert("x-request-id", header);
    }
    response
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
