//! Union of the buckets of two histograms, and the counts of each in that union.
//!
//! Buckets are identified by their index; see [`Span`]. All functions are pure.

use crate::model::histogram::Span;
use crate::tsdb::chunk::histogram::count_codec::CountCodec;
use std::cmp::Ordering;

/// Returns the index of each bucket, or `None` if the indices are not ascending, which no valid
/// histogram has.
///
/// The caller has bounded the number of buckets, which is
/// [`bucket_count`](crate::tsdb::chunk::histogram::layout::bucket_count).
pub(super) fn indices(spans: &[Span]) -> Option<Vec<i64>> {
    let mut indices: Vec<i64> = Vec::new();
    let mut next = 0;
    for span in spans {
        next += i64::from(span.offset);
        if span.length > 0 && indices.last().is_some_and(|last| next <= *last) {
            return None;
        }
        indices.extend(next..next + i64::from(span.length));
        next += i64::from(span.length);
    }
    Some(indices)
}

/// Returns the fewest spans with these buckets, whose indices are ascending.
pub(super) fn spans_from_indices(indices: &[i64]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    for &index in indices {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: (index - next) as i32, length: 1 }),
        }
        next = index + 1;
    }
    spans
}

/// Union of the buckets of two histograms, left and right.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BucketUnion {
    /// Indices of all buckets, ascending.
    pub(super) indices: Vec<i64>,
    /// Positions in `indices` of the buckets of the left histogram; `right` has those of the right
    /// one.
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

impl BucketUnion {
    /// Creates the union of two lists of ascending indices.
    pub(super) fn new(left: &[i64], right: &[i64]) -> Self {
        let mut union = Self::default();
        let (mut i, mut j) = (0, 0);
        loop {
            let order = match (left.get(i), right.get(j)) {
                (Some(a), Some(b)) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return union,
            };
            let position = union.indices.len();
            union.indices.push(if order.is_le() { left[i] } else { right[j] });
            if order.is_le() {
                union.left.push(position);
                i += 1;
            }
            if order.is_ge() {
                union.right.push(position);
                j += 1;
            }
        }
    }

    /// Returns `true` if the left histogram lacks a bucket of the right one.
    pub(super) fn right_adds_buckets(&self) -> bool {
        self.left.len() < self.indices.len()
    }

    /// Returns `true` if the right histogram lacks a bucket of the left one.
    pub(super) fn left_adds_buckets(&self) -> bool {
        self.right.len() < self.indices.len()
    }

    /// Returns the stored counts of the left histogram, with empty buckets for the ones it lacks.
    pub(super) fn expand_left<N: CountCodec>(&self, stored: &[N::Raw]) -> Vec<N::Raw> {
        expand::<N>(stored, &self.left, self.indices.len())
    }

    /// Same as [`Self::expand_left`], for the right histogram.
    pub(super) fn expand_right<N: CountCodec>(&self, stored: &[N::Raw]) -> Vec<N::Raw> {
        expand::<N>(stored, &self.right, self.indices.len())
    }
}

/// Moves stored counts to `positions` in a list of `len` buckets, with empty buckets between.
fn expand<N: CountCodec>(stored: &[N::Raw], positions: &[usize], len: usize) -> Vec<N::Raw> {
    let zero = N::Raw::default();
    let mut counts = vec![zero; len];
    let mut count = zero;
    for (&stored, &position) in stored.iter().zip(positions) {
        count = N::to_absolute(count, stored);
        counts[position] = count;
    }
    let mut previous = zero;
    for count in &mut counts {
        let stored = N::to_stored(previous, *count);
        previous = *count;
        *count = stored;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{BucketUnion, expand, indices, spans_from_indices};
    use crate::model::histogram::Span;
    use crate::tsdb::chunk::histogram::count_codec::{DeltaOfDelta, XorFloat};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::collections::{BTreeMap, BTreeSet};

    fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
        spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
    }

    #[test]
    fn spans_and_indices_match_prometheus() {
        let layout = spans(&[(-2, 2), (0, 0), (1, 3), (2, 0), (1, 1)]);
        assert_eq!(indices(&layout), Some(vec![-2, -1, 1, 2, 3, 7]));
        assert_eq!(spans_from_indices(&[-2, -1, 1, 2, 3, 7]), spans(&[(-2, 2), (1, 3), (3, 1)]));
        assert_eq!(indices(&spans(&[(0, 2), (-1, 1)])), None);
        assert_eq!(indices(&spans(&[(0, 2), (-2, 1)])), None);
        assert_eq!(
            indices(&spans(&[(i32::MAX, 1), (i32::MAX, 1)])),
            Some(vec![2_147_483_647, 4_294_967_295])
        );
    }

    #[test]
    fn expand_inserts_empty_buckets() {
        assert_eq!(
            expand::<DeltaOfDelta>(&[6, -3, 0, -1], &[0, 1, 4, 6], 8),
            [6, -3, -3, 0, 3, -3, 2, -2]
        );
        assert_eq!(expand::<XorFloat>(&[6.0, 3.0], &[1, 2], 4), [0.0, 6.0, 3.0, 0.0]);
        assert_eq!(
            expand::<DeltaOfDelta>(&[i64::MAX, i64::MAX], &[0, 2], 3),
            [i64::MAX, -i64::MAX, -2]
        );
    }

    proptest! {
        #[test]
        fn union_equals_that_of_the_sets(
            left in proptest::collection::btree_map(-20i64..20, any::<i64>(), 0..20),
            right in proptest::collection::btree_set(-20i64..20, 0..20),
        ) {
            let keys: Vec<i64> = left.keys().copied().collect();
            let union = BucketUnion::new(&keys, &right.iter().copied().collect::<Vec<_>>());
            let all: BTreeSet<i64> = left.keys().chain(&right).copied().collect();
            prop_assert_eq!(&union.indices, &all.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(union.right_adds_buckets(), all.len() > left.len());
            prop_assert_eq!(union.left_adds_buckets(), all.len() > right.len());
            let spans = spans_from_indices(&union.indices);
            prop_assert_eq!(indices(&spans), Some(union.indices.clone()));

            let mut last = 0i64;
            let mut delta =
                |&count: &i64| count.wrapping_sub(std::mem::replace(&mut last, count));
            let stored: Vec<i64> = left.values().map(&mut delta).collect();
            let mut count = 0i64;
            let expanded = expand::<DeltaOfDelta>(&stored, &union.left, union.indices.len());
            let absolute = expanded.into_iter().zip(&union.indices).map(|(stored, &index)| {
                count = count.wrapping_add(stored);
                (index, count)
            });
            let counts: BTreeMap<i64, i64> = absolute.collect();
            for index in all {
                prop_assert_eq!(counts[&index], left.get(&index).copied().unwrap_or(0));
            }
        }
    }
}
