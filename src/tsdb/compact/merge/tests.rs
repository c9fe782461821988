//! Merging against a plain model, sample by sample, and the cases that a model does not see.

use super::recode::MAX_SAMPLES;
use super::{Merge, MergeError, MergeInput};
use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::float_chunk::{FloatChunk, FloatEncoding, FloatIter};
use crate::tsdb::query::fixed_source::{FixedSource, chunk, labels};
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkData, ChunkSeries};
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeMap;
use std::sync::Arc;

type Model = BTreeMap<Labels, BTreeMap<i64, u64>>;

fn source(chunks: Vec<Chunk>) -> FixedSource {
    FixedSource(BTreeMap::from([(labels("x"), chunks)]))
}

fn run(times: impl Iterator<Item = i64>, v: f64) -> Vec<Sample> {
    times.map(|t| Sample::new(t, v)).collect()
}

fn merge(sources: &[FixedSource], range: TimeRange) -> Result<Vec<ChunkSeries>, MergeError> {
    let sources = sources.iter().map(|source| source as &dyn BlockSource).collect();
    Merge::new(MergeInput { sources, range, floats: FloatEncoding::Xor })?.collect()
}

fn decoded(chunk: &Chunk) -> Vec<Sample> {
    let encoding = FloatEncoding::of(chunk.encoding).unwrap();
    FloatIter::new(encoding, chunk.data.bytes()).map(|sample| sample.unwrap()).collect()
}

/// XOR2 with this start time.
fn xor2_chunk(samples: &[Sample], start: i64) -> Chunk {
    let mut encoded = FloatChunk::new(FloatEncoding::Xor2);
    samples.iter().for_each(|sample| encoded.append_with_start(start, sample.t, sample.v));
    Chunk { encoding: Encoding::Xor2, data: ChunkData::new(encoded.into_bytes()), ..chunk(samples) }
}

fn deleted(chunk: Chunk, mint: i64, maxt: i64) -> Chunk {
    let deleted: Intervals = [TimeRange::new(mint, maxt)].into_iter().collect();
    Chunk { deleted: Some(Arc::new(deleted)), ..chunk }
}

fn histogram(mint: i64, maxt: i64) -> Chunk {
    Chunk { mint, maxt, encoding: Encoding::Histogram, data: ChunkData::new([0, 1, 7]), deleted: None }
}

#[test]
fn a_chunk_that_stands_alone_is_handed_on_as_it_is_also_one_that_cannot_be_decoded() {
    let newer = Chunk { encoding: Encoding::Xor2, data: ChunkData::new([0, 3, 9]), ..histogram(240, 249) };
    let chunks = vec![chunk(&run(0..200, 1.5)), histogram(200, 210), histogram(211, 211)];
    let merged = merge(&[source(vec![newer.clone()]), source(chunks.clone())], TimeRange::new(0, 249)).unwrap();
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].chunks.len(), 4);
    for (one, stored) in merged[0].chunks.iter().zip(chunks.iter().chain([&newer])) {
        assert_eq!((one.mint, one.maxt, one.encoding), (stored.mint, stored.maxt, stored.encoding));
        assert_eq!(one.data.bytes(), stored.data.bytes());
    }
}

#[test]
fn equal_chunks_of_several_sources_come_once_as_they_are() {
    let long = chunk(&run(0..200, 2.5));
    let shared = [
        source(vec![long.clone()]),
        source(vec![long.clone(), histogram(300, 310)]),
        source(vec![long, histogram(300, 310)]),
    ];
    let merged = merge(&shared, TimeRange::ALL).unwrap();
    assert_eq!(merged[0].chunks.iter().map(|chunk| chunk.data.bytes().len() > 3).collect::<Vec<_>>(), [true, false]);
    assert_eq!(decoded(&merged[0].chunks[0]).len(), 200);
}

