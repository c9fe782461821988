//! Time limits of requests, from the end of the request body to the head of the response.
//!
//! The router applies one to every route, by its [`RouteKind`]. The time to receive a body and to
//! send the rest of a response have limits of their own in [`crate::server::transport`].
//!
//! The error says what became of the request. A write may be stored in any case. An admin operation
//! continues only if it has started, which its handler tells by a [`StartMark`].

use crate::config::units;
use axum::http::Extensions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Maximum time for the body of a request to arrive, after which the other limits begin in any
    /// case.
    pub body: Duration,
}

/// Time limit of one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimit {
    pub(crate) kind: RouteKind,
    pub(crate) time: Duration,
    /// Maximum time before `time` begins.
    pub(crate) body: Duration,
    flag: &'static str,
}

/// Progress of a request that is over its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The request waits for its turn.
    Waiting,
    /// The request is carried out.
    Started,
}

/// Mark of a request whose work outlives its handler. The router adds it to admin requests, and the
/// handler sets it immediately before the work starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartMark(Arc<AtomicBool>);

impl StartMark {
    /// Returns the mark of a request; without one, a mark that nobody reads.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> Progress {
        if self.0.load(Ordering::Relaxed) { Progress::Started } else { Progress::Waiting }
    }
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
        TimeLimit { kind, time, body: self.body, flag }
    }
}

impl TimeLimit {
    /// Returns the error of a request that is over the limit. It names the flag and the outcome.
    pub(crate) fn message(&self, progress: Progress) -> String {
        let outcome = match (self.kind, progress) {
            (RouteKind::Write, _) => "; it may still be stored, and a retry is safe",
            (RouteKind::Admin, Progress::Started) => "; the operation continues",
            (RouteKind::Admin, Progress::Waiting) => "; the operation was not started",
            (
                RouteKind::Read
                | RouteKind::List
                | RouteKind::Status
                | RouteKind::Probe
                | RouteKind::Page,
                _,
            ) => "",
        };
        let time = units::format_prometheus_duration(self.time);
        format!("the request took longer than {time} ({}){outcome}", self.flag)
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, RouteKind, StartMark, TimeLimits};
    use std::time::Duration;

    #[test]
    fn error_names_time_flag_and_consequence() {
        let [write, query, admin, other, body] = [90, 120, 3600, 60, 300].map(Duration::from_secs);
        let limits = TimeLimits { write, query, admin, other, body };
        let mark = StartMark::default();
        assert_eq!(
            limits.of(RouteKind::Admin).message(mark.progress()),
            "the request took longer than 1h (--web.admin-timeout); the operation was not started"
        );
        mark.set();
        assert_eq!(mark.progress(), Progress::Started);
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
            assert_eq!(limits.of(kind).message(mark.progress()), message);
        }
    }
}
