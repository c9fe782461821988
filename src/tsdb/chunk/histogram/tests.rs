//! Tests of histogram chunks against a model: samples round-trip, and chunks are cut exactly by the
//! rules.

use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span, is_known_schema,
};
use crate::model::sample::{Sample, SampleValue, ValueType};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, AnyChunkIter, EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::histogram::append::AppendOutcome;
use crate::tsdb::chunk::xor::ChunkError;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::{BTreeMap, BTreeSet};

/// Histogram of the model, with integer counts. Its float histogram has half the counts.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plain {
    positive: BTreeMap<i32, u32>,
    negative: BTreeMap<i32, u32>,
    zero: u32,
    schema: i32,
    threshold: f64,
    bounds: Vec<f64>,
    hint: CounterResetHint,
    is_stale: bool,
    start: i64,
    /// `true` if the spans are split more than necessary.
    is_split: bool,
}

/// Change from one histogram of a series to the next.
#[derive(Clone, Debug)]
struct Step {
    positive: Vec<(i32, u32)>,
    negative: Vec<(i32, u32)>,
    zero: u32,
    change: Change,
    start: i64,
    is_split: bool,
    /// `true` if empty buckets are omitted.
    sheds: bool,
}

#[derive(Clone, Debug)]
enum Change {
    None,
    Falls,
    FallsInOneBucket,
    SaysReset,
    Stale,
    Gauge(bool),
    Schema(i32),
    Threshold(f64),
    Bounds(Vec<f64>),
}

impl Plain {
    fn after(&self, step: &Step) -> Self {
        let mut next =
            Self { is_stale: false, start: step.start, is_split: step.is_split, ..self.clone() };
        if next.hint != CounterResetHint::Gauge {
            next.hint = CounterResetHint::Unknown;
        }
        match &step.change {
            Change::None => {}
            Change::Falls => (next.positive, next.negative, next.zero) = Default::default(),
            Change::FallsInOneBucket => {
                next.positive.values_mut().take(1).for_each(|count| *count = 0)
            }
            Change::SaysReset if next.hint == CounterResetHint::Gauge => {}
            Change::SaysReset => next.hint = CounterResetHint::Reset,
            Change::Stale => next.is_stale = true,
            Change::Gauge(true) => next.hint = CounterResetHint::Gauge,
            Change::Gauge(false) => next.hint = CounterResetHint::NotReset,
            Change::Schema(schema) => next.schema = *schema,
            Change::Threshold(threshold) => next.threshold = *threshold,
            Change::Bounds(bounds) => {
                (next.schema, next.bounds) = (CUSTOM_BUCKETS_SCHEMA, bounds.clone())
            }
        }
        if next.schema != CUSTOM_BUCKETS_SCHEMA {
            next.bounds.clear();
        }
        next.zero += step.zero;
        step.positive
            .iter()
            .for_each(|&(index, count)| *next.positive.entry(index).or_default() += count);
        step.negative
            .iter()
            .for_each(|&(index, count)| *next.negative.entry(index).or_default() += count);
        if step.sheds {
            next.positive.retain(|_, count| *count > 0);
            next.negative.retain(|_, count| *count > 0);
        }
        next
    }

    fn is_gauge(&self) -> bool {
        self.hint == CounterResetHint::Gauge
    }

    fn count(&self) -> u32 {
        self.zero + self.positive.values().sum::<u32>() + self.negative.values().sum::<u32>()
    }

    /// Returns `true` if a chunk that ends with this histogram can take `next`.
    fn can_be_followed_by(&self, next: &Self) -> bool {
        if self.is_gauge() != next.is_gauge() || next.hint == CounterResetHint::Reset {
            return false;
        }
        if next.is_stale || self.is_stale {
            return next.is_stale;
        }
        let layouts =
            |plain: &Self| (plain.schema, plain.threshold.to_bits(), plain.bounds.clone());
        let has_decreased = |before: &BTreeMap<i32, u32>, now: &BTreeMap<i32, u32>| {
            before
                .iter()
                .any(|(index, count)| now.get(index).is_none_or(|now| now < count) && *count > 0)
        };
        let has_reset = self.count() > next.count()
            || self.zero > next.zero
            || has_decreased(&self.positive, &next.positive)
            || has_decreased(&self.negative, &next.negative);
        layouts(self) == layouts(next) && (next.is_gauge() || !has_reset)
    }

