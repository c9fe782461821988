//! The head's inverted index: label name → value → the series that have it, all in memory.
//!
//! ```text
//! names: BTreeMap ─ "job" ─▶ values: BTreeMap ─ "node" ─▶ List of SeriesRef, rising
//!                                              └ "prom" ─▶ …
//! all:   List of every series
//! ```
//!
//! Values stand sorted, so they are listed in order, a prefix is a range of them, and a long walk over them can stop
//! and go on after the value where it stopped.
//!
//! Lock: one `RwLock` over everything, taken inside and never while the caller's code waits for anything. A series is
//! added with all its labels in one hold, so no reader sees half of one. Whatever may take long (a walk over a million
//! values, a copy of a long list, a removal) is done in slices with the lock let go between them; a hold costs about
//! `SLICE` steps. `removal` is taken before `index` and only serialises removals, which are one pass over all lists
//! (`remove`).
//!
//! So a reader sees every series that was added before it began and is not removed; one added while it runs may be
//! seen or not, and one removed while it runs may be in the answer, even where a negative matcher excludes it. References
//! are never reused: whoever looks a removed one up finds nothing.

mod remove;
mod select;

use super::postings::{self, PostingsList};
use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::ops::Bound;

/// How much is done in one hold of the lock: values passed, references or bytes copied or compared. Mostly some tens of
/// microseconds; a regular expression over long values takes longer, but well below a millisecond.
const SLICE: usize = 16 << 10;
/// What passing over one value costs in that measure, besides its length.
const VALUE_COST: usize = 32;
/// Lists from this length on are gone through in slices of their own.
const LONG_LIST: usize = SLICE / 2;
/// Steps of a removal to pass one value; an entry of a list is one step.
const VALUE_STEPS: usize = 8;

/// The head's inverted index.
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

/// How much the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexCardinality {
    /// Series.
    pub series: usize,
    /// Label names.
    pub names: usize,
    /// Pairs of label name and value.
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
    /// Adds a series. Adding it again changes nothing.
    pub fn add(&self, series: SeriesRef, labels: &Labels) {
        let mut index = self.index.write();
        for (name, value) in labels.iter() {
            index.add(series, name, value);
        }
        postings::insert(&mut index.all, series);
    }

    /// The names of all labels, sorted.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let index = self.index.read();
            let after =
                names.last().map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_str()));
            let slice =
                index.names.range::<str, _>((after, Bound::Unbounded)).take(SLICE / VALUE_COST);
            let slice: Vec<String> = slice.map(|(name, _)| String::from(&**name)).collect();
            if slice.is_empty() {
                return names;
            }
            names.extend(slice);
        }
    }

    /// At most `most` values of a label behind `after`, sorted.
    #[must_use]
    pub fn values_after(&self, name: &str, after: Option<&str>, most: usize) -> Vec<String> {
        let index = self.index.read();
        let Some(values) = index.names.get(name) else { return Vec::new() };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        values
            .range::<str, _>((after, Bound::Unbounded))
            .take(most)
            .map(|(value, _)| String::from(&**value))
            .collect()
    }

    /// The series that have the label, rising.
    #[must_use]
    pub fn postings(&self, name: &str, value: &str) -> Vec<SeriesRef> {
        self.copy_list(|index| index.list(name, value))
    }

    /// Whether any series has the label.
    #[must_use]
    pub fn contains(&self, name: &str, value: &str) -> bool {
        !self.index.read().list(name, value).is_empty()
    }

    /// Every series, rising.
    #[must_use]
    pub fn all(&self) -> Vec<SeriesRef> {
        self.copy_list(|index| index.all.as_slice())
    }

    /// How much the index holds.
    #[must_use]
    pub fn cardinality(&self) -> IndexCardinality {
        let index = self.index.read();
        IndexCardinality { series: index.all.len(), names: index.names.len(), pairs: index.pairs }
    }

    /// A list, copied in slices.
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

    /// Shows every value of a label that begins with `prefix`, in order, with its series. The lock is held for
    /// reading meanwhile, and let go now and then.
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

    /// One slice of a scan: from the first value, or the one behind `after`. Returns where to go on, `None` at the end.
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
