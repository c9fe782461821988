//! Metadata of series: read from files of Prometheus, set for families, kept across restarts,
//! checkpoints and chunk snapshots, and consistent with concurrent appenders.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::golden;
use crate::support::life::{BEGIN, HOUR, Life, labels, minutes};
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::metadata::{Metadata, MetadataRef, MetricType};
use narthex::model::sample::Sample;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

/// Type, unit and help text by labels.
type Texts = BTreeMap<String, (String, String, String)>;

fn open(dir: &Path, shutdown_mode: ShutdownMode) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.shutdown_mode = shutdown_mode;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

fn metadata(metric_type: MetricType, help: &str) -> Metadata {
    Metadata { metric_type, unit: "s".to_owned(), help: help.to_owned() }
}

fn texts(metadata: &Metadata) -> (String, String, String) {
    (metadata.metric_type.as_str().to_owned(), metadata.unit.clone(), metadata.help.clone())
}

/// Returns the metadata of all series.
fn of_series(db: &Db) -> Texts {
    let series = db.head().all_series();
    let known = series.iter().filter_map(|series| {
        let state = series.state.lock();
        state.metadata.as_ref().map(|metadata| (series.labels.to_string(), texts(metadata)))
    });
    known.collect()
}

/// Returns the help texts by series name.
fn helps(db: &Db) -> BTreeMap<String, String> {
    let series = db.head().all_series();
    let known = series.iter().filter_map(|series| {
        let state = series.state.lock();
        let help = state.metadata.as_ref().map(|metadata| metadata.help.clone())?;
        Some((series.labels.get("__name__").unwrap().to_owned(), help))
    });
    known.collect()
}

fn set_family(db: &Db, family: &str, metadata: &Metadata) {
    let mut appender = db.appender().unwrap();
    appender.set_family_metadata(family, metadata).unwrap();
    appender.commit().unwrap();
}

/// Sets the metadata of a series. Returns `true` if the head has the series.
fn set_metadata(db: &Db, name: &str, metadata: &Metadata) -> bool {
    let mut appender = db.appender().unwrap();
    let series = appender.append_existing(labels(name).as_bytes(), std::iter::empty(), |_, _| {});
    let Metadata { metric_type, unit, help } = metadata;
    if let Some(series) = &series {
        let metadata = MetadataRef { metric_type: *metric_type, unit, help };
        appender.set_series_metadata(series, metadata);
    }
    appender.commit().unwrap();
    series.is_some()
}

fn updates(db: &Db) -> u64 {
    db.head().stats().metadata_updates.load(Ordering::Relaxed)
}