    fn spans(&self, buckets: &BTreeMap<i32, u32>) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut next = 0;
        for &index in buckets.keys() {
            match spans.last_mut() {
                Some(span) if index == next && !self.is_split => span.length += 1,
                _ => spans.push(Span { offset: index - next, length: 1 }),
            }
            next = index + 1;
        }
        if self.is_split {
            spans.insert(spans.len() / 2, Span { offset: 0, length: 0 });
        }
        spans
    }

    fn value(&self, kind: ValueType) -> SampleValue {
        let sum = if self.is_stale {
            f64::from_bits(STALE_NAN_BITS)
        } else {
            f64::from(self.count()) * 0.7
        };
        let half = |count: &u32| f64::from(*count) / 2.0;
        let deltas = |buckets: &BTreeMap<i32, u32>| {
            let mut before = 0;
            buckets
                .values()
                .map(|&count| i64::from(count) - std::mem::replace(&mut before, i64::from(count)))
                .collect()
        };
        match kind {
            ValueType::Histogram => SampleValue::Histogram(Box::new(Histogram {
                reset_hint: self.hint,
                schema: self.schema,
                zero_threshold: self.threshold,
                zero_count: self.zero.into(),
                count: self.count().into(),
                sum,
                positive_spans: self.spans(&self.positive),
                negative_spans: self.spans(&self.negative),
                positive_buckets: deltas(&self.positive),
                negative_buckets: deltas(&self.negative),
                custom_values: self.bounds.clone(),
            })),
            _ => SampleValue::FloatHistogram(Box::new(FloatHistogram {
                reset_hint: self.hint,
                schema: self.schema,
                zero_threshold: self.threshold,
                zero_count: half(&self.zero),
                count: half(&self.count()),
                sum,
                positive_spans: self.spans(&self.positive),
                negative_spans: self.spans(&self.negative),
                positive_buckets: self.positive.values().map(half).collect(),
                negative_buckets: self.negative.values().map(half).collect(),
                custom_values: self.bounds.clone(),
            })),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let buckets = || {
        proptest::collection::vec((-8..8i32, prop_oneof![3 => 0..3u32, 1 => 0..100_000u32]), 0..4)
    };
    let change = prop_oneof![
        30 => Just(Change::None),
        1 => Just(Change::Falls),
        1 => Just(Change::FallsInOneBucket),
        1 => Just(Change::SaysReset),
        2 => Just(Change::Stale),
        1 => any::<bool>().prop_map(Change::Gauge),
        1 => (-4..=8i32).prop_map(Change::Schema),
        1 => prop_oneof![Just(0.0), Just(0.001), Just(2f64.powi(-128))].prop_map(Change::Threshold),
        1 => proptest::collection::vec((0..9000u32).prop_map(|n| f64::from(n) / 128.0), 0..5)
            .prop_map(Change::Bounds),
    ];
    let start = prop_oneof![4 => Just(0i64), 2 => Just(77), 1 => -1000..1000i64];
    let step = (
        buckets(),
        buckets(),
        0..3u32,
        change,
        start,
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.2),
    )
        .prop_map(|(positive, negative, zero, change, start, is_split, sheds)| Step {
            positive,
            negative,
            zero,
            change,
            start,
            is_split,
            sheds,
        });
    proptest::collection::vec(step, 1..60)
}

/// Chunk with the samples and buckets that it should have.
struct Model {
    chunk: AnyChunk,
    sent: Vec<(Plain, Sample)>,
    keys: [BTreeSet<i32>; 2],
}

fn keys(plain: &Plain) -> [BTreeSet<i32>; 2] {
    if plain.is_stale {
        return Default::default();
    }
    [plain.positive.keys().copied().collect(), plain.negative.keys().copied().collect()]
}

impl Model {
    fn with_first(
        encodings: EncodingPolicy,
        plain: Plain,
        sample: Sample,
        before: Option<&Self>,
    ) -> Self {
        let chunk =
            AnyChunk::with_first_sample(encodings, &sample, before.map(|before| &before.chunk));
        Self { chunk, keys: keys(&plain), sent: vec![(plain, sample)] }
    }

