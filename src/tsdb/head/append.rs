//! Appending: the one way by which points enter the head, used by one request at a time on one thread.
//!
//! For each series of a request: find it by the bytes of its labels, lock it, judge and push its samples, and write those that
//! were accepted into the request's own log batch. [`HeadAppender::commit`] sends the batch to the log, waits for it as the sync mode
//! wants, and moves the chunks that became full to `chunks_head/`.
//!
//! A sample that is late goes another way, where the window allows it ([`crate::tsdb::head::out_of_order`]).
//!
//! A sample is judged as Prometheus does it, against bounds taken when the appender was made, except that a sample equal to
//! one that is stored, the newest or an older one, counts as stored: repeating a request is never an error.
//!
//! Invariant: what the head accepted reaches the log's queue, also when the appender is dropped.

mod exemplars;
pub mod metadata;
mod out_of_order;

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::out_of_order::store::value_at;
use crate::tsdb::head::out_of_order::wbl_batch::{WblBatch, WriteLogs};
use crate::tsdb::head::series::{HeadSeries, PushOutcome, SeriesState};
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::write_log::{LogPosition, Wal};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Why a sample is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SampleRejection {
    /// Another value is stored at that timestamp.
    DuplicateTimestamp,
    /// Older than the newest sample of its series.
    OutOfOrder,
    /// Older than anything the head still takes.
    OutOfBounds,
    /// Older than the out-of-order window.
    TooOld,
    /// Outside of [`TimeRange::STORABLE`].
    OutOfRange,
}

/// No new series is taken: the head has as many as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} active series is reached")]
pub struct SeriesLimitReached {
    /// The limit.
    pub limit: usize,
}

/// What an appender has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Samples that are stored now, those included that were stored before with the same value.
    pub samples: u64,
    /// Exemplars, in the same way.
    pub exemplars: u64,
}

/// Takes the samples of one request.
#[derive(Debug)]
pub struct HeadAppender<'a> {
    head: &'a Head,
    wal: &'a Wal,
    batch: LogBatch,
    batch_id: BatchId,
    bounds: Option<AppendBounds>,
    /// Late points; `None` where there is no log of them.
    late: Option<WblBatch<'a>>,
    /// The first series that this request created.
    first_created: Option<SeriesRef>,
    /// The series that was appended to last, if there is one.
    last_series: Option<Arc<HeadSeries>>,
    /// Series of which this request sealed a chunk.
    sealed: Vec<Arc<HeadSeries>>,
    tally: AppendStats,
}

/// Which times are taken, as it was when the request began, or at its first sample if the head had none at all.
#[derive(Clone, Copy, Debug)]
struct AppendBounds {
    /// In order, ms.
    min_valid: i64,
    /// Out of order, ms; `None` where none is taken.
    min_ooo_time: Option<i64>,
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug)]
struct LogPositions {
    wal: LogPosition,
    wbl: Option<LogPosition>,
}

/// What happened since the last visit to the head's shared counters.
#[derive(Debug)]
struct AppendStats {
    appended: u64,
    /// Native histograms among them.
    histograms: u64,
    repeated: u64,
    /// Exemplars that are stored, repeated ones included.
    exemplars: u64,
    min_time: i64,
    max_time: i64,
    /// Series that became stale less those that came back.
    stale: i64,
}

impl Default for AppendStats {
    fn default() -> Self {
        Self {
            appended: 0,
            histograms: 0,
            repeated: 0,
            exemplars: 0,
            min_time: i64::MAX,
            max_time: i64::MIN,
            stale: 0,
        }
    }
}

/// A series was collected before any of these samples was looked at.
struct SeriesCollected<I>(I);

/// What becomes of one sample.
enum AppendDecision {
    Append,
    AppendOutOfOrder,
    Duplicate,
    Reject(SampleRejection),
}

