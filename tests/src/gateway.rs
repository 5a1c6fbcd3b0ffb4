//! The gateway in front of the console's functions: which function a page is sent to.

use axum::Router;
use axum::extract::Request;
use axum::http::Extensions;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use common::console::table;
use std::collections::BTreeMap;
use tower::ServiceExt;

/// The functions of pages behind the routes of the table; what has none goes to the first, which says so.
///
/// # Panics
/// For a page of a function that is not there.
pub fn behind_the_gateway(functions: &[(&str, Router)]) -> Router {
    let paths: BTreeMap<_, _> = table().iter().map(|entry| (entry.path, entry.function)).collect();
    let routes = paths.into_iter().fold(Router::new(), |routes, (path, function)| {
        let found = functions.iter().find(|(name, _)| *name == function);
        let router = found.expect("a function of the table").1.clone();
        routes.route(path, any(async move |request| passed_on(router, request).await))
    });
    let first = functions[0].1.clone();
    routes.fallback(async move |request| passed_on(first, request).await)
}

/// A request as it came: the function finds the parameters of its path itself.
async fn passed_on(function: Router, mut request: Request) -> Response {
    *request.extensions_mut() = Extensions::new();
    function.oneshot(request).await.into_response()
}
