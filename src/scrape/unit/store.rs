//! Storage of a scrape: appends and commit, and the state that a target keeps for the next one.
//!
//! # Failure
//! - A failed scrape ends every series of the last good one by a stale marker and stores `up 0`.
//! - If storage admits no writes, nothing is stored, and the series of the last stored scrape stay
//!   current. So the markers that a read-only phase prevented are written once after it, and not
//!   for each scrape in it.

use crate::exposition::format::Format;
use crate::ingest::limits::IngestLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::scrape::{Appended, ScrapeAppend};
use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::scrape::cache::metadata::MetadataCache;
use crate::scrape::cache::series::{EntryId, EntryState, SeriesCache, StoredSeries};
use crate::scrape::cache::unstored::UnstoredSeries;
use crate::scrape::cache::untimed_exemplars::UntimedExemplars;
use crate::scrape::unit::check::{Check, CheckScratch};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::report::{METRICS, ReportSeries, ReportValues};
use crate::scrape::unit::settings::{StartTimestamps, UnitSettings};
use crate::scrape::unit::staging::{ScrapeCounts, StagedSample, StagedScrape};
use crate::tsdb::db::appender::Appender;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use crate::tsdb::db::{DbHandle, SeriesHandle, WalError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

impl StoredSeries for SeriesHandle {
    fn identity(&self) -> u64 {
        self.series_ref().0
    }
}

/// State of a target between scrapes. One thread uses it at a time.
#[derive(Debug)]
pub struct TargetStore {
    series: SeriesCache<SeriesHandle>,
    unstored: UnstoredSeries,
    untimed_exemplars: UntimedExemplars,
    metadata: Arc<Mutex<MetadataCache>>,
    report: ReportSeries,
    scratch: CheckScratch,
}

/// Scrape to store.
#[derive(Clone, Copy, Debug)]
pub struct Scrape<'a> {
    /// Body, or the error of the exchange.
    pub body: Result<ScrapedBody<'a>, &'a ScrapeError>,
    /// Timestamp of samples without their own, ms since the Unix epoch.
    pub timestamp_ms: i64,
}

/// Body of a target.
#[derive(Clone, Copy, Debug)]
pub struct ScrapedBody<'a> {
    /// Decompressed bytes.
    pub bytes: &'a [u8],
    /// Value of `Content-Type`; empty if the header is absent.
    pub content_type: &'a str,
}

/// Database and limits to store with.
#[derive(Clone, Copy)]
pub struct Storage<'a> {
    /// Database, which must have recovered.
    pub db: &'a DbHandle,
    /// Limits that all protocols share.
    pub limits: &'a IngestLimits,
    /// Server clock, ms since the Unix epoch.
    pub now_ms: i64,
}

/// Result of a scrape.
#[derive(Debug)]
pub struct ScrapeReport {
    /// Error that failed the scrape; the target is down then.
    pub error: Option<ScrapeError>,
    /// Error of storage: the scrape is not stored.
    pub storage_error: Option<ScrapeStorageError>,
    /// Counts of the scrape.
    pub counts: ScrapeCounts,
    /// Stored and rejected items.
    pub outcome: WriteOutcome,
    /// Exemplars of series of which all exemplars are out of order.
    pub late_exemplars: u64,
    /// Time from the start of the scrape to the end of the appends.
    pub duration: Duration,
}

/// Error of storage.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeStorageError {
    /// Writes are not admitted.
    #[error("cannot store scrape: {0}")]
    Unavailable(WriteUnavailable),
    /// Writing to the WAL failed.
    #[error("cannot store scrape: {0}")]
    Wal(WalError),
}

impl ScrapeStorageError {
    /// All values of [`Self::reason`].
    pub const REASONS: [&str; 3] = ["read_only", "unavailable", "wal"];

    /// Returns the reason as metrics show it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let [read_only, unavailable, wal] = Self::REASONS;
        match self {
            Self::Unavailable(WriteUnavailable::ReadOnly(_)) => read_only,
            Self::Unavailable(WriteUnavailable::Replaying | WriteUnavailable::Closing) => {
                unavailable
            }
            Self::Unavailable(WriteUnavailable::LogFailed { .. }) | Self::Wal(_) => wal,
        }
    }
}

impl ScrapeReport {
    /// Returns the report of a scrape of which nothing is stored yet.
    pub(super) fn before_storage(
        error: Option<ScrapeError>,
        counts: ScrapeCounts,
        duration: Duration,
    ) -> Self {
        let outcome = WriteOutcome::default();
        Self { error, storage_error: None, counts, outcome, late_exemplars: 0, duration }
    }
}

