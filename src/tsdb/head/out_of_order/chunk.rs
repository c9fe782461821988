//! Open chunk of the out-of-order samples of a series, unencoded, with unique timestamps.
//!
//! An insertion moves at most [`MAX_OPEN_SAMPLES`] samples. If a full chunk cannot be written,
//! because the disk is full or the WAL does not have the series yet, its samples move to a tree.
//!
//! The caller decides if a sample is accepted and when the chunk is written.

use crate::model::sample::Sample;
use std::collections::BTreeMap;

/// Number of samples at which an open chunk is written (`DefaultOutOfOrderCapMax` of Prometheus).
pub const MAX_OPEN_SAMPLES: usize = 32;

/// Samples sorted by timestamp.
#[derive(Clone, Debug, Default)]
pub struct OutOfOrderChunk {
    /// Newest arrivals, sorted by timestamp; at most [`MAX_OPEN_SAMPLES`].
    samples: Vec<Sample>,
    /// Samples of full chunks that are not written yet, by timestamp; almost always empty.
    unwritten: BTreeMap<i64, Sample>,
    /// Number of samples at which a failed write is retried; 0 without a failure.
    retry_at: usize,
}

impl OutOfOrderChunk {
    /// Inserts a sample in time order. Returns `false`, and changes nothing, if there is a sample
    /// at that timestamp.
    pub fn insert(&mut self, sample: Sample) -> bool {
        if self.unwritten.contains_key(&sample.t) {
            return false;
        }
        // Out-of-order samples usually arrive in order among themselves.
        let is_newest = self.samples.last().is_none_or(|last| last.t < sample.t);
        let at = if is_newest { Err(self.samples.len()) } else { self.position(sample.t) };
        let Err(mut at) = at else { return false };
        if self.samples.len() >= MAX_OPEN_SAMPLES {
            self.unwritten.extend(self.samples.drain(..).map(|sample| (sample.t, sample)));
            at = 0;
        }
        self.samples.insert(at, sample);
        true
    }

    /// Returns the sample at `t` ms.
    #[must_use]
    pub fn get(&self, t: i64) -> Option<&Sample> {
        let newest = self.position(t).ok().and_then(|at| self.samples.get(at));
        newest.or_else(|| self.unwritten.get(&t))
    }

    /// Returns the samples, sorted by timestamp.
    #[must_use]
    pub fn samples(&self) -> Vec<&Sample> {
        let mut samples: Vec<&Sample> = self.unwritten.values().chain(&self.samples).collect();
        // Two sorted runs, which the stable sort merges.
        samples.sort_by_key(|sample| sample.t);
        samples
    }

    /// Number of samples that are not in `chunks_head/`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len() + self.unwritten.len()
    }

    /// Returns `true` if the chunk is full and must be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.retry_at.max(MAX_OPEN_SAMPLES)
    }

    /// Records a failed write. The next attempt is at twice the size, so that the cost of attempts
    /// per sample is constant.
    pub fn retry_later(&mut self) {
        self.retry_at = 2 * self.len();
    }

    /// Returns `true` if there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.unwritten.is_empty()
    }

    /// Returns the timestamp of the oldest sample, ms.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        let first = self.samples.first().map(|sample| sample.t);
        first.into_iter().chain(self.unwritten.keys().next().copied()).min()
    }

    /// Returns the timestamp of the newest sample, ms.
    #[must_use]
    pub fn max_time(&self) -> Option<i64> {
        let last = self.samples.last().map(|sample| sample.t);
        last.into_iter().chain(self.unwritten.keys().next_back().copied()).max()
    }

    /// Drops the samples for which `is_stored` returns `true`.
    pub fn drop_matching(&mut self, is_stored: impl Fn(&Sample) -> bool) {
        self.samples.retain(|sample| !is_stored(sample));
        self.unwritten.retain(|_, sample| !is_stored(sample));
        self.release_if_empty();
    }

    /// Drops the sample that is stored elsewhere with the same value, if there is one.
    pub fn drop_equal(&mut self, stored: &Sample) {
        if self.get(stored.t).is_none_or(|sample| !sample.value.is_equivalent(&stored.value)) {
            return;
        }
        match self.position(stored.t) {
            Ok(at) => _ = self.samples.remove(at),
            Err(_) => _ = self.unwritten.remove(&stored.t),
        }
        self.release_if_empty();
    }

    /// Drops all samples and frees their memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn position(&self, t: i64) -> Result<usize, usize> {
        self.samples.binary_search_by_key(&t, |sample| sample.t)
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

    fn sample(t: i64, v: i32) -> Sample {
        FloatSample::new(t, f64::from(v)).into()
    }

    #[test]
    fn full_chunk_is_due_and_after_failure_at_twice_its_size() {
        let mut chunk = OutOfOrderChunk::default();
        let full = MAX_OPEN_SAMPLES as i64;
        let due: Vec<i64> =
            (1..=full + 1).filter(|t| chunk.insert(sample(*t, 0)) && chunk.is_full()).collect();
        assert_eq!(due, [full, full + 1]);
        chunk.retry_later();
        let due: Vec<i64> = (full + 2..=3 * full)
            .filter(|t| chunk.insert(sample(*t, 0)) && chunk.is_full())
            .collect();
        assert_eq!(due.first(), Some(&(2 * full + 2)));
        assert_eq!(chunk.len(), 3 * MAX_OPEN_SAMPLES);
        chunk.drop_matching(|sample| sample.t > 3);
        assert_eq!((chunk.min_time(), chunk.max_time()), (Some(1), Some(3)));
        chunk.drop_matching(|_| true);
        assert!(chunk.is_empty() && !chunk.is_full());
    }

    proptest! {
        #[test]
        fn insert_sorts_and_keeps_first_sample_of_timestamp(
            samples in vec((0i64..150, 0i32..5), 0..300),
        ) {
            let mut chunk = OutOfOrderChunk::default();
            let mut model: BTreeMap<i64, i32> = BTreeMap::new();
            for (t, v) in samples {
                let is_new = !model.contains_key(&t);
                model.entry(t).or_insert(v);
                prop_assert_eq!(chunk.insert(sample(t, v)), is_new);
                let expected = sample(t, model[&t]).value;
                prop_assert!(
                    chunk.get(t).is_some_and(|stored| stored.value.is_equivalent(&expected))
                );
            }
            let times: Vec<i64> = chunk.samples().iter().map(|sample| sample.t).collect();
            prop_assert_eq!(chunk.min_time(), times.first().copied());
            prop_assert_eq!(chunk.max_time(), times.last().copied());
            prop_assert_eq!(&times, &model.keys().copied().collect::<Vec<_>>());
            prop_assert!(chunk.samples.len() <= MAX_OPEN_SAMPLES);
            chunk.drop_equal(&sample(7, 9));
            prop_assert_eq!(chunk.len(), times.len());
            for (t, v) in model {
                chunk.drop_equal(&sample(t, v));
                prop_assert!(chunk.get(t).is_none());
            }
            prop_assert!(chunk.is_empty());
        }
    }
}
