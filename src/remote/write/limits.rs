//! Limits of a write request.

use crate::ingest::limits::IngestLimits;

/// Limits of a request and its items.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits {
    /// Maximum size of a request after decompression, bytes.
    pub decoded_bytes: usize,
    /// Maximum number of series and samples.
    pub counts: CountLimits,
    /// Limits of single items.
    pub items: IngestLimits,
}

/// Maximum numbers of items in one request.
#[derive(Debug, Clone, Copy)]
pub struct CountLimits {
    /// Maximum number of entries in `timeseries`.
    pub series: u64,
    /// Maximum number of samples, exemplars and histograms together.
    pub samples: u64,
}
