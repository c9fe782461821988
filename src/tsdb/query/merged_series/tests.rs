//! Tests of merged samples: overlapping, corrupted and mixed chunks. See also `select::tests`.

use super::MergedSeries;
use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::model::histogram::{CounterResetHint, Histogram};
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::testing::fixed_source::{chunk, labels};
use crate::testing::samples::{PLAIN, WITH_STARTS, arb_samples, assert_same, chunks, histogram};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::xor2::encode::Xor2Chunk;
use crate::tsdb::query::source::{Chunk, ChunkData, ChunkSeries, QueryError};
use proptest::prelude::{prop_assert_eq, proptest};
use std::collections::BTreeMap;
use std::sync::Arc;

fn series(chunks: Vec<Chunk>) -> MergedSeries {
    MergedSeries::new(ChunkSeries { labels: labels("x"), chunks })
}

fn run(samples: &[(i64, f64)]) -> Vec<FloatSample> {
    samples.iter().map(|(t, v)| FloatSample::new(*t, *v)).collect()
}

fn read(series: &MergedSeries, range: TimeRange) -> Result<Vec<FloatSample>, QueryError> {
    series.float_samples(range).collect()
}

#[test]
fn later_source_wins_at_equal_timestamps() {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let mut merged =
        series(vec![chunk(&run(&[(1, 1.0), (3, 3.0), (5, 5.0)])), chunk(&run(&[(7, 7.0)]))]);
    merged.add_chunks(vec![chunk(&run(&[(0, 0.5), (3, stale), (7, 7.5)]))]);
    let all = run(&[(0, 0.5), (1, 1.0), (3, stale), (5, 5.0), (7, 7.5)]);
    assert_eq!(read(&merged, TimeRange::ALL).unwrap(), all);
    assert_eq!(read(&merged, TimeRange::new(1, 5)).unwrap(), all[1..4]);
    assert_eq!(read(&merged, TimeRange::new(6, 6)).unwrap(), []);
    assert_eq!(read(&merged, TimeRange::new(5, 1)).unwrap(), []);
}

#[test]
fn floats_of_both_encodings_keep_start_timestamps() {
    let mut newer = Xor2Chunk::default();
    [(4, 40), (4, 50), (7, 60)].iter().for_each(|&(start, t)| newer.append_with_st(start, t, 1.0));
    let data = ChunkData::new(newer.into_bytes());
    let newer =
        Chunk { mint: 40, maxt: 60, encoding: ChunkEncoding::Xor2, data, deleted_intervals: None };
    let mixed = series(vec![
        chunk(&run(&[(1, 1.0), (55, 2.0)])),
        newer,
        chunk(&run(&[(60, 3.0), (61, 3.0)])),
    ]);
    let read: Vec<_> =
        points(&mixed).iter().map(|point| (point.t, point.start_timestamp)).collect();
    assert_eq!(read, [(1, 0), (40, 4), (50, 4), (55, 0), (60, 0), (61, 0)]);
}

fn points(series: &MergedSeries) -> Vec<Sample> {
    series.samples(TimeRange::ALL).map(|point| point.unwrap()).collect()
}

/// Returns a counter histogram with `count` observations.
fn counter(t: i64, count: u64) -> Sample {
    Sample::new(t, SampleValue::Histogram(Box::new(histogram(0, &[(1, count)].into(), &[].into()))))
}

fn gauge(t: i64, count: u64) -> Sample {
    let histogram = histogram(0, &[(1, count)].into(), &[].into());
    Sample::new(
        t,
        SampleValue::Histogram(Box::new(Histogram {
            reset_hint: CounterResetHint::Gauge,
            ..histogram
        })),
    )
}

