//! Middleware in front of all routes: rate limit and credentials.
//!
//! It also covers unknown paths, redirects and the landing page. Only the check of the Host header
//! is outside. The layer that catches the panics of handlers is inside, so this one catches its
//! own. Handlers find the user of an admitted request in its extensions.

use crate::server::contract::access;
use crate::server::requests::time_limits::RouteKind;
use crate::server::router::panics;
use crate::server::router::route_table::KnownPath;
use crate::server::transport::access::control::{
    AccessControl, AccessError, AccessRequest, GrpcCredentials, RequiredCredentials,
};
use crate::server::transport::access::password_checks::CheckPasswordError;
use crate::server::transport::client_cert::VerifiedClientCert;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::framing;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// State of the middleware.
#[derive(Debug)]
pub(crate) struct AccessGate {
    control: Arc<AccessControl>,
    /// Routes of HTTP that take data from senders, which must not get 429.
    writes: Vec<Arc<str>>,
    /// Routes of HTTP that a flag opens.
    probes: Vec<Arc<str>>,
    /// Routes of gRPC.
    grpc: Vec<&'static str>,
}

impl AccessGate {
    pub(crate) fn new(
        control: Arc<AccessControl>,
        http: &[KnownPath],
        grpc: Vec<&'static str>,
    ) -> Self {
        let patterns = |kind| {
            http.iter()
                .filter(|known| known.kind == kind)
                .map(|known| known.pattern.clone())
                .collect()
        };
        let probes = if control.open_probes { patterns(RouteKind::Probe) } else { Vec::new() };
        Self { control, writes: patterns(RouteKind::Write), probes, grpc }
    }

    /// Returns `true` if a sender may lose data by 429. A sender follows the redirect of a path
    /// that no route has, for example `//api/v1/write`, and so writes by it.
    fn is_write(&self, request: &Request) -> bool {
        let is_safe = || [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
        pattern(request).map_or_else(|| !is_safe(), |path| contains(&self.writes, path))
    }

    fn required(&self, request: &Request, is_grpc: bool) -> RequiredCredentials {
        if is_grpc && self.control.grpc == GrpcCredentials::Certificate {
            // The content type is that of the client. It must not replace the password of an HTTP
            // route by a certificate.
            if pattern(request).is_none_or(|pattern| self.grpc.contains(&pattern)) {
                return RequiredCredentials::Certificate;
            }
        }
        match pattern(request) {
            Some(pattern) if contains(&self.probes, pattern) => RequiredCredentials::Nothing,
            _ => RequiredCredentials::Password,
        }
    }
}

/// Returns the pattern of the route of a request.
fn pattern(request: &Request) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

fn contains(patterns: &[Arc<str>], pattern: &str) -> bool {
    patterns.iter().any(|known| **known == *pattern)
}

/// Middleware that passes admitted requests on.
pub(crate) async fn admit(
    State(gate): State<Arc<AccessGate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_grpc = framing::is_grpc(&request);
    let access = AccessRequest {
        required: gate.required(&request, is_grpc),
        headers: request.headers(),
        client: request.extensions().get::<PeerAddress>().copied(),
        has_certificate: request.extensions().get::<VerifiedClientCert>().is_some(),
    };
    let admitted = panics::catch_panic(gate.control.admit(access)).await;
    match admitted.unwrap_or(Err(AccessError::Unchecked(CheckPasswordError::Failed))) {
        Ok(user) => {
            if let Some(user) = user {
                request.extensions_mut().insert(user);
            }
            next.run(request).await
        }
        Err(error) if is_grpc => access::grpc_response(error),
        Err(error) => access::http_response(error, gate.is_write(&request)),
    }
}