    /// Appends a sample if the rules allow it. Returns `false` if a new chunk is required.
    fn append(&mut self, plain: &Plain, sample: &Sample) -> bool {
        let outcome = self.chunk.append(sample);
        if !self.sent[self.sent.len() - 1].0.can_be_followed_by(plain) {
            assert_eq!(outcome, AppendOutcome::NeedsNewChunk, "{plain:?}");
            return false;
        }
        let new = keys(plain);
        let adds_buckets = (0..2).any(|side| !new[side].is_subset(&self.keys[side]));
        assert_eq!(
            outcome,
            if adds_buckets { AppendOutcome::Recoded } else { AppendOutcome::Appended },
            "{plain:?}"
        );
        new.into_iter().zip(&mut self.keys).for_each(|(new, keys)| keys.extend(new));
        self.sent.push((plain.clone(), sample.clone()));
        true
    }

    fn assert_round_trip(&self, starts: HistogramStMode) {
        let read: Vec<Sample> = AnyChunkIter::new(self.chunk.encoding(), self.chunk.bytes())
            .collect::<Result<_, _>>()
            .expect("chunk must be complete");
        assert_eq!(read.len(), self.sent.len());
        assert_eq!(usize::from(self.chunk.num_samples()), read.len());
        for (i, (read, (plain, sent))) in read.iter().zip(&self.sent).enumerate() {
            assert!(
                read.value.is_equivalent(&sent.value) || gauge_marker(plain, read),
                "{read:?}\n{sent:?}"
            );
            let start = if starts == HistogramStMode::WithSt { sent.start_timestamp } else { 0 };
            assert_eq!((read.t, read.start_timestamp), (sent.t, start), "sample {i}");
            let hint = match (plain.is_stale, plain.is_gauge()) {
                (true, _) => CounterResetHint::Unknown,
                (_, true) => CounterResetHint::Gauge,
                _ if i == 0 => CounterResetHint::Unknown,
                _ => CounterResetHint::NotReset,
            };
            assert_eq!(hint_of(&read.value), hint, "sample {i}");
        }
        let last = self.chunk.last_sample().expect("chunk must have samples");
        assert_eq!(format!("{last:?}"), format!("{:?}", read[read.len() - 1]));
        assert_eq!(self.chunk.is_stale(), last.value.is_stale());
        let resumed = AnyChunk::resume(self.chunk.encoding(), self.chunk.bytes())
            .expect("chunk must be complete");
        assert_eq!(resumed.bytes(), self.chunk.bytes());
    }
}

fn gauge_marker(plain: &Plain, read: &Sample) -> bool {
    plain.is_stale && read.value.is_stale()
}

fn hint_of(value: &SampleValue) -> CounterResetHint {
    match value {
        SampleValue::Float(_) => CounterResetHint::Unknown,
        SampleValue::Histogram(histogram) => histogram.reset_hint,
        SampleValue::FloatHistogram(histogram) => histogram.reset_hint,
    }
}

fn kinds() -> impl Strategy<Value = ValueType> {
    prop_oneof![Just(ValueType::Histogram), Just(ValueType::FloatHistogram)]
}

fn starts() -> impl Strategy<Value = HistogramStMode> {
    prop_oneof![Just(HistogramStMode::WithoutSt), Just(HistogramStMode::WithSt)]
}

/// Generates histograms with arbitrary fields and the given spans.
fn arb_histograms(spans: Vec<Span>) -> impl Strategy<Value = (Histogram, FloatHistogram)> {
    let number = || prop_oneof![any::<i64>(), -3..4i64, Just(i64::MIN), Just(i64::MAX)];
    let buckets: usize = spans.iter().map(|span| span.length as usize).sum();
    let float = || {
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("stale marker", |x| x.to_bits() != STALE_NAN_BITS)
    };
    let floats = proptest::collection::vec(float(), 2 * buckets + 3);
    (proptest::collection::vec(number(), 2 * buckets), any::<u64>(), any::<u64>(), floats).prop_map(
        move |(deltas, count, zero_count, floats)| {
            let integer = Histogram {
                reset_hint: CounterResetHint::Gauge,
                schema: 3,
                zero_threshold: 0.25,
                zero_count,
                count,
                sum: floats[0],
                positive_spans: spans.clone(),
                negative_spans: spans.clone(),
                positive_buckets: deltas[..buckets].to_vec(),
                negative_buckets: deltas[buckets..].to_vec(),
                custom_values: Vec::new(),
            };
            let float = FloatHistogram {
                reset_hint: CounterResetHint::Gauge,
                schema: 3,
                zero_threshold: 0.25,
                zero_count: floats[1],
                count: floats[2],
                sum: floats[0],
                positive_spans: spans.clone(),
                negative_spans: spans.clone(),
                positive_buckets: floats[3..3 + buckets].to_vec(),
                negative_buckets: floats[3 + buckets..].to_vec(),
                custom_values: Vec::new(),
            };
            (integer, float)
        },
    )
}

