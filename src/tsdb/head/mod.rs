//! The head: the newest hours of all series, in memory, in the log and in `chunks_head/`.
//!
//! | file            | what                                                             |
//! |-----------------|------------------------------------------------------------------|
//! | [`series`]      | one series: open, sealed and mapped chunks                       |
//! | [`series_map`]  | all series, by labels and by reference                           |
//! | [`append`]      | samples in: judged, pushed, logged                               |
//! | [`metadata`]    | type, unit and help text of series                               |
//! | [`in_flight`]   | keeps the log in the order of acceptance                         |
//! | [`times`]       | what times the head spans and takes                              |
//! | [`chunk_mapper`]     | sealed chunks into `chunks_head/`                                |
//! | [`read`]        | samples out: the head as a [`crate::tsdb::query::source::BlockSource`] |
//! | [`replay`]      | the head rebuilt from `chunks_head/`, checkpoint and log         |
//! | [`chunk_snapshot`] | the head written at a clean stop, for a start without replay |
//! | [`truncation`]  | what blocks have goes: chunks, series                            |
//! | [`deletion`]    | samples that are deleted while they are still here               |
//! | [`out_of_order`]         | samples that come late                                           |
//! | [`exemplars`]   | observations that point at a trace, a bounded number of them     |
//! | [`symbols`]     | the strings of its labels, for a block                           |
//! | [`stats`]       | counters                                                         |
//!
//! Locks, in the order in which they are taken: [`chunk_mapper`]'s mutex, then one series' mutex. The shards of the series map and
//! of the inverted index are held for a look-up only, never together with a series' mutex. That of the [`exemplars`] is the last.

pub mod append;
pub mod chunk_mapper;
pub mod chunk_snapshot;
pub mod deletion;
pub mod exemplars;
pub mod in_flight;
pub mod label_source;
pub mod metadata;
pub mod out_of_order;
pub mod read;
pub mod replay;
pub mod series;
pub mod series_map;
pub mod stats;
pub mod symbols;
pub mod times;
pub mod truncation;

