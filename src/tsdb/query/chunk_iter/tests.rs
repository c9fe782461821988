//! Tests of encoded chunks: they have the samples of the series, and bytes are passed through when
//! possible.

use super::{EncodedChunk, SupportedEncodings};
use crate::model::intervals::Intervals;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::testing::fixed_source::labels;
use crate::testing::samples::{PLAIN, WITH_STARTS, arb_samples, assert_same, chunks, histogram};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::reencode::MAX_SAMPLES;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{Chunk, ChunkData, ChunkSeries};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::sync::Arc;

/// Creates a series from the chunks of several sources.
fn series(sources: Vec<Vec<Chunk>>) -> MergedSeries {
    let mut series = MergedSeries::new(ChunkSeries { labels: labels("x"), chunks: Vec::new() });
    sources.into_iter().for_each(|chunks| series.add_chunks(chunks));
    series
}

fn encoded(
    series: &MergedSeries,
    range: TimeRange,
    readable: SupportedEncodings,
) -> Vec<EncodedChunk> {
    series.encoded_chunks(range, readable).map(Result::unwrap).collect()
}

fn points(chunks: &[EncodedChunk]) -> Vec<Sample> {
    chunks
        .iter()
        .flat_map(|chunk| AnyChunkIter::new(chunk.encoding, chunk.data.bytes()))
        .map(Result::unwrap)
        .collect()
}

fn floats(times: impl Iterator<Item = i64>) -> Vec<Sample> {
    times.map(|t| Sample::new(t, SampleValue::Float(t as f64))).collect()
}

/// Returns counter histograms with ascending counts.
fn counters(times: impl Iterator<Item = i64>) -> Vec<Sample> {
    let value = |t: i64| histogram(3, &[(1, 1 + t as u64), (4, 2)].into(), &[].into());
    times.map(|t| Sample::new(t, SampleValue::Histogram(Box::new(value(t))))).collect()
}

fn deleted(chunk: Chunk, mint: i64, maxt: i64) -> Chunk {
    let deleted: Intervals = [TimeRange::new(mint, maxt)].into_iter().collect();
    Chunk { deleted_intervals: Some(Arc::new(deleted)), ..chunk }
}

fn is_passed_through(encoded: &EncodedChunk, stored: &Chunk) -> bool {
    std::ptr::eq(encoded.data.bytes(), stored.data.bytes())
        && (encoded.mint, encoded.maxt, encoded.encoding)
            == (stored.mint, stored.maxt, stored.encoding)
}

#[test]
fn unaffected_chunk_is_passed_through_undecoded() {
    let opaque = Chunk {
        mint: 900,
        maxt: 999,
        encoding: ChunkEncoding::Histogram,
        data: ChunkData::new([9]),
        deleted_intervals: None,
    };
    let mut stored = chunks(&floats(0..300), PLAIN, 100);
    stored.push(opaque);
    let series = series(vec![stored.clone()]);
    let found = encoded(&series, TimeRange::new(150, 950), SupportedEncodings::Baseline);
    assert_eq!(found.len(), 3);
    assert!(found.iter().zip(&stored[1..]).all(|(chunk, stored)| is_passed_through(chunk, stored)));
    // Identical chunks are returned once.
    let twice = self::series(vec![stored.clone(), stored.clone()]);
    assert_eq!(encoded(&twice, TimeRange::ALL, SupportedEncodings::All).len(), 4);
    assert!(encoded(&twice, TimeRange::new(300, 899), SupportedEncodings::All).is_empty());
    assert!(encoded(&twice, TimeRange::new(5, 4), SupportedEncodings::All).is_empty());
}

#[test]
fn clipped_chunks_end_at_the_range() {
    let stored = chunks(&floats(0..400), PLAIN, 100);
    let series = series(vec![stored.clone()]);
    let found: Vec<_> = series
        .encoded_chunks_clipped(TimeRange::new(150, 301), SupportedEncodings::Baseline)
        .map(Result::unwrap)
        .collect();
    let times: Vec<_> = found.iter().map(|chunk| (chunk.mint, chunk.maxt)).collect();
    assert_eq!(times, [(150, 199), (200, 299), (300, 301)]);
    assert!(is_passed_through(&found[1], &stored[2]));
    assert_same(&points(&found), &floats(150..302));
}

#[test]
fn chunk_with_deletions_is_reencoded_as_one() {
    let mut stored = chunks(&counters(0..600), PLAIN, 200);
    stored[1] = deleted(stored[1].clone(), 250, 259);
    let series = series(vec![stored.clone()]);
    let found = encoded(&series, TimeRange::ALL, SupportedEncodings::Baseline);
    assert_eq!(
        found.iter().map(|chunk| (chunk.mint, chunk.maxt)).collect::<Vec<_>>(),
        [(0, 199), (200, 399), (400, 599)]
    );
    assert!(is_passed_through(&found[0], &stored[0]) && is_passed_through(&found[2], &stored[2]));
    assert_same(&points(&found), &counters((0..250).chain(260..600)));
}

#[test]
fn overlapping_chunks_are_reencoded_with_120_samples() {
    let even = chunks(&floats((0..300).step_by(2)), PLAIN, 200);
    let odd = chunks(&floats((1..300).step_by(2)), PLAIN, 200);
    let series = series(vec![even, odd]);
    let found = encoded(&series, TimeRange::ALL, SupportedEncodings::Baseline);
    assert_eq!(
        found.iter().map(|chunk| (chunk.mint, chunk.maxt)).collect::<Vec<_>>(),
        [(0, 119), (120, 239), (240, 299)]
    );
    // Only the requested chunks are re-encoded.
    let found = encoded(&series, TimeRange::new(10, 20), SupportedEncodings::Baseline);
    assert_same(&points(&found), &floats(10..21));
}

