//! Posting lists: sorted series references.
//!
//! The candidates of a selection are a sorted slice with one bit each, so memory does not grow with
//! the number of lists that filter it. All functions are pure.

use crate::model::refs::SeriesRef;
use smallvec::SmallVec;

/// List of series references, ascending, without duplicates.
///
/// Most values of high-cardinality labels have one or two series, which need no heap allocation.
pub(super) type PostingsList = SmallVec<[SeriesRef; 2]>;

/// Length from which a list grows by a quarter instead of doubling, because long lists take most of
/// the memory of the index.
const SLOW_GROWTH: usize = 64;

/// Inserts a reference. An append is cheap and the usual case; only concurrent creations of series
/// can arrive out of order.
pub(super) fn insert(list: &mut PostingsList, series: SeriesRef) {
    if list.len() >= SLOW_GROWTH && list.len() == list.capacity() {
        list.reserve_exact(list.len() / 4);
    }
    match list.last() {
        Some(last) if *last >= series => {
            if let Err(at) = list.binary_search(&series) {
                list.insert(at, series);
            }
        }
        _ => list.push(series),
    }
}

/// Releases unused capacity if it exceeds half of the list.
pub(super) fn shrink(list: &mut PostingsList) {
    if list.capacity() > 2 * list.len() {
        list.shrink_to_fit();
    }
}

/// Bit set over a sorted slice of candidates.
pub(super) struct CandidateMask {
    words: Vec<u64>,
}

impl CandidateMask {
    pub(super) fn new<R>(candidates: &[R]) -> Self {
        Self { words: vec![0; candidates.len().div_ceil(64)] }
    }

    /// Marks the candidates that `list` contains. `offset` is the position of `candidates` in the
    /// complete slice.
    ///
    /// The time is linear in the shorter slice and logarithmic in the longer one.
    pub(super) fn mark<R: Copy + Ord>(&mut self, offset: usize, candidates: &[R], list: &[R]) {
        let (mut at, mut list_at) = (0, 0);
        while at < candidates.len() && list_at < list.len() {
            at = gallop(candidates, at, list[list_at]);
            let Some(candidate) = candidates.get(at) else { return };
            list_at = gallop(list, list_at, *candidate);
            if list.get(list_at) == Some(candidate) {
                self.words[(offset + at) / 64] |= 1 << ((offset + at) % 64);
                (at, list_at) = (at + 1, list_at + 1);
            }
        }
    }

    pub(super) fn keep_marked<R>(&self, candidates: &mut Vec<R>) {
        self.retain(candidates, true);
    }

    pub(super) fn drop_marked<R>(&self, candidates: &mut Vec<R>) {
        self.retain(candidates, false);
    }

    fn retain<R>(&self, candidates: &mut Vec<R>, marked: bool) {
        let mut at = 0;
        candidates.retain(|_| {
            let keep = (self.words[at / 64] >> (at % 64) & 1 == 1) == marked;
            at += 1;
            keep
        });
    }
}

/// Returns the first position at or after `from` whose element is at least `target`.
fn gallop<R: Copy + Ord>(list: &[R], from: usize, target: R) -> usize {
    let (mut low, mut step) = (from, 1);
    while list.get(low + step - 1).is_some_and(|series| *series < target) {
        low += step;
        step *= 2;
    }
    let high = list.len().min(low + step - 1);
    low + list[low..high].partition_point(|series| *series < target)
}

#[cfg(test)]
mod tests {
    use super::{CandidateMask, PostingsList, gallop, insert, shrink};
    use crate::model::refs::SeriesRef;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    fn refs(set: &BTreeSet<u64>) -> Vec<SeriesRef> {
        set.iter().copied().map(SeriesRef).collect()
    }

    #[test]
    fn two_references_stay_inline() {
        assert_eq!(std::mem::size_of::<PostingsList>(), 24);
        let mut list = PostingsList::new();
        for series in [7, 3, 7] {
            insert(&mut list, SeriesRef(series));
        }
        assert_eq!(
            (list.as_slice(), list.spilled()),
            ([SeriesRef(3), SeriesRef(7)].as_slice(), false)
        );
    }

    proptest! {
        #[test]
        fn list_stays_sorted_and_compact(added in proptest::collection::vec(0u64..500, 0..400)) {
            let mut list = PostingsList::new();
            added.iter().for_each(|series| insert(&mut list, SeriesRef(*series)));
            prop_assert_eq!(list.to_vec(), refs(&added.iter().copied().collect()));
            shrink(&mut list);
            prop_assert_eq!(list.capacity() <= (2 * list.len()).max(2), true);
        }

        #[test]
        fn mask_marks_the_intersection(
            candidates in proptest::collection::btree_set(0u64..300, 0..200),
            list in proptest::collection::btree_set(0u64..300, 0..200),
            split in 0usize..200,
        ) {
            let (all, list_refs) = (refs(&candidates), refs(&list));
            let mut marks = CandidateMask::new(&all);
            let split = split.min(all.len());
            marks.mark(0, &all[..split], &list_refs);
            marks.mark(split, &all[split..], &list_refs);
            let (mut kept, mut left) = (all.clone(), all.clone());
            marks.keep_marked(&mut kept);
            marks.drop_marked(&mut left);
            prop_assert_eq!(kept, refs(&candidates.intersection(&list).copied().collect()));
            prop_assert_eq!(left, refs(&candidates.difference(&list).copied().collect()));
            for from in 0..all.len() {
                let expected = from + all[from..].iter().take_while(|s| s.0 < 150).count();
                prop_assert_eq!(gallop(&all, from, SeriesRef(150)), expected);
            }
        }
    }
}
