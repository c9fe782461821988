//! Side data of the head: everything about series that is neither a sample nor a label.

use crate::tsdb::head::exemplars::ExemplarStorage;
use crate::tsdb::head::metadata::HeadMetadata;
use crate::tsdb::head::tombstones::HeadTombstones;

/// Tombstones, exemplars and metadata of the head's series.
#[derive(Debug, Default)]
pub struct SideData {
    /// Tombstones of series in the head.
    pub tombstones: HeadTombstones,
    /// Newest exemplars of all series.
    pub exemplars: ExemplarStorage,
    /// Metadata of metric families, in addition to that of each series.
    pub metadata: HeadMetadata,
}
