//! Merging compared with a simple model, sample by sample, and examples beyond the model.

use super::{MergeError, MergeInput, SeriesMerger};
use crate::model::float_sample::FloatSample;
use crate::model::histogram::{CounterResetHint, Histogram};
use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::testing::fixed_source::{FixedSource, chunk, labels};
use crate::testing::samples;
use crate::testing::samples::{PLAIN, WITH_STARTS, arb_samples, assert_same, chunks, histogram};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::chunk::reencode::MAX_SAMPLES;
use crate::tsdb::chunk::xor2::encode::Xor2Chunk;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkData, ChunkSeries};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use std::collections::BTreeMap;
use std::sync::Arc;

type Model = BTreeMap<Labels, BTreeMap<i64, Sample>>;

fn source(chunks: Vec<Chunk>) -> FixedSource {
    FixedSource(BTreeMap::from([(labels("x"), chunks)]))
}

fn run(times: impl Iterator<Item = i64>, v: f64) -> Vec<FloatSample> {
    times.map(|t| FloatSample::new(t, v)).collect()
}

fn merge(sources: &[FixedSource], range: TimeRange) -> Result<Vec<ChunkSeries>, MergeError> {
    let sources = sources.iter().map(|source| source as &dyn BlockSource).collect();
    SeriesMerger::new(MergeInput { sources, range, floats: FloatEncoding::Xor })?.collect()
}

fn decoded(chunk: &Chunk) -> Vec<FloatSample> {
    let encoding = FloatEncoding::from_chunk_encoding(chunk.encoding).unwrap();
    FloatIter::new(encoding, chunk.data.bytes()).map(|sample| sample.unwrap()).collect()
}

/// XOR2 chunk with one start timestamp.
fn xor2_chunk(samples: &[FloatSample], start: i64) -> Chunk {
    let mut encoded = Xor2Chunk::default();
    samples.iter().for_each(|sample| encoded.append_with_st(start, sample.t, sample.v));
    Chunk {
        encoding: ChunkEncoding::Xor2,
        data: ChunkData::new(encoded.into_bytes()),
        ..chunk(samples)
    }
}

fn deleted(chunk: Chunk, mint: i64, maxt: i64) -> Chunk {
    let deleted: Intervals = [TimeRange::new(mint, maxt)].into_iter().collect();
    Chunk { deleted_intervals: Some(Arc::new(deleted)), ..chunk }
}

/// Chunk that cannot be decoded.
fn opaque(mint: i64, maxt: i64) -> Chunk {
    Chunk {
        mint,
        maxt,
        encoding: ChunkEncoding::Histogram,
        data: ChunkData::new([0, 1, 7]),
        deleted_intervals: None,
    }
}

#[test]
fn chunk_without_overlap_is_copied_even_if_undecodable() {
    let newer = Chunk {
        encoding: ChunkEncoding::Xor2,
        data: ChunkData::new([0, 3, 9]),
        ..opaque(240, 249)
    };
    let chunks = vec![chunk(&run(0..200, 1.5)), opaque(200, 210), opaque(211, 211)];
    let merged =
        merge(&[source(vec![newer.clone()]), source(chunks.clone())], TimeRange::new(0, 249))
            .unwrap();
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].chunks.len(), 4);
    for (one, stored) in merged[0].chunks.iter().zip(chunks.iter().chain([&newer])) {
        assert_eq!((one.mint, one.maxt, one.encoding), (stored.mint, stored.maxt, stored.encoding));
        assert_eq!(one.data.bytes(), stored.data.bytes());
    }
}

