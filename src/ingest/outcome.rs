//! Counts of stored and rejected items of a write request.

use crate::ingest::dry_run::DryRunRejections;
use crate::ingest::rejections::Rejections;

/// Outcome of a decoded write request. Duplicate samples count as stored.
#[derive(Debug, Clone, Default)]
pub struct WriteOutcome {
    /// Number of stored float samples.
    pub samples: u64,
    /// Number of stored native histograms.
    pub histograms: u64,
    /// Number of stored exemplars.
    pub exemplars: u64,
    /// Number of exemplars ignored because exemplar storage is disabled. The sender is not
    /// notified.
    pub exemplars_ignored: u64,
    /// Number of stored samples and histograms that came without metadata.
    pub without_metadata: u64,
    /// Number of metadata entries of metric families, duplicates and rejected ones included.
    pub families: u64,
    /// Newest timestamp of the samples and histograms, ms; `None` if there are none. Rejected ones
    /// count unless their whole series is rejected.
    pub newest_ms: Option<i64>,
    /// Rejected items by reason.
    pub rejections: Rejections,
    /// Items over limits in a dry run.
    pub dry_run: DryRunRejections,
}
