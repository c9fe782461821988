//! Exemplars in: judged by [`crate::tsdb::head::exemplars`], logged in the request's batch behind its samples.
//!
//! By the same rule as samples: under the series' mutex, once no other batch in flight has touched the series. So its record stands before its
//! exemplars in the log, and these stand there in the order in which the ring took them; a replay refuses none of them.

use crate::model::exemplar::Exemplar;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::exemplars::{AddOutcome, ExemplarRejection};

impl HeadAppender<'_> {
    /// Appends to the series whose labels have exactly these bytes. It must be there: its samples are appended before, also where they are
    /// refused as repeated.
    ///
    /// `reject` is told of every exemplar that is not stored; one that is stored already counts as stored.
    pub fn append_exemplars(
        &mut self,
        packed: &[u8],
        exemplars: impl Iterator<Item = Exemplar>,
        mut reject: impl FnMut(Exemplar, ExemplarRejection),
    ) {
        let head = self.head;
        let Some(series) = head.series.get(packed) else {
            exemplars.for_each(|exemplar| reject(exemplar, ExemplarRejection::UnknownSeries));
            return;
        };
        let mut state = self.lock_series(&series);
        if state.is_collected {
            drop(state);
            exemplars.for_each(|exemplar| reject(exemplar, ExemplarRejection::UnknownSeries));
            return;
        }
        for exemplar in exemplars {
            match head.exemplars.add(&series.labels, &exemplar) {
                Ok(AddOutcome::Added) => {
                    self.batch.push_exemplar(series.reference, &exemplar);
                    state.last_batch = self.batch_id;
                    self.tally.exemplars += 1;
                }
                Ok(AddOutcome::Duplicate) => self.tally.exemplars += 1,
                Err(why) => reject(exemplar, why),
            }
        }
    }
}

#[cfg(test)]
mod tests;
