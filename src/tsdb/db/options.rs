//! What a database is opened with.

use crate::tsdb::block::ulid::{RandomSource, system_random};
use crate::tsdb::chunk::any_chunk::HistogramStMode;
use crate::tsdb::db::disk_guard::DiskReserve;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::write_log::SyncMode;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The shape of a database; [`DbOptions::new`] has Prometheus's defaults.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// The data directory; made where there is none.
    pub dir: PathBuf,
    /// How records of the log are compressed.
    pub wal_compression: RecordCompression,
    /// Size of a log segment in bytes.
    pub wal_segment_size: u64,
    /// What a power cut may cost.
    pub wal_sync: SyncMode,
    /// Length of the first blocks, ms; a chunk never crosses a multiple of it.
    pub chunk_range_ms: i64,
    /// A chunk aims at that many samples.
    pub samples_per_chunk: u16,
    /// No more series than this are created by writes.
    pub max_series: usize,
    /// Threads that rebuild series during a replay.
    pub replay_workers: usize,
    /// Longest block that compaction makes, ms; `None`: as the retention says.
    pub max_block_range_ms: Option<i64>,
    /// A list of uploaded blocks: others are not compacted yet.
    pub uploads_file: Option<PathBuf>,
    /// What becomes of the head at a clean stop.
    pub shutdown_mode: ShutdownMode,
    /// Whether start timestamps of what is appended are kept. Chunks of floats must then be XOR2.
    pub record_version: RecordVersion,
    /// Whether new chunks of histograms have a place for them.
    pub histogram_st_mode: HistogramStMode,
    /// Space that must stay free for writes to be taken.
    pub disk_reserve: DiskReserve,
    /// What can be changed later; these hold first.
    pub settings: Settings,
    /// Through which durable writes go.
    pub disk: Arc<dyn Disk>,
    /// Source of the random part of the names of blocks and snapshots.
    pub random: RandomSource,
}

/// What becomes of the head at a clean stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// The next start reads the log.
    KeepInWal,
    /// It is written down as it is, so that the next start need not read the log.
    ChunkSnapshot,
}

impl DbOptions {
    /// Defaults for the directory `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            wal_compression: RecordCompression::Snappy,
            wal_segment_size: 128 << 20,
            wal_sync: SyncMode::Interval(Duration::from_secs(1)),
            chunk_range_ms: 2 * 60 * 60 * 1000,
            samples_per_chunk: 120,
            max_series: usize::MAX,
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