/// Returns a chunk of several samples with a growing number of buckets.
fn example(kind: ValueType, histogram_st_mode: HistogramStMode) -> AnyChunk {
    let encodings = EncodingPolicy { histogram_st_mode, ..EncodingPolicy::default() };
    let mut plain = Plain {
        positive: [(1, 5), (2, 7)].into(),
        threshold: 0.001,
        start: 50,
        ..Plain::default()
    };
    let mut chunk = AnyChunk::with_first_sample(
        encodings,
        &Sample { start_timestamp: 50, t: 1000, value: plain.value(kind) },
        None,
    );
    for i in 0..12 {
        *plain.positive.entry(i / 2).or_default() += 3 + i as u32;
        *plain.negative.entry(-i / 3).or_default() += 1000;
        let sample = Sample {
            start_timestamp: 50 + i64::from(i / 4),
            t: 1000 + 15 * i64::from(i + 1),
            value: plain.value(kind),
        };
        assert_ne!(chunk.append(&sample), AppendOutcome::NeedsNewChunk);
    }
    chunk
}

const KINDS: [ValueType; 2] = [ValueType::Histogram, ValueType::FloatHistogram];
const STARTS: [HistogramStMode; 2] = [HistogramStMode::WithoutSt, HistogramStMode::WithSt];

#[test]
fn corrupted_bytes_yield_samples_or_an_error() {
    for (kind, starts) in KINDS.into_iter().flat_map(|kind| STARTS.map(|starts| (kind, starts))) {
        let chunk = example(kind, starts);
        let encoding = chunk.encoding();
        for len in 0..chunk.num_bytes() {
            let read: Vec<_> = AnyChunkIter::new(encoding, &chunk.bytes()[..len]).collect();
            assert!(
                matches!(read.last(), Some(Err(ChunkError::Truncated { .. }))),
                "{len} of {chunk:?}"
            );
            assert!(AnyChunk::resume(encoding, &chunk.bytes()[..len]).is_err());
        }
        for at in 0..chunk.num_bytes() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut bytes = chunk.bytes().to_vec();
                bytes[at] ^= flip;
                let count = AnyChunkIter::new(encoding, &bytes).count();
                assert!(count <= 8 * bytes.len(), "{count} samples");
                if let Ok(mut resumed) = AnyChunk::resume(encoding, &bytes) {
                    resumed.append(&chunk.last_sample().unwrap());
                }
            }
        }
    }
}

#[test]
fn chunk_takes_as_many_samples_as_the_header_counts() {
    let marker = Plain { is_stale: true, ..Plain::default() }.value(ValueType::Histogram);
    for (histogram_st_mode, max) in
        [(HistogramStMode::WithoutSt, 65_535), (HistogramStMode::WithSt, 16_383)]
    {
        let encodings = EncodingPolicy { histogram_st_mode, ..EncodingPolicy::default() };
        let sample = |t: i64| Sample { start_timestamp: t / 1000, t, value: marker.clone() };
        let mut chunk = AnyChunk::with_first_sample(encodings, &sample(0), None);
        let appended = (1..70_000)
            .take_while(|&t| chunk.append(&sample(t)) != AppendOutcome::NeedsNewChunk)
            .count()
            + 1;
        assert_eq!((appended, usize::from(chunk.num_samples())), (max, max));
        let starts: Vec<i64> = AnyChunkIter::new(chunk.encoding(), chunk.bytes())
            .map(|sample| sample.unwrap().start_timestamp)
            .collect();
        let expected =
            |t: i64| if histogram_st_mode == HistogramStMode::WithSt { t / 1000 } else { 0 };
        assert!(starts.into_iter().eq((0..max as i64).map(expected)));
    }
}

