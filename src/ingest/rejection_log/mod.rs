//! Recent rejections for the status API and the program's log, the same for all protocols.
//!
//! A request with rejected data records one entry per reason, and one per exceeded limit in a dry
//! run. A request that is rejected as a whole records one entry. Entries have labels, which are
//! data of the sender, and the name of the user. They have neither headers nor passwords.
//!
//! # Locking
//! A mutex guards the ring. It is held to add the entries of one request, or to copy references. A
//! request that is stored completely does not take it.
//!
//! | module | content |
//! |---|---|
//! | [`entry`] | sender, reason and counts of an entry |
//! | `ring` | ring of entries within a number of bytes |

pub mod entry;
mod ring;

use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::RejectReason;
use crate::ingest::rejection_log::entry::{
    RecentRejections, Rejection, RequestOrigin, RequestRejection,
};
use crate::ingest::rejection_log::ring::RejectionRing;
use crate::log_limit::LogLimit;
use parking_lot::Mutex;
use std::time::Instant;

/// Maximum memory of the ring, bytes.
const RING_BYTES: usize = 1 << 20;

/// Messages of lines in the log.
const DATA_LINE: &str = "rejected data";
const DRY_RUN_LINE: &str = "stored data over a limit in a dry run";
const REQUEST_LINE: &str = "rejected write request";

/// Recent rejections. Lines of the log have rate limits of their own.
#[derive(Debug)]
pub struct RejectionLog {
    ring: Mutex<RejectionRing>,
    data_lines: LogLimit,
    dry_run_lines: LogLimit,
    request_lines: LogLimit,
}

impl Default for RejectionLog {
    fn default() -> Self {
        Self {
            ring: Mutex::new(RejectionRing::new(RING_BYTES)),
            data_lines: LogLimit::new(DATA_LINE),
            dry_run_lines: LogLimit::new(DRY_RUN_LINE),
            request_lines: LogLimit::new(REQUEST_LINE),
        }
    }
}

impl RejectionLog {
    /// Records the rejected data of a request, and the data over limits in a dry run. Does nothing
    /// for a request without both. `now_ms` is the time in ms since the Unix epoch.
    #[inline]
    pub fn record_outcome(&self, origin: &RequestOrigin, outcome: &WriteOutcome, now_ms: i64) {
        if !outcome.rejections.is_empty() {
            self.record_rejections(origin, outcome, now_ms);
        }
        if !outcome.dry_run.is_empty() {
            self.record_dry_run(origin, outcome, now_ms);
        }
    }

    #[cold]
    fn record_rejections(&self, origin: &RequestOrigin, outcome: &WriteOutcome, now_ms: i64) {
        let rejections = &outcome.rejections;
        let mut ring = self.ring.lock();
        for reason in RejectReason::ALL {
            let count = rejections.count(reason);
            if count > 0 {
                let (series, detail) =
                    rejections.example(reason).map_or(("", ""), |named| named.explain(reason));
                let rejection =
                    Rejection { reason: reason.label(), limit: None, series, detail, count };
                ring.record(origin, &rejection, now_ms);
            }
        }
        drop(ring);
        if let Some(suppressed) = self.data_lines.admit(Instant::now()) {
            let (protocol, user) = (origin.protocol, origin.display_user());
            let sender = origin.display_sender();
            tracing::warn!(protocol, sender, user, %rejections, suppressed, "{DATA_LINE}");
        }
    }

    #[cold]
    fn record_dry_run(&self, origin: &RequestOrigin, outcome: &WriteOutcome, now_ms: i64) {
        let dry_run = &outcome.dry_run;
        let mut ring = self.ring.lock();
        for example in dry_run.examples() {
            let limit = example.over.limit;
            let rejection = Rejection {
                reason: limit.reason(),
                limit: Some(limit.flag()),
                series: &example.series,
                detail: &example.over.to_string(),
                count: dry_run.count(limit),
            };
            ring.record(origin, &rejection, now_ms);
        }
        drop(ring);
        if let Some(suppressed) = self.dry_run_lines.admit(Instant::now()) {
            let (protocol, user) = (origin.protocol, origin.display_user());
            let sender = origin.display_sender();
            tracing::warn!(
                protocol,
                sender,
                user,
                over_limit = %dry_run,
                suppressed,
                "{DRY_RUN_LINE}"
            );
        }
    }

    /// Records a request that is rejected as a whole. `detail` must not contain headers.
    #[cold]
    pub fn record_request(
        &self,
        origin: &RequestOrigin,
        reason: RequestRejection,
        detail: &str,
        now_ms: i64,
    ) {
        let reason = reason.label();
        let rejection = Rejection { reason, limit: None, series: "", detail, count: 1 };
        self.ring.lock().record(origin, &rejection, now_ms);
        if let Some(suppressed) = self.request_lines.admit(Instant::now()) {
            let (protocol, user) = (origin.protocol, origin.display_user());
            let sender = origin.display_sender();
            tracing::warn!(protocol, sender, user, reason, detail, suppressed, "{REQUEST_LINE}");
        }
    }

    /// Returns the newest entries, newest first, at most `limit`.
    #[must_use]
    pub fn newest(&self, limit: usize) -> RecentRejections {
        self.ring.lock().newest(limit)
    }
}

#[cfg(test)]
mod tests;
