//! Removal of collected series: one pass over all lists of the index.
//!
//! # Cost
//! Every entry and every value is visited once, whatever number of series is removed and whatever
//! labels they share: a list that contains all of them is filtered once, not once per series.
//!
//! # Locking
//! `removal` serializes removals, so a list only grows while one runs. Short lists are filtered
//! under the lock of the index, about `SLICE` steps at a time. A long list is copied and filtered
//! without the lock and then replaced; only entries added since are filtered under the lock.
//! Between two holds the thread sleeps: a request that creates thousands of series takes the lock
//! as often, and must not wait for a slice each time.

use super::{LONG_LIST, MemIndex, MemPostings, RemovalStats, SLICE, VALUE_STEPS};
use crate::model::refs::SeriesRef;
use crate::tsdb::index::postings::{self, PostingsList};
use crate::tsdb::index::series_ref_set::SeriesRefSet;
use parking_lot::RwLockWriteGuard;
use std::ops::Bound;
use std::time::Duration;

/// Number of entries at the end of a long list that are filtered under the lock. Concurrent
/// requests add references in any order, so some may be inserted before the end of a copy.
const TAIL: usize = LONG_LIST / 2;
/// Pause after `SLICE` steps under the lock.
const PAUSE: Duration = Duration::from_millis(1);

/// Removes the series in `dead`. The caller ensures that none of them is added again.
pub fn sweep(postings: &MemPostings, dead: &SeriesRefSet) {
    let mut stats = postings.removal.lock();
    Sweep { postings, dead, stats: &mut stats, since_pause: 0 }.run();
}

/// Pass over all lists.
struct Sweep<'a> {
    postings: &'a MemPostings,
    dead: &'a SeriesRefSet,
    stats: &'a mut RemovalStats,
    /// Steps under the lock since the last pause.
    since_pause: usize,
}

/// Values of a label that were filtered in one hold of the lock.
#[derive(Default)]
struct Slice {
    steps: usize,
    /// Values with long lists, which were skipped.
    long: Vec<Box<str>>,
    /// Values without series, removed from the index; freed after the lock is released.
    emptied: Vec<(Box<str>, PostingsList)>,
    /// The last value; `None` at the end of the label's values.
    end: Option<Box<str>>,
}

impl Sweep<'_> {
    fn run(&mut self) {
        self.filter_long(&ListKey::All);
        // A name that is added from here on has live series only.
        for name in self.postings.label_names() {
            self.filter_name(&name);
        }
    }

    fn filter_name(&mut self, name: &str) {
        let mut after = None;
        loop {
            let mut index = self.postings.index.write();
            let slice = index.filter_slice(name, after, self.dead);
            RwLockWriteGuard::unlock_fair(index);
            drop(slice.emptied);
            self.release(slice.steps);
            for value in &slice.long {
                self.filter_long(&ListKey::Label { name, value });
            }
            after = slice.end;
            if after.is_none() {
                return;
            }
        }
    }

    /// Filters a list of any length: all but its tail without the lock.
    fn filter_long(&mut self, place: &ListKey<'_>) {
        let is_alive = |series: &SeriesRef| !self.dead.contains(*series);
        loop {
            let mut kept = self.postings.copy_list(|index| place.list(index));
            self.stats.steps += kept.len();
            let stable = kept.len().saturating_sub(TAIL);
            let last_stable = stable.checked_sub(1).map(|at| kept[at]);
            let is_tail_alive = kept[stable..].iter().all(is_alive);
            kept.truncate(stable);
            kept.retain(is_alive);
            if is_tail_alive && kept.len() == stable {
                return;
            }
            kept.shrink_to(kept.len() + kept.len() / 8 + 2 * TAIL);

            let mut index = self.postings.index.write();
            let list = place.list(&index);
            // The list only grows. An entry inserted before this one would have moved it.
            if last_stable.is_some_and(|last| list.get(stable - 1) != Some(&last)) {
                continue;
            }
            let tail = &list[stable..];
            let steps = tail.len();
            kept.extend(tail.iter().copied().filter(is_alive));
            let old = place.replace(&mut index, PostingsList::from_vec(kept));
            RwLockWriteGuard::unlock_fair(index);
            drop(old);
            self.release(steps);
            return;
        }
    }

    /// Records a finished hold of the lock, and pauses so that other threads can take it.
    fn release(&mut self, steps: usize) {
        self.stats.steps += steps;
        self.stats.longest_hold = self.stats.longest_hold.max(steps);
        self.since_pause += steps;
        if self.since_pause >= SLICE {
            self.since_pause = 0;
            std::thread::sleep(PAUSE);
        }
    }
}

impl MemIndex {
    /// Filters the short lists of some values of a label, starting after `after` or at the first
    /// value.
    fn filter_slice(&mut self, name: &str, after: Option<Box<str>>, dead: &SeriesRefSet) -> Slice {
        let mut slice = Slice::default();
        let Some(values) = self.names.get_mut(name) else { return slice };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (value, list) in values.range((start.clone(), Bound::Unbounded)) {
            slice.steps += VALUE_STEPS;
            if list.len() >= LONG_LIST {
                slice.long.push(value.clone());
            } else {
                slice.steps += list.len();
            }
            if slice.steps >= SLICE {
                slice.end = Some(value.clone());
                break;
            }
        }
        let end = slice.end.clone().map_or(Bound::Unbounded, Bound::Included);
        let emptied = values.extract_if((start, end), |_, list| {
            if list.len() < LONG_LIST {
                list.retain(|series| !dead.contains(*series));
                postings::shrink(list);
            }
            list.is_empty()
        });
        slice.emptied = emptied.collect();
        self.pairs -= slice.emptied.len();
        if values.is_empty() {
            self.names.remove(name);
        }
        slice
    }
}

/// Key of a list in the index.
enum ListKey<'a> {
    All,
    Label { name: &'a str, value: &'a str },
}

impl ListKey<'_> {
    fn list<'i>(&self, index: &'i MemIndex) -> &'i [SeriesRef] {
        match self {
            ListKey::All => &index.all,
            ListKey::Label { name, value } => index.list(name, value),
        }
    }

    /// Replaces the list by `list` and returns the old one. Removes a label without series and a
    /// name without values.
    fn replace(&self, index: &mut MemIndex, list: PostingsList) -> PostingsList {
        let (name, value) = match self {
            ListKey::All => return std::mem::replace(&mut index.all, list),
            ListKey::Label { name, value } => (*name, *value),
        };
        let Some(values) = index.names.get_mut(name) else { return PostingsList::new() };
        if !list.is_empty() {
            return values
                .get_mut(value)
                .map_or_else(PostingsList::new, |place| std::mem::replace(place, list));
        }
        let old = values.remove(value);
        index.pairs -= usize::from(old.is_some());
        if values.is_empty() {
            index.names.remove(name);
        }
        old.unwrap_or_default()
    }
}
