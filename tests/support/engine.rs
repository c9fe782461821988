//! Reads of a complete database in the test's own process.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::query::select::SeriesSet;
use std::collections::BTreeMap;

/// Samples by series: timestamp in ms and bits of the value.
pub(crate) type Stored = BTreeMap<String, Vec<(i64, u64)>>;

/// Reads all samples of the database.
pub(crate) fn everything(db: &Db) -> Stored {
    stored(db, &[Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()], TimeRange::ALL)
}

/// Reads the samples of one query. Series without samples are omitted.
pub(crate) fn stored(db: &Db, matchers: &[Matcher], range: TimeRange) -> Stored {
    stored_of(db.querier().select(matchers, range).unwrap(), range)
}

/// Reads the samples of selected series in `range`. Series without samples are omitted.
pub(crate) fn stored_of(selected: SeriesSet<'_>, range: TimeRange) -> Stored {
    let series = selected.map(|series| {
        let series = series.unwrap();
        let samples = series
            .float_samples(range)
            .map(|s| s.map(|s| (s.t, s.v.to_bits())).unwrap())
            .collect::<Vec<_>>();
        (series.labels().to_string(), samples)
    });
    series.filter(|(_, samples)| !samples.is_empty()).collect()
}
