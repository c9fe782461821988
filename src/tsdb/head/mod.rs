//! Head: the part of the database that takes appends, in memory, in the WAL and in `chunks_head/`.
//!
//! The parts of a head are below its workers, which borrow the parts that they need.
//!
//! | part               | content                                                             |
//! |--------------------|---------------------------------------------------------------------|
//! | [`stats`]          | counters                                                            |
//! | [`times`]          | time range of the head, and the times it accepts                    |
//! | [`in_flight`]      | in-flight requests; order of the WAL, visibility of samples         |
//! | [`log_batch_pool`] | reused log batches                                                  |
//! | [`out_of_order`]   | out-of-order samples of a series                                    |
//! | [`series`]         | series; store of all series with their references and index         |
//! | [`chunks`]         | m-mapped chunks in `chunks_head/`, rules for new chunks             |
//! | [`exemplars`]      | bounded storage of exemplars                                        |
//! | [`metadata`]       | type, unit and help text of series                                  |
//! | [`tombstones`]     | deleted time ranges of series                                       |
//! | [`side_data`]      | exemplars, metadata and tombstones of the head                      |
//!
//! | worker             | content                                                             |
//! |--------------------|---------------------------------------------------------------------|
//! | [`append`]         | appends: validation, chunks, WAL records                            |
//! | [`chunk_snapshot`] | head state written at a clean shutdown, for a start without replay  |
//! | [`deletion`]       | deletion of samples that are in the head                            |
//! | [`read`]           | queries, label lists, and sources for compaction                    |
//! | [`replay`]         | rebuilds the head from `chunks_head/`, checkpoint, WAL and WBL      |
//! | [`status`]         | counts, time range and label statistics                             |
//! | `source`           | the head as a source of queries and label lists                     |
//! | [`truncation`]     | removes chunks and series that blocks contain                       |
//!
//! # Locking
//! Order: the mutex of [`chunks::mapper`], then one series mutex, then the mutex of [`exemplars`].
//! The shards of the series map and of the inverted index are locked for lookups only, never
//! together with a series mutex.

pub mod append;
pub mod chunk_snapshot;
pub mod chunks;
pub mod deletion;
pub mod exemplars;
pub mod in_flight;
pub mod log_batch_pool;
pub mod metadata;
pub mod out_of_order;
pub mod read;
pub mod replay;
pub mod series;
pub mod side_data;
mod source;
pub mod stats;
pub mod status;
pub mod times;
pub mod tombstones;
pub mod truncation;

use crate::model::intervals::Intervals;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::exemplars::ExemplarStorage;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::log_batch_pool::LogBatchPool;
use crate::tsdb::head::metadata::HeadMetadata;
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::{SeriesLimit, SeriesStore};
use crate::tsdb::head::side_data::SideData;
use crate::tsdb::head::stats::HeadStats;
use crate::tsdb::head::times::HeadTimes;
use crate::tsdb::head::tombstones::Tombstone;
use crate::tsdb::index::mem_postings::MemPostings;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::wal::record::builder::RecordVersion;
use std::sync::Arc;

/// Appendable part of the database, shared by appends, queries and maintenance.
#[derive(Debug)]
pub struct Head {
    series: SeriesStore,
    chunks: ChunkStore,
    times: HeadTimes,
    side_data: SideData,
    in_flight: InFlightBatches,
    log_batches: LogBatchPool,
    stats: HeadStats,
}

/// Limits, encodings and start time for [`Head::new`].
#[derive(Debug)]
pub struct HeadOptions {
    /// Rules that end the open chunk.
    pub policy: CutPolicy,
    /// Limit of the number of series.
    pub series_limit: SeriesLimit,
    /// Samples before this time (ms) belong to blocks: they are neither accepted nor replayed.
    pub min_valid_time: i64,
    /// Encodings of new chunks.
    pub encodings: EncodingPolicy,
    /// Version of the sample records in the WAL. V1 drops start timestamps on append.
    pub record_version: RecordVersion,
}

impl Default for HeadOptions {
    /// Prometheus's defaults, without limits.
    fn default() -> Self {
        Self {
            policy: CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 120 },
            series_limit: SeriesLimit::NONE,
            min_valid_time: i64::MIN,
            encodings: EncodingPolicy::default(),
            record_version: RecordVersion::default(),
        }
    }
}

impl Head {
    /// Creates an empty head that writes full chunks to `chunks`.
    #[must_use]
    pub fn new(options: HeadOptions, chunks: HeadChunkStore) -> Self {
        Self {
            series: SeriesStore::new(options.series_limit),
            chunks: ChunkStore::new(chunks, options.policy, options.encodings),
            times: HeadTimes::new(options.min_valid_time, options.policy.chunk_range_ms),
            side_data: SideData::default(),
            in_flight: InFlightBatches::default(),
            log_batches: LogBatchPool::new(options.record_version),
            stats: HeadStats::default(),
        }
    }

