//! Routes with a time limit. [`LimitedRouter`] is the only way to add a route.
//!
//! The time begins when the body has arrived, which has a limit of its own: a slow upload is not
//! slow work. A request over its limit gets 503 (gRPC: UNAVAILABLE), and its handler is dropped, as
//! after a disconnect of the client. Work that waits for a permit is dropped with it. Work on a
//! blocking thread ends on its own: reads and lists stop soon, writes and admin operations finish.
//! A response that has started is not affected.
//!
//! The layers of a route are around its limit, so the 503 has their headers, too.

use crate::server::contract;
use crate::server::contract::api_error::ApiError;
use crate::server::contract::request_error::RequestError;
use crate::server::requests::time_limits::{RouteKind, StartMark, TimeLimit, TimeLimits};
use crate::server::router::body_arrival;
use crate::server::transport::framing;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any_service};
use axum::{Router, middleware};
use std::convert::Infallible;
use std::pin::pin;
use tower::Service;

/// Router whose routes all have a time limit.
pub(super) struct LimitedRouter<S> {
    router: Router<S>,
    limits: TimeLimits,
    /// Kind of the routes that are added next.
    kind: RouteKind,
}

impl<S: Clone + Send + Sync + 'static> LimitedRouter<S> {
    /// Creates a router without routes. The first routes are pages.
    pub(super) fn new(limits: TimeLimits) -> Self {
        Self { router: Router::new(), limits, kind: RouteKind::Page }
    }

    /// Sets the kind of the routes that are added next.
    pub(super) fn of_kind(self, kind: RouteKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns the kind of the routes that are added next.
    pub(super) fn kind(&self) -> RouteKind {
        self.kind
    }

    /// Adds a route.
    pub(super) fn route(self, path: &str, route: MethodRouter<S>) -> Self {
        self.layered_route(path, route, |route| route)
    }

    /// Adds a route with layers around its time limit.
    pub(super) fn layered_route(
        self,
        path: &str,
        route: MethodRouter<S>,
        add_layers: impl FnOnce(MethodRouter<S>) -> MethodRouter<S>,
    ) -> Self {
        let limit = self.limits.of(self.kind);
        let route = add_layers(route.layer(middleware::from_fn_with_state(limit, enforce)));
        Self { router: self.router.route(path, route), ..self }
    }

    /// Adds a route that a service handles.
    pub(super) fn route_service<T>(self, path: &str, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse,
        T::Future: Send + 'static,
    {
        self.route(path, any_service(service))
    }

    pub(super) fn into_router(self) -> Router<S> {
        self.router
    }
}

/// Middleware that responds to a request whose handler exceeds the limit.
async fn enforce(State(limit): State<TimeLimit>, mut request: Request, next: Next) -> Response {
    let is_grpc = framing::is_grpc(&request);
    let mark = StartMark::default();
    if limit.kind == RouteKind::Admin {
        request.extensions_mut().insert(mark.clone());
    }
    let (request, arrival) = body_arrival::watch(request);
    let mut handling = pin!(next.run(request));
    let limit_reached = async {
        // The error means that the body takes too long. Its reader knows, if there is one.
        let _ = tokio::time::timeout(limit.body, arrival).await;
        tokio::time::sleep(limit.time).await;
    };
    tokio::select! {
        // A response that is ready at the limit is sent.
        biased;
        response = &mut handling => response,
        () = limit_reached => respond(limit, limit.message(mark.progress()), is_grpc),
    }
}

fn respond(limit: TimeLimit, message: String, is_grpc: bool) -> Response {
    match limit.kind {
        _ if is_grpc => contract::grpc::error_response(RequestError::Unavailable(message)),
        RouteKind::Write | RouteKind::Read | RouteKind::Probe | RouteKind::Page => {
            RequestError::Unavailable(message).into_response()
        }
        RouteKind::List | RouteKind::Admin | RouteKind::Status => {
            ApiError::Unavailable(message).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LimitedRouter;
    use crate::server::requests::time_limits::{RouteKind, TimeLimits};
    use crate::testing::channel_body::ChannelBody;
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::routing::any;
    use bytes::Bytes;
    use std::convert::Infallible;
    use std::future::pending;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tower::{ServiceExt, service_fn};

    const KINDS: [(RouteKind, &str, bool); 7] = [
        (RouteKind::Write, "1ms (--storage.remote.write-timeout)", false),
        (RouteKind::Read, "2ms (--query.timeout)", false),
        (RouteKind::List, "2ms (--query.timeout)", true),
        (RouteKind::Admin, "3ms (--web.admin-timeout)", true),
        (RouteKind::Status, "4ms (--web.request-timeout)", true),
        (RouteKind::Probe, "4ms (--web.request-timeout)", false),
        (RouteKind::Page, "4ms (--web.request-timeout)", false),
    ];

    fn limits() -> TimeLimits {
        let [write, query, admin, other] = [1, 2, 3, 4].map(Duration::from_millis);
        TimeLimits { write, query, admin, other, body: Duration::from_secs(600) }
    }

    #[tokio::test]
    async fn route_of_every_kind_responds_503_at_its_limit() {
        for (kind, message, is_json) in KINDS {
            let routes = LimitedRouter::new(limits()).of_kind(kind);
            let router = routes
                .route("/handler", any(pending::<()>))
                .route_service("/service", service_fn(|_| pending::<Result<String, _>>()))
                .into_router()
                .with_state(());
            for path in ["/handler", "/service"] {
                let request = Request::post(path).body(Body::empty()).unwrap();
                let response = router.clone().oneshot(request).await.unwrap();
                assert_eq!(response.status(), 503, "{kind:?}");
                let text = to_bytes(response.into_body(), 1000).await.unwrap();
                let text = std::str::from_utf8(&text).unwrap();
                assert!(text.contains(message), "{text}");
                assert_eq!(text.starts_with('{'), is_json, "{text}");
                let request = Request::post(path).header("content-type", "application/grpc");
                let request = request.body(Body::empty()).unwrap();
                let response = router.clone().oneshot(request).await.unwrap();
                assert_eq!(response.headers()["grpc-status"], "14", "{kind:?}");
            }
        }
    }

    /// Sends a request to a write route with these limits, whose handler reads the body first.
    async fn upload(limits: TimeLimits, body: ChannelBody<Infallible>) -> u16 {
        let handler = async |request: Request| {
            drop(to_bytes(request.into_body(), 1000).await);
        };
        let routes = LimitedRouter::new(limits).of_kind(RouteKind::Write);
        let router = routes.route("/", any(handler)).into_router().with_state(());
        let request = Request::post("/").body(Body::new(body)).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn limit_begins_when_the_body_has_arrived() {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
            }
        });
        assert_eq!(upload(limits(), ChannelBody::from(receiver)).await, 200);
    }

    #[tokio::test]
    async fn body_that_does_not_arrive_ends_at_the_limit() {
        let (_sender, receiver) = mpsc::channel(1);
        let limits = TimeLimits { body: Duration::from_millis(5), ..limits() };
        assert_eq!(upload(limits, ChannelBody::from(receiver)).await, 503);
    }

    #[tokio::test]
    async fn response_of_a_fast_handler_is_unchanged() {
        for (kind, ..) in KINDS {
            let routes = LimitedRouter::new(limits()).of_kind(kind);
            let router = routes.route("/", any(async || "done")).into_router().with_state(());
            let request = Request::get("/").body(Body::empty()).unwrap();
            let response = router.oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(to_bytes(response.into_body(), 1000).await.unwrap(), "done");
        }
    }
}
