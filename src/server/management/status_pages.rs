//! Health, readiness, metrics and the index page.

use crate::config::flags::VERSION;
use crate::metrics::text::ExpositionFormat;
use crate::server::management::lifecycle::Phase;
use crate::server::management::process_state::ProcessState;
use crate::server::management::web_state::WebState;
use crate::server::transport::blocking::run_with_permit;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;

/// Beginning of the text of a server that is healthy and read-only; the reason follows.
pub(crate) const READ_ONLY_PREFIX: &str = "narthex is read-only: ";

/// `GET /-/healthy`: 503 only if a restart is needed. Healthy during the replay and while
/// read-only.
pub(crate) async fn healthy(State(process): State<Arc<ProcessState>>) -> (StatusCode, String) {
    let maintenance_fault = process.db.shared().maintenance_fault();
    match process.db.health() {
        Err(WriteUnavailable::LogFailed { cause }) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("narthex rejects writes until a restart: WAL failed: {cause}\n"),
        ),
        _ if maintenance_fault.is_some() => {
            let cause = maintenance_fault.unwrap_or_default();
            (StatusCode::SERVICE_UNAVAILABLE, format!("narthex cannot compact: {cause}\n"))
        }
        Err(WriteUnavailable::ReadOnly(reason)) => {
            (StatusCode::OK, format!("{READ_ONLY_PREFIX}{reason}\n"))
        }
        Ok(()) | Err(WriteUnavailable::Replaying | WriteUnavailable::Closing) => {
            (StatusCode::OK, "narthex is healthy.\n".to_owned())
        }
    }
}

/// `GET /-/ready`: 200 while reads and writes are served.
pub(crate) async fn ready(State(process): State<Arc<ProcessState>>) -> (StatusCode, &'static str) {
    match process.lifecycle.phase() {
        Phase::Ready => (StatusCode::OK, "narthex is ready.\n"),
        Phase::Starting => {
            (StatusCode::SERVICE_UNAVAILABLE, "narthex is starting: replaying the WAL\n")
        }
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "narthex is shutting down\n"),
    }
}

/// `GET /metrics`: metrics of the process.
pub(crate) async fn metrics(
    State(process): State<Arc<ProcessState>>,
    headers: HeaderMap,
) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = ExpositionFormat::from_accept_header(accepted);
    // Some metrics read files, so encode on a blocking thread.
    let encoded =
        run_with_permit((), "encoding the metrics", move |_| process.registry.encode(format)).await;
    match encoded {
        Ok(text) => {
            ([(CONTENT_TYPE, format.content_type()), (VARY, "Accept")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `GET /`: index page with links below the path of the external URL.
pub(crate) async fn index_page(State(web): State<Arc<WebState>>) -> Html<String> {
    let base = web.link_base();
    let link = |path: &str| format!("<a href=\"{base}{path}\">{path}</a>");
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>narthex</title></head><body>\n\
         <h1>narthex</h1>\n<p>A storage backend for Prometheus, version {VERSION}.</p>\n<ul>\n\
         <li><code>POST {base}/api/v1/write</code>: remote write</li>\n\
         <li><code>POST {base}/api/v1/read</code>: remote read</li>\n\
         <li><code>GET {base}/api/v1/export?match[]=up</code>: samples as JSON lines</li>\n\
         <li>{}: types, units and help texts</li>\n<li>{}</li>\n<li>{}, {}</li>\n\
         <li>{}, {}</li>\n</ul>\n</body></html>\n",
        link("/api/v1/metadata"),
        link("/metrics"),
        link("/-/healthy"),
        link("/-/ready"),
        link("/api/v1/status/buildinfo"),
        link("/api/v1/status/walreplay"),
    ))
}
