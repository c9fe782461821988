//! Which buckets two histograms have together, and how each one's counts are spread over them.
//!
//! Buckets are known by their index; see [`Span`]. Pure functions.

use crate::model::histogram::Span;
use crate::tsdb::chunk::histogram::count_codec::CountCodec;
use std::cmp::Ordering;

/// The index of each bucket of the spans; `None` where they do not rise, as those of no valid histogram.
///
/// There are as many as [`bucket_count`](crate::tsdb::chunk::histogram::layout::bucket_count) says, which the caller has bounded.
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

/// The fewest spans that have these buckets, whose indices rise.
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

/// The buckets that either of two histograms has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BucketUnion {
    /// Their indices.
    pub(super) indices: Vec<i64>,
    /// At which place among them each bucket of the one stands, and each of the other.
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

impl BucketUnion {
    /// Of buckets whose indices rise.
    pub(super) fn new(one: &[i64], other: &[i64]) -> Self {
        let mut union = Self::default();
        let (mut i, mut j) = (0, 0);
        loop {
            let order = match (one.get(i), other.get(j)) {
                (Some(a), Some(b)) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return union,
            };
            let place = union.indices.len();
            union.indices.push(if order.is_le() { one[i] } else { other[j] });
            if order.is_le() {
                union.left.push(place);
                i += 1;
            }
            if order.is_ge() {
                union.right.push(place);
                j += 1;
            }
        }
    }

    /// Whether the one lacks a bucket of the other.
    pub(super) fn right_adds_buckets(&self) -> bool {
        self.left.len() < self.indices.len()
    }

    /// Whether the other lacks a bucket of the one.
    pub(super) fn left_adds_buckets(&self) -> bool {
        self.right.len() < self.indices.len()
    }

    /// The counts of the one's buckets, as listed, with empty buckets where it lacks some.
    pub(super) fn expand_left<N: CountCodec>(&self, listed: &[N::Raw]) -> Vec<N::Raw> {
        expand::<N>(listed, &self.left, self.indices.len())
    }

    /// As [`Self::expand_left`], of the other.
    pub(super) fn expand_right<N: CountCodec>(&self, listed: &[N::Raw]) -> Vec<N::Raw> {
        expand::<N>(listed, &self.right, self.indices.len())
    }
}

/// The counts of buckets as listed, one for each place, spread to `places` among `len`, with empty buckets between.
fn expand<N: CountCodec>(listed: &[N::Raw], places: &[usize], len: usize) -> Vec<N::Raw> {
    let zero = N::Raw::default();
    let mut counts = vec![zero; len];
    let mut count = zero;
    for (&listed, &place) in listed.iter().zip(places) {
        count = N::to_absolute(count, listed);
        counts[place] = count;
    }
    let mut before = zero;
    for count in &mut counts {
        let listed = N::to_stored(before, *count);
        before = *count;
        *count = listed;
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
    fn spans_name_the_buckets_that_prometheus_sees_in_them() {
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
    fn counts_are_spread_with_empty_buckets_between() {
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
        fn a_union_is_that_of_the_sets(
            one in proptest::collection::btree_map(-20i64..20, any::<i64>(), 0..20),
            other in proptest::collection::btree_set(-20i64..20, 0..20),
        ) {
            let keys: Vec<i64> = one.keys().copied().collect();
            let union = BucketUnion::new(&keys, &other.iter().copied().collect::<Vec<_>>());
            let all: BTreeSet<i64> = one.keys().chain(&other).copied().collect();
            prop_assert_eq!(&union.indices, &all.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(union.right_adds_buckets(), all.len() > one.len());
            prop_assert_eq!(union.left_adds_buckets(), all.len() > other.len());
            prop_assert_eq!(indices(&spans_from_indices(&union.indices)), Some(union.indices.clone()));

            let mut last = 0i64;
            let listed: Vec<i64> = one.values().map(|&count| count.wrapping_sub(std::mem::replace(&mut last, count))).collect();
            let mut count = 0i64;
            let counts: BTreeMap<i64, i64> = expand::<DeltaOfDelta>(&listed, &union.left, union.indices.len()).into_iter()
                .zip(&union.indices)
                .map(|(listed, &index)| { count = count.wrapping_add(listed); (index, count) })
                .collect();
            for index in all {
                prop_assert_eq!(counts[&index], one.get(&index).copied().unwrap_or(0));
            }
        }
    }
}