#[test]
fn newer_encoding_requires_support_of_the_reader() {
    let with_starts = |points: Vec<Sample>| -> Vec<Sample> {
        points.into_iter().map(|point| Sample { start_timestamp: point.t - 1, ..point }).collect()
    };
    for plain in [floats(0..50), counters(0..50)] {
        let own = with_starts(plain.clone());
        let stored = chunks(&own, WITH_STARTS, 120);
        let series = series(vec![stored.clone()]);
        let raw = encoded(&series, TimeRange::ALL, SupportedEncodings::All);
        assert!(raw.len() == 1 && is_passed_through(&raw[0], &stored[0]));
        let classic = encoded(&series, TimeRange::ALL, SupportedEncodings::Baseline);
        assert!(classic.len() == 1 && SupportedEncodings::Baseline.supports(classic[0].encoding));
        assert_same(&points(&classic), &plain);
        // A re-encoded chunk keeps its encoding and start timestamps for a reader that supports
        // them.
        let touched = self::series(vec![vec![deleted(stored[0].clone(), 7, 7)]]);
        let raw = encoded(&touched, TimeRange::ALL, SupportedEncodings::All);
        assert_eq!(raw[0].encoding, stored[0].encoding);
        assert_same(
            &points(&raw),
            &own.into_iter().filter(|point| point.t != 7).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn corrupted_chunk_ends_the_iterator_with_an_error() {
    let mut stored = chunks(&floats(0..300), PLAIN, 100);
    stored[1] = deleted(Chunk { data: ChunkData::new([0, 9]), ..stored[1].clone() }, 120, 130);
    let series = series(vec![stored]);
    let mut found = series.encoded_chunks(TimeRange::ALL, SupportedEncodings::Baseline);
    assert!(found.next().unwrap().is_ok());
    assert!(found.next().unwrap().unwrap_err().to_string().contains(r#"{a="x"}"#));
    assert!(found.next().is_none());
}

/// Generates disjoint chunks of samples of all types, some with a deletion.
fn any_chunks() -> impl Strategy<Value = Vec<Chunk>> {
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

proptest! {
    #[test]
    fn encoded_chunks_have_the_samples_of_the_series(
        mut sources in proptest::collection::vec(any_chunks(), 1..4),
        twice in 0usize..6,
        from in -30i64..300,
        length in 0i64..900,
        readable in prop_oneof![Just(SupportedEncodings::Baseline), Just(SupportedEncodings::All)],
        is_cut in any::<bool>(),
    ) {
        // A duplicate source, as after a crash that left both blocks.
        if let Some(again) = sources.get(twice).cloned() {
            sources.push(again);
        }
        let stored: Vec<Chunk> = sources.iter().flatten().cloned().collect();
        let series = series(sources);
        let range = TimeRange::new(from, from + length);
        let found = if is_cut {
            series.encoded_chunks_clipped(range, readable)
        } else {
            series.encoded_chunks(range, readable)
        };
        let found: Vec<EncodedChunk> = found.map(Result::unwrap).collect();
        prop_assert!(found.is_sorted_by(|a, b| a.maxt < b.mint), "chunks overlap");
        for chunk in &found {
            prop_assert!(readable.supports(chunk.encoding));
            prop_assert!(range.overlaps(TimeRange::new(chunk.mint, chunk.maxt)));
            let own = points(std::slice::from_ref(chunk));
            prop_assert_eq!(own.first().map(|point| point.t), Some(chunk.mint));
            prop_assert_eq!(own.last().map(|point| point.t), Some(chunk.maxt));
            let overlaps = |old: &&Chunk| old.mint <= chunk.maxt && chunk.mint <= old.maxt;
            let overlapped = stored.iter().filter(overlaps).count();
            let is_stored = stored.iter().any(|old| is_passed_through(chunk, old));
            prop_assert!(is_stored || overlapped < 2 || own.len() <= 200, "too many samples");
            prop_assert!(!is_cut || (range.contains(chunk.mint) && range.contains(chunk.maxt)));
        }
        // Every chunk that can be passed through is.
        for old in &stored {
            let is_apart = |other: &Chunk| {
                other.maxt < old.mint || old.maxt < other.mint || std::ptr::eq(other, old)
            };
            let alone = stored.iter().all(|other| other.overlaps(range) <= is_apart(other));
            let clip_range = if is_cut { range } else { TimeRange::ALL };
            let is_selected = old.overlaps(range) && old.is_fully_selected(clip_range);
            if is_selected && alone && readable.supports(old.encoding) {
                prop_assert!(found.iter().any(|chunk| is_passed_through(chunk, old)));
            }
        }
        let expected = series.samples(range).map(Result::unwrap).map(|point| match readable {
            SupportedEncodings::Baseline => Sample { start_timestamp: 0, ..point },
            SupportedEncodings::All => point,
        });
        let found: Vec<Sample> =
            points(&found).into_iter().filter(|point| range.contains(point.t)).collect();
        assert_same(&found, &expected.collect::<Vec<_>>());
    }
}

#[test]
fn merged_chunks_have_at_most_120_samples() {
    let sources: Vec<Vec<Chunk>> =
        (0..3).map(|n| chunks(&counters((n..900).step_by(3)), PLAIN, 200)).collect();
    let found = encoded(&series(sources), TimeRange::ALL, SupportedEncodings::Baseline);
    let lengths: Vec<usize> =
        found.iter().map(|chunk| points(std::slice::from_ref(chunk)).len()).collect();
    assert!(lengths.iter().all(|length| *length <= usize::from(MAX_SAMPLES)), "{lengths:?}");
    assert_eq!(lengths.iter().sum::<usize>(), 900);
}
