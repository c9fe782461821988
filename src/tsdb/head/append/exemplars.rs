//! Appends of exemplars: checked by [`crate::tsdb::head::exemplars`], logged in the request's batch
//! after its samples.
//!
//! As for samples, the series mutex is held and no other in-flight batch has touched the series.
//! The WAL thus has the series record before its exemplars, and the exemplars in the order of the
//! ring; replay rejects none of them.

use crate::model::exemplar::Exemplar;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::append::series_handle::SeriesHandle;
use crate::tsdb::head::exemplars::{AddOutcome, ExemplarRejection};

impl HeadAppender<'_> {
    /// Appends to a series. Its samples must have been appended before, also if they were
    /// duplicates.
    ///
    /// `reject` is called for every exemplar that is not stored; a duplicate counts as stored. A
    /// series that was collected since is unknown.
    pub fn append_exemplars(
        &mut self,
        series: &SeriesHandle,
        exemplars: impl Iterator<Item = Exemplar>,
        mut reject: impl FnMut(Exemplar, ExemplarRejection),
    ) {
        let head = self.head;
        let series = series.series();
        let mut state = self.lock_series(series);
        if state.is_collected {
            drop(state);
            exemplars.for_each(|exemplar| reject(exemplar, ExemplarRejection::UnknownSeries));
            return;
        }
        for exemplar in exemplars {
            match head.side_data.exemplars.add(&series.labels, &exemplar) {
                Ok(AddOutcome::Added) => {
                    self.batch.push_exemplar(series.series_ref, &exemplar);
                    state.last_batch = self.batch_id;
                    self.stats.exemplars += 1;
                }
                Ok(AddOutcome::Duplicate) => self.stats.exemplars += 1,
                Err(reason) => reject(exemplar, reason),
            }
        }
    }
}

#[cfg(test)]
mod tests;