#[test]
fn reset_header_follows_from_the_previous_chunk() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let base = Plain { positive: [(1, 5)].into(), zero: 3, ..Plain::default() };
    let header = |kind, before: Option<&Plain>, now: &Plain| {
        let sample = |plain: &Plain| Sample::new(0, plain.value(kind));
        let before = before.map(|before| {
            AnyChunk::with_first_sample(EncodingPolicy::default(), &sample(before), None)
        });
        let chunk =
            AnyChunk::with_first_sample(EncodingPolicy::default(), &sample(now), before.as_ref());
        [Unknown, NotReset, Reset, Gauge][usize::from(chunk.bytes()[2] >> 6)]
    };
    let grown = Plain { positive: [(1, 5), (4, 1)].into(), ..base.clone() };
    let fallen = Plain { positive: [(1, 4)].into(), ..base.clone() };
    let gauge = Plain { hint: Gauge, ..base.clone() };
    let said = Plain { hint: Reset, ..base.clone() };
    let other = Plain { schema: 2, ..base.clone() };
    let stale = Plain { is_stale: true, ..base.clone() };
    for kind in KINDS {
        assert_eq!(
            [header(kind, None, &base), header(kind, None, &said), header(kind, None, &gauge)],
            [Unknown, Reset, Gauge]
        );
        let after_base = [&base, &grown, &fallen, &gauge, &said, &other, &stale]
            .map(|now| header(kind, Some(&base), now));
        assert_eq!(
            after_base,
            [NotReset, NotReset, Reset, Gauge, Reset, Unknown, NotReset],
            "{kind:?}"
        );
        assert_eq!(header(kind, Some(&stale), &base), Unknown);
        let after_gauge = if kind == ValueType::Histogram { NotReset } else { Unknown };
        assert_eq!(
            [header(kind, Some(&gauge), &base), header(kind, Some(&gauge), &said)],
            [after_gauge, Reset]
        );
    }
}

#[test]
fn chunk_rejects_samples_of_another_type() {
    let plain = Plain { positive: [(1, 5)].into(), ..Plain::default() };
    let samples = [
        Sample::new(0, SampleValue::Float(1.0)),
        Sample::new(0, plain.value(ValueType::Histogram)),
        Sample::new(0, plain.value(ValueType::FloatHistogram)),
    ];
    for (i, first) in samples.iter().enumerate() {
        for (j, second) in samples.iter().enumerate() {
            let mut chunk = AnyChunk::with_first_sample(EncodingPolicy::default(), first, None);
            assert_eq!(
                chunk.append(second) == AppendOutcome::Appended,
                i == j,
                "{first:?} {second:?}"
            );
        }
    }
}

#[test]
fn schema_above_8_is_reduced_to_8() {
    let value =
        Plain { positive: [(1, 5), (2, 1), (33, 2)].into(), schema: 12, ..Plain::default() }
            .value(ValueType::Histogram);
    let chunk =
        AnyChunk::with_first_sample(EncodingPolicy::default(), &Sample::new(7, value), None);
    let expected = Plain { positive: [(1, 6), (3, 2)].into(), schema: 8, ..Plain::default() }
        .value(ValueType::Histogram);
    let read = AnyChunkIter::new(ChunkEncoding::Histogram, chunk.bytes()).next().unwrap().unwrap();
    assert!(read.value.is_equivalent(&expected), "{read:?}");
}

