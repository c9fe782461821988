//! Storage of an exchanged scrape: on the thread of its loop, or on a blocking thread.
//!
//! A small body is stored where it was received: handing it to another thread would cost more than
//! some of the work. A large body would delay the ticks of other targets, and so would a slow disk.
//! Both use blocking threads, of which only as many as there are processors work at once.

use crate::ingest::reject_reason::RejectReason;
use crate::ingest::rejection_log::entry::{DataSender, RequestOrigin};
use crate::scrape::plan::schedule::ScrapeTime;
use crate::scrape::pool::loop_config::LoopConfig;
use crate::scrape::pool::shared::{LARGE_BODY, ScrapeShared};
use crate::scrape::pool::status::{TargetHealth, TargetState, TargetStatus};
use crate::scrape::request::fetch::FetchedBody;
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::store::{
    Scrape, ScrapeReport, ScrapeStorageError, ScrapedBody, Storage, TargetStore,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// Maximum size of a body that is stored on the thread of its loop, bytes. It has about 700
/// samples, whose check and appends take less than a millisecond.
const SMALL_BODY: usize = 64 << 10;

/// Scrape whose exchange has ended.
pub(super) struct Exchanged {
    pub(super) config: Arc<LoopConfig>,
    pub(super) time: ScrapeTime,
    pub(super) started: Instant,
    pub(super) body: Result<FetchedBody, ScrapeError>,
}

/// Storage of a scrape, with the state of its target.
pub(super) struct Storing {
    pub(super) shared: Arc<ScrapeShared>,
    pub(super) store: TargetStore,
    pub(super) state: Arc<TargetState>,
    pub(super) exchanged: Exchanged,
}

/// Stored scrape.
pub(super) struct Stored {
    /// State of the target for the next scrape.
    pub(super) store: TargetStore,
    /// Number of samples after relabeling; `None` if the body was not read to its end.
    pub(super) samples: Option<u64>,
}

impl Storing {
    /// Stores the scrape, and updates the status of the target and the metrics. Returns `None` if
    /// that panicked.
    pub(super) async fn run(self) -> Option<Stored> {
        let body_bytes = self.body_bytes();
        if body_bytes <= SMALL_BODY && self.shared.log_watch.is_fast() {
            let store = || self.store(|| {});
            return catch_unwind(AssertUnwindSafe(store)).ok();
        }
        let mut permits = Permits::acquire(&self.shared, body_bytes).await?;
        // Waiting for the WAL needs no processor.
        let store = move || self.store(|| permits.working = None);
        tokio::task::spawn_blocking(store).await.ok()
    }

    fn body_bytes(&self) -> usize {
        self.exchanged.body.as_ref().map_or(0, |body| body.bytes.len())
    }

    /// Calls `appended` when only the WAL is missing.
    fn store(mut self, appended: impl FnOnce()) -> Stored {
        let body_bytes = self.body_bytes();
        let Exchanged { config, time, started, body } = self.exchanged;
        let shared = &*self.shared;
        let scraped = match &body {
            Ok(body) => Ok(ScrapedBody { bytes: &body.bytes, content_type: &body.content_type }),
            Err(error) => Err(error),
        };
        let scrape = Scrape { body: scraped, timestamp_ms: time.timestamp_ms };
        let mut staged = shared.staging.take();
        let now_ms = now_ms(shared);
        let storage = Storage { db: &shared.db, limits: &shared.limits, now_ms };
        let (mut appended, mut logging_since) = (Some(appended), None);
        let report = self.store.store(scrape, &config.unit, storage, &mut staged, &mut || {
            if let Some(appended) = appended.take() {
                appended();
            }
            logging_since = Some(Instant::now());
            started.elapsed()
        });
        if let Some(since) = logging_since {
            shared.log_watch.observe(since.elapsed());
        }
        shared.staging.give_back(staged);
        drop(body);
        if !report.outcome.rejections.is_empty() || !report.outcome.dry_run.is_empty() {
            let origin = RequestOrigin {
                protocol: "scrape",
                sender: DataSender::Target(Arc::clone(&config.target.url)),
                user: None,
            };
            shared.rejections.record_outcome(&origin, &report.outcome, now_ms);
        }
        shared.metrics.observe_scrape(&report, started.elapsed());
        if let Some(error) = &report.error {
            tracing::debug!(%error, url = &*config.target.url, "scrape failed");
            if let (ScrapeError::Fetch(_), Some(path)) = (error, &config.job.failure_log_file) {
                let (job, url) = (&config.job.name, &config.target.url);
                shared.failures.record(path, job, url, &error.to_string(), now_ms);
            }
        }
        let limit = config.unit.sample_limit;
        let fill = || report.counts.post_relabeling as f64 / limit as f64;
        self.state.set_status(TargetStatus {
            health: if report.error.is_none() { TargetHealth::Up } else { TargetHealth::Down },
            last_error: error_text(&report),
            rejected: match report.outcome.rejections.is_empty() {
                true => String::new(),
                false => report.outcome.rejections.to_string(),
            },
            last_scrape_ms: Some(time.timestamp_ms),
            last_duration: report.duration,
            body_bytes,
            max_body_bytes: body_bytes,
            counts: report.counts,
            sample_limit_fill: (limit > 0).then(fill),
            cache_bytes: self.store.cache_bytes(),
        });
        let is_whole = matches!(report.error, None | Some(ScrapeError::SampleLimit { .. }));
        let samples = is_whole.then_some(report.counts.post_relabeling);
        Stored { store: self.store, samples }
    }
}

/// Permits of a blocking thread that stores a scrape.
pub(super) struct Permits {
    /// Given back when only the WAL is missing.
    working: Option<WorkPermits>,
    _storing: OwnedSemaphorePermit,
}

/// Permits to use a processor.
struct WorkPermits {
    _working: OwnedSemaphorePermit,
    /// `None` for a small body.
    _large: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Waits for the permits to store a body of this size. Large bodies wait for each other before
    /// they take a permit that small ones need. Returns `None` only if the semaphores were closed,
    /// which never happens.
    pub(super) async fn acquire(shared: &ScrapeShared, body_bytes: usize) -> Option<Self> {
        let large = match body_bytes {
            0..LARGE_BODY => None,
            LARGE_BODY.. => Some(Arc::clone(&shared.working_large).acquire_owned().await.ok()?),
        };
        let storing = Arc::clone(&shared.storing).acquire_owned().await.ok()?;
        let working = Arc::clone(&shared.working).acquire_owned().await.ok()?;
        let working = WorkPermits { _working: working, _large: large };
        Some(Self { working: Some(working), _storing: storing })
    }
}

/// Returns the time of the wall clock, ms since the Unix epoch.
pub(super) fn now_ms(shared: &ScrapeShared) -> i64 {
    shared.clock.now().wall_ns.div_euclid(1_000_000)
}

/// Returns the text of the error that matters to the operator of the target, then that of storage.
fn error_text(report: &ScrapeReport) -> String {
    let rejections = &report.outcome.rejections;
    match (&report.error, &report.storage_error) {
        (Some(error), _) => error.to_string(),
        (None, Some(error)) => ScrapeStorageError::to_string(error),
        // The target is well, but its new series are missing.
        (None, None) if rejections.count(RejectReason::SeriesLimit) > 0 => rejections.to_string(),
        (None, None) => String::new(),
    }
}
