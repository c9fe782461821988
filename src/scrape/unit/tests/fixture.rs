//! A database, and targets with scripted answers.

use crate::ingest::limits::{DryRunLimits, IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::model::histogram::limits::HistogramLimits;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::scrape::request::budget::BodyBudget;
use crate::scrape::request::fetch::{Exchange, FetchLimits, ScrapeRequest, fetch};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::settings::UnitSettings;
use crate::scrape::unit::staging::StagedScrape;
use crate::scrape::unit::store::{Scrape, ScrapeReport, ScrapedBody, Storage, TargetStore};
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::{DbHandle, FloatEncoding, HistogramStMode, LockedDir, RecordVersion};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Time of the first scrape, ms.
pub(super) const START_MS: i64 = 1_762_300_800_000;
/// Time between two scrapes, ms.
pub(super) const INTERVAL_MS: i64 = 2000;
/// Delay between the time of a scrape and the time that the target notes, ms.
const REQUEST_DELAY_MS: i64 = 1;

/// Limits that no scrape of the tests exceeds, except for the future.
pub(super) const LIMITS: IngestLimits = IngestLimits {
    labels: LabelLimits { count: 256, name_bytes: 4096, value_bytes: 128 << 10 },
    metadata: MetadataLimits { name_bytes: 4096, text_bytes: 8192 },
    max_future_ms: 600_000,
    dry_run: DryRunLimits::NONE,
};

/// Database without blocks.
pub(super) struct TestDb {
    pub(super) handle: DbHandle,
    _dir: TempDir,
}

impl TestDb {
    /// Opens an empty database with an out-of-order window. It keeps start timestamps.
    pub(super) fn open(out_of_order_window_ms: i64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = DbOptions::new(dir.path().to_owned());
        options.settings.out_of_order_window_ms = out_of_order_window_ms;
        options.settings.float_encoding = FloatEncoding::Xor2;
        options.record_version = RecordVersion::V2;
        options.histogram_st_mode = HistogramStMode::WithSt;
        let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
        let handle = DbHandle::new(Arc::clone(db.shared()));
        handle.publish(db);
        Self { handle, _dir: dir }
    }
}

/// Returns a label set.
pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

/// Returns the settings of a job without special keys.
pub(super) fn settings(target_labels: Labels) -> UnitSettings {
    UnitSettings {
        target_labels: Arc::new(target_labels),
        honor_labels: false,
        honor_timestamps: true,
        track_timestamps_staleness: false,
        metric_relabeling: Arc::new([]),
        validation: Default::default(),
        label_limits: Default::default(),
        histogram_limits: HistogramLimits::default(),
        sample_limit: 0,
        fallback_format: None,
        parser: crate::exposition::parser::ParserOptions {
            ignore_native_histograms: true,
            ..Default::default()
        },
        start_timestamps: Default::default(),
        extra_metrics: false,
        timeout: Duration::from_secs(2),
    }
}

/// Target with scripted answers, scraped by number.
pub(super) struct TestTarget {
    pub(super) settings: UnitSettings,
    pub(super) store: TargetStore,
    pub(super) body_size: usize,
    /// Error that fails every scrape.
    pub(super) forced_error: Option<ScrapeError>,
    pub(super) staged: StagedScrape,
}

impl TestTarget {
    pub(super) fn new(settings: UnitSettings) -> Self {
        let store = TargetStore::new(&settings.target_labels, settings.extra_metrics);
        let staged = StagedScrape::default();
        Self { settings, store, body_size: 64 << 20, forced_error: None, staged }
    }

    /// Scrapes the target once.
    pub(super) fn scrape(
        &mut self,
        db: &TestDb,
        exchange: &dyn Exchange,
        request: &ScrapeRequest,
        timestamp_ms: i64,
    ) -> ScrapeReport {
        let exchanged = match &self.forced_error {
            Some(error) => Err(error.clone()),
            None => {
                let limits = FetchLimits {
                    body_size: self.body_size,
                    accepts_zstd: false,
                    budget: BodyBudget::new(256 << 20),
                };
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .unwrap();
                runtime
                    .block_on(fetch(exchange, request.clone(), &limits, &mut 1000))
                    .map_err(|error| ScrapeError::Fetch(Arc::new(error)))
            }
        };
        let body = match &exchanged {
            Ok(body) => Ok(ScrapedBody { bytes: &body.bytes, content_type: &body.content_type }),
            Err(error) => Err(error),
        };
        self.store_body(db, body, timestamp_ms)
    }

    /// Stores a body in the text format, or an error.
    pub(super) fn store_text(&mut self, db: &TestDb, text: &str, number: usize) -> ScrapeReport {
        let content_type = "text/plain; version=0.0.4";
        let body = ScrapedBody { bytes: text.as_bytes(), content_type };
        self.store_body(db, Ok(body), scrape_ms(number))
    }

    pub(super) fn store_body(
        &mut self,
        db: &TestDb,
        body: Result<ScrapedBody<'_>, &ScrapeError>,
        timestamp_ms: i64,
    ) -> ScrapeReport {
        let scrape = Scrape { body, timestamp_ms };
        let storage = Storage { db: &db.handle, limits: &LIMITS, now_ms: timestamp_ms + 2 };
        let mut appended = || Duration::from_millis(3);
        self.store.store(scrape, &self.settings, storage, &mut self.staged, &mut appended)
    }
}

/// Returns the time that the target notes for its `number`-th request, ms.
pub(super) fn request_ms(number: usize) -> i64 {
    scrape_ms(number) + REQUEST_DELAY_MS
}

/// Returns the time of the `number`-th scrape, from 1.
pub(super) fn scrape_ms(number: usize) -> i64 {
    START_MS + (number as i64 - 1) * INTERVAL_MS
}
