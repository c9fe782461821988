//! Middleware that compresses responses with gzip if the client accepts it.

use crate::server::transport::accept_encoding::accepts_gzip;
use crate::server::transport::gzip_body::ResponseCompressor;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::middleware::Next;
use axum::response::Response;

/// Content type of a stream of events, whose clients wait for each of them.
const EVENTS: &str = "text/event-stream";

pub(super) async fn compress(
    State(compressor): State<ResponseCompressor>,
    request: Request,
    next: Next,
) -> Response {
    let is_accepted = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == EVENTS) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_accepted { compressor.compress(response).await } else { response }
}
