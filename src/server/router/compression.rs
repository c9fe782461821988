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

/// Middleware that compresses every response except a stream of events.
pub(super) async fn compress(
    State(compressor): State<ResponseCompressor>,
    request: Request,
    next: Next,
) -> Response {
    compress_if(&compressor, request, next, |response| {
        response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != EVENTS)
    })
    .await
}

/// Middleware that compresses responses with an error status.
pub(super) async fn compress_errors(
    State(compressor): State<ResponseCompressor>,
    request: Request,
    next: Next,
) -> Response {
    compress_if(&compressor, request, next, |response| {
        response.status().is_client_error() || response.status().is_server_error()
    })
    .await
}

/// Compresses the response if `can_compress` returns `true` for it and the client accepts gzip.
async fn compress_if(
    compressor: &ResponseCompressor,
    request: Request,
    next: Next,
    can_compress: fn(&Response) -> bool,
) -> Response {
    let is_accepted = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    if !can_compress(&response) {
        return response;
    }
    add_vary(&mut response);
    if is_accepted { compressor.compress(response).await } else { response }
}

/// Adds the header of a response that depends on the encodings of the client.
pub(super) fn add_vary(response: &mut Response) {
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
}

#[cfg(test)]
mod tests {
    use super::compress_errors;
    use crate::server::transport::admission::ByteBudget;
    use crate::server::transport::body::ResponseLimits;
    use crate::server::transport::gzip_body::ResponseCompressor;
    use axum::body::Body;
    use axum::extract::{Path, Request};
    use axum::http::StatusCode;
    use axum::routing::get;
    use axum::{Router, middleware};
    use std::time::Duration;
    use tower::ServiceExt;

    #[tokio::test]
    async fn long_errors_are_compressed_and_other_responses_are_not() {
        let limits =
            ResponseLimits { time: Duration::from_secs(60), budget: ByteBudget::new(1 << 20) };
        let compressor = ResponseCompressor::new(limits, 1);
        let respond = |Path(status): Path<u16>| async move {
            (StatusCode::from_u16(status).unwrap(), "x".repeat(2000))
        };
        let router = Router::new()
            .route("/{status}", get(respond))
            .layer(middleware::from_fn_with_state(compressor, compress_errors));
        for (path, accepted, is_compressed) in [
            ("/200", "gzip", false),
            ("/400", "gzip", true),
            ("/503", "gzip", true),
            ("/503", "identity", false),
        ] {
            let request = Request::get(path).header("accept-encoding", accepted);
            let request = request.body(Body::empty()).unwrap();
            let got = router.clone().oneshot(request).await.unwrap();
            let headers = got.headers();
            assert_eq!(headers.contains_key("content-encoding"), is_compressed, "{path}");
            assert_eq!(headers.contains_key("vary"), path != "/200", "{path}");
        }
    }
}
