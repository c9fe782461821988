//! Samples of all types for tests: generated, encoded as chunks, and compared.

use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::any_chunk::{AnyChunk, AnyChunkIter, EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::histogram::append::AppendOutcome;
use crate::tsdb::query::source::{Chunk, ChunkData};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use std::collections::BTreeMap;

/// Default encodings of Prometheus.
pub(crate) const PLAIN: EncodingPolicy =
    EncodingPolicy { floats: FloatEncoding::Xor, histogram_st_mode: HistogramStMode::WithoutSt };
/// Encodings with start timestamps.
pub(crate) const WITH_STARTS: EncodingPolicy =
    EncodingPolicy { floats: FloatEncoding::Xor2, histogram_st_mode: HistogramStMode::WithSt };

/// Encodes samples with ascending timestamps into chunks of at most `max` samples.
pub(crate) fn chunks(samples: &[Sample], encodings: EncodingPolicy, max: u16) -> Vec<Chunk> {
    let mut chunks: Vec<(i64, AnyChunk)> = Vec::new();
    for sample in samples {
        if let Some((_, open)) = chunks.last_mut()
            && open.num_samples() < max
            && !matches!(open.append(sample), AppendOutcome::NeedsNewChunk)
        {
            continue;
        }
        let previous = chunks.last().map(|(_, chunk)| chunk);
        let chunk = AnyChunk::with_first_sample(encodings, sample, previous);
        chunks.push((sample.t, chunk));
    }
    let chunk = |(mint, chunk): (i64, AnyChunk)| {
        let (maxt, encoding) = (chunk.last_t().unwrap(), chunk.encoding());
        Chunk {
            mint,
            maxt,
            encoding,
            data: ChunkData::new(chunk.into_bytes()),
            deleted_intervals: None,
        }
    };
    chunks.into_iter().map(chunk).collect()
}

/// Decodes the samples of a chunk.
pub(crate) fn decoded(chunk: &Chunk) -> Vec<Sample> {
    AnyChunkIter::new(chunk.encoding, chunk.data.bytes()).map(|sample| sample.unwrap()).collect()
}

/// Asserts that the samples are equal, ignoring counter reset hints.
#[track_caller]
pub(crate) fn assert_same(found: &[Sample], expected: &[Sample]) {
    let is_same = |a: &Sample, b: &Sample| {
        (a.start_timestamp, a.t) == (b.start_timestamp, b.t) && a.value.is_equivalent(&b.value)
    };
    let equal = found.iter().zip(expected).take_while(|(a, b)| is_same(a, b)).count();
    let lengths = (found.len(), expected.len());
    assert!(
        lengths == (equal, equal),
        "sample {equal} of {lengths:?}: found {:?}, expected {:?}",
        found.get(equal),
        expected.get(equal)
    );
}

/// Returns an integer histogram with these buckets.
pub(crate) fn histogram(
    schema: i32,
    positive: &BTreeMap<i32, u64>,
    negative: &BTreeMap<i32, u64>,
) -> Histogram {
    let zero_count = 1 + positive.values().sum::<u64>() / 4;
    let custom_values =
        if schema == CUSTOM_BUCKETS_SCHEMA { vec![0.5, 1.0, 2.5, 5.0, 10.0] } else { Vec::new() };
    let is_custom = !custom_values.is_empty();
    let (positive_spans, positive_buckets) = (spans(positive), deltas(positive));
    let (negative_spans, negative_buckets) =
        if is_custom { Default::default() } else { (spans(negative), deltas(negative)) };
    let negative_count = if is_custom { 0 } else { negative.values().sum::<u64>() };
    let zero_count = if is_custom { 0 } else { zero_count };
    Histogram {
        schema,
        zero_threshold: if is_custom { 0.0 } else { 0.001 },
        zero_count,
        count: zero_count + negative_count + positive.values().sum::<u64>(),
        sum: positive.iter().map(|(index, count)| f64::from(*index) * *count as f64 * 0.37).sum(),
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
        reset_hint: CounterResetHint::Unknown,
    }
}

/// Returns the histogram with all counts multiplied by 1.25, as a float histogram.
pub(crate) fn with_floats(histogram: &Histogram) -> FloatHistogram {
    let counts = |deltas: &[i64]| {
        let mut count = 0;
        let absolute = deltas.iter().map(|delta| {
            count += delta;
            count as f64 * 1.25
        });
        absolute.collect()
    };
    FloatHistogram {
        reset_hint: histogram.reset_hint,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: histogram.zero_count as f64 * 1.25,
        count: histogram.count as f64 * 1.25,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        positive_buckets: counts(&histogram.positive_buckets),
        negative_buckets: counts(&histogram.negative_buckets),
        custom_values: histogram.custom_values.clone(),
    }
}

fn spans(buckets: &BTreeMap<i32, u64>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    for &index in buckets.keys() {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
    }
    spans
}

fn deltas(buckets: &BTreeMap<i32, u64>) -> Vec<i64> {
    let previous = std::iter::once(0).chain(buckets.values().copied());
    buckets
        .values()
        .zip(previous)
        .map(|(count, previous)| *count as i64 - previous as i64)
        .collect()
}

/// Type of the samples in a part of a series.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Float,
    Counter { schema: i32, is_float: bool },
    Gauge { schema: i32, is_float: bool },
}