/// Returns the metadata of a golden case by labels.
fn expected(case: &str) -> Texts {
    let list: serde_json::Value =
        serde_json::from_str(&golden::text(case, "metadata.json")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let entries = list["last_per_series"].as_array().unwrap().iter().map(|entry| {
        let pairs = entry["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let labels = LabelsBuilder::from_iter(pairs).build().unwrap();
        (labels.to_string(), (text(&entry["type"]), text(&entry["unit"]), text(&entry["help"])))
    });
    entries.collect()
}

fn assert_matches_prometheus(case: &str, shutdown_mode: ShutdownMode, min_series: usize) {
    let place = tempfile::tempdir().unwrap();
    let data = golden::unpack(case, place.path());
    let expected = expected(case);
    for time in ["first", "second", "third"] {
        let db = open(&data, shutdown_mode);
        let found = of_series(&db);
        // Series with samples in blocks only are not in the head.
        let live: BTreeSet<String> =
            db.head().all_series().iter().map(|series| series.labels.to_string()).collect();
        let expected: Texts =
            expected.clone().into_iter().filter(|(labels, _)| live.contains(labels)).collect();
        assert!(expected.len() >= min_series, "{case}: {} series are live", expected.len());
        assert_eq!(found, expected, "{case}, {time} start");
        if time == "second" {
            db.close().unwrap();
        }
    }
}

#[test]
fn metadata_of_wal_with_all_record_types_is_replayed() {
    assert_matches_prometheus("all-types-killed", ShutdownMode::KeepInWal, 53);
}

#[test]
fn metadata_of_checkpoint_and_wal_is_replayed() {
    assert_matches_prometheus("blocks-killed-after-compaction", ShutdownMode::KeepInWal, 26);
}

#[test]
fn metadata_of_wal_with_any_compression_is_replayed() {
    assert_matches_prometheus("wal-zstd", ShutdownMode::KeepInWal, 33);
    assert_matches_prometheus("wal-uncompressed", ShutdownMode::KeepInWal, 33);
}

#[test]
fn metadata_is_replayed_with_chunk_snapshot() {
    assert_matches_prometheus("snapshot-on-shutdown", ShutdownMode::ChunkSnapshot, 32);
    assert_matches_prometheus("snapshot-on-shutdown", ShutdownMode::KeepInWal, 32);
}

#[test]
fn family_metadata_applies_to_known_and_later_series() {
    let mut life = Life::new(|_| {});
    life.put(&["a", "a_bucket", "a_sum", "other", "a_count", "a_total"], [BEGIN]);
    set_family(life.db(), "a_count", &metadata(MetricType::Gauge, "own"));
    set_family(life.db(), "a", &metadata(MetricType::Histogram, "help"));
    let mut expected = BTreeMap::from([
        ("a", "help"),
        ("a_bucket", "help"),
        ("a_sum", "help"),
        ("a_count", "own"),
    ]);
    let owned = |map: &BTreeMap<&str, &str>| -> BTreeMap<String, String> {
        map.iter().map(|(name, help)| ((*name).to_owned(), (*help).to_owned())).collect()
    };
    assert_eq!(helps(life.db()), owned(&expected));
    set_family(life.db(), "b", &metadata(MetricType::Counter, "later"));
    life.put(&["b_total", "b_count"], [BEGIN + 1]);
    expected.insert("b_total", "later");
    assert_eq!(helps(life.db()), owned(&expected));
    let before = updates(life.db());
    for _ in 0..3 {
        set_family(life.db(), "a", &metadata(MetricType::Histogram, "help"));
        set_family(life.db(), "b", &metadata(MetricType::Counter, "later"));
    }
    assert_eq!(updates(life.db()), before, "known metadata is logged again");
    life.restart();
    assert_eq!(helps(life.db()), owned(&expected));
    // Families are not in the WAL. The first update after a start checks all series and logs none.
    for _ in 0..2 {
        set_family(life.db(), "a_count", &metadata(MetricType::Gauge, "own"));
        set_family(life.db(), "a", &metadata(MetricType::Histogram, "help"));
    }
    assert_eq!(updates(life.db()), 0);
}

#[test]
fn family_larger_than_one_wal_record_is_complete() {
    let mut life = Life::new(|_| {});
    let names: Vec<Labels> = (0..5000)
        .map(|i| {
            LabelsBuilder::from_iter([("__name__", "many"), ("i", i.to_string().as_str())])
                .build()
                .unwrap()
        })
        .collect();
    let mut appender = life.db().appender().unwrap();
    for labels in &names {
        let samples = std::iter::once(Sample::from(FloatSample::new(BEGIN, 1.0)));
        appender.append_or_create(labels, samples, |_, why| panic!("{why:?}")).unwrap();
    }
    appender.commit().unwrap();
    let long = metadata(MetricType::Gauge, &"h".repeat(4000));
    set_family(life.db(), "many", &long);
    life.end();
    life.start();
    let found = of_series(life.db());
    assert_eq!(found.len(), 5000);
    assert!(found.values().all(|texts| texts.2.len() == 4000));
    assert_eq!(life.db().metadata(None).len(), 1);
}

#[test]
fn metadata_survives_checkpoint_and_chunk_snapshot() {
    let mut life = Life::new(|options| options.shutdown_mode = ShutdownMode::ChunkSnapshot);
    set_family(life.db(), "gone", &metadata(MetricType::Gauge, "of the past"));
    set_family(life.db(), "up", &metadata(MetricType::Gauge, "old"));
    life.put(&["gone"], minutes(BEGIN, BEGIN + HOUR));
    // Other series make the WAL long enough for truncation.
    let others: Vec<String> = (0..40).map(|i| format!("other_{i}")).collect();
    let names: Vec<&str> = others.iter().map(String::as_str).chain(["up", "a_total"]).collect();
    life.put(&names, minutes(BEGIN, BEGIN + 9 * HOUR));
    assert!(set_metadata(life.db(), "a_total", &metadata(MetricType::Counter, "of one series")));
    assert!(!set_metadata(life.db(), "nothing", &Metadata::default()));
    set_family(life.db(), "up", &metadata(MetricType::Gauge, "new"));
    let expected = BTreeMap::from(
        [("a_total", "of one series"), ("up", "new")].map(|(a, b)| (a.to_owned(), b.to_owned())),
    );
    for round in 0..4 {
        life.maintain();
        assert!(life.checkpoint().is_some());
        assert_eq!(helps(life.db()), expected, "round {round}");
        life.restart();
        assert_eq!(life.db().stats().snapshot_replay_errors.load(Ordering::Relaxed), 0);
        assert_eq!(helps(life.db()), expected, "round {round}, after restarts");
        let from = BEGIN + (9 + 2 * round) * HOUR;
        life.put(&names, minutes(from, from + 2 * HOUR));
    }
}

#[test]
fn concurrent_appenders_keep_head_and_wal_metadata_equal() {
    let mut life = Life::new(|_| {});
    std::thread::scope(|scope| {
        for sender in 0..4 {
            let db = life.db();
            scope.spawn(move || {
                for round in 0..300 {
                    let mut appender = db.appender().unwrap();
                    let (name, i) = (["f_sum", "f_count"][round % 2], (round % 50).to_string());
                    let labels = LabelsBuilder::from_iter([("__name__", name), ("i", i.as_str())])
                        .build()
                        .unwrap();
                    let sample = Sample::from(FloatSample::new(
                        BEGIN + round as i64 * 1000,
                        f64::from(sender),
                    ));
                    appender.append_or_create(&labels, std::iter::once(sample), |_, _| {}).unwrap();
                    let help = format!("{}", (round / 40 + sender as usize) % 7);
                    appender
                        .set_family_metadata("f", &metadata(MetricType::Summary, &help))
                        .unwrap();
                    appender.commit().unwrap();
                }
            });
        }
    });
    let before = of_series(life.db());
    assert_eq!(before.len(), 50);
    assert_eq!(before.values().collect::<BTreeSet<_>>().len(), 1, "{before:?}");
    life.end();
    life.start();
    assert_eq!(of_series(life.db()), before);
}

/// Step of a generated test.
#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    One(usize, u8),
    Family(usize, u8),
    Restart,
}

const NAMES: [&str; 6] = ["a", "a_count", "a_sum", "a_total", "b", "b_count"];

/// Model: texts of series, and of families since the last start.
#[derive(Default)]
struct Model {
    series: BTreeMap<&'static str, Option<String>>,
    families: BTreeMap<&'static str, (MetricType, String)>,
}

impl Model {
    fn of_family(&self, series: &str) -> Option<String> {
        let own = self.families.get(series).map(|(_, help)| help.clone());
        own.or_else(|| {
            let (parent, suffix) = series.rsplit_once('_')?;
            let (metric_type, help) = self.families.get(parent)?;
            let suffixes: &[&str] = match metric_type {
                MetricType::Summary => &["sum", "count"],
                MetricType::Counter => &["total"],
                _ => &[],
            };
            suffixes.contains(&suffix).then(|| help.clone())
        })
    }
}

/// Returns a new text for each step. Unit tests cover senders that disagree.
fn help(step: usize) -> String {
    format!("text {step}")
}

fn metric_type(byte: u8) -> MetricType {
    [MetricType::Summary, MetricType::Counter, MetricType::Gauge][usize::from(byte % 3)]
}

fn run(steps: &[Step]) {
    let mut life = Life::new(|_| {});
    let mut model = Model::default();
    // A family accepts a limited number of new texts immediately.
    let mut changes: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Step::Put(name) => {
                life.put(&[NAMES[name]], [BEGIN + at as i64]);
                let inherited = model.of_family(NAMES[name]);
                model.series.entry(NAMES[name]).or_insert(inherited);
            }
            Step::One(name, byte) => {
                let is_known =
                    set_metadata(life.db(), NAMES[name], &metadata(metric_type(byte), &help(at)));
                assert_eq!(is_known, model.series.contains_key(NAMES[name]));
                model.series.entry(NAMES[name]).and_modify(|text| *text = Some(help(at)));
            }
            Step::Family(name, byte) => {
                let count = changes.entry(NAMES[name]).or_default();
                *count += 1;
                if *count > 8 {
                    continue;
                }
                set_family(life.db(), NAMES[name], &metadata(metric_type(byte), &help(at)));
                model.families.insert(NAMES[name], (metric_type(byte), help(at)));
                let parts = ["", "_sum", "_count", "_total"]
                    .map(|suffix| format!("{}{suffix}", NAMES[name]));
                for part in parts {
                    let is_part = part == NAMES[name] || model.of_family(&part) == Some(help(at));
                    if let Some((series, _)) =
                        model.series.get_key_value(part.as_str()).filter(|_| is_part)
                    {
                        model.series.insert(series, Some(help(at)));
                    }
                }
            }
            Step::Restart => {
                life.end();
                life.start();
                model.families.clear();
                changes.clear();
            }
        }
        let expected: BTreeMap<String, String> = model
            .series
            .iter()
            .filter_map(|(name, text)| Some(((*name).to_owned(), text.clone()?)))
            .collect();
        assert_eq!(helps(life.db()), expected, "after step {at} of {steps:?}");
    }
}

#[test]
fn metadata_matches_model() {
    let step = prop_oneof![
        4 => (0..NAMES.len()).prop_map(Step::Put),
        2 => (0..NAMES.len(), any::<u8>()).prop_map(|(name, byte)| Step::One(name, byte)),
        4 => (0..NAMES.len(), any::<u8>()).prop_map(|(name, byte)| Step::Family(name, byte)),
        1 => proptest::prelude::Just(Step::Restart),
    ];
    let mut runner =
        TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let done = runner.run(&prop::collection::vec(step, 1..40), |steps| {
        run(&steps);
        Ok(())
    });
    done.unwrap();
}
