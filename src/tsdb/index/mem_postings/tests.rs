//! The index against a plain model, and under concurrent use.

use super::remove::sweep;
use super::{IndexCardinality, LONG_LIST, MemPostings, SLICE, VALUE_STEPS};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::refs::SeriesRef;
use crate::tsdb::index::series_ref_set::SeriesRefSet;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

fn matcher(kind: MatchType, name: &str, value: &str) -> Matcher {
    Matcher::new(kind, name, value).unwrap()
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}

fn kind() -> impl Strategy<Value = MatchType> {
    prop_oneof![
        Just(MatchType::Equal),
        Just(MatchType::NotEqual),
        Just(MatchType::Regex),
        Just(MatchType::NotRegex)
    ]
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let values = prop_oneof![
        Just(""),
        Just("v1"),
        Just("v2"),
        Just("w1"),
        Just("zz"),
        Just(".*"),
        Just(".+"),
        Just("v.*"),
        Just("v.+"),
        Just("v1|w2"),
        Just("|v1"),
        Just("|v.*"),
        Just("|.+1"),
        Just("v[0-9]*"),
        Just("(v1)?"),
        Just("[^\\x00-\\x{10FFFF}]"),
        Just("(?i)V1"),
        Just(".*2"),
        Just("w[12].*"),
    ];
    (kind(), "[abcz]|", values).prop_map(|(kind, name, value)| matcher(kind, &name, value))
}

fn any_labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[abc]", "[vw][1-3]{1,2}", 1..4).prop_map(|map| {
        map.iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect::<LabelsBuilder<'_>>()
            .build()
            .unwrap()
    })
}

proptest! {
    #[test]
    fn select_finds_what_the_matchers_say(
        mut series in proptest::collection::vec((1u64..1000, any_labels()), 0..60),
        queries in proptest::collection::vec(proptest::collection::vec(any_matcher(), 1..5), 1..20),
        dead in proptest::collection::vec(any::<bool>(), 60),
    ) {
        series.sort_by_key(|(series, _)| *series % 7);
        let mut model: BTreeMap<SeriesRef, Labels> = BTreeMap::new();
        let index = MemPostings::default();
        for (series, labels) in series {
            if let std::collections::btree_map::Entry::Vacant(entry) = model.entry(SeriesRef(series)) {
                index.add(SeriesRef(series), entry.insert(labels));
            }
        }
        for round in 0..2 {
            for matchers in &queries {
                let expected: Vec<_> = model.iter().filter(|(_, l)| satisfies(l, matchers)).map(|(s, _)| *s).collect();
                prop_assert_eq!(index.select(matchers), expected, "{:?} in round {}", matchers, round);
            }
            holds_the_same(&index, &model);
            let gone: BTreeMap<_, _> = model.iter().zip(&dead).filter(|(_, dead)| **dead).map(|(s, _)| s).collect();
            let gone: BTreeMap<SeriesRef, Labels> = gone.into_iter().map(|(s, l)| (*s, l.clone())).collect();
            model.retain(|series, _| !gone.contains_key(series));
            sweep(&index, &gone.keys().copied().collect());
        }
        holds_the_same(&index, &model);
    }
}

fn holds_the_same(index: &MemPostings, model: &BTreeMap<SeriesRef, Labels>) {
    let mut pairs: BTreeMap<&str, BTreeMap<&str, Vec<SeriesRef>>> = BTreeMap::new();
    for (series, labels) in model {
        for (name, value) in labels.iter() {
            pairs.entry(name).or_default().entry(value).or_default().push(*series);
        }
    }
    assert_eq!(index.all(), model.keys().copied().collect::<Vec<_>>());
    assert_eq!(index.label_names(), pairs.keys().copied().collect::<Vec<_>>());
    for (name, values) in &pairs {
        assert_eq!(
            index.values_after(name, None, usize::MAX),
            values.keys().copied().collect::<Vec<_>>()
        );
        for (value, series) in values {
            assert_eq!(&index.postings(name, value), series);
        }
    }
    let cardinality = IndexCardinality {
        series: model.len(),
        names: pairs.len(),
        pairs: pairs.values().map(BTreeMap::len).sum(),
    };
    assert_eq!(index.cardinality(), cardinality);
}

