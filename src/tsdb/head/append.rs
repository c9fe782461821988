//! Appending: the one way by which points enter the head, used by one request at a time on one thread.
//!
//! For each series of a request: find it by the bytes of its labels, lock it, judge and push its samples, and write those that
//! were accepted into the request's own log batch. [`HeadAppender::commit`] sends the batch to the log, waits for it as the sync mode
//! wants, and moves the chunks that became full to `chunks_head/`.
//!
//! A sample that is late goes another way, where the window allows it ([`crate::tsdb::head::ooo`]).
//!
//! A sample is judged as Prometheus does it, against bounds taken when the appender was made, except that a sample equal to
//! one that is stored, the newest or an older one, counts as stored: repeating a request is never an error.
//!
//! Invariant: what the head accepted reaches the log's queue, also when the appender is dropped.

mod exemplars;
mod late;
pub mod metadata;

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::model::value::{Point, Value};
use crate::tsdb::head::Head;
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::ooo::log::{LateLog, Logs};
use crate::tsdb::head::ooo::store::value_at;
use crate::tsdb::head::series::{Pushed, Series, SeriesState};
use crate::tsdb::wal::batch::Batch;
use crate::tsdb::wal::commit::{LogPosition, Wal};
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::record::kind::RecordKind;
use crate::tsdb::wal::record::open_record::StartRecords;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Why a sample is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rejection {
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
pub struct Committed {
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
    batch: Batch,
    batch_id: BatchId,
    bounds: Option<Bounds>,
    /// Late points; `None` where there is no log of them.
    late: Option<LateLog<'a>>,
    /// The first series that this request created.
    first_created: Option<SeriesRef>,
    /// The series that was appended to last, if there is one.
    last: Option<Arc<Series>>,
    /// Series of which this request sealed a chunk.
    sealed: Vec<Arc<Series>>,
    tally: Tally,
}

/// Which times are taken, as it was when the request began, or at its first sample if the head had none at all.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// In order, ms.
    min_valid: i64,
    /// Out of order, ms; `None` where none is taken.
    late_since: Option<i64>,
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug)]
struct Positions {
    wal: LogPosition,
    wbl: Option<LogPosition>,
}