#[test]
fn what_overlaps_is_encoded_anew_in_full_chunks_and_the_later_source_stands() {
    let merged = merge(
        &[source(vec![chunk(&run((0..300).step_by(2), 1.0))]), source(vec![chunk(&run((0..300).step_by(3), 2.0))])],
        TimeRange::ALL,
    );
    let chunks = &merged.unwrap()[0].chunks;
    let samples: Vec<Sample> = chunks.iter().flat_map(decoded).collect();
    let expected =
        (0..300).filter(|t| t % 2 == 0 || t % 3 == 0).map(|t| Sample::new(t, if t % 3 == 0 { 2.0 } else { 1.0 }));
    assert_eq!(samples, expected.collect::<Vec<_>>());
    assert_eq!(chunks.iter().map(|chunk| decoded(chunk).len()).collect::<Vec<_>>(), [120, 80]);
}

#[test]
fn what_the_range_or_a_deletion_cuts_is_encoded_anew_and_a_series_without_a_sample_left_out() {
    let whole = vec![chunk(&run(0..10, 1.0)), deleted(chunk(&run(10..20, 1.0)), 12, 15), chunk(&run(20..30, 1.0))];
    let mut sources = source(whole);
    sources.0.insert(labels("gone"), vec![deleted(chunk(&run(0..10, 1.0)), 2, 100)]);
    let merged = merge(&[sources], TimeRange::new(2, 24)).unwrap();
    assert_eq!(merged.len(), 1);
    let times: Vec<Vec<i64>> =
        merged[0].chunks.iter().map(|chunk| decoded(chunk).iter().map(|one| one.t).collect()).collect();
    assert_eq!(times, [(2..12).chain(16..25).collect::<Vec<_>>()]);
}