proptest! {
    #[test]
    fn samples_round_trip_and_chunks_are_cut_by_the_rules(
        steps in steps(), kind in kinds(), histogram_st_mode in starts(),
    ) {
        let encodings = EncodingPolicy { histogram_st_mode, ..EncodingPolicy::default() };
        let mut plain = Plain::default();
        let mut open: Option<Model> = None;
        for (i, step) in steps.iter().enumerate() {
            plain = plain.after(step);
            let t = 1_762_300_800_000 + 15_000 * i as i64 + i64::from(step.zero);
            let sample = Sample { start_timestamp: plain.start, t, value: plain.value(kind) };
            if open.as_mut().is_none_or(|open| !open.append(&plain, &sample)) {
                open.iter().for_each(|open| open.assert_round_trip(histogram_st_mode));
                open = Some(Model::with_first(encodings, plain.clone(), sample, open.as_ref()));
            }
        }
        open.iter().for_each(|open| open.assert_round_trip(histogram_st_mode));
    }

    #[test]
    fn arbitrary_numbers_round_trip_bit_for_bit(
        values in proptest::collection::vec(
            arb_histograms(vec![Span { offset: -2, length: 2 }, Span { offset: 5, length: 3 }]),
            1..20,
        ),
        times in proptest::collection::vec((any::<i64>(), any::<i64>()), 20),
        mode in starts(), at in any::<proptest::sample::Index>(),
    ) {
        let encodings = EncodingPolicy { histogram_st_mode: mode, ..EncodingPolicy::default() };
        let start = |start| if mode == HistogramStMode::WithSt { start } else { 0 };
        for kind in KINDS {
            let samples = values.iter().zip(&times).map(|((integer, float), &(st, t))| {
                let value = match kind {
                    ValueType::Histogram => SampleValue::Histogram(Box::new(integer.clone())),
                    _ => SampleValue::FloatHistogram(Box::new(float.clone())),
                };
                Sample { start_timestamp: start(st), t, value }
            });
            let samples: Vec<Sample> = samples.collect();
            let mut chunk = AnyChunk::with_first_sample(encodings, &samples[0], None);
            let resumed_at = at.index(samples.len());
            for (i, sample) in samples.iter().enumerate().skip(1) {
                if i == resumed_at {
                    chunk = AnyChunk::resume(chunk.encoding(), chunk.bytes()).unwrap();
                }
                prop_assert_eq!(chunk.append(sample), AppendOutcome::Appended);
            }
            let read: Vec<Sample> =
                AnyChunkIter::new(chunk.encoding(), chunk.bytes()).map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), samples.len());
            for (read, sent) in read.iter().zip(&samples) {
                prop_assert_eq!((read.t, read.start_timestamp), (sent.t, sent.start_timestamp));
                prop_assert!(read.value.is_equivalent(&sent.value), "{:?} {:?}", read, sent);
            }
        }
    }

    #[test]
    fn invalid_histograms_do_no_harm(
        spans in proptest::collection::vec(
            (prop_oneof![-3..3i32, any::<i32>()], prop_oneof![0..4u32, any::<u32>()]),
            0..4,
        ),
        buckets in proptest::collection::vec(any::<i64>(), 0..8),
        schema in any::<i32>(), hint in 0..4u8,
        mode in starts(),
    ) {
        let encodings = EncodingPolicy { histogram_st_mode: mode, ..EncodingPolicy::default() };
        let reset_hint = CounterResetHint::from_byte(hint).unwrap();
        let spans: Vec<Span> =
            spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        let integer = |n: usize| SampleValue::Histogram(Box::new(Histogram {
            reset_hint, schema,
            positive_spans: spans[..n.min(spans.len())].to_vec(),
            positive_buckets: buckets.clone(),
            negative_spans: spans.clone(),
            negative_buckets: buckets[..n.min(buckets.len())].to_vec(),
            ..Histogram::default()
        }));
        let float = |n: usize| SampleValue::FloatHistogram(Box::new(FloatHistogram {
            reset_hint, schema,
            positive_spans: spans[..n.min(spans.len())].to_vec(),
            positive_buckets: buckets.iter().map(|&n| n as f64).collect(),
            negative_spans: spans.clone(), custom_values: vec![f64::NAN, -0.0],
            ..FloatHistogram::default()
        }));
        let makes: [&dyn Fn(usize) -> SampleValue; 2] = [&integer, &float];
        for make in makes {
            let mut chunk = AnyChunk::with_first_sample(encodings, &Sample::new(0, make(0)), None);
            for n in 1..5 {
                let sample = Sample::new(n as i64, make(n));
                if chunk.append(&sample) == AppendOutcome::NeedsNewChunk {
                    chunk = AnyChunk::with_first_sample(encodings, &sample, Some(&chunk));
                }
            }
            let read =
                AnyChunkIter::new(chunk.encoding(), chunk.bytes()).filter(Result::is_ok).count();
            prop_assert!(read == usize::from(chunk.num_samples()) || !is_known_schema(schema));
        }
    }

    #[test]
    fn arbitrary_bytes_yield_a_bounded_number_of_samples(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        encoding in prop_oneof![Just(2u8), Just(3), Just(5), Just(6)],
    ) {
        let encoding = ChunkEncoding::from_byte(encoding).unwrap();
        let items: Vec<_> = AnyChunkIter::new(encoding, &bytes).collect();
        prop_assert!(items.len() <= bytes.len() * 8 + 1);
        prop_assert!(items.iter().rev().skip(1).all(Result::is_ok));
        if let Ok(chunk) = AnyChunk::resume(encoding, &bytes) {
            prop_assert_eq!(usize::from(chunk.num_samples()), items.len());
        }
    }
}
