//! Tombstones of series in the head. Readers and the next block apply them.
//!
//! # Locking
//! Every read takes the only lock. Changes to many series are split into parts, so that a read
//! waits for at most one part.

use crate::model::intervals::Intervals;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::tombstones::Tombstones;
use parking_lot::RwLock;
use std::sync::Arc;

/// Maximum number of series whose tombstones change under one lock.
pub const TOMBSTONES_PER_HOLD: usize = 1024;

/// Deleted time range of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// Series in the head.
    pub series_ref: SeriesRef,
    /// Deleted range, ms, both ends inclusive.
    pub range: TimeRange,
}

/// Tombstones of the head.
#[derive(Debug, Default)]
pub struct HeadTombstones {
    tombstones: RwLock<Tombstones>,
}

impl HeadTombstones {
    /// Returns a copy of the current tombstones.
    #[must_use]
    pub fn to_tombstones(&self) -> Tombstones {
        self.tombstones.read().clone()
    }

    /// Returns the deleted intervals of a series.
    #[must_use]
    pub fn get(&self, series_ref: SeriesRef) -> Option<Arc<Intervals>> {
        self.tombstones.read().get(series_ref.0).map(Arc::clone)
    }

    /// Adds tombstones; readers skip the samples from now on.
    pub fn add(&self, added: &[Tombstone]) {
        for batch in added.chunks(TOMBSTONES_PER_HOLD) {
            let mut tombstones = self.tombstones.write();
            batch.iter().for_each(|added| tombstones.add(added.series_ref.0, added.range));
        }
    }

    /// Removes the tombstones of these series.
    pub fn remove(&self, series_refs: &[SeriesRef]) {
        for batch in series_refs.chunks(TOMBSTONES_PER_HOLD) {
            let mut tombstones = self.tombstones.write();
            if tombstones.is_empty() {
                break;
            }
            batch.iter().for_each(|series_ref| tombstones.remove(series_ref.0));
        }
    }

    /// Removes the deleted ranges that end before `t` ms.
    pub fn truncate_before(&self, t: i64) {
        let mut next = Some(0);
        while let Some(first) = next {
            next = self.tombstones.write().truncate_before(t, first, TOMBSTONES_PER_HOLD);
        }
    }
}
