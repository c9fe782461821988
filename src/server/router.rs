//! Which path is answered by whom.

use crate::server::context::SharedContext;
use crate::server::grpc;
use crate::server::grpc::reflection;
use crate::server::refused::Refused;
use crate::server::{
    absent, admin, exemplars, export, http_metrics, labels, lifecycle_api, metadata, read, running, series, status,
    write,
};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Router, middleware};
use tonic::Status;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::Layer;

/// The methods of gRPC.
fn grpc_routes<H: Health>(context: &SharedContext, health: HealthServer<H>) -> Router<SharedContext> {
    let mut routes = Router::new()
        .route(grpc::write::WRITE_V1, any(grpc::write::write_v1))
        .route(grpc::write::WRITE_V2, any(grpc::write::write_v2))
        .route(grpc::write::WRITE_STREAM, any(grpc::write_stream::write_stream))
        .route(grpc::read::READ, any(grpc::read::read))
        .route(grpc::read::READ_CHUNKS, any(grpc::read::read_chunks))
        .route(grpc::thanos_write::REMOTE_WRITE, any(grpc::thanos_write::remote_write))
        .route(grpc::thanos_store::SERIES, any(grpc::thanos_store::series))
        .route(grpc::thanos_store::LABEL_NAMES, any(grpc::thanos_store::label_names))
        .route(grpc::thanos_store::LABEL_VALUES, any(grpc::thanos_store::label_values))
        .route(grpc::thanos_info::INFO, any(grpc::thanos_info::info))
        .route(grpc::thanos_exemplars::EXEMPLARS, any(grpc::thanos_exemplars::exemplars))
        .route(grpc::thanos_exemplars::METRIC_METADATA, any(grpc::thanos_exemplars::metric_metadata))
        .route_service("/grpc.health.v1.Health/{*method}", health);
    let draining = || middleware::from_fn_with_state(context.clone(), reflection::end_when_draining);
    match (reflection::v1(), reflection::v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            routes = routes
                .route_service(reflection::PATH_V1, draining().layer(v1))
                .route_service(reflection::PATH_V1ALPHA, draining().layer(v1alpha));
        }
        // The build made them; a server without reflection is better than none.
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection over gRPC"),
    }
    routes
        .layer(middleware::from_fn_with_state(context.clone(), grpc::compression::compress))
        .layer(middleware::from_fn(grpc::entry::enter))
}

/// Everything that narthex answers; `health` is gRPC's health service.
pub fn routes<H: Health>(context: SharedContext, health: HealthServer<H>) -> Router {
    let measure = middleware::from_fn_with_state(context.http_metrics.clone(), http_metrics::measure);
    Router::new()
        .route("/", get(status::landing))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready))
        .route(
            "/-/reload",
            post(lifecycle_api::reload).put(lifecycle_api::reload).fallback(lifecycle_api::other_method),
        )
        .route("/-/quit", post(lifecycle_api::quit).put(lifecycle_api::quit).fallback(lifecycle_api::other_method))
        .route("/metrics", get(status::metrics))
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/read", post(read::read))
        .route("/api/v1/export", get(export::export))
        .route("/api/v1/query_exemplars", get(exemplars::query_exemplars).post(exemplars::query_exemplars))
        .route("/api/v1/labels", get(labels::label_names).post(labels::label_names))
        .route("/api/v1/label/{name}/values", get(labels::label_values))
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/api/v1/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/api/v1/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/api/v1/rules", get(absent::rules))
        .route("/api/v1/alerts", get(absent::alerts))
        .route("/api/v1/targets", get(absent::targets))
        .route("/api/v1/scrape_pools", get(absent::scrape_pools))
        .route("/api/v1/status/config", get(running::config))
        .route("/api/v1/status/flags", get(running::flags))
        .route("/api/v1/status/runtimeinfo", get(running::runtime_info))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/api/v1/status/walreplay", get(status::wal_replay))
        .merge(grpc_routes(&context, health))
        .fallback(unknown)
        .layer(measure)
        .with_state(context)
}

/// Answers every request of a connection beyond the limit.
pub(crate) fn busy() -> Router {
    Router::new().fallback(|request: Request| async move {
        let refused = Refused::Unavailable("too many connections".to_owned());
        if grpc::is_grpc(&request) { grpc::refuse(refused.into_grpc()) } else { refused.into_http_and_close() }
    })
}

async fn unknown(request: Request) -> Response {
    if grpc::is_grpc(&request) {
        grpc::refuse(Status::unimplemented("no such method"))
    } else {
        (StatusCode::NOT_FOUND, format!("nothing is served at {}\n", request.uri().path())).into_response()
    }
}
