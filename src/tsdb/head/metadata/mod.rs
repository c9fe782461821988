//! Metadata of the head's series: the latest type, unit and help text of each.
//!
//! | module       | content                                                      |
//! |--------------|--------------------------------------------------------------|
//! | [`families`] | metadata of metric families, for existing and future series  |
//! | [`pool`]     | shares equal values among series                             |
//!
//! A series holds a pointer to its metadata
//! ([`crate::tsdb::head::series::state::SeriesState::metadata`]). Appends (`append/metadata.rs`)
//! log and set it, replay restores it, [`crate::tsdb::head::read::family_list`] lists it. Metadata
//! has no timestamp and is in no block.
//!
//! WAL and checkpoints have metadata per series, as in Prometheus. Families are kept in memory
//! only; their senders repeat them every minute.

pub mod families;
pub mod pool;

use crate::tsdb::head::metadata::families::MetricFamilies;
use crate::tsdb::head::metadata::pool::MetadataPool;

/// Metadata of the head, in addition to that of each series.
#[derive(Debug, Default)]
pub struct HeadMetadata {
    /// Values shared by all series.
    pub pool: MetadataPool,
    /// Metadata of metric families.
    pub families: MetricFamilies,
}
