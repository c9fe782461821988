//! Rules that decide where a chunk ends and the next one begins.
//!
//! The rules and their order are those of Prometheus, so that the same samples make the same
//! chunks. The only state is a [`ChunkBoundary`] per open chunk. A caller decides separately
//! whether a sample is in order, whether the encoding changes, and whether the chunk can take the
//! sample ([`AnyChunk::append`]).
//!
//! # Floats
//! 1. A chunk of more than 1005 bytes is cut: another sample (at most 19 bytes) could exceed 1024.
//! 2. At a quarter of the target number of samples, the end time is computed again, so that at the
//!    rate so far the rest of the chunk range is divided into chunks of equal length.
//! 3. A sample at or after the end time is cut, as is a chunk with twice the target number of
//!    samples.
//!
//! # Histograms
//! Histograms differ more in size than in number.
//!
//! 1. At a quarter of 1024 bytes, the end time is computed again, once.
//! 2. A sample at or after the end time is cut, as is a chunk of 2048 bytes. A chunk with less than
//!    ten samples continues until the end of the chunk range.
//!
//! Source: `appendPreprocessor`, `histogramsAppendPreprocessor` and `computeChunkEndTime` in
//! `tsdb/head_append.go`, `rangeForTimestamp` in `tsdb/db.go` of Prometheus.

use crate::model::sample::ValueType;
use crate::tsdb::chunk::any_chunk::AnyChunk;
use crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS;

/// Size above which a chunk of floats takes no more samples, bytes.
///
/// Source: `MaxBytesPerXORChunkBeforeAppend` in `tsdb/chunkenc/chunk.go` of Prometheus: 1024 less
/// the largest sample.
const MAX_BYTES_BEFORE_APPEND: usize = 1024 - 19;

/// Target size of a histogram chunk, bytes. A chunk of twice this size takes no more samples,
/// unless it has fewer than [`MIN_HISTOGRAMS_PER_CHUNK`].
///
/// Source: `TargetBytesPerHistogramChunk` in `tsdb/chunkenc/chunk.go` of Prometheus.
const TARGET_HISTOGRAM_CHUNK_BYTES: usize = 1024;

/// Number of samples below which a histogram chunk ends at the end of the chunk range only.
///
/// Source: `MinSamplesPerHistogramChunk` in `tsdb/chunkenc/chunk.go` of Prometheus.
const MIN_HISTOGRAMS_PER_CHUNK: u16 = 10;

/// Targets for the length of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutPolicy {
    /// Chunk range, ms, at least 1. No chunk crosses a multiple of it, except before 1970.
    pub chunk_range_ms: i64,
    /// Target number of samples of a float chunk. No float chunk has more than twice as many.
    pub samples_per_chunk: u16,
}

/// End time of an open chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkBoundary {
    /// Timestamp from which a sample begins a new chunk, ms.
    next_at: i64,
    /// `true` if `next_at` was computed from the size of a histogram chunk.
    is_estimated: bool,
}

impl ChunkBoundary {
    /// Returns the boundary of a chunk whose first sample is at `mint`.
    #[must_use]
    pub fn starting_at(policy: &CutPolicy, mint: i64) -> Self {
        Self { next_at: range_end(mint, policy.chunk_range_ms), is_estimated: false }
    }

    /// Returns the boundary of a chunk that begins at `mint` with a histogram that the current
    /// chunk could not take, although that chunk was not to be cut yet.
    ///
    /// As in Prometheus, the end time of the new chunk is not estimated if that of the current one
    /// was.
    #[must_use]
    pub fn after_incompatible_histogram(&self, policy: &CutPolicy, mint: i64) -> Self {
        Self { is_estimated: self.is_estimated, ..Self::starting_at(policy, mint) }
    }

    /// Returns the boundary of a chunk that takes no sample at or after `t`.
    #[must_use]
    pub fn ending_at(t: i64) -> Self {
        Self { next_at: t, is_estimated: false }
    }

    /// Returns `true` if a sample at `t` begins a new chunk instead of being appended to `chunk`,
    /// whose first sample is at `mint`.
    ///
    /// Must be called exactly once per appended sample, because it also updates the end time.
    ///
    #[inline]
    #[must_use]
    pub fn must_cut(&mut self, policy: &CutPolicy, chunk: &AnyChunk, mint: i64, t: i64) -> bool {
        if chunk.kind() != ValueType::Float {
            return self.must_cut_histograms(policy, chunk, mint, t);
        }
        if chunk.num_bytes() > MAX_BYTES_BEFORE_APPEND {
            return true;
        }
        let samples = chunk.num_samples();
        if samples == policy.samples_per_chunk / 4 {
            self.next_at =
                compute_chunk_end_time(mint, chunk.last_t().unwrap_or(mint), self.next_at, 4.0);
        }
        t >= self.next_at || samples >= policy.samples_per_chunk.saturating_mul(2)
    }