#[test]
fn no_matcher_selects_nothing_and_an_empty_name_everything() {
    let index = MemPostings::default();
    index.add(SeriesRef(1), &labels(&[("a", "x")]));
    assert!(index.select(&[]).is_empty());
    assert_eq!(index.select(&[matcher(MatchType::Equal, "", "")]), [SeriesRef(1)]);
}

/// Series 1 to `count`: `all="1"`, `half` of two values, `own` of one value each.
fn large(count: u64) -> MemPostings {
    let index = MemPostings::default();
    for series in 1..=count {
        let (half, own) = ((series % 2).to_string(), format!("v{series:06}"));
        index.add(SeriesRef(series), &labels(&[("all", "1"), ("half", &half), ("own", &own)]));
    }
    index
}

#[test]
fn long_lists_are_selected_in_slices() {
    let count = 5 * LONG_LIST as u64;
    let index = large(count);
    let select = |matchers: &[(MatchType, &str, &str)]| {
        let matchers: Vec<_> =
            matchers.iter().map(|(kind, name, value)| matcher(*kind, name, value)).collect();
        index.select(&matchers)
    };
    let refs = |wanted: &dyn Fn(u64) -> bool| {
        (1..=count).filter(|s| wanted(*s)).map(SeriesRef).collect::<Vec<_>>()
    };
    use MatchType::{Equal, NotEqual, NotRegex, Regex};
    assert_eq!(select(&[(Equal, "all", "1"), (Equal, "half", "1")]), refs(&|s| s % 2 == 1));
    assert_eq!(select(&[(Equal, "all", "1"), (NotEqual, "half", "1")]), refs(&|s| s % 2 == 0));
    assert_eq!(select(&[(Regex, "half", "[01].*")]), refs(&|_| true));
    assert_eq!(
        select(&[(Regex, "own", ".+[05]"), (NotRegex, "half", "0.*")]),
        refs(&|s| s % 10 == 5)
    );
    assert_eq!(select(&[(NotRegex, "own", ".*[1-9]")]), refs(&|s| s % 10 == 0));
    assert_eq!(select(&[(Equal, "own", "v000007"), (Regex, "all", ".+")]), [SeriesRef(7)]);
    assert_eq!(select(&[(Equal, "own", "")]), []);
}

#[test]
fn long_lists_are_removed_from() {
    let count = 3 * LONG_LIST as u64;
    let index = large(count);
    sweep(&index, &(1..=count).filter(|series| series % 3 == 0).map(SeriesRef).collect());
    let left: Vec<_> = (1..=count).filter(|series| series % 3 != 0).map(SeriesRef).collect();
    assert_eq!((index.all(), index.postings("all", "1")), (left.clone(), left.clone()));
    assert_eq!(
        index.postings("half", "1"),
        left.iter().copied().filter(|s| s.0 % 2 == 1).collect::<Vec<_>>()
    );
    assert_eq!(
        index.cardinality(),
        IndexCardinality { series: left.len(), names: 3, pairs: 3 + left.len() }
    );
}

#[test]
fn one_hold_of_the_lock_passes_over_a_bounded_number_of_values() {
    let index = large(3000);
    let guard = index.index.read();
    let (mut after, mut seen, mut slices) = (None, Vec::new(), 0);
    loop {
        let before = seen.len();
        after = guard
            .scan_slice("own", "v", after.as_deref(), &mut |value, _| seen.push(value.to_owned()));
        slices += 1;
        assert!(seen.len() - before <= SLICE / super::VALUE_COST);
        if after.is_none() {
            break;
        }
    }
    drop(guard);
    assert!(slices > 5);
    assert_eq!(seen, index.values_after("own", None, usize::MAX));
}

