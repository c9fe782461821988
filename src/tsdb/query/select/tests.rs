//! Tests of merged sources against a model.

use super::select;
use crate::model::float_sample::FloatSample;
use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::testing::fixed_source::{FixedSource, chunk, labels};
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::index::block_index::error::IndexFormatError;
use crate::tsdb::query::source::{BlockSource, ChunkSeries, ChunkSeriesSet, QueryError};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

fn every() -> Vec<Matcher> {
    vec![Matcher::new(MatchType::NotEqual, "a", "").unwrap()]
}

proptest! {
    #[test]
    fn merge_equals_sequential_writes(
        given in proptest::collection::vec(
            proptest::collection::btree_map(
                "[a-e]",
                proptest::collection::btree_map(0i64..60, proptest::prelude::any::<u64>(), 1..25),
                0..5,
            ),
            0..5,
        ),
        per_chunk in 1usize..9,
        from in -5i64..65,
        to in -5i64..65,
    ) {
        let range = TimeRange::new(from, to);
        let mut model: BTreeMap<Labels, BTreeMap<i64, u64>> = BTreeMap::new();
        let mut sources = Vec::new();
        for series in &given {
            let mut source = FixedSource::default();
            for (name, samples) in series {
                let sample = |(t, v): (&i64, &u64)| FloatSample::new(*t, f64::from_bits(*v));
                let run: Vec<FloatSample> = samples.iter().map(sample).collect();
                source.0.insert(labels(name), run.chunks(per_chunk).map(chunk).collect());
                let written = samples.iter().map(|(t, v)| (*t, *v));
                model.entry(labels(name)).or_default().extend(written);
            }
            sources.push(source);
        }
        let sources: Vec<&dyn BlockSource> =
            sources.iter().map(|source| source as &dyn BlockSource).collect();
        let mut found: Vec<(Labels, BTreeMap<i64, u64>)> = Vec::new();
        for series in select(&sources, &every(), range).unwrap() {
            let series = series.unwrap();
            prop_assert!(series.chunks().is_sorted_by_key(|chunk| chunk.mint));
            let samples: Vec<FloatSample> =
                series.float_samples(range).collect::<Result<_, _>>().unwrap();
            prop_assert!(samples.is_sorted_by(|a, b| a.t < b.t));
            if !samples.is_empty() {
                let samples = samples.iter().map(|s| (s.t, s.v.to_bits())).collect();
                found.push((series.labels().clone(), samples));
            }
        }
        prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        for samples in model.values_mut() {
            samples.retain(|t, _| range.contains(*t));
        }
        model.retain(|_, samples| !samples.is_empty());
        prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }
}

/// Source that counts the requested series and fails at one of them.
struct Counting {
    series: Vec<ChunkSeries>,
    fails_at: usize,
    made: AtomicUsize,
}

impl Counting {
    fn new(names: &[&str], fails_at: usize) -> Self {
        let series =
            names.iter().map(|name| ChunkSeries { labels: labels(name), chunks: Vec::new() });
        Self { series: series.collect(), fails_at, made: AtomicUsize::new(0) }
    }
}

impl BlockSource for Counting {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<ChunkSeriesSet<'_>, QueryError> {
        Ok(Box::new(self.series.iter().enumerate().map(|(nth, series)| {
            self.made.fetch_add(1, Ordering::Relaxed);
            if nth == self.fails_at {
                Err(Corruption::at("index", 0, IndexFormatError::Version(9)).into())
            } else {
                Ok(series.clone())
            }
        })))
    }
}

#[test]
fn series_are_selected_lazily() {
    let (one, two) = (Counting::new(&["a", "c", "d", "e"], 9), Counting::new(&["b", "c", "f"], 9));
    let mut set = select(&[&one, &two], &every(), TimeRange::ALL).unwrap();
    let mut next = || set.next().unwrap().unwrap().labels().get("a").unwrap().to_owned();
    assert_eq!([next(), next()], ["a", "b"]);
    assert_eq!((one.made.load(Ordering::Relaxed), two.made.load(Ordering::Relaxed)), (2, 2));
    assert_eq!([next(), next()], ["c", "d"]);
    assert_eq!((one.made.load(Ordering::Relaxed), two.made.load(Ordering::Relaxed)), (4, 3));
    assert_eq!((next(), next(), set.next().is_none()), ("e".to_owned(), "f".to_owned(), true));
}

#[test]
fn error_ends_the_stream() {
    for (one, two) in [
        (Counting::new(&["a", "b", "c"], 2), Counting::new(&["a", "d"], 9)),
        (Counting::new(&["a", "c", "b"], 9), Counting::new(&["d"], 9)),
        (Counting::new(&["a", "a"], 9), Counting::new(&[], 9)),
    ] {
        let answer: Vec<_> = select(&[&one, &two], &every(), TimeRange::ALL).unwrap().collect();
        let (last, before) = answer.split_last().unwrap();
        assert!(matches!(last, Err(QueryError::Corrupted(_) | QueryError::SeriesOrder { .. })));
        assert!(before.iter().all(Result::is_ok));
    }
}
