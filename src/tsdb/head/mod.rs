//! Head: the part of the database that takes appends, in memory, in the WAL and in `chunks_head/`.
//!
//! | module             | content                                                             |
//! |--------------------|---------------------------------------------------------------------|
//! | [`append`]         | appends: validation, chunks, WAL records                            |
//! | [`chunk_snapshot`] | head state written at a clean shutdown, for a start without replay  |
//! | [`chunks`]         | m-mapped chunks in `chunks_head/`                                   |
//! | [`deletion`]       | deletion of samples that are in the head                            |
//! | [`exemplars`]      | bounded storage of exemplars                                        |
//! | [`in_flight`]      | in-flight batches; keeps WAL order equal to append order            |
//! | [`metadata`]       | type, unit and help text of series                                  |
//! | [`out_of_order`]   | out-of-order samples                                                |
//! | [`read`]           | queries, label lists, and sources for compaction                    |
//! | [`replay`]         | rebuilds the head from `chunks_head/`, checkpoint, WAL and WBL      |
//! | [`series`]         | series and the map of all series                                    |
//! | [`stats`]          | counters                                                            |
//! | [`times`]          | time range of the head, and the times it accepts                    |
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
pub mod metadata;
pub mod out_of_order;
pub mod read;
pub mod replay;
pub mod series;
pub mod stats;
pub mod times;
pub mod truncation;

