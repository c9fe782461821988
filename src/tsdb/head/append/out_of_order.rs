//! Points that come late: into the series' open chunk of late points, and into a batch for the WBL.
//!
//! The WBL is written by the same rule as the WAL: under the mutex of the series, once no other batch in flight has touched it; whatever goes to
//! the queue of the WAL so far goes to that of the WBL right behind it, and the answer waits for both. So the WBL has the late points of a series
//! in the order in which they were taken, and those who repeat a point wait until it is logged.
//!
//! A chunk that is full is written at once, and its m-map marker stands behind its last point. A chunk file must not have a series that the log
//! does not know: the chunks of series that this request created wait for later points.

use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::series::SeriesState;
use std::sync::atomic::Ordering;

impl HeadAppender<'_> {
    /// Stores a late point that was accepted.
    pub(super) fn append_out_of_order(
        &mut self,
        series: SeriesRef,
        state: &mut SeriesState,
        point: Sample,
    ) {
        let head = self.head;
        let Some(log) = &mut self.late else { return };
        log.push(series, &point, || head.spare_batch());
        state.last_batch = self.batch_id;
        self.tally.appended += 1;
        let late = state.out_of_order.get_or_insert_default();
        late.insert(point);
        if late.open.is_full() && self.first_created.is_none_or(|first| series < first) {
            match head.flush_ooo_chunk(series, late) {
                Ok(chunks) => log.push_markers(series, chunks),
                // The points stay in memory, and the WBL has them.
                Err(_) => late.open.retry_later(),
            }
        }
    }

    /// Adds what came late to the counters of the head.
    pub(super) fn flush_ooo_stats(&mut self) {
        let Some(log) = &mut self.late else { return };
        let (stats, tally) = (&self.head.stats, log.tally());
        stats.ooo_floats_appended.fetch_add(tally.floats, Ordering::Relaxed);
        stats.ooo_histograms_appended.fetch_add(tally.histograms, Ordering::Relaxed);
        self.head.ooo_window.extend(tally.min_time, tally.max_time);
        if let Some(batch) = log.take_batch() {
            self.head.recycle_batch(batch);
        }
    }
}