/// Run of samples of one type in a series.
#[derive(Clone, Debug)]
struct Part {
    kind: Kind,
    has_st: bool,
    seed: u64,
    steps: Vec<i64>,
}

fn arb_part() -> impl Strategy<Value = Part> {
    let schema = || prop_oneof![Just(0), Just(3), Just(8), Just(-4), Just(CUSTOM_BUCKETS_SCHEMA)];
    let kind = prop_oneof![
        2 => Just(Kind::Float),
        3 => (schema(), any::<bool>())
            .prop_map(|(schema, is_float)| Kind::Counter { schema, is_float }),
        1 => (schema(), any::<bool>())
            .prop_map(|(schema, is_float)| Kind::Gauge { schema, is_float }),
    ];
    let step = prop_oneof![3 => Just(1i64), 2 => 2i64..6, 1 => 6i64..30];
    (kind, proptest::bool::weighted(0.2), any::<u64>(), proptest::collection::vec(step, 1..60))
        .prop_map(|(kind, has_st, seed, steps)| Part { kind, has_st, seed, steps })
}

/// Generates samples with ascending timestamps and changing types: counters with resets and new
/// buckets, gauges, custom buckets, stale markers, start timestamps.
pub(crate) fn arb_samples() -> impl Strategy<Value = Vec<Sample>> {
    (proptest::collection::vec(arb_part(), 0..5), 0i64..200).prop_map(|(parts, mut t)| {
        let mut samples = Vec::new();
        for part in parts {
            let mut numbers = PseudoRandom(part.seed | 1);
            let mut buckets = BTreeMap::from([(1, 2u64)]);
            for step in &part.steps {
                t += step;
                let start = if part.has_st { t - 50 - (numbers.below(2) as i64) } else { 0 };
                samples.push(Sample {
                    start_timestamp: start,
                    t,
                    value: value(part.kind, &mut buckets, &mut numbers),
                });
            }
        }
        samples
    })
}

/// Returns samples of all types, one type after the other, determined by `seed`. None is a stale
/// marker or has a start timestamp.
pub(crate) fn seeded_samples(seed: u64) -> Vec<Sample> {
    let kinds = [
        Kind::Float,
        Kind::Counter { schema: 3, is_float: false },
        Kind::Counter { schema: CUSTOM_BUCKETS_SCHEMA, is_float: false },
        Kind::Counter { schema: 0, is_float: true },
        Kind::Gauge { schema: 8, is_float: false },
        Kind::Gauge { schema: CUSTOM_BUCKETS_SCHEMA, is_float: true },
        Kind::Float,
    ];
    let mut numbers = PseudoRandom(seed | 1);
    let mut samples = Vec::new();
    for kind in kinds {
        let mut buckets = BTreeMap::from([(1, 2u64)]);
        for _ in 0..6 {
            let value = std::iter::repeat_with(|| value(kind, &mut buckets, &mut numbers))
                .find(|value| !value.is_stale());
            let t = 1_000_000 + 15_000 * samples.len() as i64;
            samples.extend(value.map(|value| Sample::new(t, value)));
        }
    }
    samples
}

fn value(kind: Kind, buckets: &mut BTreeMap<i32, u64>, numbers: &mut PseudoRandom) -> SampleValue {
    let is_stale = numbers.below(25) == 0;
    let (schema, is_float, is_gauge) = match kind {
        Kind::Float if is_stale => return SampleValue::Float(f64::from_bits(STALE_NAN_BITS)),
        Kind::Float => return SampleValue::Float(numbers.below(1000) as f64 * 0.5),
        Kind::Counter { schema, is_float } => (schema, is_float, false),
        Kind::Gauge { schema, is_float } => (schema, is_float, true),
    };
    let is_reset = numbers.below(20) == 0;
    let max_index = if schema == CUSTOM_BUCKETS_SCHEMA { 6 } else { 40 };
    if is_gauge || is_reset {
        buckets.clear();
    }
    for _ in 0..=numbers.below(3) {
        *buckets.entry(numbers.below(max_index) as i32).or_default() += 1 + numbers.below(100);
    }
    let negative = buckets
        .iter()
        .filter(|(index, _)| *index % 5 == 0)
        .map(|(index, count)| (*index, *count))
        .collect();
    let mut histogram = if is_stale {
        Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() }
    } else {
        histogram(schema, buckets, &negative)
    };
    if is_gauge && !is_stale {
        histogram.reset_hint = CounterResetHint::Gauge;
    }
    if is_float {
        SampleValue::FloatHistogram(Box::new(with_floats(&histogram)))
    } else {
        SampleValue::Histogram(Box::new(histogram))
    }
}

/// Deterministic pseudo-random numbers (xorshift).
struct PseudoRandom(u64);

impl PseudoRandom {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % end
    }
}
