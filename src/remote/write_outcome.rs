//! What became of a write request that was one.

use crate::remote::rejections::Rejections;

/// How much is stored, and what is not. What was stored before counts as stored.
#[derive(Debug, Clone, Default)]
pub struct WriteOutcome {
    /// Float samples that are stored.
    pub samples: u64,
    /// Native histograms that are stored.
    pub histograms: u64,
    /// Exemplars that are stored.
    pub exemplars: u64,
    /// Exemplars that are not, as whoever runs narthex wants none: their sender need not hear of it.
    pub exemplars_ignored: u64,
    /// Samples and histograms that are stored and came without metadata.
    pub without_metadata: u64,
    /// Newest timestamp of the samples and histograms, rejected ones included, ms; `None` if there
    /// are none.
    pub newest_ms: Option<i64>,
    /// What is not stored.
    pub rejections: Rejections,
}
