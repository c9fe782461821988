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
    /// Limits in a dry run. The fields above bound what it stores.
    pub dry_run: DryRunLimits,
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

/// Limits in a dry run. A limit that is enforced, or unlimited, has the maximum of its type.
#[derive(Debug, Clone, Copy)]
pub struct DryRunLimits {
    /// Limits of the labels of a new series.
    pub labels: LabelLimits,
    /// Limits of the metadata of a metric family.
    pub metadata: MetadataLimits,
    /// Maximum time by which a sample may be ahead of the server clock, ms.
    pub max_future_ms: i64,
    /// Maximum number of series in a request.
    pub series: u64,
    /// Maximum number of samples, histograms and exemplars in a request.
    pub samples: u64,
}

impl DryRunLimits {
    /// No limit is in a dry run.
    pub const NONE: Self = Self {
        labels: LabelLimits { count: usize::MAX, name_bytes: usize::MAX, value_bytes: usize::MAX },
        metadata: MetadataLimits { name_bytes: usize::MAX, text_bytes: usize::MAX },
        max_future_ms: i64::MAX,
        series: u64::MAX,
        samples: u64::MAX,
    };
}