#[test]
fn equal_chunks_of_several_sources_are_copied_once() {
    let long = chunk(&run(0..200, 2.5));
    let shared = [
        source(vec![long.clone()]),
        source(vec![long.clone(), opaque(300, 310)]),
        source(vec![long, opaque(300, 310)]),
    ];
    let merged = merge(&shared, TimeRange::ALL).unwrap();
    assert_eq!(
        merged[0].chunks.iter().map(|chunk| chunk.data.bytes().len() > 3).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(decoded(&merged[0].chunks[0]).len(), 200);
}

#[test]
fn overlaps_are_reencoded_and_later_source_wins() {
    let merged = merge(
        &[
            source(vec![chunk(&run((0..300).step_by(2), 1.0))]),
            source(vec![chunk(&run((0..300).step_by(3), 2.0))]),
        ],
        TimeRange::ALL,
    );
    let chunks = &merged.unwrap()[0].chunks;
    let samples: Vec<FloatSample> = chunks.iter().flat_map(decoded).collect();
    let expected = (0..300)
        .filter(|t| t % 2 == 0 || t % 3 == 0)
        .map(|t| FloatSample::new(t, if t % 3 == 0 { 2.0 } else { 1.0 }));
    assert_eq!(samples, expected.collect::<Vec<_>>());
    assert_eq!(chunks.iter().map(|chunk| decoded(chunk).len()).collect::<Vec<_>>(), [120, 80]);
}

#[test]
fn cut_chunks_are_reencoded_and_empty_series_dropped() {
    let whole = vec![
        chunk(&run(0..10, 1.0)),
        deleted(chunk(&run(10..20, 1.0)), 12, 15),
        chunk(&run(20..30, 1.0)),
    ];
    let mut sources = source(whole);
    sources.0.insert(labels("gone"), vec![deleted(chunk(&run(0..10, 1.0)), 2, 100)]);
    let merged = merge(&[sources], TimeRange::new(2, 24)).unwrap();
    assert_eq!(merged.len(), 1);
    let times: Vec<Vec<i64>> = merged[0]
        .chunks
        .iter()
        .map(|chunk| decoded(chunk).iter().map(|one| one.t).collect())
        .collect();
    assert_eq!(times, [(2..12).chain(16..25).collect::<Vec<_>>()]);
}

#[test]
fn reencoding_corrupted_chunk_fails_and_names_series() {
    let float = || chunk(&run(0..10, 1.0));
    let overlapping = [source(vec![float()]), source(vec![opaque(9, 20)])];
    let touched = [source(vec![float()]), source(vec![deleted(opaque(10, 20), 12, 13)])];
    let cut = [source(vec![float()]), source(vec![opaque(10, 40)])];
    for sources in [overlapping, touched, cut] {
        let error = merge(&sources, TimeRange::new(0, 30)).unwrap_err();
        assert!(matches!(error, MergeError::Source(_)), "{error}");
        assert!(error.to_string().contains(r#"{a="x"}"#), "{error}");
    }
}

/// Counter histogram with `count` observations in each of two buckets.
fn counter(t: i64, count: u64) -> Sample {
    Sample::new(
        t,
        SampleValue::Histogram(Box::new(histogram(
            0,
            &[(1, count), (2, count)].into(),
            &[].into(),
        ))),
    )
}

fn gauge(t: i64) -> Sample {
    let histogram = histogram(3, &[(t as i32 % 7, 5)].into(), &[].into());
    Sample::new(
        t,
        SampleValue::Histogram(Box::new(Histogram {
            reset_hint: CounterResetHint::Gauge,
            ..histogram
        })),
    )
}

/// Time ranges and encodings of the merged chunks, and all samples.
fn merged_samples(
    sources: &[FixedSource],
    range: TimeRange,
) -> (Vec<(i64, i64, ChunkEncoding)>, Vec<Sample>) {
    let chunks = merge(sources, range).unwrap().remove(0).chunks;
    let shape = chunks.iter().map(|chunk| (chunk.mint, chunk.maxt, chunk.encoding)).collect();
    (shape, chunks.iter().flat_map(samples::decoded).collect())
}

#[test]
fn reencoded_histograms_are_cut_at_reset_and_at_120_samples() {
    // Counts rise to 149, restart at 1 and rise again. Each of two sources has every second sample.
    let all: Vec<Sample> = (0..300).map(|t| counter(t, t as u64 % 150 + 1)).collect();
    let half = |odd: i64| {
        let own: Vec<Sample> = all.iter().filter(|point| point.t % 2 == odd).cloned().collect();
        source(chunks(&own, PLAIN, 60))
    };
    let (shape, points) = merged_samples(&[half(0), half(1)], TimeRange::ALL);
    let times: Vec<(i64, i64)> = shape.iter().map(|(mint, maxt, _)| (*mint, *maxt)).collect();
    assert_eq!(times, [(0, 119), (120, 149), (150, 269), (270, 299)]);
    assert!(shape.iter().all(|(_, _, encoding)| *encoding == ChunkEncoding::Histogram));
    assert_same(&points, &all);
}

#[test]
fn reencoded_chunk_is_cut_at_change_of_value_type() {
    let float = |t: i64| Sample::new(t, SampleValue::Float(0.5));
    let floats = |t: i64| match counter(t, 7).value {
        SampleValue::Histogram(histogram) => {
            SampleValue::FloatHistogram(Box::new(samples::with_floats(&histogram)))
        }
        other => other,
    };
    let all = [
        float(1),
        float(2),
        counter(3, 1),
        counter(4, 2),
        Sample::new(5, floats(5)),
        gauge(6),
        gauge(7),
        counter(8, 9),
        float(9),
    ];
    let overlapping = source(
        chunks(&[counter(0, 1), float(10)], PLAIN, 120)
            .into_iter()
            .map(|chunk| Chunk { maxt: 10, ..chunk })
            .collect(),
    );
    let (shape, points) =
        merged_samples(&[overlapping, source(chunks(&all, PLAIN, 120))], TimeRange::new(1, 9));
    use ChunkEncoding::{FloatHistogram, Histogram, Xor};
    assert_eq!(
        shape,
        [
            (1, 2, Xor),
            (3, 4, Histogram),
            (5, 5, FloatHistogram),
            (6, 7, Histogram),
            (8, 8, Histogram),
            (9, 9, Xor)
        ]
    );
    assert_same(&points, &all);
}

#[test]
fn partly_deleted_histograms_keep_their_encoding() {
    let all: Vec<Sample> = (0..20)
        .map(|t| Sample { start_timestamp: if t == 3 { 1 } else { 0 }, ..counter(t, t as u64) })
        .collect();
    let with_place = chunks(&all, WITH_STARTS, 120);
    assert_eq!(with_place.len(), 1);
    let touched = with_place.into_iter().map(|chunk| deleted(chunk, 2, 4)).collect();
    let (shape, points) = merged_samples(&[source(touched)], TimeRange::ALL);
    assert_eq!(shape, [(0, 19, ChunkEncoding::HistogramSt)]);
    assert_same(
        &points,
        &all.iter().filter(|point| !(2..5).contains(&point.t)).cloned().collect::<Vec<_>>(),
    );
}

#[test]
fn overlapping_histograms_keep_start_timestamps() {
    let all: Vec<Sample> = (0..20)
        .map(|t| Sample { start_timestamp: if t >= 10 { 5 } else { 0 }, ..counter(t, t as u64) })
        .collect();
    let half = |odd: i64| {
        let own: Vec<Sample> = all.iter().filter(|point| point.t % 2 == odd).cloned().collect();
        source(chunks(&own, WITH_STARTS, 120))
    };
    let (shape, points) = merged_samples(&[half(0), half(1)], TimeRange::ALL);
    assert_eq!(shape, [(0, 9, ChunkEncoding::Histogram), (10, 19, ChunkEncoding::HistogramSt)]);
    assert_same(&points, &all);
}

#[test]
fn gauge_histogram_is_not_cut_at_falling_counts() {
    let all: Vec<Sample> = (0..50).map(gauge).collect();
    let whole = chunks(&all, PLAIN, 120);
    assert_eq!(whole.len(), 1);
    let touched = whole.into_iter().map(|chunk| deleted(chunk, 7, 7)).collect();
    let (shape, points) = merged_samples(&[source(touched)], TimeRange::new(2, 100));
    assert_eq!(shape, [(2, 49, ChunkEncoding::Histogram)]);
    assert_same(
        &points,
        &all.iter().filter(|point| point.t >= 2 && point.t != 7).cloned().collect::<Vec<_>>(),
    );
}

#[test]
fn reencoded_floats_are_xor2_if_configured_or_with_st() {
    let encodings = |chunks: Vec<Chunk>, floats| {
        let (one, other) = (source(chunks), source(vec![chunk(&run(5..7, 2.0))]));
        let sources: Vec<&dyn BlockSource> = vec![&one, &other];
        let merged: Result<Vec<_>, _> =
            SeriesMerger::new(MergeInput { sources, range: TimeRange::ALL, floats })
                .unwrap()
                .collect();
        let chunks = merged.unwrap().remove(0).chunks;
        assert_eq!(chunks.iter().map(|chunk| decoded(chunk).len()).sum::<usize>(), 10);
        chunks.iter().map(|chunk| (chunk.encoding, decoded(chunk).len())).collect::<Vec<_>>()
    };
    let plain = || vec![xor2_chunk(&run(0..10, 1.0), 0)];
    assert_eq!(encodings(plain(), FloatEncoding::Xor), [(ChunkEncoding::Xor, 10)]);
    assert_eq!(encodings(plain(), FloatEncoding::Xor2), [(ChunkEncoding::Xor2, 10)]);
    let started = vec![xor2_chunk(&run(0..10, 1.0), -7)];
    assert_eq!(encodings(started, FloatEncoding::Xor), [(ChunkEncoding::Xor2, 10)]);
    let from_6 = vec![chunk(&run(0..6, 1.0)), xor2_chunk(&run(6..10, 1.0), -7)];
    assert_eq!(
        encodings(from_6, FloatEncoding::Xor),
        [(ChunkEncoding::Xor, 7), (ChunkEncoding::Xor2, 3)]
    );
}

#[test]
fn merge_ends_after_error() {
    let torn = Chunk { data: ChunkData::new([0, 9]), ..chunk(&run(0..10, 1.0)) };
    let mut sources = source(vec![torn]);
    sources.0.insert(labels("y"), vec![chunk(&run(0..5, 1.0))]);
    let input = MergeInput {
        sources: vec![&sources],
        range: TimeRange::new(1, 9),
        floats: FloatEncoding::Xor,
    };
    let mut merge = SeriesMerger::new(input).unwrap();
    assert!(merge.next().unwrap().is_err());
    assert!(merge.next().is_none());
}

/// Chunks of samples of every type that do not overlap, some with a tombstone.
fn arb_chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let holes = proptest::collection::vec((0usize..20, any::<bool>()), 0..3);
    (arb_samples(), 1u16..200, any::<bool>(), holes).prop_map(
        |(points, most, has_starts, holes)| {
            let mut own = chunks(&points, if has_starts { WITH_STARTS } else { PLAIN }, most);
            for (at, is_at_start) in holes {
                let Some(chunk) = own.get_mut(at) else { continue };
                let third = (chunk.maxt - chunk.mint) / 3;
                *chunk = match is_at_start {
                    true => deleted(chunk.clone(), chunk.mint - 5, chunk.mint + third),
                    false => deleted(chunk.clone(), chunk.mint + third, chunk.maxt - third - 1),
                };
            }
            own
        },
    )
}

fn arb_source() -> impl Strategy<Value = FixedSource> {
    proptest::collection::btree_map("[ab]", arb_chunks(), 0..3).prop_map(|series| {
        let series = series.into_iter().filter(|(_, chunks)| !chunks.is_empty());
        FixedSource(series.map(|(name, chunks)| (labels(&name), chunks)).collect())
    })
}

/// Samples of the sources. A later source wins at the same timestamp.
fn model(sources: &[FixedSource], range: TimeRange) -> Model {
    let mut model = Model::new();
    for (labels, chunks) in sources.iter().flat_map(|source| &source.0) {
        for chunk in chunks {
            let is_deleted =
                |t| chunk.deleted_intervals.as_ref().is_some_and(|deleted| deleted.contains(t));
            let kept = samples::decoded(chunk)
                .into_iter()
                .filter(|one| range.contains(one.t) && !is_deleted(one.t));
            for point in kept {
                model.entry(labels.clone()).or_default().insert(point.t, point);
            }
        }
    }
    model
}

proptest! {
    #[test]
    fn merge_has_all_samples_of_its_sources(
        mut sources in proptest::collection::vec(arb_source(), 1..4),
        twice in 0usize..6,
        from in -30i64..300,
        length in 0i64..900,
    ) {
        // A duplicate source, as after a crash.
        if let Some(again) = sources.get(twice).cloned() {
            sources.push(again);
        }
        let range = TimeRange::new(from, from + length);
        let merged = merge(&sources, range).unwrap();
        prop_assert!(merged.is_sorted_by(|a, b| a.labels < b.labels));
        let stored: Vec<&Chunk> =
            sources.iter().flat_map(|source| source.0.values().flatten()).collect();
        let mut found: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for series in &merged {
            prop_assert!(series.chunks.is_sorted_by(|a, b| a.maxt < b.mint), "chunks overlap");
            for chunk in &series.chunks {
                let points = samples::decoded(chunk);
                let is_old = stored.iter().any(|old| old.data.bytes() == chunk.data.bytes());
                prop_assert!(chunk.deleted_intervals.is_none());
                prop_assert!(is_old || points.len() <= usize::from(MAX_SAMPLES));
                prop_assert_eq!(points.first().map(|sample| sample.t), Some(chunk.mint));
                prop_assert_eq!(points.last().map(|sample| sample.t), Some(chunk.maxt));
                found.entry(series.labels.clone()).or_default().extend(points);
            }
        }
        let model = model(&sources, range);
        prop_assert!(found.keys().eq(model.keys()));
        for (found, model) in found.values().zip(model.into_values()) {
            assert_same(found, &model.into_values().collect::<Vec<_>>());
        }
    }
}
