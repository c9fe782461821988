//! Latest timestamp of a request, with and without a dry run.

use crate::ingest::limits::IngestLimits;

/// Latest accepted timestamps of a request, ms since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampBound {
    /// Arrival of the request.
    pub(crate) now: i64,
    /// Latest timestamp within the limit.
    pub(crate) latest: i64,
    /// Latest accepted timestamp; later than `latest` in a dry run.
    pub(crate) latest_accepted: i64,
}

impl TimestampBound {
    /// Returns the bound of a request that arrived at `now`.
    pub(crate) fn new(limits: &IngestLimits, now: i64) -> Self {
        let latest_accepted = now.saturating_add(limits.max_future_ms);
        let dry_run = now.saturating_add(limits.dry_run.max_future_ms);
        Self { now, latest: dry_run.min(latest_accepted), latest_accepted }
    }
}