/// What happened since the last visit to the head's shared counters.
#[derive(Debug)]
struct Tally {
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

impl Default for Tally {
    fn default() -> Self {
        Self { appended: 0, histograms: 0, repeated: 0, exemplars: 0, min_time: i64::MAX, max_time: i64::MIN, stale: 0 }
    }
}

/// A series was collected before any of these samples was looked at.
struct Collected<I>(I);

/// What becomes of one sample.
enum Verdict {
    Append,
    Insert,
    AlreadyStored,
    Reject(Rejection),
}

impl<'a> HeadAppender<'a> {
    /// An appender to `head` that logs to `logs`. Waits while 256 others are at work.
    #[must_use]
    pub fn new(head: &'a Head, logs: impl Into<Logs<'a>>) -> Self {
        let Logs { wal, wbl } = logs.into();
        let batch_id = head.in_flight.begin();
        let late = wbl.map(LateLog::new);
        let min_valid = head.times.append_bound(head.policy.chunk_range_ms);
        let late_since = late.as_ref().and_then(|_| head.takes_late_since());
        Self {
            head,
            wal,
            batch: head.spare_batch(),
            batch_id,
            bounds: min_valid.map(|min_valid| Bounds { min_valid, late_since }),
            late,
            first_created: None,
            last: None,
            sealed: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Appends to the series whose labels have exactly these bytes. `false`, and nothing done, where there is none.
    ///
    /// `reject` is told of every sample that is not stored.
    pub fn append_known(
        &mut self,
        packed: &[u8],
        points: impl Iterator<Item = Point>,
        mut reject: impl FnMut(Point, Rejection),
    ) -> bool {
        self.last = None;
        let Some(series) = self.head.series.get(packed) else { return false };
        let is_known = self.append_to(&series, points, &mut reject).is_ok();
        self.last = is_known.then_some(series);
        is_known
    }

    /// Appends to the series with these labels, which is created where there is none and a sample of it is accepted.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] where a series would have to be created; samples that were judged before are rejected one by
    /// one, `points` is left where the new series would have begun.
    pub fn append(
        &mut self,
        labels: &Labels,
        mut points: impl Iterator<Item = Point>,
        mut reject: impl FnMut(Point, Rejection),
    ) -> Result<(), SeriesLimitReached> {
        self.last = None;
        if let Some(series) = self.head.series.get(labels.as_packed()) {
            match self.append_to(&series, points, &mut reject) {
                Ok(()) => {
                    self.last = Some(series);
                    return Ok(());
                }
                Err(Collected(unread)) => points = unread,
            }
        }
        let first = loop {
            let Some(point) = points.next() else { return Ok(()) };
            match self.refuse(point.t) {
                None => break point,
                Some(why) => reject(point, why),
            }
        };
        let mut points = std::iter::once(first).chain(points);
        loop {
            let series = self.create_series(labels)?;
            match self.append_to(&series, points, &mut reject) {
                Ok(()) => {
                    self.last = Some(series);
                    return Ok(());
                }
                // It is on its way out of the map: a moment later there is room for a new one.
                Err(Collected(unread)) => points = unread,
            }
            std::thread::yield_now();
        }
    }

    /// Logs what was accepted, and returns when the log holds it as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] where the log could not be written: the samples are in memory, whether they survive is unknown.
    pub fn commit(mut self) -> Result<Committed, WalError> {
        let positions = self.enqueue();
        self.wal.wait(positions.wal)?;
        let sealed = std::mem::take(&mut self.sealed);
        self.head.mapping.map_sealed(&sealed, &self.head.stats);
        if let (Some(late), Some(position)) = (&self.late, positions.wbl) {
            late.wbl().wait(position)?;
        }
        Ok(Committed { samples: self.tally.appended + self.tally.repeated, exemplars: self.tally.exemplars })
    }

    fn create_series(&mut self, labels: &Labels) -> Result<Arc<Series>, SeriesLimitReached> {
        let head = self.head;
        let limit = head.max_series;
        let entry = head.series.get_or_create(labels, |hash, labels| {
            if head.series.len() >= limit {
                return Err(SeriesLimitReached { limit });
            }
            Ok(Series::new(head.next_ref(), hash, labels, self.batch_id))
        })?;
        if entry.created {
            let reference = entry.series.reference;
            self.first_created.get_or_insert(reference);
            self.batch.push_series(reference, &entry.series.labels);
            head.postings.add(reference, &entry.series.labels);
            head.stats.series_created.fetch_add(1, Ordering::Relaxed);
            self.give_metadata(&entry.series);
        }
        Ok(entry.series)
    }

    /// Appends to a series, unless it was collected meanwhile.
    fn append_to<I: Iterator<Item = Point>>(
        &mut self,
        series: &Arc<Series>,
        points: I,
        reject: &mut impl FnMut(Point, Rejection),
    ) -> Result<(), Collected<I>> {
        let mut state = self.lock(series);
        if state.is_dead {
            return Err(Collected(points));
        }
        let mut sealed = false;
        for point in points {
            let point = self.normal(&state, point);
            match self.judge(&state, &point) {
                Verdict::Append => sealed |= self.push(series.reference, &mut state, &point),
                Verdict::Insert => self.insert(series.reference, &mut state, point),
                Verdict::AlreadyStored => self.repeated(&state),
                Verdict::Reject(why) => reject(point, why),
            }
        }
        if sealed {
            self.sealed.push(Arc::clone(series));
        }
        Ok(())
    }

    /// Locks the series once no other batch in flight has touched it.
    fn lock<'s>(&mut self, series: &'s Series) -> MutexGuard<'s, SeriesState> {
        loop {
            let state = series.state.lock();
            let other = state.touched_by;
            if other == self.batch_id || !self.head.in_flight.contains(other) {
                return state;
            }
            drop(state);
            if !self.batch.is_empty() || self.late.as_ref().is_some_and(LateLog::has_unlogged) {
                self.log_so_far();
            }
            self.head.in_flight.wait_for(other);
        }
    }

    /// Sends what is not logged yet to the log's queue and begins another batch.
    fn log_so_far(&mut self) -> LogPosition {
        let position = self.wal.enqueue(&mut self.batch);
        self.late.as_mut().and_then(LateLog::enqueue);
        self.batch_id = self.head.in_flight.renew(self.batch_id);
        position
    }

    /// Stores an accepted point; whether a chunk was sealed before it.
    fn push(&mut self, reference: SeriesRef, state: &mut SeriesState, point: &Point) -> bool {
        self.log(reference, state, point);
        self.tally.appended += 1;
        self.tally.histograms += u64::from(!matches!(point.value, Value::Float(_)));
        self.tally.stale += i64::from(point.value.is_stale()) - i64::from(state.is_stale());
        self.tally.min_time = self.tally.min_time.min(point.t);
        self.tally.max_time = self.tally.max_time.max(point.t);
        match state.push(point, &self.head.chunk_rules()) {
            Pushed::IntoOpenChunk => return false,
            Pushed::IntoFirstChunk | Pushed::AfterSeal => {}
        }
        self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
        !state.sealed().is_empty()
    }

    /// The point as it is stored: without a start where none is kept, the marker of an end of the kind that ends.
    #[inline]
    fn normal(&self, state: &SeriesState, mut point: Point) -> Point {
        if self.head.starts == StartRecords::V1 {
            point.start = 0;
        }
        state.adapt(point)
    }

    /// Adds a point to the log's batch. Points of a series that go into records of different kinds stand in the order in which they came.
    #[inline]
    fn log(&mut self, reference: SeriesRef, state: &mut SeriesState, point: &Point) {
        let kind = self.batch.kind_of(point);
        if state.touched_by == self.batch_id && state.logged_as != kind && state.logged_as != RecordKind::Series {
            self.batch.end_records();
        }
        state.touched_by = self.batch_id;
        state.logged_as = kind;
        self.batch.push_point_of(kind, reference, point);
    }

