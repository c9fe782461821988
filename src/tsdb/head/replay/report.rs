//! Progress and counts of replays.

use crate::model::refs::SeriesRef;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::segment::Segment;
use hashbrown::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// Progress of a replay in segment numbers, for `/api/v1/status/walreplay`: those of the WAL, then
/// those of the WBL, as in Prometheus.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    /// First segment to read.
    pub min: AtomicI64,
    /// Last segment to read.
    pub max: AtomicI64,
    /// Segment that is being read.
    pub current: AtomicI64,
}

impl ReplayProgress {
    /// Begins the replay of a log. A log without segments leaves the progress of the one before.
    pub fn start(&self, segments: &[Segment]) {
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return };
        self.min.store(i64::from(first.number), Ordering::Relaxed);
        self.max.store(i64::from(last.number), Ordering::Relaxed);
        self.current.store(i64::from(first.number), Ordering::Relaxed);
    }
}

/// Counts of a WAL replay.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// Samples appended to series.
    pub samples: u64,
    /// Samples skipped because a full chunk has them or the series has newer ones.
    pub samples_in_chunks: u64,
    /// Samples older than the head accepts.
    pub samples_before_head: u64,
    /// Entries that refer to no known series, for example samples of a deleted one.
    pub unknown_refs: u64,
    /// Chunks in `chunks_head/` whose series has no record.
    pub orphaned_chunks: u64,
    /// Chunks in `chunks_head/` that are not in time order or unreadable; their samples come from
    /// the WAL.
    pub chunks_skipped: u64,
    /// Series whose chunks were replaced by those of a second reference.
    pub chunk_overlaps: u64,
    /// Skipped native histograms that are invalid or have an unknown schema.
    pub invalid_histograms: u64,
    /// Metadata entries of all series.
    pub metadata: u64,
    /// Metadata entries of unknown series.
    pub metadata_unknown: u64,
    /// Records of an unknown newer type.
    pub unknown_records: u64,
}

/// Result of a WAL replay.
#[derive(Debug)]
pub struct ReplayOutcome {
    /// Counts up to the end or the first corruption.
    pub report: ReplayReport,
    /// Corruption at which the replay stopped.
    pub corruption: Option<ReadLogError>,
    /// Second references of series, with the reference in the head.
    pub aliases: HashMap<SeriesRef, SeriesRef>,
}
