//! Reading back a whole database in the test's own process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use narthex::model::matcher::{MatchKind, Matcher};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use std::collections::BTreeMap;

/// Every sample by series: time in ms and the bits of the value.
pub(crate) type Stored = BTreeMap<String, Vec<(i64, u64)>>;

/// Every sample that the database answers with.
pub(crate) fn everything(db: &Db) -> Stored {
    let all = Matcher::new(MatchKind::NotEqual, "__name__", "").unwrap();
    db.querier()
        .select(&[all], TimeRange::ALL)
        .unwrap()
        .map(|series| {
            let series = series.unwrap();
            let samples = series.samples(TimeRange::ALL).map(|s| s.map(|s| (s.t, s.v.to_bits())).unwrap()).collect();
            (series.labels().to_string(), samples)
        })
        .collect()
}
