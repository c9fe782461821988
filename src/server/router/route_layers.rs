//! Layers of each HTTP route by its path, and responses to `OPTIONS`.
//!
//! | routes | CORS | compression | `OPTIONS` |
//! |---|---|---|---|
//! | `/api/v1/…` | yes | yes | 204 |
//! | `/api/v1/…` of protocols, which have only POST | `OPTIONS` only | errors only | 204 |
//! | `/-/…` | no | no | 200 with `Allow` |
//! | others | no | yes | 200 with `Allow` |
//!
//! Remote write and remote read have encodings of their own for data. Their errors are text.

use crate::server::management::web_state::WebState;
use crate::server::router::{compression, cors};
use crate::server::state::SharedState;
use axum::extract::Request;
use axum::http::header::{ALLOW, ORIGIN};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, options};
use std::sync::Arc;

/// Path in front of Prometheus's API, without the route prefix.
pub(super) const API: &str = "/api/v1";

/// Returns the route with its layers. `path` has no route prefix.
pub(super) fn wrap(
    web: &Arc<WebState>,
    path: &str,
    methods: &[Method],
    route: MethodRouter<SharedState>,
) -> MethodRouter<SharedState> {
    if !is_below_api(path) {
        let allowed = allowed_methods(methods);
        let route = if path.starts_with("/-/") { route } else { compressed(web, route) };
        return route.options(move || async move { (StatusCode::OK, [(ALLOW, allowed)]) });
    }
    let preflight = options(|| async { StatusCode::NO_CONTENT });
    if *methods == [Method::POST] {
        let compress =
            middleware::from_fn_with_state(web.compressor.clone(), compression::compress_errors);
        return route.route_layer(compress).merge(with_cors(web, compressed(web, preflight)));
    }
    with_cors(web, compressed(web, route.merge(preflight)))
}

/// Returns `true` if the path is one of the API. It has no route prefix.
pub(super) fn is_below_api(path: &str) -> bool {
    path.strip_prefix(API).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the response to `OPTIONS` for an unknown path of the API.
pub(super) fn unknown_path_options(web: &WebState, request: &Request) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    compression::add_vary(&mut response);
    if let Some(allowed) = &web.cors {
        cors::set_headers(allowed, request.headers().get(ORIGIN), response.headers_mut());
    }
    response
}

fn compressed(web: &WebState, route: MethodRouter<SharedState>) -> MethodRouter<SharedState> {
    let compress = middleware::from_fn_with_state(web.compressor.clone(), compression::compress);
    route.route_layer(compress)
}

fn with_cors(web: &WebState, route: MethodRouter<SharedState>) -> MethodRouter<SharedState> {
    match &web.cors {
        Some(allowed) => {
            route.route_layer(middleware::from_fn_with_state(allowed.clone(), cors::add_headers))
        }
        None => route,
    }
}

/// Returns the value of `Allow`. A route with GET has HEAD, too.
fn allowed_methods(methods: &[Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.push("OPTIONS");
    if methods.contains(&Method::GET) {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.join(", ")
}