impl<'a> Storage<'a> {
    fn appender(&self) -> Result<Appender<'a>, ScrapeStorageError> {
        let db = self.db.ready().map_err(|error| ScrapeStorageError::Unavailable(error.into()))?;
        db.appender().map_err(ScrapeStorageError::Unavailable)
    }
}

impl TargetStore {
    /// Creates the state of a target that was not scraped yet.
    #[must_use]
    pub fn new(target_labels: &Labels, extra_metrics: bool) -> Self {
        Self {
            series: SeriesCache::default(),
            unstored: UnstoredSeries::default(),
            untimed_exemplars: UntimedExemplars::default(),
            metadata: Arc::default(),
            report: ReportSeries::new(target_labels, extra_metrics),
            scratch: CheckScratch::default(),
        }
    }

    /// Returns the metadata of the target, for the API.
    #[must_use]
    pub fn metadata(&self) -> Arc<Mutex<MetadataCache>> {
        Arc::clone(&self.metadata)
    }

    /// Returns the memory of the caches of series and exemplars, bytes.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        self.series.memory_bytes()
            + self.unstored.memory_bytes()
            + self.untimed_exemplars.memory_bytes()
    }

    /// Checks and stores a scrape. `appended` is called once, when everything is appended and only
    /// the WAL is missing; it returns the time since the start of the scrape.
    pub fn store(
        &mut self,
        scrape: Scrape<'_>,
        settings: &UnitSettings,
        storage: Storage<'_>,
        staged: &mut StagedScrape,
        appended: &mut dyn FnMut() -> Duration,
    ) -> ScrapeReport {
        let body_error = self.begin_and_check(scrape, settings, staged).err();
        let mut report = ScrapeReport::before_storage(body_error, staged.counts, Duration::ZERO);
        match storage.appender() {
            Ok(appender) => {
                let append = ScrapeAppend::new(appender, storage.limits, storage.now_ms);
                let new_exemplars = Vec::new();
                let mut storing = Storing { store: self, settings, append, staged, new_exemplars };
                report.late_exemplars = storing.append_scrape(scrape.timestamp_ms, &report.error);
                if report.error.is_none() {
                    report.counts = storing.staged.counts;
                }
                report.duration = appended();
                let values = report_values(settings, &report, scrape);
                storing.append_report(scrape.timestamp_ms, values);
                match storing.append.commit() {
                    Ok(outcome) => report.outcome = outcome,
                    Err(error) => report.storage_error = Some(ScrapeStorageError::Wal(error)),
                }
                self.end_round(&report, scrape, staged);
            }
            Err(error) => {
                self.series.end_unstored();
                report.duration = appended();
                report.storage_error = Some(error);
            }
        }
        report
    }

    /// Stores the stale markers of a target that has ended, each only if its series has nothing
    /// newer.
    ///
    /// # Errors
    /// [`ScrapeStorageError`] if they cannot be stored.
    pub fn store_end_markers(
        &mut self,
        timestamp_ms: i64,
        storage: Storage<'_>,
    ) -> Result<(), ScrapeStorageError> {
        let appender = storage.appender()?;
        let mut append = ScrapeAppend::new(appender, storage.limits, storage.now_ms);
        self.series.begin();
        self.series.for_each_stale(|series| {
            append.append_stale_marker(series, timestamp_ms);
        });
        for number in 0..self.report.len() {
            if let Some(handle) = self.report.handle(number) {
                append.append_stale_marker(handle, timestamp_ms);
            }
        }
        self.series.end_failed();
        append.commit().map_err(ScrapeStorageError::Wal)?;
        Ok(())
    }

    /// Begins a scrape and stages its samples.
    pub(super) fn begin_and_check(
        &mut self,
        scrape: Scrape<'_>,
        settings: &UnitSettings,
        staged: &mut StagedScrape,
    ) -> Result<(), ScrapeError> {
        staged.clear();
        self.series.begin();
        self.check(scrape, settings, staged)
    }

    /// Returns the labels of a series that the current scrape has; `None` if they are dropped.
    pub(super) fn labels<'a>(
        &'a self,
        id: EntryId,
        staged: &'a StagedScrape,
    ) -> Option<&'a Labels> {
        match self.series.state(id) {
            EntryState::Series(handle) => Some(handle.labels()),
            EntryState::Pending(number) => staged.new_series.get(number as usize),
            EntryState::Reserved(number) => self.report.labels(number as usize),
            EntryState::Dropped => None,
        }
    }

    /// Returns the labels of a series of the scraper; `None` if it is not in use.
    pub(super) fn report_labels(&self, number: usize) -> Option<&Labels> {
        self.report.labels(number)
    }

    fn check(
        &mut self,
        scrape: Scrape<'_>,
        settings: &UnitSettings,
        staged: &mut StagedScrape,
    ) -> Result<(), ScrapeError> {
        let body = scrape.body.map_err(Clone::clone)?;
        if body.bytes.is_empty() {
            return Ok(());
        }
        let selected = Format::select(body.content_type, settings.fallback_format)
            .map_err(ScrapeError::ContentType)?;
        let check = Check {
            settings,
            timestamp_ms: scrape.timestamp_ms,
            series: &mut self.series,
            unstored: &self.unstored,
            metadata: &self.metadata,
            report: &self.report,
            staged,
            scratch: &mut self.scratch,
        };
        check.run(body.bytes, selected.format)
    }

    fn end_round(&mut self, report: &ScrapeReport, scrape: Scrape<'_>, staged: &StagedScrape) {
        match (&report.error, scrape.body) {
            (Some(_), _) => {
                let samples = staged.samples.iter().map(|sample| sample.series);
                let new =
                    samples.filter(|id| matches!(self.series.state(*id), EntryState::Pending(_)));
                let raw = new.map(|id| self.series.raw(id));
                self.unstored.add(raw, self.series.len_before());
                self.series.end_failed();
            }
            (None, Ok(body)) if body.bytes.is_empty() => self.series.end_empty(),
            (None, _) => {
                self.series.end_stored();
                self.unstored.clear();
                self.untimed_exemplars.end_scrape(self.series.len());
                self.metadata.lock().end_stored();
            }
        }
    }
}

