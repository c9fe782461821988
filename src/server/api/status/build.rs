//! `GET /api/v1/status/buildinfo`: API level and version.
//!
//! Clients choose their requests by `version`: Grafana, for one, uses label values with `match[]`
//! from 2.24.0 on. So `version` is that of the Prometheus whose API narthex implements, and
//! `narthexVersion` is narthex's own. The keys `application` and `features` are absent, because
//! Grafana takes a server that has them for Mimir.

use crate::server::api::response;
use axum::response::Response;
use serde::Serialize;

/// Version of the Prometheus whose HTTP API narthex implements.
pub(crate) const API_LEVEL: &str = "3.14.0";

/// Prometheus's fields, including those without a meaning in narthex, and narthex's version.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    narthex_version: &'static str,
}

/// Returns API level and version.
pub(crate) async fn build_info() -> Response {
    response::success(&BuildInfo {
        version: API_LEVEL,
        revision: env!("NARTHEX_COMMIT"),
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
        narthex_version: env!("CARGO_PKG_VERSION"),
    })
}
