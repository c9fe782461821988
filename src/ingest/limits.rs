//! Limits of the items of a request, the same for all protocols.

use crate::ingest::metadata::MetadataLimits;

/// Limits of the items of a request.
#[derive(Debug, Clone, Copy)]
pub struct IngestLimits {
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
