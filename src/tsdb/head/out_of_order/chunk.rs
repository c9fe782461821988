//! The open chunk of late points of a series: each time once, as plain values.
//!
//! An insertion moves at most [`MAX_OPEN_SAMPLES`] points, however many there are: points of a full
//! chunk that could not be written, because the disk is full or the log does not know the series
//! yet, move to a tree.
//!
//! Not decided here: whether a point is to be taken, and when the chunk is written.

use crate::model::sample::Sample;
use std::collections::BTreeMap;

/// How many points an open chunk has when it is written (`DefaultOutOfOrderCapMax` of Prometheus).
pub const MAX_OPEN_SAMPLES: usize = 32;

/// Late points.
#[derive(Clone, Debug, Default)]
pub struct OutOfOrderChunk {
    /// Newest arrivals, sorted by time; at most [`MAX_OPEN_SAMPLES`].
    samples: Vec<Sample>,
    /// Points of full chunks that are not written yet, by time; nearly always empty.
    unwritten: BTreeMap<i64, Sample>,
    /// Number of points at which the chunk is due again after a failed write; 0 without a failure.
    retry_at: usize,
}

impl OutOfOrderChunk {
    /// Puts a point where its time belongs; `false`, and nothing done, where one of that time is there.
    pub fn insert(&mut self, point: Sample) -> bool {
        if self.unwritten.contains_key(&point.t) {
            return false;
        }
        // Late points are in order among themselves, mostly.
        let is_newest = self.samples.last().is_none_or(|last| last.t < point.t);
        let at = if is_newest { Err(self.samples.len()) } else { self.position(point.t) };
        let Err(mut at) = at else { return false };
        if self.samples.len() >= MAX_OPEN_SAMPLES {
            self.unwritten.extend(self.samples.drain(..).map(|point| (point.t, point)));
            at = 0;
        }
        self.samples.insert(at, point);
        true
    }

    /// The point at `t` ms.
    #[must_use]
    pub fn get(&self, t: i64) -> Option<&Sample> {
        let found = self.position(t).ok().and_then(|at| self.samples.get(at));
        found.or_else(|| self.unwritten.get(&t))
    }

    /// Its points, sorted by time.
    #[must_use]
    pub fn samples(&self) -> Vec<&Sample> {
        let mut points: Vec<&Sample> = self.unwritten.values().chain(&self.samples).collect();
        // Two sorted runs, which a stable sort merges.
        points.sort_by_key(|point| point.t);
        points
    }

    /// Number of its points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len() + self.unwritten.len()
    }

    /// Whether it is full, and is to be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.retry_at.max(MAX_OPEN_SAMPLES)
    }

    /// Notes that it could not be written: it is due again when it has grown to twice its size, so
    /// that attempts cost each point the same.
    pub fn retry_later(&mut self) {
        self.retry_at = 2 * self.len();
    }

    /// Whether it has no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.unwritten.is_empty()
    }

    /// Time of its oldest point, ms.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        let first = self.samples.first().map(|point| point.t);
        first.into_iter().chain(self.unwritten.keys().next().copied()).min()
    }

    /// Time of its newest point, ms.
    #[must_use]
    pub fn max_time(&self) -> Option<i64> {
        let last = self.samples.last().map(|point| point.t);
        last.into_iter().chain(self.unwritten.keys().next_back().copied()).max()
    }

    /// Forgets the points for which `is_stored` says so.
    pub fn drop_matching(&mut self, is_stored: impl Fn(&Sample) -> bool) {
        self.samples.retain(|point| !is_stored(point));
        self.unwritten.retain(|_, point| !is_stored(point));
        self.release_if_empty();
    }

    /// Forgets a point that is stored elsewhere with the same value.
    pub fn forget_equal(&mut self, stored: &Sample) {
        if self.get(stored.t).is_none_or(|point| !point.value.is_equivalent(&stored.value)) {
            return;
        }
        match self.position(stored.t) {
            Ok(at) => _ = self.samples.remove(at),
            Err(_) => _ = self.unwritten.remove(&stored.t),
        }
        self.release_if_empty();
    }

    /// Forgets all points, and their memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn position(&self, t: i64) -> Result<usize, usize> {
        self.samples.binary_search_by_key(&t, |point| point.t)
    }

    fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_OPEN_SAMPLES, OutOfOrderChunk};
    use crate::model::float_sample::FloatSample;
    use crate::model::sample::Sample;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    fn point(t: i64, v: i32) -> Sample {
        FloatSample::new(t, f64::from(v)).into()
    }

    #[test]
    fn full_chunk_is_due_and_after_a_failure_at_twice_its_size() {
        let mut chunk = OutOfOrderChunk::default();
        let full = MAX_OPEN_SAMPLES as i64;
        let due: Vec<i64> =
            (1..=full + 1).filter(|t| chunk.insert(point(*t, 0)) && chunk.is_full()).collect();
        assert_eq!(due, [full, full + 1]);
        chunk.retry_later();
        let due: Vec<i64> = (full + 2..=3 * full)
            .filter(|t| chunk.insert(point(*t, 0)) && chunk.is_full())
            .collect();
        assert_eq!(due.first(), Some(&(2 * full + 2)));
        assert_eq!(chunk.len(), 3 * MAX_OPEN_SAMPLES);
        chunk.drop_matching(|point| point.t > 3);
        assert_eq!((chunk.min_time(), chunk.max_time()), (Some(1), Some(3)));
        chunk.drop_matching(|_| true);
        assert!(chunk.is_empty() && !chunk.is_full());
    }

    proptest! {
        #[test]
        fn points_are_sorted_and_the_first_of_a_time_stays(points in vec((0i64..150, 0i32..5), 0..300)) {
            let mut chunk = OutOfOrderChunk::default();
            let mut model: BTreeMap<i64, i32> = BTreeMap::new();
            for (t, v) in points {
                let is_new = !model.contains_key(&t);
                model.entry(t).or_insert(v);
                prop_assert_eq!(chunk.insert(point(t, v)), is_new);
                prop_assert!(chunk.get(t).is_some_and(|stored| stored.value.is_equivalent(&point(t, model[&t]).value)));
            }
            let times: Vec<i64> = chunk.samples().iter().map(|point| point.t).collect();
            prop_assert_eq!((chunk.min_time(), chunk.max_time()), (times.first().copied(), times.last().copied()));
            prop_assert_eq!(&times, &model.keys().copied().collect::<Vec<_>>());
            prop_assert!(chunk.samples.len() <= MAX_OPEN_SAMPLES);
            chunk.forget_equal(&point(7, 9));
            prop_assert_eq!(chunk.len(), times.len());
            for (t, v) in model {
                chunk.forget_equal(&point(t, v));
                prop_assert!(chunk.get(t).is_none());
            }
            prop_assert!(chunk.is_empty());
        }
    }
}
