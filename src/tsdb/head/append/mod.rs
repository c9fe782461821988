//! Appends: the only way by which samples enter the head. One appender serves one request on one
//! thread.
//!
//! For each series of a request, the appender finds the series by its label bytes, locks it,
//! decides about each sample, appends the accepted ones, and adds them to the request's log batch.
//! [`HeadAppender::commit`] enqueues the batch in the WAL, waits as the sync mode requires, and
//! moves sealed chunks to `chunks_head/`. Out-of-order samples take another path
//! ([`crate::tsdb::head::out_of_order`]).
//!
//! | module         | content                                        |
//! |----------------|------------------------------------------------|
//! | `exemplars`    | appends of exemplars                           |
//! | [`metadata`]   | appends of metadata, by series and by family   |
//! | `out_of_order` | appends of out-of-order samples                |
//! | [`series_handle`] | series of an append, for metadata and exemplars |
//! | [`wbl_batch`]  | records of a request for the WBL               |
//!
//! # Acceptance
//! The rules are Prometheus's, with bounds fixed when the appender is created. One exception: a
//! sample equal to a stored one, the newest or an older one, counts as stored, so a retry is never
//! an error.
//!
//! # Invariant
//! Every sample that the head accepted reaches the WAL queue, also when the appender is dropped.

mod exemplars;
pub mod metadata;
mod out_of_order;
pub mod series_handle;
pub mod wbl_batch;

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::series_handle::SeriesHandle;
use crate::tsdb::head::append::wbl_batch::{WblBatch, WriteLogs};
use crate::tsdb::head::chunks::lookup::find_value;
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::{PushOutcome, SeriesState};
use crate::tsdb::head::series::store::SeriesLimitReached;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::write_log::{LogPosition, Wal};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reason for not storing a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SampleRejection {
    /// The series has another value at that timestamp.
    DuplicateTimestamp,
    /// Older than the newest sample of its series, without an out-of-order window.
    OutOfOrder,
    /// Older than the head accepts, without an out-of-order window.
    OutOfBounds,
    /// Older than the out-of-order window.
    TooOld,
    /// Timestamp outside of [`TimeRange::STORABLE`].
    OutOfRange,
}

/// Numbers of items that are stored after a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Stored samples, including duplicates.
    pub samples: u64,
    /// Stored exemplars, including duplicates.
    pub exemplars: u64,
}

/// Appender for the samples of one request.
#[derive(Debug)]
pub struct HeadAppender<'a> {
    head: &'a Head,
    wal: &'a Wal,
    batch: LogBatch,
    batch_id: BatchId,
    bounds: Option<AppendBounds>,
    /// Out-of-order samples; `None` if there is no WBL.
    ooo: Option<WblBatch<'a>>,
    /// First series that this request created.
    first_created: Option<SeriesRef>,
    /// Series of which this request sealed a chunk.
    sealed: Vec<Arc<HeadSeries>>,
    stats: AppendStats,
}

/// Accepted times, fixed at the start of the request, or at its first sample if the head was empty.
#[derive(Clone, Copy, Debug)]
struct AppendBounds {
    /// Minimum time of in-order samples, ms.
    min_valid: i64,
    /// Minimum time of out-of-order samples, ms; `None` if none are accepted.
    min_ooo_time: Option<i64>,
}

/// Log positions that the response waits for.
#[derive(Clone, Copy, Debug)]
struct LogPositions {
    wal: LogPosition,
    wbl: Option<LogPosition>,
}

/// Counts of this request, for the head's shared counters.
#[derive(Debug)]
struct AppendStats {
    appended: u64,
    /// Native histograms among `appended`.
    histograms: u64,
    duplicates: u64,
    /// Stored exemplars, including duplicates.
    exemplars: u64,
    min_time: i64,
    max_time: i64,
    /// Number of series that became stale, minus those that became active again.
    stale: i64,
}

impl Default for AppendStats {
    fn default() -> Self {
        Self {
            appended: 0,
            histograms: 0,
            duplicates: 0,
            exemplars: 0,
            min_time: i64::MAX,
            max_time: i64::MIN,
            stale: 0,
        }
    }
}

/// The series was collected before any of these samples was examined.
struct SeriesCollected<I>(I);

