//! Tables of routes: every route of the server, with its properties.

use crate::server::management::web_state::WebState;
use crate::server::requests::time_limits::{RouteKind, TimeLimits};
use crate::server::router::route_layers;
use crate::server::router::time_limit::LimitedRouter;
use crate::server::state::SharedState;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any, get, post};
use std::convert::Infallible;
use std::sync::Arc;
use tower::Service;

/// Served path and its methods. A segment in braces matches any segment.
#[derive(Clone, Debug)]
pub(crate) struct KnownPath {
    /// Path with the route prefix.
    pub(crate) pattern: Arc<str>,
    pub(crate) methods: Vec<Method>,
    pub(crate) kind: RouteKind,
}

impl KnownPath {
    /// Returns `true` if the path is served for the method.
    pub(crate) fn serves(&self, method: &Method, path: &str) -> bool {
        // A response to HEAD is that to GET without its body.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.contains(method) && matches_pattern(&self.pattern, path)
    }
}

fn matches_pattern(pattern: &str, path: &str) -> bool {
    let (mut expected, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(expected), Some(given)) if expected == given => {}
            (Some(expected), Some(given)) if expected.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Routes of HTTP below the route prefix, and the list of their paths, methods and kinds.
pub(super) struct HttpRoutes {
    web: Arc<WebState>,
    pub(super) router: LimitedRouter<SharedState>,
    pub(super) known: Vec<KnownPath>,
}

impl HttpRoutes {
    pub(super) fn new(states: &SharedState) -> Self {
        let router = LimitedRouter::new(states.time_limits);
        Self { web: states.web.clone(), router, known: Vec::new() }
    }

    /// Adds a route outside of the route prefix, if there is a prefix.
    pub(super) fn outside_prefix(
        self,
        path: &'static str,
        route: MethodRouter<SharedState>,
    ) -> Self {
        if self.web.route_prefix.is_empty() {
            return self;
        }
        Self { router: self.router.route(path, route), ..self }
    }

    /// Sets the kind of the routes that are added next.
    pub(super) fn of_kind(self, kind: RouteKind) -> Self {
        Self { router: self.router.of_kind(kind), ..self }
    }

    pub(super) fn get<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, SharedState>,
    ) -> Self {
        self.add(path, &[Method::GET], get(handler))
    }

    pub(super) fn post<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, SharedState>,
    ) -> Self {
        self.add(path, &[Method::POST], post(handler))
    }

    pub(super) fn get_or_post<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, SharedState>,
    ) -> Self {
        self.add(path, &[Method::GET, Method::POST], get(handler.clone()).post(handler))
    }

    pub(super) fn post_or_put<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, SharedState>,
    ) -> Self {
        self.add(path, &[Method::POST, Method::PUT], post(handler.clone()).put(handler))
    }

    pub(super) fn add(
        mut self,
        path: &'static str,
        methods: &[Method],
        route: MethodRouter<SharedState>,
    ) -> Self {
        let pattern = format!("{}{path}", self.web.route_prefix);
        let kind = self.router.kind();
        let web = self.web.clone();
        self.router = self
            .router
            .layered_route(&pattern, route, |route| route_layers::wrap(&web, path, methods, route));
        self.known.push(KnownPath { pattern: pattern.into(), methods: methods.to_vec(), kind });
        self
    }
}

/// Routes of gRPC, and the list of their paths.
pub(super) struct GrpcRoutes {
    pub(super) router: LimitedRouter<SharedState>,
    pub(super) paths: Vec<&'static str>,
}

impl GrpcRoutes {
    pub(super) fn new(limits: TimeLimits) -> Self {
        Self { router: LimitedRouter::new(limits), paths: Vec::new() }
    }

    /// Sets the kind of the routes that are added next.
    pub(super) fn of_kind(self, kind: RouteKind) -> Self {
        Self { router: self.router.of_kind(kind), ..self }
    }

    pub(super) fn method<T: 'static>(
        mut self,
        path: &'static str,
        handler: impl Handler<T, SharedState>,
    ) -> Self {
        self.paths.push(path);
        Self { router: self.router.route(path, any(handler)), ..self }
    }

    pub(super) fn service<S>(mut self, path: &'static str, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.paths.push(path);
        Self { router: self.router.route_service(path, service), ..self }
    }
}
