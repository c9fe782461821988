//! Health, readiness, metrics and the index page.

use crate::config::flags::VERSION;
use crate::metrics::text::ExpositionFormat;
use crate::server::management::lifecycle::Phase;
use crate::server::management::process_state::ProcessState;
use crate::server::transport::blocking::run_with_permit;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use axum::extract::State;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::Arc;

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
            (StatusCode::OK, format!("narthex is read-only: {reason}\n"))
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

/// `GET /metrics`: metrics of the process, compressed with gzip if the client accepts it.
pub(crate) async fn metrics(
    State(process): State<Arc<ProcessState>>,
    headers: HeaderMap,
) -> Response {
    let format = ExpositionFormat::from_accept_header(header(&headers, ACCEPT.as_str()));
    let content_type = (CONTENT_TYPE, format.content_type());
    // Some metrics read files, so encode on a blocking thread.
    let encoded =
        run_with_permit((), "encoding the metrics", move |_| process.registry.encode(format)).await;
    let Ok(text) = encoded else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if accepts_gzip(header(&headers, ACCEPT_ENCODING.as_str()))
        && let Ok(compressed) = gzip(text.as_bytes())
    {
        return (
            [content_type, (CONTENT_ENCODING, "gzip"), (VARY, "accept, accept-encoding")],
            compressed,
        )
            .into_response();
    }
    ([content_type, (VARY, "accept, accept-encoding")], text).into_response()
}

/// `GET /`: index page with links.
pub(crate) async fn index_page() -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>narthex</title></head><body>\n\
         <h1>narthex</h1>\n<p>A storage backend for Prometheus, version {VERSION}.</p>\n<ul>\n\
         <li><code>POST /api/v1/write</code>: remote write</li>\n\
         <li><code>POST /api/v1/read</code>: remote read</li>\n\
         <li><code>GET /api/v1/export?match[]=up</code>: samples as JSON lines</li>\n\
         <li><a href=\"/api/v1/metadata\">/api/v1/metadata</a>: types, units and help texts</li>\n\
         <li><a href=\"/metrics\">/metrics</a></li>\n\
         <li><a href=\"/-/healthy\">/-/healthy</a>, <a href=\"/-/ready\">/-/ready</a></li>\n\
         <li><a href=\"/api/v1/status/buildinfo\">/api/v1/status/buildinfo</a>, \
         <a href=\"/api/v1/status/walreplay\">/api/v1/status/walreplay</a></li>\n</ul>\n\
         </body></html>\n"
    ))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Returns `true` if an `Accept-Encoding` value accepts gzip. A weight of zero rejects it.
fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"))
            && !parts.any(|parameter| {
                parameter
                    .strip_prefix("q=")
                    .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|w| w == 0.0))
            })
    })
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;

    #[test]
    fn gzip_is_sent_only_if_accepted() {
        assert!(accepts_gzip("gzip"));
        assert!(accepts_gzip("br, GZIP;q=0.5"));
        assert!(!accepts_gzip(""));
        assert!(!accepts_gzip("identity, gzip;q=0"));
        assert!(!accepts_gzip("zgzip"));
    }
}
