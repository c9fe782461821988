//! How much a write request may have.

use crate::remote::metadata::MetadataLimits;
use crate::remote::request_index_v1::CountLimits;

/// How much is taken.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits {
    /// Bytes of a request after decompression.
    pub decoded_bytes: usize,
    /// Series and samples of a request.
    pub counts: CountLimits,
    /// Labels of a series that is not known.
    pub labels: LabelLimits,
    /// Metadata of a metric family.
    pub metadata: MetadataLimits,
    /// How far ahead of the clock a sample may be, ms.
    pub max_future_ms: i64,
}

/// How large the labels of a new series may be.
#[derive(Debug, Clone, Copy)]
pub struct LabelLimits {
    /// How many labels.
    pub count: usize,
    /// Bytes of a name.
    pub name_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
}