    /// Why no sample at `t` ms is taken, whatever its series has. One that never is must not decide
    /// where an empty head begins.
    fn refuse(&mut self, t: i64) -> Option<Rejection> {
        if !TimeRange::STORABLE.contains(t) {
            return Some(Rejection::OutOfRange);
        }
        self.bounds(t).refuse(t)
    }

    fn judge(&mut self, state: &SeriesState, point: &Point) -> Verdict {
        if !TimeRange::STORABLE.contains(point.t) {
            return Verdict::Reject(Rejection::OutOfRange);
        }
        let bounds = self.bounds(point.t);
        let is_next = point.t >= bounds.min_valid && state.max_time().is_none_or(|max_time| point.t > max_time);
        if is_next && state.late.as_ref().is_none_or(|late| !late.reaches(point.t)) {
            return Verdict::Append;
        }
        match self.stored_value(state, point.t) {
            Some(stored) if is_repeated(&stored, &point.value) => Verdict::AlreadyStored,
            Some(_) => Verdict::Reject(Rejection::DuplicateTimestamp),
            None if is_next => Verdict::Append,
            None if bounds.takes_late(point.t) => Verdict::Insert,
            None if bounds.late_since.is_some() => Verdict::Reject(Rejection::TooOld),
            None => Verdict::Reject(bounds.refuse(point.t).unwrap_or(Rejection::OutOfOrder)),
        }
    }

    /// What is stored already counts as stored; but the answer waits until it is logged.
    fn repeated(&mut self, state: &SeriesState) {
        self.tally.repeated += 1;
        if let (Some(late), Some(_)) = (&mut self.late, &state.late) {
            late.wait_for_others();
        }
    }

    /// Which times are taken; on an empty head a sample at `first` decides.
    fn bounds(&mut self, first: i64) -> Bounds {
        let (head, late) = (self.head, &self.late);
        *self.bounds.get_or_insert_with(|| {
            let min_valid = head.times.begin_at(first, head.policy.chunk_range_ms);
            Bounds { min_valid, late_since: late.as_ref().and_then(|_| head.takes_late_since()) }
        })
    }

    /// The value that is stored at `t`, looked up in the chunks that cover it.
    fn stored_value(&self, state: &SeriesState, t: i64) -> Option<Value> {
        let late = state.late.as_deref().and_then(|late| self.head.late_value(late, t));
        late.or_else(|| self.value_in_order(state, t))
    }

    fn value_in_order(&self, state: &SeriesState, t: i64) -> Option<Value> {
        if let Some(open) = state.open.as_ref().filter(|open| open.chunk.last_t() == Some(t)) {
            return open.chunk.last_point().map(|last| last.value);
        }
        if let Some(open) = state.open.as_ref().filter(|open| open.mint <= t) {
            return value_at(open.chunk.encoding(), open.chunk.bytes(), t);
        }
        let sealed = state.sealed();
        if let Some(chunk) = sealed[..sealed.partition_point(|chunk| chunk.mint <= t)].last() {
            return value_at(chunk.encoding, &chunk.bytes, t);
        }
        let chunk = state.mapped.at(t)?;
        let data = self.head.mapping.read(chunk.at()).ok()?;
        value_at(chunk.encoding(), data.as_ref(), t)
    }

    /// Sends what is not logged yet to the log's queue and ends the batch.
    fn enqueue(&mut self) -> Positions {
        let wal = if self.batch.is_empty() { self.wal.position() } else { self.wal.enqueue(&mut self.batch) };
        let wbl = self.late.as_mut().and_then(LateLog::enqueue);
        self.count_late();
        self.head.in_flight.end(self.batch_id);
        self.batch_id = BatchId::NONE;
        self.head.keep_spare_batch(std::mem::take(&mut self.batch));
        self.head.times.include(self.tally.min_time, self.tally.max_time);
        let (stats, histograms) = (&self.head.stats, self.tally.histograms);
        stats.floats_appended.fetch_add(self.tally.appended - histograms, Ordering::Relaxed);
        stats.histograms_appended.fetch_add(histograms, Ordering::Relaxed);
        if self.tally.stale != 0 {
            self.head.stats.stale_series.fetch_add(self.tally.stale, Ordering::Relaxed);
        }
        Positions { wal, wbl }
    }
}

impl Bounds {
    /// Whether a sample at `t` ms may come late.
    fn takes_late(&self, t: i64) -> bool {
        self.late_since.is_some_and(|since| t >= since)
    }

    /// Why no sample at `t` ms is taken, whatever its series has.
    fn refuse(&self, t: i64) -> Option<Rejection> {
        let is_taken = t >= self.min_valid || self.takes_late(t);
        (!is_taken).then_some(if self.late_since.is_some() { Rejection::TooOld } else { Rejection::OutOfBounds })
    }
}

impl Drop for HeadAppender<'_> {
    fn drop(&mut self) {
        if self.batch_id != BatchId::NONE {
            self.enqueue();
        }
    }
}

/// Whether `value` is what is stored already. The marker of an end is, whatever kind it became when it was stored.
fn is_repeated(stored: &Value, value: &Value) -> bool {
    stored.is_same(value) || stored.is_stale() && value.is_stale()
}
