//! A handler that panics is answered as a fault, so that no request goes unanswered and no other one of its connection suffers.
//!
//! Handlers hand work to blocking threads, whose panics they see themselves; this is for the rest of their code. The log has the
//! panic by then.

use crate::server::grpc;
use crate::server::request_error::RequestError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Middleware around all handlers.
pub(crate) async fn answer_panics(request: Request, next: Next) -> Response {
    let is_grpc = grpc::is_grpc(&request);
    let mut answer = pin!(next.run(request));
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(response)) => Poll::Ready(Some(response)),
        // Not polled again.
        Err(_) => Poll::Ready(None),
    });
    match caught.await {
        Some(response) => response,
        None => {
            let refused = RequestError::Internal("internal error".to_owned());
            if is_grpc { grpc::error_response(refused.into_grpc()) } else { refused.into_http() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::answer_panics;
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
        let answer = router().oneshot(request("/good")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = router().oneshot(request("/panics")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let mut grpc = request("/panics");
        grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = router().oneshot(grpc).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "13");
    }
}