    fn must_cut_histograms(
        &mut self,
        policy: &CutPolicy,
        chunk: &AnyChunk,
        mint: i64,
        t: i64,
    ) -> bool {
        let bytes = chunk.num_bytes();
        // An end time that was not estimated is the end of the chunk range, or was set by the
        // caller. A small number of samples does not postpone it.
        let last_end =
            if self.is_estimated { range_end(mint, policy.chunk_range_ms) } else { self.next_at };
        if !self.is_estimated && bytes >= TARGET_HISTOGRAM_CHUNK_BYTES / 4 {
            let parts = TARGET_HISTOGRAM_CHUNK_BYTES as f64 / bytes as f64;
            self.next_at =
                compute_chunk_end_time(mint, chunk.last_t().unwrap_or(mint), self.next_at, parts);
            self.is_estimated = true;
        }
        (t >= self.next_at || bytes >= 2 * TARGET_HISTOGRAM_CHUNK_BYTES)
            && (chunk.num_samples() >= MIN_HISTOGRAMS_PER_CHUNK || t >= last_end)
    }
}

/// Returns the latest end time of a chunk that begins at `t`: the next multiple of `width` ms.
///
/// Division rounds towards zero, as in Go: before 0 the result is the multiple after the next.
/// Unlike in Go, the sum saturates, and no chunk is longer than [`MAX_SPAN_MS`].
fn range_end(t: i64, width: i64) -> i64 {
    let width = width.max(1);
    (t / width * width).saturating_add(width).min(t.saturating_add(MAX_SPAN_MS as i64))
}

/// Returns an end time such that chunks of equal length divide the time from `mint` to `end`. The
/// samples from `mint` to `maxt` fill one of `parts` parts of a chunk.
fn compute_chunk_end_time(mint: i64, maxt: i64, end: i64, parts: f64) -> i64 {
    let rest = end.saturating_sub(mint) as f64;
    let chunks = rest / (maxt.saturating_sub(mint).saturating_add(1) as f64 * parts);
    if chunks <= 1.0 {
        return end;
    }
    (mint as f64 + rest / chunks.floor()) as i64
}

#[cfg(test)]
mod tests {
    use super::{ChunkBoundary, CutPolicy, MAX_SPAN_MS, range_end};
    use crate::model::float_sample::FloatSample;
    use crate::model::histogram::{CounterResetHint, Histogram, Span};
    use crate::model::sample::{Sample, SampleValue};
    use crate::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
    use crate::tsdb::chunk::histogram::append::AppendOutcome;
    use proptest::prelude::{
        Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };

