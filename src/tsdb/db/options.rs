//! Options that are fixed while a database is open.

use crate::tsdb::block::ulid::{RandomSource, system_random};
use crate::tsdb::chunk::any_chunk::HistogramStMode;
use crate::tsdb::db::disk_guard::DiskReserve;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::series::store::SeriesLimit;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::write_log::SyncMode;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Options of a database. [`DbOptions::new`] has Prometheus's defaults.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Data directory. Created if it is missing.
    pub dir: PathBuf,
    /// Compression of WAL records.
    pub wal_compression: RecordCompression,
    /// Maximum size of a WAL segment, bytes.
    pub wal_segment_size: u64,
    /// When to sync the WAL, which limits the loss at a power failure.
    pub wal_sync: SyncMode,
    /// Time span of head blocks, ms. A chunk never crosses a multiple of it.
    pub chunk_range_ms: i64,
    /// Target number of samples per chunk.
    pub samples_per_chunk: u16,
    /// Limit of active series. Replay may exceed it.
    pub series_limit: SeriesLimit,
    /// Number of threads that replay the WAL.
    pub replay_workers: usize,
    /// Maximum time span of a block, ms; `None`: derived from the retention.
    pub max_block_range_ms: Option<i64>,
    /// JSON list of uploaded blocks; see [`crate::tsdb::db::maintenance`].
    pub uploads_file: Option<PathBuf>,
    /// Treatment of the head at a clean shutdown.
    pub shutdown_mode: ShutdownMode,
    /// Record version of the WAL: whether records keep start timestamps. That requires XOR2 for
    /// float chunks.
    pub record_version: RecordVersion,
    /// Whether new histogram chunks have a field for start timestamps.
    pub histogram_st_mode: HistogramStMode,
    /// Free disk space below which writes are rejected.
    pub disk_reserve: DiskReserve,
    /// Initial settings; they can change later.
    pub settings: Settings,
    /// Disk through which durable writes go.
    pub disk: Arc<dyn Disk>,
    /// Source of the random part of block and snapshot names.
    pub random: RandomSource,
}

/// Treatment of the head at a clean shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// The head is not written; the next startup replays the WAL.
    KeepInWal,
    /// A chunk snapshot is written, which the next startup loads instead of replaying the WAL.
    ChunkSnapshot,
}

impl DbOptions {
    /// Returns the defaults for the data directory `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            wal_compression: RecordCompression::Snappy,
            wal_segment_size: 128 << 20,
            wal_sync: SyncMode::Interval(Duration::from_secs(1)),
            chunk_range_ms: 2 * 60 * 60 * 1000,
            samples_per_chunk: 120,
            series_limit: SeriesLimit::NONE,
            replay_workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_block_range_ms: None,
            uploads_file: None,
            shutdown_mode: ShutdownMode::KeepInWal,
            record_version: RecordVersion::V1,
            histogram_st_mode: HistogramStMode::WithoutSt,
            disk_reserve: DiskReserve::Default,
            settings: Settings::default(),
            disk: Arc::new(OsDisk),
            random: system_random,
        }
    }
}
