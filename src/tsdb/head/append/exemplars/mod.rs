//! Appends of exemplars: checked by [`crate::tsdb::head::exemplars`], logged in the request's batch
//! after its samples.
//!
//! As for samples, the series mutex is held and no other in-flight batch has touched the series.
//! The WAL thus has the series record before its exemplars, and the exemplars in the order of the
//! ring; replay rejects none of them.

use crate::model::exemplar::Exemplar;
use crate::tsdb::head::append::request_log::RequestLog;
use crate::tsdb::head::exemplars::{AddOutcome, ExemplarRejection, ExemplarStorage};
use crate::tsdb::head::series::HeadSeries;

/// Appends to a series. Returns the number of stored exemplars, including duplicates.
pub(super) fn append_exemplars(
    log: &mut RequestLog<'_>,
    storage: &ExemplarStorage,
    series: &HeadSeries,
    exemplars: impl Iterator<Item = Exemplar>,
    mut reject: impl FnMut(Exemplar, ExemplarRejection),
) -> u64 {
    let mut state = log.lock_series(series);
    if state.is_collected {
        drop(state);
        exemplars.for_each(|exemplar| reject(exemplar, ExemplarRejection::UnknownSeries));
        return 0;
    }
    let mut stored = 0;
    for exemplar in exemplars {
        match storage.add(&series.labels, &exemplar) {
            Ok(AddOutcome::Added) => {
                log.push_exemplar(series.series_ref, &mut state, &exemplar);
                stored += 1;
            }
            Ok(AddOutcome::Duplicate) => stored += 1,
            Err(reason) => reject(exemplar, reason),
        }
    }
    stored
}
