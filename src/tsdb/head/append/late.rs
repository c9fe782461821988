//! Points that come late: into the series' open chunk of late points, and into a batch for the WBL.
//!
//! The WBL is written by the same rule as the WAL: under the mutex of the series, once no other batch in flight has touched it; whatever goes to
//! the queue of the WAL so far goes to that of the WBL right behind it, and the answer waits for both. So the WBL has the late points of a series
//! in the order in which they were taken, and those who repeat a point wait until it is logged.
//!
//! A chunk that is full is written at once, and its m-map marker stands behind its last point. A chunk file must not have a series that the log
//! does not know: the chunks of series that this request created wait for the next late point after it.

use crate::model::refs::SeriesRef;
use crate::model::value::{Point, ValueKind};
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::series::SeriesState;
use crate::tsdb::wal::batch::Batch;
use crate::tsdb::wal::commit::{LogPosition, Wal};
use crate::tsdb::wal::record::mmap_markers::RefMmapMarker;
use std::sync::atomic::Ordering;

/// The logs of a database.
#[derive(Clone, Copy, Debug)]
pub struct Logs<'a> {
    /// The write-ahead log.
    pub wal: &'a Wal,
    /// The write-behind log, of late points. Without it none is taken.
    pub wbl: Option<&'a Wal>,
}

impl<'a> From<&'a Wal> for Logs<'a> {
    fn from(wal: &'a Wal) -> Self {
        Self { wal, wbl: None }
    }
}

/// What a request has to do with the WBL.
#[derive(Debug)]
pub(super) struct LateLog<'a> {
    wbl: &'a Wal,
    /// Late points that are not in the queue yet; `None` before the first.
    batch: Option<Batch>,
    /// Whether the answer depends on late points, of this request or of others.
    is_awaited: bool,
    floats: u64,
    histograms: u64,
    min_time: i64,
    max_time: i64,
}

impl<'a> LateLog<'a> {
    pub(super) fn new(wbl: &'a Wal) -> Self {
        let (min_time, max_time) = (i64::MAX, i64::MIN);
        Self { wbl, batch: None, is_awaited: false, floats: 0, histograms: 0, min_time, max_time }
    }

    /// Whether it has points that are not in the queue.
    pub(super) fn has_unlogged(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.is_empty())
    }

    /// The answer must wait for the late points of others.
    pub(super) fn wait_for_others(&mut self) {
        self.is_awaited = true;
    }

    /// Sends what it has to the queue, and gives what the answer waits for.
    pub(super) fn enqueue(&mut self) -> Option<LogPosition> {
        let batch = self.batch.as_mut().filter(|batch| !batch.is_empty());
        let position = batch.map(|batch| self.wbl.enqueue(batch));
        position.or_else(|| self.is_awaited.then(|| self.wbl.position()))
    }

    /// The log.
    pub(super) fn wbl(&self) -> &'a Wal {
        self.wbl
    }
}

impl HeadAppender<'_> {
    /// Stores a late point that was accepted.
    pub(super) fn insert(&mut self, series: SeriesRef, state: &mut SeriesState, point: Point) {
        let head = self.head;
        let Some(log) = &mut self.late else { return };
        let batch = log.batch.get_or_insert_with(|| head.spare_batch());
        batch.push_point(series, &point);
        log.is_awaited = true;
        log.min_time = log.min_time.min(point.t);
        log.max_time = log.max_time.max(point.t);
        match point.value.kind() {
            ValueKind::Float => log.floats += 1,
            ValueKind::Histogram | ValueKind::FloatHistogram => log.histograms += 1,
        }
        state.touched_by = self.batch_id;
        self.tally.appended += 1;
        let late = state.late.get_or_insert_default();
        late.insert(point);
        if late.open.is_due() && self.first_created.is_none_or(|first| series < first) {
            // Where that fails the points stay in memory, and are tried again with the next ones: the WBL has them.
            let places = head.write_late(series, late).unwrap_or_default();
            places.into_iter().for_each(|chunk| batch.push_mmap_marker(RefMmapMarker { series, chunk }));
        }
    }

    /// Adds what came late to the counters of the head.
    pub(super) fn count_late(&mut self) {
        let Some(log) = &mut self.late else { return };
        let stats = &self.head.stats;
        stats.late_floats.fetch_add(log.floats, Ordering::Relaxed);
        stats.late_histograms.fetch_add(log.histograms, Ordering::Relaxed);
        self.head.window.include(log.min_time, log.max_time);
        if let Some(batch) = log.batch.take() {
            self.head.keep_spare_batch(batch);
        }
    }
}
