//! State that all pools share: database, clock, limits, threads.

use crate::ingest::limits::IngestLimits;
use crate::ingest::rejection_log::RejectionLog;
use crate::scrape::clock::ScrapeClock;
use crate::scrape::failure_log::FailureLog;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pool::log_watch::LogWatch;
use crate::scrape::request::budget::BodyBudget;
use crate::scrape::unit::staging::StagingPool;
use crate::tsdb::db::{DbHandle, SyncMode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Maximum number of blocking threads that store scrapes at once. Most of them wait for the WAL.
const MAX_STORING: usize = 64;

/// Size from which on a body leaves a processor to small ones, bytes.
pub(super) const LARGE_BODY: usize = 1 << 20;

/// Settings of the scraper from flags.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeOptions {
    /// Maximum difference between a scrape and its tick at which it gets the time of the tick;
    /// zero = never.
    pub timestamp_tolerance: Duration,
    /// Decompressed size that no body may reach, bytes.
    pub max_body_size: usize,
    /// Memory for the bodies of all scrapes, bytes.
    pub max_bytes_in_flight: usize,
    /// Whether zstd is requested.
    pub accept_zstd: bool,
    /// Number that spreads the scrapes of equal servers.
    pub server_seed: u64,
}

/// Parts that all loops use.
pub struct ScrapeShared {
    pub(super) db: Arc<DbHandle>,
    pub(super) limits: IngestLimits,
    pub(super) rejections: Arc<RejectionLog>,
    pub(super) clock: ScrapeClock,
    pub(super) metrics: ScrapeMetrics,
    pub(super) options: ScrapeOptions,
    pub(super) budget: Arc<BodyBudget>,
    pub(super) staging: StagingPool,
    pub(super) failures: FailureLog,
    pub(super) log_watch: LogWatch,
    /// Permits of blocking threads to check and append, one per processor.
    pub(super) working: Arc<Semaphore>,
    /// Permits that a body of [`LARGE_BODY`] bytes or more takes in addition. They are fewer, so
    /// that smaller bodies always find one.
    pub(super) working_large: Arc<Semaphore>,
    /// Permits to occupy a blocking thread.
    pub(super) storing: Arc<Semaphore>,
}

impl ScrapeShared {
    /// Creates the parts that all loops use.
    #[must_use]
    pub fn new(
        db: Arc<DbHandle>,
        limits: IngestLimits,
        rejections: Arc<RejectionLog>,
        clock: ScrapeClock,
        metrics: ScrapeMetrics,
        options: ScrapeOptions,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from).max(2);
        let waits_for_sync = db.shared().options().wal_sync == SyncMode::Always;
        Self {
            db,
            limits,
            rejections,
            clock,
            metrics,
            options,
            budget: BodyBudget::new(options.max_bytes_in_flight),
            staging: StagingPool::new(2 * processors),
            failures: FailureLog::default(),
            log_watch: LogWatch::new(waits_for_sync),
            working: Arc::new(Semaphore::new(processors)),
            working_large: Arc::new(Semaphore::new(processors - 1)),
            storing: Arc::new(Semaphore::new(MAX_STORING)),
        }
    }

    /// Closes the files for failed exchanges; they are opened again.
    pub fn reopen_failure_logs(&self) {
        self.failures.reopen();
    }

    /// Returns the memory that bodies use, bytes.
    #[must_use]
    pub fn body_bytes_in_flight(&self) -> usize {
        self.budget.in_use()
    }
}
