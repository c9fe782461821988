//! Responses for handlers that panic.
//!
//! A panic becomes an internal error, so that every request gets a response and the other requests
//! of the connection go on. Panics of blocking threads are caught where the threads are awaited.
//! The panic hook has logged the panic already.

use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::transport::framing;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Middleware that catches panics of all handlers.
pub(crate) async fn answer_panics(request: Request, next: Next) -> Response {
    let is_grpc = framing::is_grpc(&request);
    match catch_panic(next.run(request)).await {
        Some(response) => response,
        None => {
            let error = RequestError::Internal("internal error".to_owned());
            if is_grpc { grpc::error_response(error) } else { error.into_response() }
        }
    }
}

/// Returns the output of a future, or `None` if it panics.
pub(super) async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
        // A future that panicked must not be polled again.
        Err(_) => Poll::Ready(None),
    });
    caught.await
}

#[cfg(test)]
mod tests {
    use super::{answer_panics, catch_panic};
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::post;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    fn router() -> Router {
        let panics = || async {
            tokio::task::yield_now().await;
            assert!(!std::hint::black_box(true), "a bug");
        };
        let good = || async { "good" };
        let routes = Router::new().route("/panics", post(panics)).route("/good", post(good));
        routes.layer(middleware::from_fn(answer_panics))
    }

    #[tokio::test]
    async fn panicking_handler_is_answered_over_http_and_grpc() {
        let request = |path: &str| Request::post(path).body(Body::empty()).unwrap();
        let response = router().oneshot(request("/good")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let response = router().oneshot(request("/panics")).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let mut grpc = request("/panics");
        grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let response = router().oneshot(grpc).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "13");
    }

    #[tokio::test]
    async fn panic_outside_of_the_layer_is_caught() {
        let panics = async { assert!(!std::hint::black_box(true), "a bug") };
        assert_eq!(catch_panic(panics).await, None);
        assert_eq!(catch_panic(async { 1 }).await, Some(1));
    }
}