/// Decision about one sample.
enum AppendDecision {
    Append,
    AppendOutOfOrder,
    Duplicate,
    Reject(SampleRejection),
}

impl<'a> HeadAppender<'a> {
    /// Creates an appender to `head` that logs to `logs`. Waits while 256 others are in flight.
    #[must_use]
    pub fn new(head: &'a Head, logs: impl Into<WriteLogs<'a>>) -> Self {
        let WriteLogs { wal, wbl } = logs.into();
        let batch_id = head.in_flight.begin();
        let ooo = wbl.map(WblBatch::new);
        let min_valid = head.times.min_appendable_time();
        let min_ooo_time = ooo.as_ref().and_then(|_| head.times.min_ooo_time());
        Self {
            head,
            wal,
            batch: head.log_batches.take(),
            batch_id,
            bounds: min_valid.map(|min_valid| AppendBounds { min_valid, min_ooo_time }),
            ooo,
            first_created: None,
            sealed: Vec::new(),
            stats: AppendStats::default(),
        }
    }

    /// Appends to the series with exactly these label bytes. Returns `None`, and does nothing, if
    /// it does not exist or was collected.
    ///
    /// `reject` is called for every sample that is not stored.
    pub fn append_existing(
        &mut self,
        label_bytes: &[u8],
        samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Option<SeriesHandle> {
        let series = self.head.series.get(label_bytes)?;
        self.append_to(&series, samples, &mut reject).ok()?;
        Some(SeriesHandle::new(series))
    }

    /// Appends to the series with these labels. Creates the series if it does not exist and one of
    /// the samples can be accepted. Returns `None` if it does not exist after that.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] if the series would have to be created. Samples examined before are
    /// rejected individually; the rest of `samples` is not consumed.
    pub fn append_or_create(
        &mut self,
        labels: &Labels,
        mut samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<Option<SeriesHandle>, SeriesLimitReached> {
        if let Some(series) = self.head.series.get(labels.as_bytes()) {
            match self.append_to(&series, samples, &mut reject) {
                Ok(()) => return Ok(Some(SeriesHandle::new(series))),
                Err(SeriesCollected(unread)) => samples = unread,
            }
        }
        let first = loop {
            let Some(sample) = samples.next() else { return Ok(None) };
            match self.rejection_for(sample.t) {
                None => break sample,
                Some(reason) => reject(sample, reason),
            }
        };
        let mut samples = std::iter::once(first).chain(samples);
        loop {
            let series = self.create_series(labels)?;
            match self.append_to(&series, samples, &mut reject) {
                Ok(()) => return Ok(Some(SeriesHandle::new(series))),
                // The collected series is about to leave the map; a retry creates a new one.
                Err(SeriesCollected(unread)) => samples = unread,
            }
            std::thread::yield_now();
        }
    }

    /// Returns the series with exactly these label bytes, for exemplars without samples.
    #[must_use]
    pub fn find_series(&self, label_bytes: &[u8]) -> Option<SeriesHandle> {
        self.head.series.get(label_bytes).map(SeriesHandle::new)
    }

    /// Logs the accepted samples and returns when they are as safe as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] if the log could not be written. The samples are in memory; it is unknown
    /// whether they survive a restart.
    pub fn commit(mut self) -> Result<CommitStats, WalError> {
        let positions = self.enqueue();
        self.wal.wait(positions.wal)?;
        let sealed = std::mem::take(&mut self.sealed);
        self.head.chunks.mapper.map_sealed(&sealed, &self.head.stats);
        if let (Some(ooo), Some(position)) = (&self.ooo, positions.wbl) {
            ooo.wbl().wait(position)?;
        }
        Ok(CommitStats {
            samples: self.stats.appended + self.stats.duplicates,
            exemplars: self.stats.exemplars,
        })
    }

    fn create_series(&mut self, labels: &Labels) -> Result<Arc<HeadSeries>, SeriesLimitReached> {
        let head = self.head;
        let entry = head.series.get_or_create(labels, self.batch_id)?;
        if entry.created {
            let series_ref = entry.series.series_ref;
            self.first_created.get_or_insert(series_ref);
            self.batch.push_series(series_ref, &entry.series.labels);
            head.stats.series_created.fetch_add(1, Ordering::Relaxed);
            self.inherit_family_metadata(&entry.series);
        }
        Ok(entry.series)
    }

    /// Appends to a series unless it was collected.
    fn append_to<I: Iterator<Item = Sample>>(
        &mut self,
        series: &Arc<HeadSeries>,
        samples: I,
        reject: &mut impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesCollected<I>> {
        let mut state = self.lock_series(series);
        if state.is_collected {
            return Err(SeriesCollected(samples));
        }
        let mut sealed = false;
        for sample in samples {
            let sample = self.normalize(&state, sample);
            match self.decide(&state, &sample) {
                AppendDecision::Append => {
                    sealed |= self.append_in_order(series.series_ref, &mut state, &sample)
                }
                AppendDecision::AppendOutOfOrder => {
                    self.append_out_of_order(series.series_ref, &mut state, sample)
                }
                AppendDecision::Duplicate => self.count_duplicate(&state),
                AppendDecision::Reject(reason) => reject(sample, reason),
            }
        }
        if sealed {
            self.sealed.push(Arc::clone(series));
        }
        Ok(())
    }

    /// Locks the series when no other in-flight batch has touched it.
    fn lock_series<'s>(&mut self, series: &'s HeadSeries) -> MutexGuard<'s, SeriesState> {
        loop {
            let state = series.state.lock();
            let other = state.last_batch;
            if other == self.batch_id || !self.head.in_flight.contains(other) {
                return state;
            }
            drop(state);
            if !self.batch.is_empty() || self.ooo.as_ref().is_some_and(WblBatch::has_unlogged) {
                // A batch that waits with unlogged samples could deadlock with the other one.
                self.flush_batch();
            }
            self.head.in_flight.wait_for(other);
        }
    }

    /// Enqueues what is not logged yet and starts another batch of the same request.
    fn flush_batch(&mut self) -> LogPosition {
        let position = self.wal.enqueue(&mut self.batch);
        self.ooo.as_mut().and_then(WblBatch::enqueue);
        // Last: after this, other batches may log samples of the same series.
        self.batch_id = self.head.in_flight.restart(self.batch_id);
        position
    }

    /// Appends an accepted sample. Returns `true` if the series has sealed chunks after a chunk was
    /// cut.
    fn append_in_order(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        sample: &Sample,
    ) -> bool {
        self.log_sample(series_ref, state, sample);
        self.stats.appended += 1;
        self.stats.histograms += u64::from(!matches!(sample.value, SampleValue::Float(_)));
        self.stats.stale += i64::from(sample.value.is_stale()) - i64::from(state.is_stale());
        self.stats.min_time = self.stats.min_time.min(sample.t);
        self.stats.max_time = self.stats.max_time.max(sample.t);
        match state.push(sample, &self.head.chunks.settings.chunk_policy()) {
            PushOutcome::IntoOpenChunk => return false,
            PushOutcome::IntoFirstChunk | PushOutcome::AfterSeal => {}
        }
        self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
        !state.sealed().is_empty()
    }

    /// Returns the sample as it is stored: without a start timestamp if records have none, and with
    /// stale markers of the series' type.
    #[inline]
    fn normalize(&self, state: &SeriesState, mut sample: Sample) -> Sample {
        if self.head.log_batches.record_version() == RecordVersion::V1 {
            sample.start_timestamp = 0;
        }
        state.normalize_stale_marker(sample)
    }

    /// Adds a sample to the log batch. Samples of a series keep their order even if they go into
    /// records of different types.
    #[inline]
    fn log_sample(&mut self, series_ref: SeriesRef, state: &mut SeriesState, sample: &Sample) {
        let record_type = self.batch.record_type_for(sample);
        if state.last_batch == self.batch_id
            && state.last_record_type != record_type
            && state.last_record_type != RecordType::Series
        {
            self.batch.finish_records();
        }
        state.last_batch = self.batch_id;
        state.last_record_type = record_type;
        self.batch.push_sample_as(record_type, series_ref, sample);
    }

    /// Returns the reason to reject every sample at `t` ms, whatever the series contains. A sample
    /// outside of [`TimeRange::STORABLE`] must not initialize the times of an empty head.
    fn rejection_for(&mut self, t: i64) -> Option<SampleRejection> {
        if !TimeRange::STORABLE.contains(t) {
            return Some(SampleRejection::OutOfRange);
        }
        self.bounds(t).rejection_for(t)
    }

    fn decide(&mut self, state: &SeriesState, sample: &Sample) -> AppendDecision {
        if !TimeRange::STORABLE.contains(sample.t) {
            return AppendDecision::Reject(SampleRejection::OutOfRange);
        }
        let bounds = self.bounds(sample.t);
        let is_next = sample.t >= bounds.min_valid
            && state.max_time().is_none_or(|max_time| sample.t > max_time);
        if is_next && state.out_of_order.as_ref().is_none_or(|ooo| !ooo.may_contain_from(sample.t))
        {
            return AppendDecision::Append;
        }
        match find_value(&self.head.chunks.mapper, state, sample.t) {
            Some(stored) if is_duplicate(&stored, &sample.value) => AppendDecision::Duplicate,
            Some(_) => AppendDecision::Reject(SampleRejection::DuplicateTimestamp),
            None if is_next => AppendDecision::Append,
            None if bounds.accepts_ooo(sample.t) => AppendDecision::AppendOutOfOrder,
            None if bounds.min_ooo_time.is_some() => {
                AppendDecision::Reject(SampleRejection::TooOld)
            }
            None => AppendDecision::Reject(
                bounds.rejection_for(sample.t).unwrap_or(SampleRejection::OutOfOrder),
            ),
        }
    }

    /// Counts a duplicate as stored. The response waits until the stored sample is logged.
    fn count_duplicate(&mut self, state: &SeriesState) {
        self.stats.duplicates += 1;
        if let (Some(ooo), Some(_)) = (&mut self.ooo, &state.out_of_order) {
            ooo.require_wait();
        }
    }

    /// Returns the accepted times. On an empty head, a sample at `first` initializes them.
    fn bounds(&mut self, first: i64) -> AppendBounds {
        let (head, ooo) = (self.head, &self.ooo);
        *self.bounds.get_or_insert_with(|| {
            let min_valid = head.times.init_at(first);
            AppendBounds {
                min_valid,
                min_ooo_time: ooo.as_ref().and_then(|_| head.times.min_ooo_time()),
            }
        })
    }

    /// Enqueues what is not logged yet and ends the batch.
    fn enqueue(&mut self) -> LogPositions {
        let wal = if self.batch.is_empty() {
            self.wal.position()
        } else {
            self.wal.enqueue(&mut self.batch)
        };
        let wbl = self.ooo.as_mut().and_then(WblBatch::enqueue);
        self.flush_ooo_stats();
        self.head.in_flight.end(self.batch_id);
        self.batch_id = BatchId::NONE;
        self.head.log_batches.recycle(std::mem::take(&mut self.batch));
        self.head.times.extend(self.stats.min_time, self.stats.max_time);
        let (stats, histograms) = (&self.head.stats, self.stats.histograms);
        stats.floats_appended.fetch_add(self.stats.appended - histograms, Ordering::Relaxed);
        stats.histograms_appended.fetch_add(histograms, Ordering::Relaxed);
        if self.stats.stale != 0 {
            self.head.stats.stale_series.fetch_add(self.stats.stale, Ordering::Relaxed);
        }
        LogPositions { wal, wbl }
    }
}

impl AppendBounds {
    /// Returns `true` if an out-of-order sample at `t` ms is accepted.
    fn accepts_ooo(&self, t: i64) -> bool {
        self.min_ooo_time.is_some_and(|since| t >= since)
    }

    /// Returns the reason to reject every sample at `t` ms, whatever the series contains.
    fn rejection_for(&self, t: i64) -> Option<SampleRejection> {
        let is_accepted = t >= self.min_valid || self.accepts_ooo(t);
        (!is_accepted).then_some(if self.min_ooo_time.is_some() {
            SampleRejection::TooOld
        } else {
            SampleRejection::OutOfBounds
        })
    }
}

impl Drop for HeadAppender<'_> {
    fn drop(&mut self) {
        if self.batch_id != BatchId::NONE {
            self.enqueue();
        }
    }
}

/// Returns `true` if `value` is stored already. Stale markers are equal whatever their type.
fn is_duplicate(stored: &SampleValue, value: &SampleValue) -> bool {
    stored.is_equivalent(value) || stored.is_stale() && value.is_stale()
}
