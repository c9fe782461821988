//! Series with added or removed labels come out sorted, as if all were buffered and sorted.

use super::{
    BufferedChunks, BufferedSeries, LabelInsertIter, OPEN_CHUNK_BYTES, OutputSeries, SERIES_BYTES,
    SortBudget, SortSink, sort_buffered,
};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::read::read_request::RemoteReadError;
use crate::remote::thanos::selection::LabelRewrite;
use crate::tsdb::db::{ChunkSeries, MergedSeries};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

/// Generates labels with names around the added ones `b`, `d` and `dd`.
fn some_labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop::sample::select(vec!["a", "aa", "c", "ca", "e", "f"]).prop_map(str::to_owned);
    let value = prop::sample::select(vec!["1", "2", "\u{1}", "é"]).prop_map(str::to_owned);
    btree_map(name, value, 1..5).prop_map(|labels| labels.into_iter().collect())
}

fn labels(pairs: &[(String, String)]) -> Labels {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect::<LabelsBuilder<'_>>()
        .build()
        .unwrap()
}

fn named(labels: &Labels) -> Result<OutputSeries, RemoteReadError> {
    let series = MergedSeries::new(ChunkSeries { labels: labels.clone(), chunks: Vec::new() });
    Ok(OutputSeries { labels: labels.clone(), series })
}

/// Sink that accepts every series.
struct All {
    reserved: usize,
}

impl SortSink for All {
    fn accepts(&mut self, _: &Labels) -> Result<bool, RemoteReadError> {
        Ok(true)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), RemoteReadError> {
        self.reserved += bytes;
        Ok(())
    }
}

fn sorted(
    all: &[Labels],
    rewrite: &LabelRewrite,
    budget: SortBudget,
) -> Result<Vec<BufferedSeries>, RemoteReadError> {
    sort_buffered(all.iter().map(named), rewrite, budget, &mut All { reserved: 0 })
}

fn own(buffered: &BufferedSeries) -> &Labels {
    match &buffered.chunks {
        BufferedChunks::Series(series) => series.labels(),
        BufferedChunks::Labels(labels) => labels,
    }
}

const UNLIMITED: SortBudget = SortBudget { max_bytes: usize::MAX, with_chunks: usize::MAX };

proptest! {
    #[test]
    fn added_labels_leave_series_sorted(
        series in btree_set(some_labels(), 0..60),
        added in prop::sample::subsequence(vec![("b", "x"), ("d", "y"), ("dd", "z")], 0..=3),
    ) {
        let mut stored: Vec<Labels> = series.iter().map(|pairs| labels(pairs)).collect();
        stored.sort();
        let external = ExternalLabels::new(added.iter().copied()).unwrap();
        let rewrite = LabelRewrite::new(&external, &[]);
        let mut expected: Vec<Labels> =
            stored.iter().filter_map(|labels| rewrite.apply(labels)).collect();
        expected.sort();
        let mut stream: Box<dyn Iterator<Item = Result<OutputSeries, RemoteReadError>>> =
            Box::new(stored.iter().map(named));
        for (name, _) in external.iter() {
            stream = Box::new(LabelInsertIter::new(stream, name, rewrite.clone()));
        }
        let streamed: Vec<OutputSeries> = stream.map(Result::unwrap).collect();
        let got: Vec<Labels> = streamed.iter().map(|named| named.labels.clone()).collect();
        prop_assert_eq!(&got, &expected);
        let buffered = sorted(&stored, &rewrite, UNLIMITED).unwrap();
        let got: Vec<Labels> = buffered.iter().map(|buffered| buffered.labels.clone()).collect();
        prop_assert_eq!(&got, &expected);
        // Each response label set belongs to its own series.
        let streamed = streamed.iter().map(|named| (named.series.labels(), &named.labels));
        let buffered = buffered.iter().map(|buffered| (own(buffered), &buffered.labels));
        for (own, labels) in streamed.chain(buffered) {
            prop_assert_eq!(rewrite.apply(own), Some(labels.clone()));
        }
    }

    #[test]
    fn removed_labels_leave_series_sorted(series in btree_set(some_labels(), 0..60)) {
        let mut stored: Vec<Labels> = series.iter().map(|pairs| labels(pairs)).collect();
        stored.sort();
        let external = ExternalLabels::new([("c", "new"), ("z", "z")]).unwrap();
        let rewrite = LabelRewrite::new(&external, &["a".to_owned()]);
        let mut expected: Vec<Labels> =
            stored.iter().filter_map(|labels| rewrite.apply(labels)).collect();
        expected.sort();
        // A series with its chunks takes 1,224 to 1,500 bytes here.
        for (with_chunks, kept) in [
            (0, 0..=0),
            (5_000, 3.min(stored.len())..=4),
            (usize::MAX, stored.len()..=60),
        ] {
            let budget = SortBudget { max_bytes: usize::MAX, with_chunks };
            let got = sorted(&stored, &rewrite, budget).unwrap();
            let labels: Vec<Labels> = got.iter().map(|buffered| buffered.labels.clone()).collect();
            prop_assert_eq!(&labels, &expected);
            // Each stored series appears once, with its own labels.
            for buffered in &got {
                prop_assert_eq!(rewrite.apply(own(buffered)), Some(buffered.labels.clone()));
            }
            let mut owns: Vec<Labels> = got.iter().map(|buffered| own(buffered).clone()).collect();
            owns.sort();
            prop_assert_eq!(&owns, &stored);
            let has_series =
                |buffered: &&BufferedSeries| matches!(buffered.chunks, BufferedChunks::Series(_));
            let with_series = got.iter().filter(has_series).count();
            prop_assert!(kept.contains(&with_series), "{with_series} of {kept:?}");
        }
    }
}