    const POLICY: CutPolicy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 120 };

    fn float(t: i64, v: f64) -> Sample {
        Sample::from(FloatSample::new(t, v))
    }

    fn chunk_with(t: i64, v: f64) -> AnyChunk {
        AnyChunk::with_first_sample(EncodingPolicy::default(), &float(t, v), None)
    }

    /// Returns the timestamps of each chunk into which the samples are cut.
    fn chunks(policy: &CutPolicy, samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<Vec<i64>> {
        let mut chunks: Vec<Vec<i64>> = Vec::new();
        let mut open: Option<(AnyChunk, ChunkBoundary)> = None;
        for (t, v) in samples {
            let mint = chunks.last().map_or(t, |chunk| chunk[0]);
            let cut =
                open.as_mut().is_none_or(|(chunk, window)| window.must_cut(policy, chunk, mint, t));
            if cut {
                chunks.push(Vec::new());
                open = Some((chunk_with(t, v), ChunkBoundary::starting_at(policy, t)));
            } else {
                open.as_mut().unwrap().0.append(&float(t, v));
            }
            chunks.last_mut().unwrap().push(t);
        }
        chunks
    }

    fn lengths(policy: &CutPolicy, samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<usize> {
        chunks(policy, samples).iter().map(Vec::len).collect()
    }

    /// Reference implementation of the rules for floats, in integers.
    fn expected_lengths(range: i64, wanted: usize, times: &[i64]) -> Vec<usize> {
        let mut lengths = Vec::new();
        let (mut first, mut end) = (0, i64::MIN);
        for (i, &t) in times.iter().enumerate() {
            let in_chunk = i - first;
            if i > 0 && in_chunk == wanted / 4 {
                let (start, quarter) =
                    (i128::from(times[first]), i128::from(times[i - 1] - times[first] + 1));
                let rest = i128::from(end) - start;
                let chunks = rest / (4 * quarter);
                if chunks >= 1 && rest > 4 * quarter {
                    end = ((start * chunks + rest) / chunks) as i64;
                }
            }
            if i == 0 || t >= end || in_chunk >= 2 * wanted {
                lengths.extend((i > 0).then_some(in_chunk));
                first = i;
                end = t - t % range + range;
            }
        }
        lengths.push(times.len() - first);
        lengths
    }

    #[test]
    fn steady_series_is_cut_evenly() {
        let steady = |step: i64, n: i64| (0..n).map(move |i| (i * step, 1.0));
        // 7200 s / 15 s = 480 samples: four chunks of 120.
        assert_eq!(
            lengths(&POLICY, steady(15_000, 961)),
            [120, 120, 120, 120, 120, 120, 120, 120, 1]
        );
        // 360 samples of 20 s: three chunks; 20 samples of six minutes: one.
        assert_eq!(lengths(&POLICY, steady(20_000, 361)), [120, 120, 120, 1]);
        assert_eq!(lengths(&POLICY, steady(360_000, 41)), [20, 20, 1]);
    }

    #[test]
    fn rising_rate_cuts_at_twice_the_target() {
        let slow = (0..30).map(|i| (i * 60_000, 1.0));
        let fast = (0..1000).map(|i| (30 * 60_000 + i, 1.0));
        assert_eq!(lengths(&POLICY, slow.chain(fast))[..3], [240, 120, 120]);
    }

    #[test]
    fn incompressible_chunk_ends_before_1024_bytes() {
        let mut bits = 1u64;
        let noise = (0..1000i64).map(|i| {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (i * 1000, f64::from_bits(bits))
        });
        let noise: Vec<_> = noise.collect();
        let lengths =
            lengths(&CutPolicy { samples_per_chunk: 1000, ..POLICY }, noise.iter().copied());
        assert!(lengths[0] > 100 && lengths[0] < 128, "{lengths:?}");
        let mut chunk = chunk_with(noise[0].0, noise[0].1);
        noise[1..lengths[0] - 1]
            .iter()
            .for_each(|&(t, v)| assert_eq!(chunk.append(&float(t, v)), AppendOutcome::Appended));
        assert!(chunk.num_bytes() <= 1005);
        chunk.append(&float(noise[lengths[0] - 1].0, noise[lengths[0] - 1].1));
        assert!((1006..=1024).contains(&chunk.num_bytes()));
    }

    /// Returns a histogram with `buckets` buckets, whose counts compress badly unless `seed` is 0.
    fn histogram(t: i64, buckets: u32, seed: u64) -> Sample {
        let number = |i: u32| {
            (u64::from(i) + 1).wrapping_mul(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 44
        };
        let value = Histogram {
            reset_hint: CounterResetHint::Gauge,
            positive_spans: vec![Span { offset: 0, length: buckets }],
            positive_buckets: (0..buckets).map(|i| number(i) as i64).collect(),
            ..Histogram::default()
        };
        Sample::new(t, SampleValue::Histogram(Box::new(value)))
    }

    /// Returns the number of samples and the size of each chunk into which the samples are cut.
    fn histogram_chunks(points: impl IntoIterator<Item = Sample>) -> Vec<(u16, usize)> {
        let mut chunks = Vec::new();
        let mut open: Option<(AnyChunk, ChunkBoundary, i64)> = None;
        for point in points {
            let cut = open.as_mut().is_none_or(|(chunk, window, mint)| {
                window.must_cut(&POLICY, chunk, *mint, point.t)
            });
            if cut {
                chunks.extend(
                    open.take().map(|(chunk, ..)| (chunk.num_samples(), chunk.num_bytes())),
                );
                let chunk = AnyChunk::with_first_sample(EncodingPolicy::default(), &point, None);
                open = Some((chunk, ChunkBoundary::starting_at(&POLICY, point.t), point.t));
            } else if let Some((chunk, ..)) = &mut open {
                assert_eq!(chunk.append(&point), AppendOutcome::Appended);
            }
        }
        chunks.extend(open.map(|(chunk, ..)| (chunk.num_samples(), chunk.num_bytes())));
        chunks
    }

    #[test]
    fn equal_histograms_fill_chunks_of_about_1024_bytes() {
        let chunks = histogram_chunks((0..960).map(|i| histogram(i * 15_000, 8, 1 + i as u64)));
        assert!(chunks.len() > 10);
        let whole = &chunks[..chunks.len() - 1];
        assert!(whole.iter().all(|(_, bytes)| (800..1100).contains(bytes)), "{chunks:?}");
        assert!(whole.iter().all(|(samples, _)| samples.abs_diff(whole[0].0) <= 5), "{chunks:?}");
    }

    #[test]
    fn large_histograms_are_cut_at_ten_or_range_end() {
        let chunks = histogram_chunks((0..35).map(|i| histogram(i * 15_000, 400, 1 + i as u64)));
        assert_eq!(chunks.iter().map(|(samples, _)| *samples).collect::<Vec<_>>(), [10, 10, 10, 5]);
        let late = histogram_chunks(
            (0..14).map(|i| histogram(7_200_000 - 45_000 + i * 15_000, 400, 1 + i as u64)),
        );
        assert_eq!(late.iter().map(|(samples, _)| *samples).collect::<Vec<_>>(), [3, 10, 1]);
    }

    #[test]
    fn growing_histograms_are_cut_at_2048_bytes() {
        let chunks = histogram_chunks(
            (0..400).map(|i| histogram(i * 15_000, 60, if i < 100 { 0 } else { i as u64 })),
        );
        assert!(chunks[0].0 > 100 && (2048..2400).contains(&chunks[0].1), "{chunks:?}");
    }

    #[test]
    fn negative_timestamps_round_as_in_go() {
        assert_eq!(
            [0, 1, 99, 100, -1, -99, -100, -101].map(|t| range_end(t, 100)),
            [100, 100, 100, 200, 100, 100, 0, 0]
        );
        assert_eq!(range_end(i64::MAX, 100), i64::MAX);
        assert_eq!(range_end(0, i64::MAX), MAX_SPAN_MS as i64);
        assert_eq!(range_end(i64::MIN, 100), i64::MIN + 8 + 100);
    }

    #[test]
    fn chunk_never_outgrows_its_sample_count() {
        let policy = CutPolicy { chunk_range_ms: i64::MAX, samples_per_chunk: u16::MAX };
        assert!(
            lengths(&policy, (0..70_000).map(|t| (t, 1.0))).iter().all(|&samples| samples < 10_000)
        );
    }

    proptest! {
        #[test]
        fn chunks_keep_all_samples_within_the_maximum_span(
            times in proptest::collection::btree_set(prop_oneof![
                2 => any::<i64>(),
                4 => (0..9_000_000i64).prop_map(|t| i64::MIN + t),
                1 => (0..9_000_000i64).prop_map(|t| i64::MAX - t),
            ], 1..200),
            range in prop_oneof![Just(POLICY.chunk_range_ms), Just(i64::MAX), any::<i64>()],
        ) {
            let policy = CutPolicy { chunk_range_ms: range, samples_per_chunk: 8 };
            let cut = chunks(&policy, times.iter().map(|&t| (t, 1.0)));
            prop_assert!(
                cut.iter().all(|chunk| chunk[chunk.len() - 1].abs_diff(chunk[0]) <= MAX_SPAN_MS)
            );
            prop_assert!(cut.into_iter().flatten().eq(times));
        }

        #[test]
        fn cut_matches_the_reference_rules(
            start in -20_000_000i64..20_000_000,
            steps in proptest::collection::vec(
                prop_oneof![4 => Just(15_000i64), 2 => 1..1000i64, 1 => 1..2_000_000i64],
                1..700,
            )
            .prop_map(|mut steps| {
                let half = steps.len() / 2;
                steps[half..].sort_unstable();
                steps
            }),
            wanted in prop_oneof![Just(120u16), 4..40u16],
        ) {
            let policy = CutPolicy { samples_per_chunk: wanted, ..POLICY };
            let advance = |t: &mut i64, step: &i64| {
                *t += step;
                Some(*t)
            };
            let times: Vec<i64> = steps.iter().scan(start, advance).collect();
            let cut = chunks(&policy, times.iter().map(|&t| (t, 1.0)));
            prop_assert_eq!(
                cut.iter().map(Vec::len).collect::<Vec<_>>(),
                expected_lengths(POLICY.chunk_range_ms, wanted.into(), &times)
            );
            for chunk in cut {
                prop_assert!(chunk.len() <= 2 * usize::from(wanted));
                let (first, last) = (chunk[0], chunk[chunk.len() - 1]);
                prop_assert!(last < range_end(first, POLICY.chunk_range_ms));
            }
        }
    }
}
