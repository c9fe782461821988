//! Limits of a write request.

use crate::ingest::limits::IngestLimits;
use crate::remote::request_index_v1::CountLimits;

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
