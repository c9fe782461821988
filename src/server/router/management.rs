//! Routes of the management listener.
//!
//! Probes and scrapers inside a trusted network use it: there is no TLS, no authentication and no
//! route prefix. Everything but `GET` and `HEAD` of its paths is 404, for gRPC requests, too, so
//! that the listener reveals nothing of the other routes.

use crate::server::management::process_control::ApiAccess;
use crate::server::management::status_pages;
use crate::server::router::time_limit::LimitedRouter;
use crate::server::router::{compression, host, panics};
use crate::server::state::SharedState;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, middleware};

/// Returns the router of the management listener. `metrics` is the availability of `/metrics`.
pub fn routes(states: &SharedState, metrics: ApiAccess) -> Router {
    let mut routes = LimitedRouter::new(states.time_limits)
        .route("/-/healthy", get(status_pages::healthy).fallback(not_found))
        .route("/-/ready", get(status_pages::ready).fallback(not_found));
    if metrics == ApiAccess::On {
        let compressor = states.web.compressor.clone();
        let compress = middleware::from_fn_with_state(compressor, compression::compress);
        let metrics = get(status_pages::metrics).fallback(not_found);
        routes = routes.layered_route("/metrics", metrics, |route| route.route_layer(compress));
    }
    let routes =
        routes.into_router().fallback(not_found).layer(middleware::from_fn(panics::answer_panics));
    host::require_host(routes.with_state(states.process.clone()))
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found\n")
}
