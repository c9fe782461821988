//! Metadata of the head's series: type, unit and help text, of each series the latest.
//!
//! | file         | what                                                                |
//! |--------------|---------------------------------------------------------------------|
//! | [`pool`]     | each value is in memory once, however many series have it           |
//! | [`families`] | what was sent for whole metric families, for series yet to come     |
//! | [`list`]     | the metadata of all series, by metric family                        |
//! | [`restore`]  | from the log alone, beside a snapshot of the head                   |
//!
//! A series holds its metadata itself ([`crate::tsdb::head::series::SeriesState::metadata`]): a pointer, `None` where there is none. It is
//! set by appends (`append/metadata.rs`), which log it, and by replay; it goes with its series. Metadata has no time and is in no block.
//!
//! The log and its checkpoints have it by series, as Prometheus writes it, and nothing has it by family: families are remembered in
//! memory only, and their senders repeat them every minute.

pub mod families;
pub mod list;
pub mod pool;
pub mod restore;

use crate::tsdb::head::metadata::families::MetricFamilies;
use crate::tsdb::head::metadata::pool::MetadataPool;

/// What the head knows of metadata beside that of each series.
#[derive(Debug, Default)]
pub struct HeadMetadata {
    /// Each value once.
    pub pool: MetadataPool,
    /// What was sent for families.
    pub families: MetricFamilies,
}