#[test]
fn a_chunk_that_cannot_be_decoded_but_must_be_is_an_error_that_names_its_source() {
    let float = || chunk(&run(0..10, 1.0));
    let overlapping = [source(vec![float()]), source(vec![histogram(9, 20)])];
    let touched = [source(vec![float()]), source(vec![deleted(histogram(10, 20), 12, 13)])];
    let cut = [source(vec![float()]), source(vec![histogram(10, 40)])];
    for sources in [overlapping, touched, cut] {
        let error = merge(&sources, TimeRange::new(0, 30)).unwrap_err();
        assert!(matches!(error, MergeError::Opaque { source_number: 1, encoding: Encoding::Histogram, .. }), "{error}");
        assert!(error.to_string().contains(r#"{a="x"}"#), "{error}");
    }
}

#[test]
fn what_is_encoded_anew_is_xor2_where_that_is_wanted_or_start_times_are_known() {
    let encodings = |chunks: Vec<Chunk>, floats| {
        let (one, other) = (source(chunks), source(vec![chunk(&run(5..7, 2.0))]));
        let sources: Vec<&dyn BlockSource> = vec![&one, &other];
        let merged: Result<Vec<_>, _> =
            Merge::new(MergeInput { sources, range: TimeRange::ALL, floats }).unwrap().collect();
        let chunks = merged.unwrap().remove(0).chunks;
        assert_eq!(chunks.iter().map(|chunk| decoded(chunk).len()).sum::<usize>(), 10);
        chunks.iter().map(|chunk| (chunk.encoding, decoded(chunk).len())).collect::<Vec<_>>()
    };
    let plain = || vec![xor2_chunk(&run(0..10, 1.0), 0)];
    assert_eq!(encodings(plain(), FloatEncoding::Xor), [(Encoding::Xor, 10)]);
    assert_eq!(encodings(plain(), FloatEncoding::Xor2), [(Encoding::Xor2, 10)]);
    let started = vec![xor2_chunk(&run(0..10, 1.0), -7)];
    assert_eq!(encodings(started, FloatEncoding::Xor), [(Encoding::Xor2, 10)]);
    let from_6 = vec![chunk(&run(0..6, 1.0)), xor2_chunk(&run(6..10, 1.0), -7)];
    assert_eq!(encodings(from_6, FloatEncoding::Xor), [(Encoding::Xor, 7), (Encoding::Xor2, 3)]);
}

#[test]
fn after_an_error_nothing_comes() {
    let torn = Chunk { data: ChunkData::new([0, 9]), ..chunk(&run(0..10, 1.0)) };
    let mut sources = source(vec![torn]);
    sources.0.insert(labels("y"), vec![chunk(&run(0..5, 1.0))]);
    let input = MergeInput { sources: vec![&sources], range: TimeRange::new(1, 9), floats: FloatEncoding::Xor };
    let mut merge = Merge::new(input).unwrap();
    assert!(merge.next().unwrap().is_err());
    assert!(merge.next().is_none());
}

/// Chunks of rising samples, apart from each other; some with a deletion.
fn any_chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let step = prop_oneof![3 => Just(1i64), 2 => 2i64..6, 1 => 6i64..40];
    let samples = proptest::collection::vec((step, 0u8..4), 1..150);
    let runs = proptest::collection::vec((samples, 0i64..60, 0..5), 0..5);
    (runs, -20i64..200).prop_map(|(runs, mut t)| {
        let mut chunks = Vec::new();
        for (steps, gap, hole) in runs {
            t += gap;
            let samples: Vec<Sample> = steps
                .into_iter()
                .map(|(step, v)| {
                    t += step;
                    Sample::new(t, f64::from(v))
                })
                .collect();
            let own = chunk(&samples);
            let (mint, maxt) = (own.mint, own.maxt);
            let third = (maxt - mint) / 3;
            chunks.push(match hole {
                0 if maxt > mint => deleted(own, mint + third, maxt - third - 1),
                1 if maxt > mint => deleted(own, mint - 5, mint + third),
                _ => own,
            });
        }
        chunks
    })
}

fn any_source() -> impl Strategy<Value = FixedSource> {
    proptest::collection::btree_map("[ab]", any_chunks(), 0..3).prop_map(|series| {
        let series = series.into_iter().filter(|(_, chunks)| !chunks.is_empty());
        FixedSource(series.map(|(name, chunks)| (labels(&name), chunks)).collect())
    })
}

/// What the sources hold, the later over the earlier.
fn model(sources: &[FixedSource], range: TimeRange) -> Model {
    let mut model = Model::new();
    for (labels, chunks) in sources.iter().flat_map(|source| &source.0) {
        for chunk in chunks {
            let is_deleted = |t| chunk.deleted.as_ref().is_some_and(|deleted| deleted.contains(t));
            let kept = decoded(chunk).into_iter().filter(|one| range.contains(one.t) && !is_deleted(one.t));
            for sample in kept {
                model.entry(labels.clone()).or_default().insert(sample.t, sample.v.to_bits());
            }
        }
    }
    model
}

proptest! {
    #[test]
    fn a_merge_holds_what_its_sources_hold(
        mut sources in proptest::collection::vec(any_source(), 1..4), twice in 0usize..6, from in -30i64..300, length in 0i64..900,
    ) {
        // A source that is there twice, as when a crash left both.
        if let Some(again) = sources.get(twice).cloned() {
            sources.push(again);
        }
        let range = TimeRange::new(from, from + length);
        let merged = merge(&sources, range).unwrap();
        prop_assert!(merged.is_sorted_by(|a, b| a.labels < b.labels));
        let stored: Vec<&Chunk> = sources.iter().flat_map(|source| source.0.values().flatten()).collect();
        let mut found = Model::new();
        for series in &merged {
            prop_assert!(series.chunks.is_sorted_by(|a, b| a.maxt < b.mint), "they overlap");
            for chunk in &series.chunks {
                let samples = decoded(chunk);
                let is_old = stored.iter().any(|old| old.data.bytes() == chunk.data.bytes());
                prop_assert!(chunk.deleted.is_none() && (is_old || samples.len() <= usize::from(MAX_SAMPLES)));
                prop_assert_eq!(samples.first().map(|one| one.t), Some(chunk.mint));
                prop_assert_eq!(samples.last().map(|one| one.t), Some(chunk.maxt));
                let series = found.entry(series.labels.clone()).or_default();
                series.extend(samples.iter().map(|one| (one.t, one.v.to_bits())));
            }
        }
        prop_assert_eq!(found, model(&sources, range));
    }
}
