//! Appends of out-of-order samples: into the open OOO chunk of the series and into the WBL batch.
//!
//! # Ordering
//! The WBL follows the rule of the WAL: the series mutex is held and no other in-flight batch has
//! touched the series. Each flush to the WAL queue is followed by one to the WBL queue, and the
//! response waits for both. The WBL thus has the OOO samples of a series in append order, and a
//! request with a duplicate waits until the stored sample is logged.
//!
//! A full chunk is written at once, and its m-map marker follows its last sample. A chunk file must
//! not contain a series that the WAL lacks, so chunks of series that this request created wait for
//! later samples.

use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::chunks::out_of_order::OutOfOrderWriter;
use crate::tsdb::head::series::state::SeriesState;
use std::sync::atomic::Ordering;

impl HeadAppender<'_> {
    /// Appends an accepted out-of-order sample.
    pub(super) fn append_out_of_order(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        sample: Sample,
    ) {
        let head = self.head;
        let Some(wbl_batch) = &mut self.ooo else { return };
        wbl_batch.push(series_ref, &sample, || head.log_batches.take());
        state.last_batch = self.batch_id;
        self.stats.appended += 1;
        let ooo = state.out_of_order.get_or_insert_default();
        ooo.insert(sample);
        if ooo.open.is_full() && self.first_created.is_none_or(|first| series_ref < first) {
            match OutOfOrderWriter::new(&head.chunks, &head.stats).flush(series_ref, ooo) {
                Ok(chunks) => wbl_batch.push_markers(series_ref, chunks),
                // The samples stay in memory and in the WBL.
                Err(_) => ooo.open.retry_later(),
            }
        }
    }

    /// Adds the out-of-order samples to the counters of the head.
    pub(super) fn flush_ooo_stats(&mut self) {
        let Some(wbl_batch) = &mut self.ooo else { return };
        let (stats, batch_stats) = (&self.head.stats, wbl_batch.stats());
        stats.ooo_floats_appended.fetch_add(batch_stats.floats, Ordering::Relaxed);
        stats.ooo_histograms_appended.fetch_add(batch_stats.histograms, Ordering::Relaxed);
        self.head.times.ooo_window().extend(batch_stats.min_time, batch_stats.max_time);
        if let Some(batch) = wbl_batch.take_batch() {
            self.head.log_batches.recycle(batch);
        }
    }
}