fn one_chunk(points: &[Sample]) -> Chunk {
    let mut chunks = chunks(points, PLAIN, u16::MAX);
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

fn hints(series: &MergedSeries, range: TimeRange) -> Vec<(i64, CounterResetHint)> {
    let hint = |point: Sample| match point.value {
        SampleValue::Histogram(histogram) => (point.t, histogram.reset_hint),
        other => panic!("{other:?}"),
    };
    series.samples(range).map(|point| hint(point.unwrap())).collect()
}

#[test]
fn later_source_wins_across_sample_types() {
    let mut merged = series(vec![chunk(&run(&[(1, 1.0), (3, 3.0), (5, 5.0)]))]);
    merged.add_chunks(vec![one_chunk(&[counter(2, 4), counter(3, 5)])]);
    merged.add_chunks(vec![chunk(&run(&[(2, 2.5)]))]);
    let expected = [
        FloatSample::new(1, 1.0).into(),
        FloatSample::new(2, 2.5).into(),
        counter(3, 5),
        FloatSample::new(5, 5.0).into(),
    ];
    assert_same(&points(&merged), &expected);
    assert_eq!(read(&merged, TimeRange::ALL).unwrap(), run(&[(1, 1.0), (2, 2.5), (5, 5.0)]));
    assert_eq!(read(&merged, TimeRange::new(3, 4)).unwrap(), []);
}

#[test]
fn reset_hint_is_kept_within_a_chunk() {
    use CounterResetHint::{NotReset, Unknown};
    let series = series(vec![
        one_chunk(&[counter(1, 1), counter(2, 2)]),
        one_chunk(&[counter(3, 3), counter(4, 4)]),
    ]);
    assert_eq!(
        hints(&series, TimeRange::ALL),
        [(1, Unknown), (2, NotReset), (3, Unknown), (4, NotReset)]
    );
    assert_eq!(hints(&series, TimeRange::new(2, 3)), [(2, NotReset), (3, Unknown)]);
}

#[test]
fn reset_hint_is_cleared_between_chunks() {
    use CounterResetHint::{Gauge, NotReset, Unknown};
    let mut merged =
        series(vec![one_chunk(&[counter(1, 1), counter(2, 2), counter(5, 5), counter(6, 6)])]);
    merged.add_chunks(vec![one_chunk(&[counter(3, 3), counter(4, 4)])]);
    let expected =
        [(1, Unknown), (2, NotReset), (3, Unknown), (4, NotReset), (5, Unknown), (6, NotReset)];
    assert_eq!(hints(&merged, TimeRange::ALL), expected);
    let mut gauges = series(vec![one_chunk(&[gauge(1, 1), gauge(3, 3)])]);
    gauges.add_chunks(vec![one_chunk(&[gauge(2, 2)])]);
    assert_eq!(hints(&gauges, TimeRange::ALL), [(1, Gauge), (2, Gauge), (3, Gauge)]);
}

#[test]
fn reset_hint_after_a_deleted_first_sample_is_unknown() {
    use CounterResetHint::{NotReset, Unknown};
    let counters = [counter(3, 1), counter(4, 2), counter(5, 3), counter(6, 3)];
    let holes = [TimeRange::new(3, 3), TimeRange::new(5, 5)].into_iter().collect();
    let second = Chunk { deleted_intervals: Some(Arc::new(holes)), ..one_chunk(&counters) };
    let series = series(vec![one_chunk(&[counter(1, 9), counter(2, 9)]), second]);
    let expected = [(1, Unknown), (2, NotReset), (4, Unknown), (6, NotReset)];
    assert_eq!(hints(&series, TimeRange::ALL), expected);
}

proptest! {
    #[test]
    fn merge_of_all_types_equals_sequential_writes(
        given in proptest::collection::vec(arb_samples(), 0..4),
        most in 1u16..50, from in -5i64..300, length in 0i64..400,
    ) {
        let range = TimeRange::new(from, from + length);
        let mut merged = series(Vec::new());
        let mut model: BTreeMap<i64, Sample> = BTreeMap::new();
        for points in &given {
            merged.add_chunks(chunks(points, WITH_STARTS, most));
            model.extend(points.iter().map(|point| (point.t, point.clone())));
        }
        let expected: Vec<Sample> =
            model.into_values().filter(|point| range.contains(point.t)).collect();
        let found: Vec<Sample> = merged.samples(range).map(|point| point.unwrap()).collect();
        assert_same(&found, &expected);
        let is_float = |point: &&Sample| matches!(point.value, SampleValue::Float(_));
        let floats = expected.iter().filter(is_float).count();
        prop_assert_eq!(merged.float_samples(range).count(), floats);
    }
}

#[test]
fn corrupted_chunk_ends_samples_with_an_error() {
    let whole = chunk(&run(&[(1, 1.5), (2, 2.5), (3, 3.5)]));
    let bytes = whole.data.bytes();
    let torn = ChunkData::new(bytes[..bytes.len() - 3].to_vec());
    let torn = series(vec![Chunk { data: torn, ..whole.clone() }, chunk(&run(&[(9, 9.0)]))]);
    let early = series(vec![Chunk { mint: 2, ..whole }]);
    let falling = series(vec![Chunk { mint: 1, ..chunk(&run(&[(5, 5.0), (4, 4.0)])) }]);
    let none = series(vec![Chunk { data: ChunkData::new([0]), ..chunk(&run(&[(9, 9.0)])) }]);
    let histogram = one_chunk(&[counter(1, 1), counter(2, 2)]);
    let histogram = ChunkData::new(histogram.data.bytes()[..9].to_vec());
    let kinds = series(vec![Chunk {
        encoding: ChunkEncoding::Histogram,
        data: histogram,
        ..chunk(&run(&[(1, 1.0), (9, 9.0)]))
    }]);
    for (corrupted, right) in [(torn, 2), (early, 0), (falling, 1), (none, 0), (kinds, 1)] {
        let mut samples = corrupted.float_samples(TimeRange::new(0, 10));
        let before = samples.by_ref().take_while(Result::is_ok).count();
        assert!(before <= right && samples.next().is_none());
        let error = read(&corrupted, TimeRange::ALL).unwrap_err().to_string();
        assert!(error.contains(r#"{a="x"}"#), "{error}");
    }
}

#[test]
fn chunk_without_samples_is_skipped() {
    let empty = Chunk { mint: 1, maxt: 9, ..chunk(&[]) };
    let series = series(vec![empty, chunk(&run(&[(3, 3.0)]))]);
    assert_eq!(read(&series, TimeRange::ALL).unwrap(), run(&[(3, 3.0)]));
}
