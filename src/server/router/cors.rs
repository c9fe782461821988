//! CORS headers of the API, as in Prometheus.
//!
//! Responses to errors of a handler have them, too; 404 for an unknown path, 405, redirects and 401
//! do not. Without `--web.cors.origin` no response has them.

use crate::config::cors_origin::CorsOrigin;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Headers of every response to a request with an origin.
const HEADERS: [(HeaderName, &str); 3] = [
    (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
];

/// Middleware that adds the headers.
pub(super) async fn add_headers(
    State(allowed): State<Arc<CorsOrigin>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = next.run(request).await;
    set_headers(&allowed, origin.as_ref(), response.headers_mut());
    response
}

/// Sets the headers of a response to a request from `origin`.
pub(super) fn set_headers(
    allowed: &CorsOrigin,
    origin: Option<&HeaderValue>,
    headers: &mut HeaderMap,
) {
    // The response differs by origin, so a cache must not return that to another one.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin.filter(|origin| !origin.is_empty()) else { return };
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if origin.to_str().is_ok_and(|text| allowed.allows(text)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}
