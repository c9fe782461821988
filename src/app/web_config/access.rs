//! Access control of the listeners.

use crate::config::web::contents::{RateLimit, WebConfig};
use crate::metrics::registry::Registry;
use crate::server::transport::access::authenticator::Authenticator;
use crate::server::transport::access::control::{AccessControl, AccessMetrics, GrpcCredentials};
use crate::server::transport::access::rate_limiter::RateLimiter;
use crate::server::transport::response_headers::ResponseHeaders;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Access to the listeners, except for the users.
#[derive(Debug, Clone)]
pub(crate) struct AccessConfig {
    /// Number of concurrent computations of bcrypt.
    pub(crate) password_checks: usize,
    /// Whether gRPC is served.
    pub(crate) is_grpc_enabled: bool,
    pub(crate) grpc: GrpcCredentials,
    /// Whether health and readiness need no credentials.
    pub(crate) open_probes: bool,
}

/// Access control, and the parts of it that a reload replaces.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) control: Arc<AccessControl>,
    pub(crate) headers: ResponseHeaders,
}

impl Access {
    /// Builds the parts with the rate limit of the start.
    ///
    /// # Errors
    /// The error of the system's random number generator.
    pub(crate) fn build(
        config: &AccessConfig,
        rate_limit: Option<RateLimit>,
        registry: &mut Registry,
    ) -> io::Result<Self> {
        let control = AccessControl {
            authenticator: Authenticator::register(registry, config.password_checks)?,
            rate_limiter: rate_limit.map(|limit| RateLimiter::new(limit, Instant::now())),
            grpc: config.grpc,
            open_probes: config.open_probes,
            metrics: AccessMetrics::register(registry),
        };
        Ok(Self { control: Arc::new(control), headers: ResponseHeaders::default() })
    }

    /// Applies users and headers to new requests.
    pub(crate) fn apply(&self, config: &WebConfig) {
        self.control.authenticator.replace_users(&config.users);
        self.headers.replace(&config.http);
    }
}