use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::metadata::Metadata;
use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::any_chunk::{EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::head::chunk_mapper::ChunkMapper;
use crate::tsdb::head::exemplars::ExemplarStorage;
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::metadata::HeadMetadata;
use crate::tsdb::head::out_of_order::window::OutOfOrderWindow;
use crate::tsdb::head::series::{ChunkPolicy, HeadSeries};
use crate::tsdb::head::series_map::SeriesMap;
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

/// How many idle log batches are kept for the next requests.
const SPARE_BATCHES: usize = 64;

/// Series whose tombstones are changed in one hold of their lock: every read of a series takes it.
const TOMBSTONES_PER_HOLD: usize = 1024;

/// A batch that has grown beyond this is not kept.
const SPARE_BATCH_BYTES: usize = 2 << 20;

/// The head.
#[derive(Debug)]
pub struct Head {
    series: SeriesMap,
    postings: MemPostings,
    times: HeadTimes,
    in_flight: InFlightBatches,
    mapping: ChunkMapper,
    policy: CutPolicy,
    /// Whether new chunks of floats are XOR2.
    writes_xor2: AtomicBool,
    histogram_st_mode: HistogramStMode,
    record_version: RecordVersion,
    /// No more series than this are created by appends.
    max_series: usize,
    /// The greatest reference given out or found on disk.
    last_ref: AtomicU64,
    spare_batches: Mutex<Vec<LogBatch>>,
    stats: HeadStats,
    /// What ends before this time (ms) is in a block, and perhaps not here any more.
    truncated_before: AtomicI64,
    /// How often chunks were about to be dropped because blocks have them.
    truncation_epoch: AtomicU64,
    /// What is deleted of series that are here.
    tombstones: RwLock<Tombstones>,
    /// Series that were collected, each with the time (ms) until which the log has samples of it.
    wal_expiries: Mutex<HashMap<SeriesRef, i64>>,
    exemplars: ExemplarStorage,
    metadata: HeadMetadata,
    ooo_window: OutOfOrderWindow,
}

/// What a head is made of.
#[derive(Debug)]
pub struct HeadOptions {
    /// Where chunks are cut.
    pub policy: CutPolicy,
    /// No more series than this are created by appends.
    pub max_series: usize,
    /// Samples before this time (ms) belong to blocks: neither taken nor replayed.
    pub min_valid_time: i64,
    /// How new chunks are encoded.
    pub encodings: EncodingPolicy,
    /// Whether start timestamps of what is appended are kept, and so logged.
    pub record_version: RecordVersion,
}

impl Default for HeadOptions {
    /// Prometheus's defaults, without bounds.
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
    /// An empty head whose full chunks go to `chunks`.
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

    /// The times that the head spans.
    #[must_use]
    pub fn times(&self) -> &HeadTimes {
        &self.times
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &HeadStats {
        &self.stats
    }

    /// Its exemplars.
    #[must_use]
    pub fn exemplars(&self) -> &ExemplarStorage {
        &self.exemplars
    }

    /// How many series it has.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// The labels that have exactly these bytes, where there is such a series.
    #[must_use]
    pub fn find_labels(&self, packed: &[u8]) -> Option<Labels> {
        self.series.get(packed).map(|series| series.labels.clone())
    }

    /// All series, in no order.
    #[must_use]
    pub fn all_series(&self) -> Vec<Arc<HeadSeries>> {
        self.series.all()
    }

    /// What it knows of metadata beside that of each series.
    #[must_use]
    pub fn metadata(&self) -> &HeadMetadata {
        &self.metadata
    }

    /// The index of its labels.
    #[must_use]
    pub fn postings(&self) -> &MemPostings {
        &self.postings
    }

    /// Adds all series to the inverted index, which has none yet: the last step of a start, so that series which it drops
    /// again cost nothing here. By rising reference, so that each is added at the end of its lists.
    pub fn index_series(&self) {
        let mut all = self.all_series();
        all.sort_unstable_by_key(|series| series.reference);
        all.iter().for_each(|series| self.postings.add(series.reference, &series.labels));
    }

    /// What is deleted of its series, as it stands.
    #[must_use]
    pub fn tombstones(&self) -> Tombstones {
        self.tombstones.read().clone()
    }

    /// What is deleted of one series.
    #[must_use]
    pub fn tombstones_of(&self, series: SeriesRef) -> Option<Arc<Intervals>> {
        self.tombstones.read().get(series.0).map(Arc::clone)
    }

    /// The series with this reference.
    #[must_use]
    pub fn series_by_ref(&self, series: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.series.get_by_ref(series)
    }

    /// Returns `true` if the series was collected and the log still has samples of it.
    #[must_use]
    pub fn was_collected(&self, series: SeriesRef) -> bool {
        self.wal_expiries.lock().contains_key(&series)
    }

    /// What ends before this time is in a block, and perhaps not here any more; ms.
    #[must_use]
    pub fn truncated_before(&self) -> i64 {
        self.truncated_before.load(Ordering::SeqCst)
    }

    /// Remembers references by which the log calls series that have another one here, as long as it has samples that are here.
    fn record_aliases<'a>(&self, aliases: impl Iterator<Item = &'a SeriesRef>) {
        let end = self.times.max().unwrap_or(i64::MAX);
        self.wal_expiries.lock().extend(aliases.map(|alias| (*alias, end)));
    }

    /// A number that changes before anything is dropped because blocks have it. Whoever picks blocks, then series of the head, and finds
    /// it unchanged has missed nothing in between.
    #[must_use]
    pub fn truncation_epoch(&self) -> u64 {
        self.truncation_epoch.load(Ordering::SeqCst)
    }

    /// Whether it has so much that its first `chunk_range_ms` should become a block.
    #[must_use]
    pub fn is_compactable(&self) -> bool {
        let (Some(min), Some(max)) = (self.times.min(), self.times.max()) else { return false };
        max.saturating_sub(min) > (self.policy.chunk_range_ms / 2).saturating_mul(3)
    }

    /// Its files of full chunks.
    #[must_use]
    pub fn chunk_files(&self) -> &HeadChunkStore {
        self.mapping.files()
    }

    /// The greatest reference that was given out or found on disk; 0 before the first.
    #[must_use]
    pub fn last_ref(&self) -> SeriesRef {
        SeriesRef(self.last_ref.load(Ordering::Relaxed))
    }

    /// Takes over what a snapshot says is deleted. Its references are not given out again, whether they are of series or not.
    pub fn restore_tombstones(&self, found: &Tombstones) {
        let mut own = self.tombstones.write();
        for (series, intervals) in found.iter() {
            self.reserve_ref(SeriesRef(series));
            if self.series.get_by_ref(SeriesRef(series)).is_some() {
                intervals.iter().for_each(|range| own.add(series, *range));
            }
        }
    }

    /// Sets what the log has of a series' metadata; whether there is such a series.
    pub fn restore_metadata(&self, series: SeriesRef, metadata: &Metadata) -> bool {
        let Some(series) = self.series.get_by_ref(series) else { return false };
        series.state.lock().metadata = Some(self.metadata.pool.intern(metadata));
        true
    }

    /// How new chunks are made.
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

    /// Encodes new chunks of floats so from now on; an open chunk goes on as it began.
    pub fn set_float_encoding(&self, encoding: FloatEncoding) {
        self.writes_xor2.store(encoding == FloatEncoding::Xor2, Ordering::Relaxed);
    }

    /// A reference that was never given out before.
    fn next_ref(&self) -> SeriesRef {
        SeriesRef(self.last_ref.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes sure that `reference`, found on disk, is never given out.
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
mod kinds_tests;
