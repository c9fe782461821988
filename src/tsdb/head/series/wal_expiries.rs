//! References that the WAL uses although no series of the head has them.

use crate::model::refs::SeriesRef;
use hashbrown::HashMap;
use parking_lot::Mutex;

/// Collected series and second references of series, each with the time (ms) up to which the WAL
/// has samples of it. A checkpoint must keep their series records until then.
#[derive(Debug, Default)]
pub struct WalExpiries {
    until: Mutex<HashMap<SeriesRef, i64>>,
}

impl WalExpiries {
    /// Adds references whose last sample in the WAL is not after `until` (ms).
    pub fn extend(&self, series_refs: impl ExactSizeIterator<Item = SeriesRef>, until: i64) {
        let mut expiries = self.until.lock();
        expiries.reserve(series_refs.len());
        for series_ref in series_refs {
            let noted = expiries.entry(series_ref).or_insert(until);
            *noted = until.max(*noted);
        }
    }

    /// Returns `true` if the WAL may have samples of this reference.
    #[must_use]
    pub fn contains(&self, series_ref: SeriesRef) -> bool {
        self.until.lock().contains_key(&series_ref)
    }

    /// Returns `true` if the WAL may have samples of this reference at `mint` (ms) or later.
    #[must_use]
    pub fn reaches(&self, series_ref: SeriesRef, mint: i64) -> bool {
        self.until.lock().get(&series_ref).is_some_and(|until| *until >= mint)
    }

    /// Drops the references without samples at `mint` (ms) or later, where the WAL starts now.
    pub fn expire_before(&self, mint: i64) {
        self.until.lock().retain(|_, until| *until >= mint);
    }
}