use crate::model::intervals::Intervals;
use crate::model::metadata::Metadata;
use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::any_chunk::{EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::head::chunks::mapper::ChunkMapper;
use crate::tsdb::head::exemplars::ExemplarStorage;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::metadata::HeadMetadata;
use crate::tsdb::head::out_of_order::window::OutOfOrderWindow;
use crate::tsdb::head::series::map::SeriesMap;
use crate::tsdb::head::series::{ChunkPolicy, HeadSeries};
use crate::tsdb::head::stats::HeadStats;
use crate::tsdb::head::times::HeadTimes;
use crate::tsdb::index::mem_postings::MemPostings;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::record::builder::RecordVersion;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Maximum number of idle log batches that are kept for later requests.
const SPARE_BATCHES: usize = 64;

/// Maximum number of series whose tombstones change under one lock; every read takes that lock.
const TOMBSTONES_PER_HOLD: usize = 1024;

/// Size above which a log batch is freed instead of kept, bytes.
const SPARE_BATCH_BYTES: usize = 2 << 20;

/// Appendable part of the database, shared by appends, queries and maintenance.
#[derive(Debug)]
pub struct Head {
    series: SeriesMap,
    postings: MemPostings,
    times: HeadTimes,
    in_flight: InFlightBatches,
    mapping: ChunkMapper,
    policy: CutPolicy,
    /// Whether new float chunks are encoded as XOR2.
    writes_xor2: AtomicBool,
    histogram_st_mode: HistogramStMode,
    record_version: RecordVersion,
    /// Maximum number of series; appends create no series beyond it.
    max_series: usize,
    /// Greatest reference that was assigned or found on disk.
    last_ref: AtomicU64,
    spare_batches: Mutex<Vec<LogBatch>>,
    stats: HeadStats,
    /// Chunks that end before this time (ms) are in a block and may be gone from the head.
    truncated_before: AtomicI64,
    /// Incremented before chunks are dropped because blocks contain them.
    truncation_epoch: AtomicU64,
    /// Tombstones of series in the head.
    tombstones: RwLock<Tombstones>,
    /// Collected series, each with the time (ms) up to which the WAL has samples of it.
    wal_expiries: Mutex<HashMap<SeriesRef, i64>>,
    exemplars: ExemplarStorage,
    metadata: HeadMetadata,
    ooo_window: OutOfOrderWindow,
}

/// Limits, encodings and start time for [`Head::new`].
#[derive(Debug)]
pub struct HeadOptions {
    /// Rules that end the open chunk.
    pub policy: CutPolicy,
    /// Maximum number of series; appends create no series beyond it.
    pub max_series: usize,
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
            max_series: usize::MAX,
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
            series: SeriesMap::default(),
            postings: MemPostings::default(),
            times: HeadTimes::new(options.min_valid_time),
            in_flight: InFlightBatches::default(),
            mapping: ChunkMapper::new(chunks),
            policy: options.policy,
            writes_xor2: AtomicBool::new(options.encodings.floats == FloatEncoding::Xor2),
            histogram_st_mode: options.encodings.histogram_st_mode,
            record_version: options.record_version,
            max_series: options.max_series,
            last_ref: AtomicU64::new(0),
            spare_batches: Mutex::default(),
            stats: HeadStats::default(),
            truncated_before: AtomicI64::new(i64::MIN),
            truncation_epoch: AtomicU64::new(0),
            tombstones: RwLock::default(),
            wal_expiries: Mutex::default(),
            exemplars: ExemplarStorage::default(),
            metadata: HeadMetadata::default(),
            ooo_window: OutOfOrderWindow::default(),
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
        &self.exemplars
    }

    /// Number of series in memory.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Returns all series, in no order.
    #[must_use]
    pub fn all_series(&self) -> Vec<Arc<HeadSeries>> {
        self.series.all()
    }

    /// Metadata of metric families, in addition to that of each series.
    #[must_use]
    pub fn metadata(&self) -> &HeadMetadata {
        &self.metadata
    }

    /// Inverted index of the labels.
    #[must_use]
    pub fn postings(&self) -> &MemPostings {
        &self.postings
    }

    /// Adds all series to the inverted index, which is still empty. This is the last step of a
    /// start: a series that the start drops again costs nothing here. The order of references
    /// appends each series at the end of its lists.
    pub fn index_series(&self) {
        let mut all = self.all_series();
        all.sort_unstable_by_key(|series| series.reference);
        all.iter().for_each(|series| self.postings.add(series.reference, &series.labels));
    }

    /// Returns a copy of the current tombstones.
    #[must_use]
    pub fn tombstones(&self) -> Tombstones {
        self.tombstones.read().clone()
    }

    /// Returns the deleted intervals of a series.
    #[must_use]
    pub fn tombstones_of(&self, series: SeriesRef) -> Option<Arc<Intervals>> {
        self.tombstones.read().get(series.0).map(Arc::clone)
    }

    /// Returns the series with this reference.
    #[must_use]
    pub fn series_by_ref(&self, series: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.series.get_by_ref(series)
    }

    /// Returns `true` if the series was collected and the WAL still has samples of it.
    #[must_use]
    pub fn was_collected(&self, series: SeriesRef) -> bool {
        self.wal_expiries.lock().contains_key(&series)
    }

    /// Returns the time (ms) before which chunks are in a block and may be gone from the head.
    #[must_use]
    pub fn truncated_before(&self) -> i64 {
        self.truncated_before.load(Ordering::SeqCst)
    }

    /// Remembers references that the WAL uses for series with another reference in the head, until
    /// the WAL starts after the head's newest sample.
    fn record_aliases<'a>(&self, aliases: impl Iterator<Item = &'a SeriesRef>) {
        let end = self.times.max().unwrap_or(i64::MAX);
        self.wal_expiries.lock().extend(aliases.map(|alias| (*alias, end)));
    }

    /// Returns a number that changes before chunks are dropped because blocks contain them.
    ///
    /// A reader that selects blocks first, then series of the head, and finds the number unchanged
    /// has missed nothing in between.
    #[must_use]
    pub fn truncation_epoch(&self) -> u64 {
        self.truncation_epoch.load(Ordering::SeqCst)
    }

    /// Returns `true` if the head spans more than 1.5 times `chunk_range_ms`, so that its first
    /// range can be compacted to a block.
    #[must_use]
    pub fn is_compactable(&self) -> bool {
        let (Some(min), Some(max)) = (self.times.min(), self.times.max()) else { return false };
        max.saturating_sub(min) > (self.policy.chunk_range_ms / 2).saturating_mul(3)
    }

    /// Files of full chunks.
    #[must_use]
    pub fn chunk_files(&self) -> &HeadChunkStore {
        self.mapping.files()
    }

    /// Returns the greatest reference that was assigned or found on disk; 0 before the first.
    #[must_use]
    pub fn last_ref(&self) -> SeriesRef {
        SeriesRef(self.last_ref.load(Ordering::Relaxed))
    }

    /// Adds the tombstones of a snapshot for series that exist. All references in `found` are
    /// reserved, so that no new series gets one of them.
    pub fn restore_tombstones(&self, found: &Tombstones) {
        let mut own = self.tombstones.write();
        for (series, intervals) in found.iter() {
            self.reserve_ref(SeriesRef(series));
            if self.series.get_by_ref(SeriesRef(series)).is_some() {
                intervals.iter().for_each(|range| own.add(series, *range));
            }
        }
    }

    /// Sets the metadata of a series from the WAL. Returns `false` if the series does not exist.
    pub fn restore_metadata(&self, series: SeriesRef, metadata: &Metadata) -> bool {
        let Some(series) = self.series.get_by_ref(series) else { return false };
        series.state.lock().metadata = Some(self.metadata.pool.intern(metadata));
        true
    }

    /// Returns the cut policy and the encodings of new chunks.
    #[inline]
    #[must_use]
    pub fn chunk_policy(&self) -> ChunkPolicy {
        let floats = if self.writes_xor2.load(Ordering::Relaxed) {
            FloatEncoding::Xor2
        } else {
            FloatEncoding::Xor
        };
        let encodings = EncodingPolicy { floats, histogram_st_mode: self.histogram_st_mode };
        ChunkPolicy { policy: self.policy, encodings }
    }

    /// Sets the encoding of new float chunks; an open chunk keeps its encoding.
    pub fn set_float_encoding(&self, encoding: FloatEncoding) {
        self.writes_xor2.store(encoding == FloatEncoding::Xor2, Ordering::Relaxed);
    }

    /// Assigns a reference that was never used before.
    fn next_ref(&self) -> SeriesRef {
        SeriesRef(self.last_ref.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes sure that `reference`, found on disk, is never assigned to a new series.
    fn reserve_ref(&self, reference: SeriesRef) {
        self.last_ref.fetch_max(reference.0, Ordering::Relaxed);
    }

    fn spare_batch(&self) -> LogBatch {
        self.spare_batches.lock().pop().unwrap_or_else(|| {
            let mut batch = LogBatch::default();
            batch.set_record_version(self.record_version);
            batch
        })
    }

    fn recycle_batch(&self, batch: LogBatch) {
        let mut spare = self.spare_batches.lock();
        if spare.len() < SPARE_BATCHES && batch.allocated_bytes() <= SPARE_BATCH_BYTES {
            spare.push(batch);
        }
    }
}

#[cfg(test)]
mod tests;