/// Number of samples between the prefetch of a series' state and the append to it. Fewer would not
/// suffice for the memory to arrive; more would displace other data from the cache.
const STATES_AHEAD: usize = 16;
/// Number of samples between the prefetch of the end of a series' chunk and the append to it.
const CHUNKS_AHEAD: usize = 8;

/// Appends of one scrape.
struct Storing<'s, 'a> {
    store: &'s mut TargetStore,
    settings: &'s UnitSettings,
    append: ScrapeAppend<'a>,
    staged: &'s mut StagedScrape,
    /// Exemplars of one sample, in a buffer that the next sample reuses.
    new_exemplars: Vec<Exemplar>,
}

impl Storing<'_, '_> {
    /// Appends the samples unless the scrape failed, and the stale markers. Returns the number of
    /// late exemplars.
    fn append_scrape(&mut self, timestamp_ms: i64, error: &Option<ScrapeError>) -> u64 {
        let mut late_exemplars = 0;
        if error.is_none() {
            self.staged.counts.added = 0;
            late_exemplars = self.append_samples();
            self.reject_repeated();
            self.store_metadata();
        }
        let append = &mut self.append;
        self.store.series.for_each_stale(|series| {
            append.append_stale_marker(series, timestamp_ms);
        });
        late_exemplars
    }

    fn append_samples(&mut self) -> u64 {
        let (mut next_start, mut next_exemplar, mut late_exemplars) = (0, 0, 0);
        for position in 0..self.staged.samples.len() {
            self.prefetch(position);
            let staged = self.staged.samples[position];
            let sample = self.staged.take(position, &mut next_start);
            if self.append_sample(&staged, sample) && staged.flags.tracks_staleness {
                self.store.series.track(staged.series);
            }
            late_exemplars += self.append_exemplars(position, staged.series, &mut next_exemplar);
        }
        late_exemplars
    }

    /// Prefetches series whose samples follow the one at this position.
    #[inline]
    fn prefetch(&self, position: usize) {
        let handle_at = |position: usize| {
            let staged = self.staged.samples.get(position)?;
            match self.store.series.state(staged.series) {
                EntryState::Series(handle) => Some(handle),
                _ => None,
            }
        };
        if let Some(handle) = handle_at(position + STATES_AHEAD) {
            handle.prefetch_state();
        }
        if let Some(handle) = handle_at(position + CHUNKS_AHEAD) {
            handle.prefetch_open_chunk();
        }
    }

