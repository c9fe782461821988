//! Routes of HTTP and gRPC, and the middleware of every request.
//!
//! | file           | content                                     |
//! |----------------|---------------------------------------------|
//! | `access`       | rate limit and credentials of every request |
//! | `body_arrival` | arrival of a request body                   |
//! | `compression`  | compression of responses                    |
//! | `cors`         | CORS headers                                |
//! | [`host`]       | check of the Host header                    |
//! | [`management`] | routes of the management listener           |
//! | `panics`       | responses for handlers that panic           |
//! | `redirect`     | redirects to canonical paths                |
//! | `route_layers` | layers of each HTTP route                   |
//! | `route_table`  | tables of all routes                        |
//! | `time_limit`   | routes with a time limit                    |

mod access;
mod body_arrival;
mod compression;
mod cors;
pub mod host;
pub mod management;
mod panics;
pub(crate) mod redirect;
mod route_layers;
pub(crate) mod route_table;
mod time_limit;

use crate::server::api::status::{build, features, rejections, runtime, tsdb};
use crate::server::api::targets::metadata as target_metadata;
use crate::server::api::targets::{list, pools, relabel_steps};
use crate::server::api::{
    admin, empty_lists, exemplars, export, expressions, labels, metadata, notifications, read,
    series, unsupported, write,
};
use crate::server::contract;
use crate::server::contract::request_error::RequestError;
use crate::server::grpc;
use crate::server::grpc::reflection;
use crate::server::management::web_state::WebState;
use crate::server::management::{http_metrics, lifecycle_api, status_pages};
use crate::server::requests::time_limits::RouteKind;
use crate::server::router::access::AccessGate;
use crate::server::router::redirect::RedirectRules;
use crate::server::router::route_table::{GrpcRoutes, HttpRoutes};
use crate::server::state::SharedState;
use crate::server::transport::framing;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, middleware};
use std::sync::Arc;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::Layer;

/// Path of all methods of the gRPC health service.
const HEALTH: &str = "/grpc.health.v1.Health/{*method}";

/// Router of gRPC with its middleware, and the list of its paths.
#[derive(Default)]
struct GrpcTable {
    router: Router<SharedState>,
    paths: Vec<&'static str>,
}

/// Routes of gRPC methods.
fn grpc_routes<H: Health>(states: &SharedState, health: HealthServer<H>) -> GrpcTable {
    let mut routes = GrpcRoutes::new(states.time_limits)
        .of_kind(RouteKind::Write)
        .method(grpc::write::WRITE_V1, grpc::write::write_v1)
        .method(grpc::write::WRITE_V2, grpc::write::write_v2)
        .method(grpc::write::WRITE_STREAM, grpc::write_stream::write_stream)
        .method(grpc::thanos_write::REMOTE_WRITE, grpc::thanos_write::remote_write)
        .of_kind(RouteKind::Read)
        .method(grpc::read::READ, grpc::read::read)
        .method(grpc::read::READ_CHUNKS, grpc::read::read_chunks)
        .method(grpc::thanos_store::SERIES, grpc::thanos_store::series)
        .method(grpc::thanos_store::LABEL_NAMES, grpc::thanos_store::label_names)
        .method(grpc::thanos_store::LABEL_VALUES, grpc::thanos_store::label_values)
        .method(grpc::thanos_info::INFO, grpc::thanos_info::info)
        .method(grpc::thanos_exemplars::EXEMPLARS, grpc::thanos_exemplars::exemplars)
        .method(grpc::thanos_exemplars::METRIC_METADATA, grpc::thanos_exemplars::metric_metadata)
        .of_kind(RouteKind::Page)
        .service(HEALTH, health);
    let draining = || {
        middleware::from_fn_with_state(
            states.process.lifecycle.clone(),
            reflection::end_when_draining,
        )
    };
    match (reflection::v1(), reflection::v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            routes = routes
                .service(reflection::PATH_V1, draining().layer(v1))
                .service(reflection::PATH_V1ALPHA, draining().layer(v1alpha));
        }
        // The build script made the descriptors; serve without reflection rather than not at all.
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "cannot start reflection"),
    }
    let GrpcRoutes { router, paths } = routes;
    let router = router
        .into_router()
        .layer(middleware::from_fn_with_state(states.grpc.clone(), grpc::layers::compression_layer))
        .layer(middleware::from_fn(grpc::layers::deadline_layer));
    GrpcTable { router, paths }
}