#[test]
fn readers_see_whole_series_and_all_that_were_added_before() {
    const SERIES: u64 = 30_000;
    const LOT: u64 = 1_000;
    let index = MemPostings::default();
    let added = AtomicU64::new(0);
    let kept = |series: u64| !series.is_multiple_of(5);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for series in 1..=SERIES {
                let own = format!("v{series}");
                let set = labels(&[("name", "x"), ("own", &own), ("z", "y")]);
                index.add(SeriesRef(series), &set);
                if series.is_multiple_of(LOT) {
                    sweep(
                        &index,
                        &(series - LOT + 1..=series)
                            .filter(|one| !kept(*one))
                            .map(SeriesRef)
                            .collect(),
                    );
                }
                added.store(series, Ordering::Release);
            }
        });
        for nth in 0..2 {
            let (index, added) = (&index, &added);
            scope.spawn(move || {
                let regex = matcher(MatchType::Regex, "own", "v.*[0-9]");
                let equal = matcher(MatchType::Equal, "name", "x");
                let none = matcher(MatchType::NotEqual, "z", "y");
                loop {
                    let before = added.load(Ordering::Acquire);
                    let found = if nth == 0 {
                        index.select(&[regex.clone(), equal.clone()])
                    } else {
                        index.select(std::slice::from_ref(&equal))
                    };
                    assert!(found.is_sorted_by(|a, b| a < b));
                    let expected = (1..=before).filter(|series| kept(*series)).count();
                    let live =
                        found.iter().filter(|series| kept(series.0) && series.0 <= before).count();
                    assert_eq!(live, expected);
                    let partial = index.select(&[equal.clone(), none.clone()]);
                    assert!(partial.iter().all(|series| !kept(series.0)), "{partial:?}");
                    if before == SERIES {
                        return;
                    }
                }
            });
        }
    });
}

/// Labels as those of `large`.
fn labels_of(series: u64) -> Labels {
    let (half, own) = ((series % 2).to_string(), format!("v{series:06}"));
    labels(&[("all", "1"), ("half", &half), ("own", &own)])
}

#[test]
fn removal_visits_each_entry_once_however_many_are_dead() {
    const SERIES: usize = 40_000;
    // Four lists of each series with that of all series, and as many values of one label as series.
    let (entries, values) = (4 * SERIES, SERIES + 3);
    for dead in [1, 500, SERIES / 2, SERIES] {
        let index = large(SERIES as u64);
        let is_dead = |series: u64| (series as usize * dead) % SERIES < dead;
        sweep(
            &index,
            &(1..=SERIES as u64).filter(|series| is_dead(*series)).map(SeriesRef).collect(),
        );
        assert_eq!(index.cardinality().series, SERIES - dead);
        let stats = index.removal_stats();
        // Tails of long lists are visited twice.
        let linear = entries + 4 * LONG_LIST + VALUE_STEPS * values;
        assert!(stats.steps <= linear, "{dead} dead: {} steps", stats.steps);
        assert!(
            stats.longest_hold <= SLICE + LONG_LIST,
            "{dead} dead: {} steps",
            stats.longest_hold
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn removal_beside_readers_and_writers_equals_the_model(
        lots in proptest::collection::vec(1u64..20_000, 1..4),
        stride in 1u64..5,
    ) {
        const OLD: u64 = 20_000;
        let index = large(OLD);
        let is_dead = |series: u64| series <= OLD && series.is_multiple_of(stride);
        let (is_done, next) = (AtomicBool::new(false), AtomicU64::new(OLD));
        let added: Mutex<Vec<u64>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Acquire) {
                        let first = next.fetch_add(3, Ordering::Relaxed) + 1;
                        // As of requests that run at once, references do not come in their order.
                        for series in [first + 2, first, first + 1] {
                            index.add(SeriesRef(series), &labels_of(series));
                            added.lock().unwrap().push(series);
                        }
                        std::thread::yield_now();
                    }
                });
                scope.spawn(|| {
                    let all = [matcher(MatchType::Equal, "all", "1"), matcher(MatchType::Regex, "half", "0|1")];
                    while !is_done.load(Ordering::Acquire) {
                        let before = added.lock().unwrap().clone();
                        let found = index.select(&all);
                        assert!(found.is_sorted_by(|a, b| a < b));
                        let expected = (1..=OLD).filter(|series| !is_dead(*series)).chain(before);
                        let is_found = |series: u64| found.binary_search(&SeriesRef(series)).is_ok();
                        assert_eq!(expected.into_iter().find(|series| !is_found(*series)), None);
                    }
                });
            }
            let mut first = 1;
            for lot in lots.iter().copied().chain([OLD]) {
                let dead: SeriesRefSet = (first..=OLD.min(first + lot)).filter(|series| is_dead(*series)).map(SeriesRef).collect();
                sweep(&index, &dead);
                first += lot + 1;
            }
            is_done.store(true, Ordering::Release);
        });
        let model = (1..=OLD).filter(|series| !is_dead(*series)).chain(added.into_inner().unwrap());
        holds_the_same(&index, &model.map(|series| (SeriesRef(series), labels_of(series))).collect());
    }
}
