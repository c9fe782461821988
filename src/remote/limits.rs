//! Limits of a write request.

use crate::remote::metadata::MetadataLimits;
use crate::remote::request_index_v1::CountLimits;

/// Limits of a request and its items.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits {
    /// Maximum size of a request after decompression, bytes.
    pub decoded_bytes: usize,
    /// Maximum number of series and samples.
    pub counts: CountLimits,
    /// Limits of the labels of a new series.
    pub labels: LabelLimits,
    /// Limits of the metadata of a metric family.
    pub metadata: MetadataLimits,
    /// Maximum time by which a sample may be ahead of the server clock, ms.
    pub max_future_ms: i64,
}

/// Limits of the labels of a new series.
#[derive(Debug, Clone, Copy)]
pub struct LabelLimits {
    /// Maximum number of labels.
    pub count: usize,
    /// Maximum size of a name, bytes.
    pub name_bytes: usize,
    /// Maximum size of a value, bytes.
    pub value_bytes: usize,
}