    /// Time range of the head.
    #[must_use]
    pub fn times(&self) -> &HeadTimes {
        &self.times
    }

    /// Counters, shared with the metrics.
    #[must_use]
    pub fn stats(&self) -> &HeadStats {
        &self.stats
    }

    /// Storage of the exemplars.
    #[must_use]
    pub fn exemplars(&self) -> &ExemplarStorage {
        &self.side_data.exemplars
    }

    /// Metadata of metric families, in addition to that of each series.
    #[must_use]
    pub fn metadata(&self) -> &HeadMetadata {
        &self.side_data.metadata
    }

    /// Inverted index of the labels.
    #[must_use]
    pub fn postings(&self) -> &MemPostings {
        self.series.postings()
    }

    /// Files of full chunks.
    #[must_use]
    pub fn chunk_files(&self) -> &HeadChunkStore {
        self.chunks.mapper.files()
    }

    /// Number of series in memory.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Returns all series, in no order.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn all_series(&self) -> Vec<Arc<HeadSeries>> {
        self.series.all()
    }

    /// Returns the series with this reference.
    #[must_use]
    pub fn series_by_ref(&self, series_ref: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.series.get_by_ref(series_ref)
    }

    /// Returns the greatest reference that was assigned or found on disk; 0 before the first.
    #[must_use]
    pub fn last_ref(&self) -> SeriesRef {
        self.series.last_ref()
    }

    /// Returns `true` if the series was collected and the WAL still has samples of it.
    #[must_use]
    pub fn was_collected(&self, series_ref: SeriesRef) -> bool {
        self.series.wal_expiries().contains(series_ref)
    }

    /// Waits until all requests that have begun are visible. Blocks of samples of the head are
    /// written after that, so that no read finds a part of a request in them.
    pub fn wait_for_commits(&self) {
        self.in_flight.wait_for_older();
    }

    /// Returns a snapshot of the requests that are visible now.
    #[must_use]
    pub fn snapshot(&self) -> HeadSnapshot<'_> {
        HeadSnapshot::new(&self.series, &self.in_flight)
    }

    /// Adds all series to the inverted index: the last step of a start.
    pub fn index_series(&self) {
        self.series.index_all();
    }

    /// Returns a copy of the current tombstones.
    #[must_use]
    pub fn tombstones(&self) -> Tombstones {
        self.side_data.tombstones.to_tombstones()
    }

    /// Returns the deleted intervals of a series.
    #[must_use]
    pub fn tombstones_of(&self, series_ref: SeriesRef) -> Option<Arc<Intervals>> {
        self.side_data.tombstones.get(series_ref)
    }

    /// Adds the tombstones of a snapshot for series that exist. All references in `found` are
    /// reserved, so that no new series gets one of them.
    pub fn restore_tombstones(&self, found: &Tombstones) {
        for (series_ref, intervals) in found.iter() {
            let series_ref = SeriesRef(series_ref);
            self.series.reserve_ref(series_ref);
            if self.series.get_by_ref(series_ref).is_some() {
                let tombstone = |range: &TimeRange| Tombstone { series_ref, range: *range };
                let tombstones: Vec<Tombstone> = intervals.iter().map(tombstone).collect();
                self.side_data.tombstones.add(&tombstones);
            }
        }
    }

    /// Returns the time (ms) before which chunks are in a block and may be gone from the head.
    #[must_use]
    pub fn truncated_before(&self) -> i64 {
        self.chunks.truncation.truncated_before()
    }

    /// Returns a number that changes before chunks are dropped because blocks contain them
    /// ([`chunks::truncation_state::TruncationState::epoch`]).
    #[must_use]
    pub fn truncation_epoch(&self) -> u64 {
        self.chunks.truncation.epoch()
    }

    /// Sets the encoding of new float chunks; an open chunk keeps its encoding.
    pub fn set_float_encoding(&self, encoding: FloatEncoding) {
        self.chunks.settings.set_float_encoding(encoding);
    }

    /// Returns the out-of-order window, counted from the newest sample of the head, ms; 0 if a
    /// sample must be newer than those of its series.
    #[must_use]
    pub fn out_of_order_window(&self) -> i64 {
        self.times.ooo_window().length().unwrap_or(0)
    }

    /// Sets the out-of-order window (ms) for requests that start from now on. Stored samples stay.
    pub fn set_out_of_order_window(&self, length_ms: i64) {
        self.times.ooo_window().set_length(length_ms);
    }
}

#[cfg(test)]
mod tests;
