//! Whatever series there are and whatever is added, they come out sorted, as if all had been gathered and sorted.

use super::{Gathered, Inserted, Kept, Named, Room, Taker, gather};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::read_request::ReadError;
use crate::remote::thanos::selection::Naming;
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::source::ChunkSeries;
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

/// Names around those that are added: `b`, `d` and `dd` are.
fn some_labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop::sample::select(vec!["a", "aa", "c", "ca", "e", "f"]).prop_map(str::to_owned);
    let value = prop::sample::select(vec!["1", "2", "\u{1}", "é"]).prop_map(str::to_owned);
    btree_map(name, value, 1..5).prop_map(|labels| labels.into_iter().collect())
}

fn labels(pairs: &[(String, String)]) -> Labels {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<LabelsBuilder<'_>>().build().unwrap()
}

fn named(labels: &Labels) -> Result<Named, ReadError> {
    let series = Series::new(ChunkSeries { labels: labels.clone(), chunks: Vec::new() });
    Ok(Named { labels: labels.clone(), series })
}

/// Takes all.
struct All {
    reserved: usize,
}

impl Taker for All {
    fn wants(&mut self, _: &Labels) -> Result<bool, ReadError> {
        Ok(true)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.reserved += bytes;
        Ok(())
    }
}

fn sorted(all: &[Labels], naming: &Naming, room: Room) -> Result<Vec<Gathered>, ReadError> {
    gather(all.iter().map(named), naming, room, &mut All { reserved: 0 })
}

fn own(gathered: &Gathered) -> &Labels {
    match &gathered.chunks {
        Kept::Series(series) => series.labels(),
        Kept::Labels(labels) => labels,
    }
}

const ROOM: Room = Room { most: usize::MAX, with_chunks: usize::MAX };

proptest! {
    #[test]
    fn added_labels_leave_series_sorted(
        series in btree_set(some_labels(), 0..60),
        added in prop::sample::subsequence(vec![("b", "x"), ("d", "y"), ("dd", "z")], 0..=3),
    ) {
        let mut stored: Vec<Labels> = series.iter().map(|pairs| labels(pairs)).collect();
        stored.sort();
        let external = ExternalLabels::new(added.iter().copied()).unwrap();
        let naming = Naming::new(&external, &[]);
        let mut expected: Vec<Labels> = stored.iter().filter_map(|labels| naming.of(labels)).collect();
        expected.sort();
        let mut stream: Box<dyn Iterator<Item = Result<Named, ReadError>>> = Box::new(stored.iter().map(named));
        for (name, _) in external.iter() {
            stream = Box::new(Inserted::new(stream, name, naming.clone()));
        }
        let got: Vec<Labels> = stream.map(|named| named.unwrap().labels).collect();
        prop_assert_eq!(&got, &expected);
        // Each is with its own series.
        for gathered in sorted(&stored, &naming, ROOM).unwrap() {
            prop_assert_eq!(naming.of(own(&gathered)), Some(gathered.labels));
        }
    }

    #[test]
    fn removed_labels_leave_series_sorted(series in btree_set(some_labels(), 0..60)) {
        let mut stored: Vec<Labels> = series.iter().map(|pairs| labels(pairs)).collect();
        stored.sort();
        let external = ExternalLabels::new([("c", "new"), ("z", "z")]).unwrap();
        let naming = Naming::new(&external, &["a".to_owned()]);
        for with_chunks in [0, 5_000, usize::MAX] {
            let got = sorted(&stored, &naming, Room { most: usize::MAX, with_chunks }).unwrap();
            prop_assert!(got.iter().is_sorted_by_key(|gathered| gathered.labels.clone()));
            prop_assert_eq!(got.len(), stored.len());
            let kept = got.iter().filter(|gathered| matches!(gathered.chunks, Kept::Series(_))).count();
            prop_assert!(kept * 1024 <= with_chunks);
        }
    }
}

#[test]
fn few_series_are_held_back() {
    let all: Vec<Labels> = (0..10_000).map(|i| labels(&[("a".into(), format!("{i:05}"))])).collect();
    let external = ExternalLabels::new([("z", "1")]).unwrap();
    let mut inserted = Inserted::new(all.iter().map(named), "z", Naming::new(&external, &[]));
    let mut most = 0;
    while let Some(Ok(_)) = inserted.next() {
        most = most.max(inserted.held.len() + inserted.ready.len());
    }
    assert!(most <= 2, "{most}");
}

#[test]
fn what_would_take_too_much_memory_to_sort_is_refused() {
    let all: Vec<Labels> = (0..100).map(|i| labels(&[("a".into(), format!("{i:03}"))])).collect();
    let naming = Naming::new(&ExternalLabels::new([("b", "c")]).unwrap(), &["a".to_owned()]);
    let room = Room { most: 10_000, with_chunks: 5_000 };
    let refused = sorted(&all, &naming, room).map(|all| all.len());
    assert!(matches!(refused, Err(ReadError::AnswerLimit(10_000))), "{refused:?}");
    let mut taker = All { reserved: 0 };
    let few = gather(all[..10].iter().map(named), &naming, room, &mut taker).unwrap();
    assert_eq!(few.iter().filter(|gathered| matches!(gathered.chunks, Kept::Series(_))).count(), 4);
    assert!((2000..10_000).contains(&taker.reserved), "{}", taker.reserved);
}
