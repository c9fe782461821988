//! Inverted index of the head, in memory: label name → value → series.
//!
//! ```text
//! names: BTreeMap ─ "job" ─▶ values: BTreeMap ─ "node" ─▶ PostingsList, ascending
//!                                              └ "prom" ─▶ …
//! all:   PostingsList of all series
//! ```
//!
//! | module | contents |
//! |--------|----------|
//! | `remove` | removal of series |
//! | `select` | selection by matchers |
//! | [`stats`] | names and pairs with the highest counts |
//!
//! Values are sorted. They are listed in order, a prefix is a range, and a long scan can release
//! the lock and resume after the last value.
//!
//! # Locking
//! A single `RwLock` protects everything; no caller waits for anything else while it is held. Long
//! operations (scans, copies, removals) run in slices of about `SLICE` steps and release the lock
//! between them. `removal` serializes removals, each of which is one pass over all lists
//! (`remove`), and is locked before `index`.
//!
//! # Consistency
//! - A series is added with all its labels under one write lock, so readers never see part of it.
//! - A reader sees every series that was added before it started and is not removed.
//! - A series added or removed while the reader runs may be in the result, even if a negative
//!   matcher excludes it. References are never reused: the lookup of a removed one finds nothing.

pub mod remove;
mod select;
pub mod stats;

use super::postings::{self, PostingsList};
use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Work per hold of the lock: values visited, references or bytes copied or compared. That takes
/// tens of microseconds; a regular expression on long values takes longer, but less than 1 ms.
const SLICE: usize = 16 << 10;
/// Cost of visiting one value, in units of [`SLICE`], in addition to its length.
const VALUE_COST: usize = 32;
/// Length from which a list is processed in slices of its own.
const LONG_LIST: usize = SLICE / 2;
/// Steps of a removal to pass one value; an entry of a list is one step.
const VALUE_STEPS: usize = 8;

/// Inverted index of the head; see the module documentation.
#[derive(Default)]
pub struct MemPostings {
    index: RwLock<MemIndex>,
    removal: Mutex<RemovalStats>,
}

#[derive(Default)]
struct MemIndex {
    names: BTreeMap<Box<str>, ValueLists>,
    all: PostingsList,
    pairs: usize,
}

type ValueLists = BTreeMap<Box<str>, PostingsList>;

/// Counts of series, label names and label pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexCardinality {
    /// Number of indexed series.
    pub series: usize,
    /// Number of distinct label names.
    pub names: usize,
    /// Number of distinct pairs of label name and value.
    pub pairs: usize,
}

/// Work of all removals so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalStats {
    /// Entries of lists that were visited, and 8 for each value.
    pub steps: usize,
    /// Steps of the longest time for which the index was locked.
    pub longest_hold: usize,
}

impl std::fmt::Debug for MemPostings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MemPostings").field(&self.cardinality()).finish()
    }
}

impl MemPostings {
    /// Adds a series. A second call for the same series has no effect.
    pub fn add(&self, series: SeriesRef, labels: &Labels) {
        let mut index = self.index.write();
        for (name, value) in labels.iter() {
            index.add(series, name, value);
        }
        postings::insert(&mut index.all, series);
    }

    /// Returns all label names, sorted.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let slice = self.names_after(names.last().map(String::as_str));
            if slice.is_empty() {
                return names;
            }
            names.extend(slice);
        }
    }

    /// Returns some label names after `after`, sorted; none at the end.
    fn names_after(&self, after: Option<&str>) -> Vec<String> {
        let index = self.index.read();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = index.names.range::<str, _>((after, Bound::Unbounded));
        names.take(SLICE / VALUE_COST).map(|(name, _)| String::from(&**name)).collect()
    }

    /// Returns up to `max` values of a label after `after`, sorted.
    #[must_use]
    pub fn values_after(&self, name: &str, after: Option<&str>, max: usize) -> Vec<String> {
        let index = self.index.read();
        let Some(values) = index.names.get(name) else { return Vec::new() };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        values
            .range::<str, _>((after, Bound::Unbounded))
            .take(max)
            .map(|(value, _)| String::from(&**value))
            .collect()
    }

    /// Returns the series with this label, ascending.
    #[must_use]
    pub fn postings(&self, name: &str, value: &str) -> Vec<SeriesRef> {
        self.copy_list(|index| index.list(name, value))
    }

    /// Returns `true` if any series has this label.
    #[must_use]
    pub fn contains(&self, name: &str, value: &str) -> bool {
        !self.index.read().list(name, value).is_empty()
    }

    /// Returns all series, ascending.
    #[must_use]
    pub fn all(&self) -> Vec<SeriesRef> {
        self.copy_list(|index| index.all.as_slice())
    }

    /// Counts of series, label names and label pairs.
    #[must_use]
    pub fn cardinality(&self) -> IndexCardinality {
        let index = self.index.read();
        IndexCardinality { series: index.all.len(), names: index.names.len(), pairs: index.pairs }
    }

    /// Work of all removals so far.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn removal_stats(&self) -> RemovalStats {
        *self.removal.lock()
    }

    /// Copies a list in slices. The lock is released between slices.
    fn copy_list(&self, list: impl Fn(&MemIndex) -> &[SeriesRef]) -> Vec<SeriesRef> {
        let mut copied: Vec<SeriesRef> = Vec::new();
        loop {
            let index = self.index.read();
            let list = list(&index);
            let start =
                copied.last().map_or(0, |last| list.partition_point(|series| series <= last));
            let slice = &list[start..list.len().min(start + SLICE)];
            if slice.is_empty() {
                return copied;
            }
            if copied.is_empty() {
                copied.reserve_exact(list.len());
            }
            copied.extend_from_slice(slice);
        }
    }

    /// Calls `visit` for each value with the prefix, in order, with its series.
    ///
    /// The read lock is held during calls and released from time to time.
    fn scan(&self, name: &str, prefix: &str, mut visit: impl FnMut(&str, &[SeriesRef])) {
        let mut after = None;
        loop {
            let index = self.index.read();
            after = index.scan_slice(name, prefix, after.as_deref(), &mut visit);
            if after.is_none() {
                return;
            }
        }
    }
}

impl MemIndex {
    fn add(&mut self, series: SeriesRef, name: &str, value: &str) {
        if !self.names.contains_key(name) {
            self.names.insert(name.into(), ValueLists::new());
        }
        let Some(values) = self.names.get_mut(name) else { return };
        match values.get_mut(value) {
            Some(list) => postings::insert(list, series),
            None => {
                values.insert(value.into(), smallvec::smallvec![series]);
                self.pairs += 1;
            }
        }
    }

    fn list(&self, name: &str, value: &str) -> &[SeriesRef] {
        self.names
            .get(name)
            .and_then(|values| values.get(value))
            .map_or(&[], PostingsList::as_slice)
    }

    /// Scans one slice, from the first value or the one after `after`. Returns the last visited
    /// value to resume after, or `None` at the end.
    fn scan_slice(
        &self,
        name: &str,
        prefix: &str,
        after: Option<&str>,
        visit: &mut impl FnMut(&str, &[SeriesRef]),
    ) -> Option<Box<str>> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let values = self.names.get(name)?.range::<str, _>((start, Bound::Unbounded));
        let mut cost = 0;
        for (value, list) in
            values.take_while(|(value, _)| prefix.is_empty() || value.starts_with(prefix))
        {
            visit(value, list);
            cost += VALUE_COST + value.len() + list.len().min(LONG_LIST);
            if cost >= SLICE {
                return Some(value.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
