//! Database compared with a model: accepted, rejected and duplicate samples, across restarts.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::everything;
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::head::append::sample_rejection::SampleRejection;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const HOUR: i64 = 3_600_000;
/// Half of the default block range: samples that are older than the newest one by more are
/// rejected.
const APPENDABLE_MS: i64 = HOUR;

fn open(dir: &Path, samples_per_chunk: u16) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.samples_per_chunk = samples_per_chunk;
    options.wal_segment_size = 2 * 32 * 1024;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

fn labels(series: u8) -> Labels {
    let name = format!("series_{series}");
    LabelsBuilder::from_iter([("__name__", name.as_str()), ("job", "model")]).build().unwrap()
}

fn append(db: &Db, series: u8, samples: &[FloatSample]) -> Vec<(FloatSample, SampleRejection)> {
    let mut rejected = Vec::new();
    let mut appender = db.appender().unwrap();
    appender
        .append_or_create(
            &labels(series),
            samples.iter().copied().map(Sample::from),
            |sample, why| {
                let SampleValue::Float(v) = sample.value else { panic!("{sample:?} is no float") };
                rejected.push((FloatSample::new(sample.t, v), why));
            },
        )
        .unwrap();
    appender.commit().unwrap();
    rejected
}

/// Expected contents of the database.
#[derive(Default)]
struct Model {
    series: BTreeMap<u8, BTreeMap<i64, u64>>,
    newest: Option<i64>,
}

impl Model {
    fn append(
        &mut self,
        series: u8,
        samples: &[FloatSample],
    ) -> Vec<(FloatSample, SampleRejection)> {
        let mut rejected = Vec::new();
        let mut bound = self.newest.map(|newest| newest - APPENDABLE_MS);
        for sample in samples {
            let bound = *bound.get_or_insert(sample.t - APPENDABLE_MS);
            let stored = self.series.entry(series).or_default();
            let newest_of_series = stored.last_key_value().map(|(t, _)| *t);
            match stored.get(&sample.t) {
                Some(bits) if *bits == sample.v.to_bits() => continue,
                Some(_) => rejected.push((*sample, SampleRejection::DuplicateTimestamp)),
                None if sample.t < bound => rejected.push((*sample, SampleRejection::OutOfBounds)),
                None if newest_of_series.is_some_and(|newest| sample.t < newest) => {
                    rejected.push((*sample, SampleRejection::OutOfOrder));
                }
                None => {
                    stored.insert(sample.t, sample.v.to_bits());
                    self.newest = self.newest.max(Some(sample.t));
                }
            }
        }
        rejected
    }

    fn everything(&self) -> BTreeMap<String, Vec<(i64, u64)>> {
        let filled = self.series.iter().filter(|(_, samples)| !samples.is_empty());
        filled
            .map(|(s, samples)| {
                (labels(*s).to_string(), samples.iter().map(|(t, v)| (*t, *v)).collect())
            })
            .collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append { series: u8, samples: Vec<(i64, u8)> },
    Restart { is_clean: bool },
}

fn arb_steps() -> impl Strategy<Value = Vec<Step>> {
    let samples = prop::collection::vec(
        (prop_oneof![8 => 1..200_000i64, 1 => -3 * HOUR..HOUR, 1 => Just(0)], 0..4u8),
        1..60,
    );
    let append = (0..6u8, samples).prop_map(|(series, samples)| Step::Append { series, samples });
    prop::collection::vec(
        prop_oneof![12 => append, 1 => any::<bool>().prop_map(|is_clean| Step::Restart { is_clean })],
        1..40,
    )
}

fn value(kind: u8, t: i64) -> f64 {
    match kind {
        0 => t as f64 * 0.37,
        1 => f64::from_bits(narthex::model::float_sample::STALE_NAN_BITS),
        2 => -0.0,
        _ => f64::from_bits(0x7ff8_0000_0000_0123),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn accepted_and_rejected_samples_match_model_over_restarts(steps in arb_steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut db = open(dir.path(), 7);
        let mut model = Model::default();
        let mut now = 1_700_000_000_000i64;
        for step in steps {
            match step {
                Step::Append { series, samples } => {
                    let samples: Vec<_> = samples.iter().map(|(by, kind)| {
                        let t = now + by;
                        if *by > 0 {
                            now = t;
                        }
                        FloatSample::new(t, value(*kind, t))
                    }).collect();
                    let (mut rejected, mut expected) = (append(&db, series, &samples), model.append(series, &samples));
                    // The order of rejections is not specified.
                    rejected.sort_by_key(|(sample, why)| (sample.t, *why));
                    expected.sort_by_key(|(sample, why)| (sample.t, *why));
                    prop_assert_eq!(rejected, expected);
                }
                Step::Restart { is_clean } => {
                    if is_clean {
                        db.close().unwrap();
                    }
                    drop(db);
                    db = open(dir.path(), 7);
                }
            }
            prop_assert_eq!(everything(&db), model.everything());
        }
        drop(db);
        prop_assert_eq!(everything(&open(dir.path(), 7)), model.everything());
    }
}

#[test]
fn read_returns_exactly_the_samples_in_range() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 120);
    let samples: Vec<_> =
        (0..1000).map(|i| FloatSample::new(1_000_000 + i * 1000, i as f64)).collect();
    assert!(append(&db, 1, &samples).is_empty());
    for (mint, maxt) in [
        (0, 999_999),
        (1_000_000, 1_000_000),
        (1_119_000, 1_121_500),
        (1_500_001, 1_500_999),
        (1_999_000, i64::MAX),
    ] {
        let range = TimeRange::new(mint, maxt);
        let all = narthex::model::matcher::Matcher::new(
            narthex::model::matcher::MatchType::Equal,
            "job",
            "model",
        )
        .unwrap();
        let querier = db.querier();
        let read: Vec<FloatSample> = querier
            .select(&[all], range)
            .unwrap()
            .flat_map(|s| s.unwrap().float_samples(range).collect::<Vec<_>>())
            .map(Result::unwrap)
            .collect();
        let expected: Vec<_> = samples.iter().copied().filter(|s| range.contains(s.t)).collect();
        assert_eq!(read, expected, "{mint}..{maxt}");
    }
}

