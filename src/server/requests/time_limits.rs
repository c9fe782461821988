//! Time limits of requests, from the head of the request to the head of its response.
//!
//! The router applies one to every route, by its [`RouteKind`]. The time to receive a body and to
//! send the rest of a response have limits of their own in [`crate::server::transport`].

use crate::config::units;
use std::time::Duration;

/// Kind of a route, by its time limit, the form of its errors and its access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteKind {
    /// Writes.
    Write,
    /// Remote reads and exports.
    Read,
    /// Look-ups of labels, series, metadata and exemplars.
    List,
    /// Admin operations.
    Admin,
    /// Status of the API.
    Status,
    /// Health and readiness, which `--web.health-without-auth` opens.
    Probe,
    /// Pages, metrics and the lifecycle API.
    Page,
}

/// Time limits of all kinds of routes.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// Maximum time of a write.
    pub write: Duration,
    /// Maximum time of a read, an export or a look-up.
    pub query: Duration,
    /// Maximum time of an admin operation.
    pub admin: Duration,
    /// Maximum time of any other request.
    pub other: Duration,
}

/// Time limit of one route. The error names the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request took longer than {} ({flag}){}",
    units::format_prometheus_duration(*time),
    self.consequence()
)]
pub(crate) struct TimeLimit {
    pub(crate) kind: RouteKind,
    pub(crate) time: Duration,
    flag: &'static str,
}

impl TimeLimits {
    /// Returns the limit of routes of this kind.
    pub(crate) fn of(&self, kind: RouteKind) -> TimeLimit {
        let (time, flag) = match kind {
            RouteKind::Write => (self.write, "--storage.remote.write-timeout"),
            RouteKind::Read | RouteKind::List => (self.query, "--query.timeout"),
            RouteKind::Admin => (self.admin, "--web.admin-timeout"),
            RouteKind::Status | RouteKind::Probe | RouteKind::Page => {
                (self.other, "--web.request-timeout")
            }
        };
        TimeLimit { kind, time, flag }
    }
}

impl TimeLimit {
    /// Describes the outcome of a request that is over its limit.
    fn consequence(&self) -> &'static str {
        match self.kind {
            RouteKind::Write => "; it may still be stored, and a retry is safe",
            RouteKind::Admin => "; the operation continues",
            RouteKind::Read
            | RouteKind::List
            | RouteKind::Status
            | RouteKind::Probe
            | RouteKind::Page => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RouteKind, TimeLimits};
    use std::time::Duration;

    #[test]
    fn error_names_time_flag_and_consequence() {
        let [write, query, admin, other] = [90, 120, 3600, 60].map(Duration::from_secs);
        let limits = TimeLimits { write, query, admin, other };
        for (kind, message) in [
            (
                RouteKind::Write,
                "the request took longer than 1m30s (--storage.remote.write-timeout); \
                 it may still be stored, and a retry is safe",
            ),
            (RouteKind::Read, "the request took longer than 2m (--query.timeout)"),
            (RouteKind::List, "the request took longer than 2m (--query.timeout)"),
            (
                RouteKind::Admin,
                "the request took longer than 1h (--web.admin-timeout); the operation continues",
            ),
            (RouteKind::Status, "the request took longer than 1m (--web.request-timeout)"),
            (RouteKind::Page, "the request took longer than 1m (--web.request-timeout)"),
        ] {
            assert_eq!(limits.of(kind).to_string(), message);
        }
    }
}