    /// Returns `true` if the sample is stored.
    fn append_sample(&mut self, staged: &StagedSample, mut sample: Sample) -> bool {
        let (series, append) = (&mut self.store.series, &mut self.append);
        let (id, is_counted) = (staged.series, staged.flags.is_counted);
        if self.settings.start_timestamps == StartTimestamps::StoreZero {
            if let Some(zero) = sample.start_zero() {
                let labels = match series.state(id) {
                    EntryState::Series(handle) => Some(handle.labels()),
                    EntryState::Pending(number) => self.staged.new_series.get(number as usize),
                    EntryState::Dropped | EntryState::Reserved(_) => None,
                };
                if let Some(labels) = labels {
                    append.append_start_zero(labels, zero);
                }
            }
            sample.start_timestamp = 0;
        }
        let (appended, is_new) = match series.state(id) {
            EntryState::Series(handle) => (append.append(handle, sample), false),
            EntryState::Pending(number) => match self.staged.new_series.get(number as usize) {
                Some(labels) => (append.append_new(labels, sample), true),
                None => return false,
            },
            EntryState::Dropped | EntryState::Reserved(_) => return false,
        };
        match appended {
            Appended::Stored => true,
            Appended::StoredIn(handle) => {
                series.resolve(id, handle);
                self.staged.counts.added += u64::from(is_new && !is_counted);
                true
            }
            // Another raw form of the series came first. It is known from now on.
            Appended::RejectedDuplicate(handle) if is_new => {
                series.resolve(id, handle);
                self.staged.counts.added += u64::from(!is_counted);
                false
            }
            Appended::Rejected | Appended::RejectedDuplicate(_) => false,
        }
    }

    fn append_exemplars(&mut self, position: usize, id: EntryId, next: &mut usize) -> u64 {
        let exemplars = &self.staged.exemplars;
        let start = *next;
        while exemplars.get(*next).is_some_and(|staged| staged.position as usize == position) {
            *next += 1;
        }
        if start == *next {
            return 0;
        }
        let TargetStore { series, untimed_exemplars: untimed, .. } = &mut *self.store;
        let EntryState::Series(handle) = series.state(id) else { return 0 };
        let series = handle.identity();
        let (mut repeated, mut last_new) = (0, None);
        for staged in &exemplars[start..*next] {
            if !staged.is_timed && untimed.is_last(series, &staged.exemplar) {
                repeated += 1;
            } else {
                self.new_exemplars.push(staged.exemplar.clone());
                last_new = Some(staged);
            }
        }
        let new = self.new_exemplars.drain(..);
        let late = self.append.append_exemplars(handle, new, repeated);
        // Storage keeps its last exemplar if all others are older.
        if let Some(staged) = last_new.filter(|_| late == 0) {
            untimed.set(series, (!staged.is_timed).then_some(&staged.exemplar));
        }
        late
    }

    fn reject_repeated(&mut self) {
        for repeated in &self.staged.repeated {
            if let Some(labels) = self.store.labels(repeated.series, self.staged) {
                self.append.reject_repeated(repeated.kind, labels, repeated.t);
            }
        }
    }

    fn store_metadata(&mut self) {
        let metadata = self.store.metadata.lock();
        for (id, position) in &self.staged.metadata {
            let EntryState::Series(handle) = self.store.series.state(*id) else { continue };
            let family = self.staged.families.get(*position as usize);
            if let Some((metadata, _)) = family.and_then(|name| metadata.get_with_change(name)) {
                self.append.set_metadata(handle, metadata);
            }
        }
    }

    /// Appends the series of the scraper.
    fn append_report(&mut self, timestamp_ms: i64, values: ReportValues) {
        for (number, (value, metric)) in values.into_iter().zip(METRICS).enumerate() {
            let report = &mut self.store.report;
            let Some(labels) = report.labels(number) else { return };
            let sample = Sample::new(timestamp_ms, SampleValue::Float(value));
            let appended = match report.handle(number) {
                Some(handle) => self.append.append(handle, sample),
                None => self.append.append_new(labels, sample),
            };
            if let Appended::StoredIn(handle) = appended {
                self.append.set_metadata(&handle, metric.metadata());
                report.set_handle(number, handle);
            }
        }
    }
}

/// Returns the values of the series of the scraper.
pub(super) fn report_values(
    settings: &UnitSettings,
    report: &ScrapeReport,
    scrape: Scrape<'_>,
) -> ReportValues {
    let up = if report.error.is_none() { 1.0 } else { 0.0 };
    let body_size = match scrape.body {
        Ok(body) => body.bytes.len() as f64,
        Err(ScrapeError::Fetch(error)) if error.is_body_size_limit() => -1.0,
        Err(_) => 0.0,
    };
    let counts = report.counts;
    [
        up,
        report.duration.as_secs_f64(),
        counts.scraped as f64,
        counts.post_relabeling as f64,
        counts.added as f64,
        settings.timeout.as_secs_f64(),
        settings.sample_limit as f64,
        body_size,
    ]
}
