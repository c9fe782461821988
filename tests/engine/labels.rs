//! Label names and values of head and blocks, compared with a model.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::Sample;
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::query::label_source::{LabelQueryError, LabelQueryLimits};
use proptest::prelude::*;
use std::collections::BTreeSet;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    LabelsBuilder::from_iter(pairs.iter().copied()).build().unwrap()
}

fn open(dir: &std::path::Path) -> Db {
    LockedDir::open(DbOptions::new(dir.to_owned())).unwrap().into_recovery().run().unwrap().db
}

fn append(db: &Db, labels: &Labels, times: impl Iterator<Item = i64>) {
    let mut appender = db.appender().unwrap();
    let samples = times.map(|t| Sample::from(FloatSample::new(t, 1.0)));
    appender
        .append_or_create(labels, samples, |sample, why| panic!("{sample:?}: {why:?}"))
        .unwrap();
    appender.commit().unwrap();
}

/// Series with samples in some of three spans of two hours. The first two spans are compacted.
#[derive(Debug, Clone)]
struct Generated {
    labels: Labels,
    spans: [bool; 3],
}

fn arb_series() -> impl Strategy<Value = Generated> {
    let label = proptest::option::of("[a-c]{1,2}");
    (label.clone(), label.clone(), label, "[m-o]", any::<[bool; 3]>()).prop_map(
        |(a, b, c, metric, spans)| {
            let mut pairs = vec![("__name__", metric.as_str())];
            let optional = [("a", &a), ("b", &b), ("c.d", &c)];
            pairs.extend(
                optional.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))),
            );
            Generated { labels: labels(&pairs), spans }
        },
    )
}

fn arb_matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let kinds = prop_oneof![
        Just(MatchType::Equal),
        Just(MatchType::NotEqual),
        Just(MatchType::Regex),
        Just(MatchType::NotRegex)
    ];
    let matcher = (
        kinds,
        prop_oneof!["__name__", "a", "b", "c\\.d"],
        prop_oneof!["[a-c]{0,2}", "[m-o]", "a\\.\\*", "\\.\\+"],
    );
    proptest::collection::vec(matcher, 0..4).prop_map(|all| {
        all.into_iter()
            .map(|(kind, name, value)| Matcher::new(kind, name, value).unwrap())
            .collect()
    })
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn lists_match_model(
        all in proptest::collection::vec(arb_series(), 1..12),
        queries in proptest::collection::vec((arb_matchers(), 0usize..6, 0usize..6, 0usize..8), 1..30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path());
        // A series in every span, so that head and blocks have their full range.
        let keeper = labels(&[("__name__", "keeper")]);
        for span in 0..3 {
            let times = |step: i64| (0..12).map(move |i| BEGIN + span as i64 * 2 * HOUR + i * step);
            append(&db, &keeper, times(10 * MINUTE));
            for series in all.iter().filter(|series| series.spans[span]) {
                let last = BEGIN + span as i64 * 2 * HOUR + 110 * MINUTE;
                // With equal labels, the second sample is a duplicate.
                append(&db, &series.labels, std::iter::once(last));
            }
        }
        db.maintenance().run_once(BEGIN + 6 * HOUR).unwrap();
        prop_assert_eq!(db.blocks().len(), 2);
        let querier = db.querier();
        for (matchers, from, to, count) in queries {
            let range = TimeRange::new(BEGIN + from as i64 * HOUR, BEGIN + to as i64 * HOUR);
            // The third span is in the head, whose range is from its first to its last sample.
            let touches = |span: usize| {
                let start = BEGIN + span as i64 * 2 * HOUR;
                range.overlaps(TimeRange::new(start, start + 2 * HOUR - 1)) && (span < 2 || range.mint <= start + 110 * MINUTE)
            };
            let in_range: Vec<&Labels> = (0..3)
                .filter(|span| touches(*span))
                .flat_map(|span| all.iter().filter(move |series| series.spans[span]).map(|series| &series.labels).chain([&keeper]))
                .filter(|labels| satisfies(labels, &matchers))
                .collect();
            let names: BTreeSet<&str> = in_range.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
            let limit = if count == 7 { LabelQueryLimits::NONE } else { LabelQueryLimits::with_count(count) };
            let expected: Vec<&str> = names.into_iter().take(limit.count).collect();
            prop_assert_eq!(querier.label_names(&matchers, range, limit).unwrap(), expected, "{:?} {:?}", &matchers, range);
            for name in ["__name__", "a", "c.d", "none", ""] {
                let values: BTreeSet<&str> = in_range.iter().filter_map(|labels| labels.get(name)).collect();
                let expected: Vec<&str> = values.into_iter().take(limit.count).collect();
                let found = querier.label_values(name, &matchers, range, limit).unwrap();
                prop_assert_eq!(found, expected, "{} {:?} {:?}", name, &matchers, range);
            }
        }
    }
}

#[test]
fn many_values_are_listed_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let value = |n: usize| format!("{n:05}");
    for n in 0..2000 {
        append(
            &db,
            &labels(&[("__name__", "up"), ("n", &value(n)), ("odd", ["no", "yes"][n % 2])]),
            [BEGIN].into_iter(),
        );
    }
    let querier = db.querier();
    let list =
        |matchers: &[Matcher], limit| querier.label_values("n", matchers, TimeRange::ALL, limit);
    assert_eq!(
        list(&[], LabelQueryLimits::NONE).unwrap(),
        (0..2000).map(value).collect::<Vec<_>>()
    );
    assert_eq!(
        list(&[], LabelQueryLimits::with_count(600)).unwrap(),
        (0..600).map(value).collect::<Vec<_>>()
    );
    let odd = [Matcher::new(MatchType::Equal, "odd", "yes").unwrap()];
    assert_eq!(list(&odd, LabelQueryLimits::with_count(3)).unwrap(), [1, 3, 5].map(value));
    let ending_in_seven = [Matcher::new(MatchType::Regex, "n", "0.*7").unwrap()];
    assert_eq!(
        list(&ending_in_seven, LabelQueryLimits::with_count(2)).unwrap(),
        [7, 17].map(value)
    );
    let small = LabelQueryLimits { bytes: 1000, ..LabelQueryLimits::NONE };
    assert!(matches!(list(&[], small), Err(LabelQueryError::TooLarge(1000))));
}

#[test]
fn values_that_move_to_block_are_always_listed() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let all: Vec<String> = (0..300).map(|n| format!("ended_{n:03}")).collect();
    for name in &all {
        append(&db, &labels(&[("__name__", name)]), [BEGIN].into_iter());
    }
    append(&db, &labels(&[("__name__", "live")]), (0..36).map(|i| BEGIN + i * 10 * MINUTE));
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut rounds = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.maintenance().run_once(BEGIN + 6 * HOUR).unwrap();
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        loop {
            let is_last = done.load(std::sync::atomic::Ordering::SeqCst);
            let found = db
                .querier()
                .label_values("__name__", &[], TimeRange::ALL, LabelQueryLimits::NONE)
                .unwrap();
            assert_eq!(found.len(), all.len() + 1, "in read {rounds}");
            rounds += 1;
            if is_last {
                return;
            }
        }
    });
    assert!(!db.blocks().is_empty());
}
