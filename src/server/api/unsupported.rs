//! Paths of Prometheus's HTTP API that narthex does not support: 404 with a reason, in Prometheus's
//! error envelope.

use crate::server::contract::api_error::ApiError;

/// `/api/v1/{query,query_range}`.
pub(crate) async fn promql() -> ApiError {
    not_supported("PromQL is not supported: read samples by remote read or from /api/v1/export")
}

/// `/api/v1/search/…`.
pub(crate) async fn search() -> ApiError {
    not_supported(
        "the search API is not supported: use /api/v1/labels, /api/v1/label/<name>/values or \
         /api/v1/series",
    )
}

/// `POST /api/v1/otlp/v1/metrics`.
pub(crate) async fn otlp() -> ApiError {
    not_supported("OTLP is not supported: use remote write")
}

/// `GET /api/v1/status/self_metrics`.
pub(crate) async fn self_metrics() -> ApiError {
    not_supported("metrics in JSON are not supported: use /metrics")
}

/// `GET /api/v1/openapi.yaml`.
pub(crate) async fn openapi() -> ApiError {
    not_supported("an OpenAPI description is not supported")
}

fn not_supported(reason: &str) -> ApiError {
    ApiError::NotFound(reason.to_owned())
}