fn http_routes(states: &SharedState) -> HttpRoutes {
    let reload = post(lifecycle_api::reload)
        .put(lifecycle_api::reload)
        .fallback(lifecycle_api::other_method);
    let quit =
        post(lifecycle_api::quit).put(lifecycle_api::quit).fallback(lifecycle_api::other_method);
    let lifecycle_methods = [Method::GET, Method::POST, Method::PUT];
    HttpRoutes::new(states)
        .outside_prefix("/", get(redirect::to_prefix))
        .get("/", status_pages::index_page)
        .of_kind(RouteKind::Probe)
        .get("/-/healthy", status_pages::healthy)
        .get("/-/ready", status_pages::ready)
        .of_kind(RouteKind::Page)
        .add("/-/reload", &lifecycle_methods, reload)
        .add("/-/quit", &lifecycle_methods, quit)
        .get("/metrics", status_pages::metrics)
        .of_kind(RouteKind::Write)
        .post("/api/v1/write", write::write)
        .of_kind(RouteKind::Read)
        .post("/api/v1/read", read::read)
        .get_or_post("/api/v1/export", export::export)
        .of_kind(RouteKind::List)
        .get_or_post("/api/v1/query_exemplars", exemplars::query_exemplars)
        .get_or_post("/api/v1/format_query", expressions::format_query)
        .get_or_post("/api/v1/parse_query", expressions::parse_query)
        .get_or_post("/api/v1/labels", labels::label_names)
        .get("/api/v1/label/{name}/values", labels::label_values)
        .get_or_post("/api/v1/series", series::series)
        .get("/api/v1/metadata", metadata::metadata)
        .of_kind(RouteKind::Admin)
        .post_or_put("/api/v1/admin/tsdb/delete_series", admin::delete_series)
        .post_or_put("/api/v1/admin/tsdb/clean_tombstones", admin::clean_tombstones)
        .post_or_put("/api/v1/admin/tsdb/snapshot", admin::snapshot)
        .of_kind(RouteKind::Status)
        .get("/api/v1/rules", empty_lists::rules)
        .get("/api/v1/alerts", empty_lists::alerts)
        .get("/api/v1/alertmanagers", empty_lists::alertmanagers)
        .get("/api/v1/targets", list::targets)
        .get("/api/v1/targets/metadata", target_metadata::target_metadata)
        .get("/api/v1/targets/relabel_steps", relabel_steps::relabel_steps)
        .get("/api/v1/scrape_pools", pools::scrape_pools)
        .get("/api/v1/scrape_pools/config", pools::scrape_pool_config)
        .get("/api/v1/status/config", runtime::status_config)
        .get("/api/v1/status/flags", runtime::status_flags)
        .get("/api/v1/status/runtimeinfo", runtime::runtime_info)
        .get("/api/v1/status/buildinfo", build::build_info)
        .get("/api/v1/status/walreplay", runtime::wal_replay)
        .get("/api/v1/status/tsdb", tsdb::tsdb_status)
        .get("/api/v1/status/tsdb/blocks", tsdb::tsdb_blocks)
        .get("/api/v1/status/rejections", rejections::rejections)
        .get("/api/v1/features", features::features)
        .get("/api/v1/notifications", notifications::notifications)
        .get("/api/v1/notifications/live", notifications::live_notifications)
        .get_or_post("/api/v1/query", unsupported::promql)
        .get_or_post("/api/v1/query_range", unsupported::promql)
        .get_or_post("/api/v1/search/metric_names", unsupported::search)
        .get_or_post("/api/v1/search/label_names", unsupported::search)
        .get_or_post("/api/v1/search/label_values", unsupported::search)
        .get("/api/v1/status/self_metrics", unsupported::self_metrics)
        .get("/api/v1/openapi.yaml", unsupported::openapi)
        .post("/api/v1/otlp/v1/metrics", unsupported::otlp)
}

/// Returns the router of all requests. `health` is the gRPC health service; without it, the router
/// serves no gRPC.
pub fn routes<H: Health>(states: SharedState, health: Option<HealthServer<H>>) -> Router {
    let measured = (states.process.http_metrics.clone(), states.web.clone());
    let measure = middleware::from_fn_with_state(measured, http_metrics::measure);
    let HttpRoutes { router, known, .. } = http_routes(&states);
    let grpc = health.map(|health| grpc_routes(&states, health)).unwrap_or_default();
    let gate = AccessGate::new(states.access.clone(), &known, grpc.paths);
    let admit = middleware::from_fn_with_state(Arc::new(gate), access::admit);
    let (prefix, link_base) = (states.web.route_prefix.clone(), states.web.link_base().clone());
    let rules = Arc::new(RedirectRules::new(known, prefix, link_base));
    let redirect = middleware::from_fn_with_state(rules, redirect::redirect);
    router
        .into_router()
        .method_not_allowed_fallback(contract::http::method_not_allowed)
        .merge(grpc.router)
        .fallback(not_found)
        .layer(redirect)
        .layer(middleware::from_fn(panics::answer_panics))
        .layer(measure)
        .layer(admit)
        .with_state(states)
}

/// Returns the paths and methods of all HTTP routes.
#[cfg(test)]
pub(crate) fn http_paths(states: &SharedState) -> Vec<route_table::KnownPath> {
    http_routes(states).known
}

/// Returns the paths of all gRPC routes.
#[cfg(test)]
pub(crate) fn grpc_paths<H: Health>(
    states: &SharedState,
    health: HealthServer<H>,
) -> Vec<&'static str> {
    grpc_routes(states, health).paths
}

/// Returns the router for connections beyond the limit, which responds 503 to every request.
pub fn overload_router() -> Router {
    let reject = |request: Request| async move {
        let error = RequestError::Unavailable("too many connections".to_owned());
        if framing::is_grpc(&request) {
            contract::grpc::error_response(error)
        } else {
            contract::http::response_and_close(error)
        }
    };
    host::require_host(Router::new().fallback(reject))
}

async fn not_found(State(web): State<Arc<WebState>>, request: Request) -> Response {
    let path = request.uri().path().strip_prefix(web.route_prefix.as_str());
    if framing::is_grpc(&request) {
        contract::grpc::error_response(contract::grpc::unknown_method())
    } else if request.method() == Method::OPTIONS && path.is_some_and(route_layers::is_below_api) {
        route_layers::unknown_path_options(&web, &request)
    } else {
        contract::http::page_not_found()
    }
}
