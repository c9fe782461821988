//! Access control: the rate limit, then the credentials.
//!
//! The rate limit comes first, so a wrong password costs a token, too.

use crate::metrics::registry::{Counter, Registry};
use crate::server::transport::access::authenticator::{AuthenticatedUser, Authenticator, Verdict};
use crate::server::transport::access::password_checks::CheckPasswordError;
use crate::server::transport::access::rate_limiter::RateLimiter;
use crate::server::transport::client_limit::PeerAddress;
use axum::http::HeaderMap;
use std::time::Instant;

/// Credentials that a gRPC method needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcCredentials {
    /// User and password in the metadata `authorization`, if the web configuration has users.
    Basic,
    /// Verified client certificate.
    Certificate,
}

/// Credentials that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequiredCredentials {
    /// None: the path is open.
    Nothing,
    /// User and password, if the web configuration has users.
    Password,
    /// Verified client certificate.
    Certificate,
}

/// Reason for which a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessError {
    /// The rate limit is exceeded.
    RateLimited,
    /// The credentials are missing, malformed or wrong.
    Unauthenticated,
    /// The password was not checked.
    Unchecked(CheckPasswordError),
}

/// Rate limit and users.
#[derive(Debug)]
pub struct AccessControl {
    pub(crate) authenticator: Authenticator,
    pub(crate) rate_limiter: Option<RateLimiter>,
    pub(crate) grpc: GrpcCredentials,
    /// Whether probes need no credentials.
    pub(crate) open_probes: bool,
    pub(crate) metrics: AccessMetrics,
}

/// Metrics of rejected requests.
#[derive(Debug)]
pub(crate) struct AccessMetrics {
    unauthenticated: Counter,
    rate_limited: Counter,
}

impl AccessMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        Self {
            unauthenticated: registry.counter(
                "narthex_unauthenticated_requests_total",
                "Requests with missing, malformed or wrong credentials.",
            ),
            rate_limited: registry.counter(
                "narthex_rate_limited_requests_total",
                "Requests beyond the rate limit of the web configuration.",
            ),
        }
    }
}

/// Part of a request that decides about its access.
#[derive(Debug)]
pub(crate) struct AccessRequest<'a> {
    pub(crate) required: RequiredCredentials,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) client: Option<PeerAddress>,
    /// Whether the connection has a verified client certificate.
    pub(crate) has_certificate: bool,
}

impl AccessControl {
    /// Admits a request or returns the reason against it. Returns the user if a password was
    /// checked.
    pub(crate) async fn admit(
        &self,
        request: AccessRequest<'_>,
    ) -> Result<Option<AuthenticatedUser>, AccessError> {
        if self.rate_limiter.as_ref().is_some_and(|limiter| !limiter.allow(Instant::now())) {
            self.metrics.rate_limited.inc();
            return Err(AccessError::RateLimited);
        }
        let verdict = match request.required {
            RequiredCredentials::Nothing => Verdict::Open,
            RequiredCredentials::Certificate if request.has_certificate => Verdict::Open,
            RequiredCredentials::Certificate => Verdict::Rejected,
            RequiredCredentials::Password => {
                let verified = self.authenticator.verify(request.headers, request.client).await;
                verified.map_err(AccessError::Unchecked)?
            }
        };
        match verdict {
            Verdict::Open => Ok(None),
            Verdict::Accepted(user) => Ok(Some(user)),
            Verdict::Rejected => {
                self.metrics.unauthenticated.inc();
                tracing::debug!(client = ?request.client, "rejected credentials");
                Err(AccessError::Unauthenticated)
            }
        }
    }
}