#[test]
fn rejected_samples_create_no_series() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 120);
    assert!(append(&db, 1, &[FloatSample::new(10 * HOUR, 1.0)]).is_empty());
    let rejected = append(&db, 2, &[FloatSample::new(HOUR, 1.0), FloatSample::new(2 * HOUR, 1.0)]);
    assert_eq!(
        rejected.iter().map(|(_, why)| *why).collect::<Vec<_>>(),
        [SampleRejection::OutOfBounds; 2]
    );
    assert_eq!(db.head().series_count(), 1);
}

#[test]
fn series_limit_rejects_new_series_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = DbOptions::new(dir.path().to_owned());
    options.series_limit.max = 2;
    let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
    for series in [1, 2] {
        assert!(append(&db, series, &[FloatSample::new(HOUR, 1.0)]).is_empty());
    }
    let mut appender = db.appender().unwrap();
    let rejected = appender.append_or_create(
        &labels(3),
        std::iter::once(FloatSample::new(HOUR, 1.0).into()),
        |_, _| {},
    );
    assert_eq!(rejected.unwrap_err().limit, 2);
    appender.commit().unwrap();
    assert!(append(&db, 2, &[FloatSample::new(HOUR + 1, 2.0)]).is_empty());
    assert_eq!(everything(&db).len(), 2);
}

#[test]
fn references_are_never_reused() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..5u8 {
        let db = open(dir.path(), 120);
        assert!(
            append(&db, run, &[FloatSample::new(HOUR + i64::from(run), f64::from(run))]).is_empty()
        );
        assert_eq!(everything(&db).len(), usize::from(run) + 1);
    }
    let db = open(dir.path(), 120);
    for (i, samples) in everything(&db).into_values().enumerate() {
        assert_eq!(samples, [(HOUR + i as i64, (i as f64).to_bits())]);
    }
}

#[test]
fn retry_after_compaction_is_duplicate_and_new_value_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 120);
    let start = 1_700_000_000_000 / (2 * HOUR) * (2 * HOUR);
    let samples: Vec<_> =
        (0..240).map(|i| FloatSample::new(start + i * 60_000, i as f64)).collect();
    for sample in &samples {
        assert!(append(&db, 1, &[*sample]).is_empty());
    }
    db.maintenance().run_once(start).unwrap();
    assert_eq!(db.blocks().len(), 1);
    assert!(append(&db, 1, &samples).is_empty(), "all samples are duplicates");
    let other: Vec<_> =
        samples[..3].iter().map(|sample| FloatSample::new(sample.t, -1.0)).collect();
    let rejected: Vec<_> =
        other.iter().map(|sample| (*sample, SampleRejection::OutOfBounds)).collect();
    assert_eq!(append(&db, 1, &other), rejected);
    assert_eq!(
        append(&db, 3, &samples[..1]),
        [(samples[0], SampleRejection::OutOfBounds)],
        "another series has no sample at this timestamp"
    );
    let mut appender = db.appender().unwrap();
    let known = labels(1);
    let series = appender.append_existing(
        known.as_bytes(),
        samples[..50].iter().copied().map(Sample::from),
        |_, why| panic!("{why:?}"),
    );
    assert_eq!(series.map(|series| series.labels().clone()), Some(known));
    assert_eq!(appender.commit().unwrap().samples, 50);
}