#[test]
fn few_series_are_delayed() {
    let all: Vec<Labels> =
        (0..10_000).map(|i| labels(&[("a".into(), format!("{i:05}"))])).collect();
    let external = ExternalLabels::new([("z", "1")]).unwrap();
    let mut inserted =
        LabelInsertIter::new(all.iter().map(named), "z", LabelRewrite::new(&external, &[]));
    let (mut most, mut count) = (0, 0);
    while let Some(named) = inserted.next() {
        assert_eq!(named.unwrap().series.labels(), &all[count]);
        most = most.max(inserted.delayed.len() + inserted.ready.len());
        count += 1;
    }
    assert_eq!(count, all.len());
    assert!(most <= 2, "{most}");
}

#[test]
fn sort_over_the_memory_limit_fails() {
    let all: Vec<Labels> = (0..100).map(|i| labels(&[("a".into(), format!("{i:03}"))])).collect();
    let rewrite = LabelRewrite::new(&ExternalLabels::new([("b", "c")]).unwrap(), &["a".to_owned()]);
    let budget = SortBudget { max_bytes: 10_000, with_chunks: 5_000 };
    let result = sorted(&all, &rewrite, budget).map(|all| all.len());
    assert!(matches!(result, Err(RemoteReadError::ResponseLimit(10_000))), "{result:?}");
    let mut taker = All { reserved: 0 };
    let few = sort_buffered(all[..10].iter().map(named), &rewrite, budget, &mut taker).unwrap();
    assert_eq!(
        few.iter().filter(|buffered| matches!(buffered.chunks, BufferedChunks::Series(_))).count(),
        4
    );
    let of_labels =
        few.iter().zip(&all).map(|(few, own)| few.labels.as_bytes().len() + own.as_bytes().len());
    assert_eq!(taker.reserved, 10 * SERIES_BYTES + 4 * OPEN_CHUNK_BYTES + of_labels.sum::<usize>());
}

/// Sink that accepts every other series and has memory for `free` bytes.
struct Half {
    wanted: bool,
    free: usize,
}

impl SortSink for Half {
    fn accepts(&mut self, _: &Labels) -> Result<bool, RemoteReadError> {
        self.wanted = !self.wanted;
        Ok(self.wanted)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), RemoteReadError> {
        self.free = self.free.checked_sub(bytes).ok_or(RemoteReadError::ResponseLimit(7))?;
        Ok(())
    }
}

#[test]
fn filtered_series_take_no_memory() {
    let all: Vec<Labels> = (0..4).map(|i| labels(&[("a".into(), i.to_string())])).collect();
    let rewrite = LabelRewrite::new(&ExternalLabels::new([("b", "c")]).unwrap(), &[]);
    let of_two = 2 * (SERIES_BYTES + OPEN_CHUNK_BYTES)
        + [0, 2]
            .map(|i| all[i].as_bytes().len() + rewrite.apply(&all[i]).unwrap().as_bytes().len())
            .iter()
            .sum::<usize>();
    let mut taker = Half { wanted: false, free: of_two };
    let buffered = sort_buffered(all.iter().map(named), &rewrite, UNLIMITED, &mut taker).unwrap();
    assert_eq!(buffered.iter().map(own).collect::<Vec<_>>(), [&all[0], &all[2]]);
    assert_eq!(taker.free, 0);
    let mut taker = Half { wanted: false, free: of_two - 1 };
    assert!(matches!(
        sort_buffered(all.iter().map(named), &rewrite, UNLIMITED, &mut taker),
        Err(RemoteReadError::ResponseLimit(7))
    ));
}
