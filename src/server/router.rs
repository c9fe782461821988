//! Which path is answered by whom.

use crate::server::context::SharedContext;
use crate::server::grpc;
use crate::server::http_metrics;
use crate::server::status;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Everything that narthex answers.
pub fn routes(context: SharedContext) -> Router {
    let measure = middleware::from_fn_with_state(context.http_metrics.clone(), http_metrics::measure);
    Router::new()
        .route("/", get(status::landing))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .fallback(unknown)
        .layer(measure)
        .with_state(context)
}

/// Answers every request of a connection beyond the limit.
pub(crate) fn busy() -> Router {
    Router::new().fallback(|request: Request| async move {
        if grpc::is_grpc(&request) {
            grpc::refuse(tonic::Code::Unavailable, "too many connections")
        } else {
            let headers = [("retry-after", "2"), ("connection", "close")];
            (StatusCode::SERVICE_UNAVAILABLE, headers, "too many connections\n").into_response()
        }
    })
}

async fn unknown(request: Request) -> Response {
    if grpc::is_grpc(&request) {
        grpc::refuse(tonic::Code::Unimplemented, "no such method")
    } else {
        (StatusCode::NOT_FOUND, format!("nothing is served at {}\n", request.uri().path())).into_response()
    }
}