impl<'a> HeadAppender<'a> {
    /// An appender to `head` that logs to `logs`. Waits while 256 others are at work.
    #[must_use]
    pub fn new(head: &'a Head, logs: impl Into<WriteLogs<'a>>) -> Self {
        let WriteLogs { wal, wbl } = logs.into();
        let batch_id = head.in_flight.begin();
        let late = wbl.map(WblBatch::new);
        let min_valid = head.times.min_appendable_time(head.policy.chunk_range_ms);
        let late_since = late.as_ref().and_then(|_| head.min_ooo_time());
        Self {
            head,
            wal,
            batch: head.spare_batch(),
            batch_id,
            bounds: min_valid.map(|min_valid| AppendBounds { min_valid, min_ooo_time: late_since }),
            late,
            first_created: None,
            last_series: None,
            sealed: Vec::new(),
            tally: AppendStats::default(),
        }
    }

    /// Appends to the series whose labels have exactly these bytes. `false`, and nothing done, where there is none.
    ///
    /// `reject` is told of every sample that is not stored.
    pub fn append_existing(
        &mut self,
        packed: &[u8],
        points: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> bool {
        self.last_series = None;
        let Some(series) = self.head.series.get(packed) else { return false };
        let is_known = self.append_to(&series, points, &mut reject).is_ok();
        self.last_series = is_known.then_some(series);
        is_known
    }

    /// Appends to the series with these labels, which is created where there is none and a sample of it is accepted.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] where a series would have to be created; samples that were judged before are rejected one by
    /// one, `points` is left where the new series would have begun.
    pub fn append_or_create(
        &mut self,
        labels: &Labels,
        mut points: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesLimitReached> {
        self.last_series = None;
        if let Some(series) = self.head.series.get(labels.as_bytes()) {
            match self.append_to(&series, points, &mut reject) {
                Ok(()) => {
                    self.last_series = Some(series);
                    return Ok(());
                }
                Err(SeriesCollected(unread)) => points = unread,
            }
        }
        let first = loop {
            let Some(point) = points.next() else { return Ok(()) };
            match self.rejection_for(point.t) {
                None => break point,
                Some(why) => reject(point, why),
            }
        };
        let mut points = std::iter::once(first).chain(points);
        loop {
            let series = self.create_series(labels)?;
            match self.append_to(&series, points, &mut reject) {
                Ok(()) => {
                    self.last_series = Some(series);
                    return Ok(());
                }
                // It is on its way out of the map: a moment later there is room for a new one.
                Err(SeriesCollected(unread)) => points = unread,
            }
            std::thread::yield_now();
        }
    }

    /// Logs what was accepted, and returns when the log holds it as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] where the log could not be written: the samples are in memory, whether they survive is unknown.
    pub fn commit(mut self) -> Result<CommitStats, WalError> {
        let positions = self.enqueue();
        self.wal.wait(positions.wal)?;
        let sealed = std::mem::take(&mut self.sealed);
        self.head.mapping.map_sealed(&sealed, &self.head.stats);
        if let (Some(late), Some(position)) = (&self.late, positions.wbl) {
            late.wbl().wait(position)?;
        }
        Ok(CommitStats {
            samples: self.tally.appended + self.tally.repeated,
            exemplars: self.tally.exemplars,
        })
    }

    fn create_series(&mut self, labels: &Labels) -> Result<Arc<HeadSeries>, SeriesLimitReached> {
        let head = self.head;
        let limit = head.max_series;
        let entry = head.series.get_or_create(labels, |hash, labels| {
            if head.series.len() >= limit {
                return Err(SeriesLimitReached { limit });
            }
            Ok(HeadSeries::new(head.next_ref(), hash, labels, self.batch_id))
        })?;
        if entry.created {
            let reference = entry.series.reference;
            self.first_created.get_or_insert(reference);
            self.batch.push_series(reference, &entry.series.labels);
            head.postings.add(reference, &entry.series.labels);
            head.stats.series_created.fetch_add(1, Ordering::Relaxed);
            self.inherit_family_metadata(&entry.series);
        }
        Ok(entry.series)
    }

    /// Appends to a series, unless it was collected meanwhile.
    fn append_to<I: Iterator<Item = Sample>>(
        &mut self,
        series: &Arc<HeadSeries>,
        points: I,
        reject: &mut impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesCollected<I>> {
        let mut state = self.lock_series(series);
        if state.is_collected {
            return Err(SeriesCollected(points));
        }
        let mut sealed = false;
        for point in points {
            let point = self.normalize(&state, point);
            match self.decide(&state, &point) {
                AppendDecision::Append => {
                    sealed |= self.append_in_order(series.reference, &mut state, &point)
                }
                AppendDecision::AppendOutOfOrder => {
                    self.append_out_of_order(series.reference, &mut state, point)
                }
                AppendDecision::Duplicate => self.count_duplicate(&state),
                AppendDecision::Reject(why) => reject(point, why),
            }
        }
        if sealed {
            self.sealed.push(Arc::clone(series));
        }
        Ok(())
    }

    /// Locks the series once no other batch in flight has touched it.
    fn lock_series<'s>(&mut self, series: &'s HeadSeries) -> MutexGuard<'s, SeriesState> {
        loop {
            let state = series.state.lock();
            let other = state.last_batch;
            if other == self.batch_id || !self.head.in_flight.contains(other) {
                return state;
            }
            drop(state);
            if !self.batch.is_empty() || self.late.as_ref().is_some_and(WblBatch::has_unlogged) {
                self.flush_batch();
            }
            self.head.in_flight.wait_for(other);
        }
    }

    /// Sends what is not logged yet to the log's queue and begins another batch.
    fn flush_batch(&mut self) -> LogPosition {
        let position = self.wal.enqueue(&mut self.batch);
        self.late.as_mut().and_then(WblBatch::enqueue);
        self.batch_id = self.head.in_flight.restart(self.batch_id);
        position
    }

    /// Stores an accepted point; whether a chunk was sealed before it.
    fn append_in_order(
        &mut self,
        reference: SeriesRef,
        state: &mut SeriesState,
        point: &Sample,
    ) -> bool {
        self.log_sample(reference, state, point);
        self.tally.appended += 1;
        self.tally.histograms += u64::from(!matches!(point.value, SampleValue::Float(_)));
        self.tally.stale += i64::from(point.value.is_stale()) - i64::from(state.is_stale());
        self.tally.min_time = self.tally.min_time.min(point.t);
        self.tally.max_time = self.tally.max_time.max(point.t);
        match state.push(point, &self.head.chunk_policy()) {
            PushOutcome::IntoOpenChunk => return false,
            PushOutcome::IntoFirstChunk | PushOutcome::AfterSeal => {}
        }
        self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
        !state.sealed().is_empty()
    }

    /// The point as it is stored: without a start where none is kept, the marker of an end of the kind that ends.
    #[inline]
    fn normalize(&self, state: &SeriesState, mut point: Sample) -> Sample {
        if self.head.record_version == RecordVersion::V1 {
            point.start_timestamp = 0;
        }
        state.normalize_stale_marker(point)
    }

    /// Adds a point to the log's batch. Points of a series that go into records of different kinds stand in the order in which they came.
    #[inline]
    fn log_sample(&mut self, reference: SeriesRef, state: &mut SeriesState, point: &Sample) {
        let kind = self.batch.record_type_for(point);
        if state.last_batch == self.batch_id
            && state.last_record_type != kind
            && state.last_record_type != RecordType::Series
        {
            self.batch.finish_records();
        }
        state.last_batch = self.batch_id;
        state.last_record_type = kind;
        self.batch.push_sample_as(kind, reference, point);
    }

    /// Why no sample at `t` ms is taken, whatever its series has. One that never is must not decide
    /// where an empty head begins.
    fn rejection_for(&mut self, t: i64) -> Option<SampleRejection> {
        if !TimeRange::STORABLE.contains(t) {
            return Some(SampleRejection::OutOfRange);
        }
        self.bounds(t).rejection_for(t)
    }

    fn decide(&mut self, state: &SeriesState, point: &Sample) -> AppendDecision {
        if !TimeRange::STORABLE.contains(point.t) {
            return AppendDecision::Reject(SampleRejection::OutOfRange);
        }
        let bounds = self.bounds(point.t);
        let is_next = point.t >= bounds.min_valid
            && state.max_time().is_none_or(|max_time| point.t > max_time);
        if is_next && state.out_of_order.as_ref().is_none_or(|late| !late.may_contain_from(point.t))
        {
            return AppendDecision::Append;
        }
        match self.find_stored_value(state, point.t) {
            Some(stored) if is_duplicate(&stored, &point.value) => AppendDecision::Duplicate,
            Some(_) => AppendDecision::Reject(SampleRejection::DuplicateTimestamp),
            None if is_next => AppendDecision::Append,
            None if bounds.accepts_ooo(point.t) => AppendDecision::AppendOutOfOrder,
            None if bounds.min_ooo_time.is_some() => {
                AppendDecision::Reject(SampleRejection::TooOld)
            }
            None => AppendDecision::Reject(
                bounds.rejection_for(point.t).unwrap_or(SampleRejection::OutOfOrder),
            ),
        }
    }

    /// What is stored already counts as stored; but the answer waits until it is logged.
    fn count_duplicate(&mut self, state: &SeriesState) {
        self.tally.repeated += 1;
        if let (Some(late), Some(_)) = (&mut self.late, &state.out_of_order) {
            late.require_wait();
        }
    }

    /// Which times are taken; on an empty head a sample at `first` decides.
    fn bounds(&mut self, first: i64) -> AppendBounds {
        let (head, late) = (self.head, &self.late);
        *self.bounds.get_or_insert_with(|| {
            let min_valid = head.times.init_at(first, head.policy.chunk_range_ms);
            AppendBounds {
                min_valid,
                min_ooo_time: late.as_ref().and_then(|_| head.min_ooo_time()),
            }
        })
    }

    /// The value that is stored at `t`, looked up in the chunks that cover it.
    fn find_stored_value(&self, state: &SeriesState, t: i64) -> Option<SampleValue> {
        let late = state.out_of_order.as_deref().and_then(|late| self.head.find_ooo_value(late, t));
        late.or_else(|| self.find_in_order_value(state, t))
    }

    fn find_in_order_value(&self, state: &SeriesState, t: i64) -> Option<SampleValue> {
        if let Some(open) = state.open.as_ref().filter(|open| open.chunk.last_t() == Some(t)) {
            return open.chunk.last_sample().map(|last| last.value);
        }
        if let Some(open) = state.open.as_ref().filter(|open| open.mint <= t) {
            return value_at(open.chunk.encoding(), open.chunk.bytes(), t);
        }
        let sealed = state.sealed();
        if let Some(chunk) = sealed[..sealed.partition_point(|chunk| chunk.mint <= t)].last() {
            return value_at(chunk.encoding, &chunk.bytes, t);
        }
        let chunk = state.mapped.covering(t)?;
        let data = self.head.mapping.read(chunk.chunk_ref()).ok()?;
        value_at(chunk.encoding(), data.as_ref(), t)
    }

    /// Sends what is not logged yet to the log's queue and ends the batch.
    fn enqueue(&mut self) -> LogPositions {
        let wal = if self.batch.is_empty() {
            self.wal.position()
        } else {
            self.wal.enqueue(&mut self.batch)
        };
        let wbl = self.late.as_mut().and_then(WblBatch::enqueue);
        self.flush_ooo_stats();
        self.head.in_flight.end(self.batch_id);
        self.batch_id = BatchId::NONE;
        self.head.recycle_batch(std::mem::take(&mut self.batch));
        self.head.times.extend(self.tally.min_time, self.tally.max_time);
        let (stats, histograms) = (&self.head.stats, self.tally.histograms);
        stats.floats_appended.fetch_add(self.tally.appended - histograms, Ordering::Relaxed);
        stats.histograms_appended.fetch_add(histograms, Ordering::Relaxed);
        if self.tally.stale != 0 {
            self.head.stats.stale_series.fetch_add(self.tally.stale, Ordering::Relaxed);
        }
        LogPositions { wal, wbl }
    }
}

impl AppendBounds {
    /// Whether a sample at `t` ms may come late.
    fn accepts_ooo(&self, t: i64) -> bool {
        self.min_ooo_time.is_some_and(|since| t >= since)
    }

    /// Why no sample at `t` ms is taken, whatever its series has.
    fn rejection_for(&self, t: i64) -> Option<SampleRejection> {
        let is_taken = t >= self.min_valid || self.accepts_ooo(t);
        (!is_taken).then_some(if self.min_ooo_time.is_some() {
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

/// Whether `sample` is what is stored already. The marker of an end is, whatever kind it became when it was stored.
fn is_duplicate(stored: &SampleValue, value: &SampleValue) -> bool {
    stored.is_equivalent(value) || stored.is_stale() && value.is_stale()
}
