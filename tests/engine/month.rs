//! A simulated month of a database, minute by minute. Series start and end, ranges are deleted,
//! snapshots are made, and the process ends at random points, cleanly or not. Head compaction,
//! block compaction and cleaning of tombstones run in between. The contents always equal the model.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::{Stored, everything, stored};
use narthex::model::float_sample::{FloatSample, STALE_NAN_BITS};
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::snapshot::SnapshotContents;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
use rand::RngExt;
use rand::rngs::StdRng;
use std::path::Path;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const SERIES: usize = 200;

fn open(dir: &Path) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_segment_size = 16 * 32 * 1024;
    let forever = RetentionSettings {
        time_ms: 0,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    options.settings.retention = forever;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

/// Series of the model.
struct ModelSeries {
    labels: Labels,
    text: String,
    /// Whether it is sent, until `changes_at`.
    is_sent: bool,
    changes_at: i64,
    value: f64,
    samples: Vec<(i64, u64)>,
}

impl ModelSeries {
    fn new(number: usize, generation: usize, now: i64, random: &mut StdRng) -> Self {
        let (name, instance) =
            (format!("metric_{}", number % 7), format!("host-{number}-{generation}"));
        let labels = [
            ("__name__", name.as_str()),
            ("instance", &instance),
            ("job", "month"),
            ("shard", ["a", "b"][number % 2]),
        ];
        let labels = LabelsBuilder::from_iter(labels).build().unwrap();
        // Lifetimes are between minutes and weeks.
        let max_minutes = 4 * 10i64.pow(random.random_range(2..5));
        let lifetime = random.random_range(10..=max_minutes) * MINUTE;
        Self {
            text: labels.to_string(),
            labels,
            is_sent: true,
            changes_at: now + lifetime,
            value: 0.0,
            samples: Vec::new(),
        }
    }

    fn next_value(&mut self, random: &mut StdRng) -> f64 {
        match random.random_range(0..100u32) {
            0 => f64::from_bits(0x7ff8_0000_0000_0123),
            1 => -0.0,
            2 => f64::INFINITY,
            3..30 => self.value,
            30..70 => {
                self.value += f64::from(random.random_range(0..50u32));
                self.value
            }
            _ => {
                self.value += random.random::<f64>() - 0.3;
                self.value
            }
        }
    }
}

struct Month {
    random: StdRng,
    now: i64,
    live: Vec<ModelSeries>,
    /// Series that ended.
    ended: Vec<ModelSeries>,
    appended: u64,
}

impl Month {
    fn new(random: StdRng) -> Self {
        let mut own = Self { random, now: BEGIN, live: Vec::new(), ended: Vec::new(), appended: 0 };
        own.live =
            (0..SERIES).map(|number| ModelSeries::new(number, 0, BEGIN, &mut own.random)).collect();
        own
    }

    /// Appends all samples of one minute as one request.
    fn minute(&mut self, db: &Db) {
        let mut appender = db.appender().unwrap();
        for number in 0..SERIES {
            let at = self.now + (number as i64 * 251) % MINUTE;
            let series = &mut self.live[number];
            let mut sample = None;
            if at >= series.changes_at {
                if series.is_sent {
                    sample = Some(f64::from_bits(STALE_NAN_BITS));
                    series.is_sent = false;
                    series.changes_at = at + self.random.random_range(1..300) * MINUTE;
                } else if self.random.random_ratio(1, 2) {
                    // The series returns.
                    series.is_sent = true;
                    series.changes_at = at + self.random.random_range(10..4000) * MINUTE;
                } else {
                    let next = ModelSeries::new(number, self.ended.len() + 1, at, &mut self.random);
                    self.ended.push(std::mem::replace(series, next));
                }
            } else if series.is_sent {
                sample = Some(series.next_value(&mut self.random));
            }
            if let Some(v) = sample {
                let series = &mut self.live[number];
                appender
                    .append_or_create(
                        &series.labels,
                        std::iter::once(FloatSample::new(at, v).into()),
                        |sample, why| panic!("{sample:?} {why:?}"),
                    )
                    .unwrap();
                series.samples.push((at, v.to_bits()));
                self.appended += 1;
            }
        }
        appender.commit().unwrap();
        self.now += MINUTE;
    }

    fn all(&self) -> impl Iterator<Item = &ModelSeries> {
        self.live.iter().chain(&self.ended)
    }

    /// Deletes a random range of randomly selected series.
    fn delete(&mut self, db: &Db) {
        let (name, value) = match self.random.random_range(0..3u32) {
            0 => ("__name__", format!("metric_{}", self.random.random_range(0..7u32))),
            1 => ("instance", format!("host-{}-.*", self.random.random_range(0..SERIES))),
            _ => ("instance", format!("host-[0-9]*{}-0", self.random.random_range(0..10u32))),
        };
        let matcher = Matcher::new(MatchType::Regex, name, &value).unwrap();
        let mint = self.random.random_range(BEGIN - HOUR..self.now + HOUR);
        let max_span = 10i64.pow(self.random.random_range(0..10));
        let maxt = mint + self.random.random_range(0..=max_span);
        let range = TimeRange::new(mint, maxt);
        db.admin().delete(&[vec![matcher.clone()]], range).unwrap();
        for series in self.live.iter_mut().chain(&mut self.ended) {
            if matcher.matches(series.labels.get(name).unwrap_or_default()) {
                series.samples.retain(|(t, _)| !range.contains(*t));
            }
        }
    }

    fn expected(&self, range: TimeRange, is_selected: impl Fn(&ModelSeries) -> bool) -> Stored {
        let within = |series: &ModelSeries| -> Vec<(i64, u64)> {
            let start = series.samples.partition_point(|(t, _)| *t < range.mint);
            let end = series.samples.partition_point(|(t, _)| *t <= range.maxt);
            series.samples[start..end.max(start)].to_vec()
        };
        let filled = self
            .all()
            .filter(|series| is_selected(series))
            .map(|series| (series.text.clone(), within(series)));
        filled.filter(|(_, samples)| !samples.is_empty()).collect()
    }

    fn check_all(&self, db: &Db, when: &str) {
        assert_same(&everything(db), &self.expected(TimeRange::ALL, |_| true), when);
    }

    /// Compares one metric in a random time range.
    fn check_part(&mut self, db: &Db, when: &str) {
        let mint = self.random.random_range(BEGIN - HOUR..self.now);
        let range = TimeRange::new(mint, mint + self.random.random_range(0..2 * DAY));
        let name = format!("metric_{}", self.random.random_range(0..7u32));
        let matcher = Matcher::new(MatchType::Equal, "__name__", &name).unwrap();
        let expected = self.expected(range, |series| series.labels.get("__name__") == Some(&name));
        assert_same(
            &stored(db, &[matcher], range),
            &expected,
            &format!("{name} in {range:?}, {when}"),
        );
    }
}

/// Asserts equality and reports the first difference.
fn assert_same(found: &Stored, expected: &Stored, when: &str) {
    for (series, samples) in expected {
        let Some(found) = found.get(series) else {
            panic!("{series} with {} samples is missing, {when}", samples.len())
        };
        if found != samples {
            let at = found
                .iter()
                .zip(samples)
                .position(|(a, b)| a != b)
                .unwrap_or(found.len().min(samples.len()));
            panic!(
                "{series} has {} samples instead of {}; sample {at} is {:?} instead of {:?}, {when}",
                found.len(),
                samples.len(),
                found.get(at),
                samples.get(at)
            );
        }
    }
    let surplus: Vec<_> = found.keys().filter(|series| !expected.contains_key(*series)).collect();
    assert!(surplus.is_empty(), "{} unknown series: {:?}, {when}", surplus.len(), surplus.first());
}

/// Asserts that a snapshot equals the database.
fn check_snapshot(month: &Month, db: &Db, dir: &Path, when: &str) {
    let name = db.admin().snapshot(SnapshotContents::BlocksAndHead, month.now).unwrap();
    let snapshot_dir = dir.join("snapshots").join(name);
    let copy = open(&snapshot_dir);
    month.check_all(&copy, &format!("snapshot, {when}"));
    drop(copy);
    std::fs::remove_dir_all(snapshot_dir).unwrap();
}

#[test]
fn month_of_churn_deletes_and_restarts_matches_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = open(dir.path());
    let mut month = Month::new(crate::support::seed::seeded("engine_month"));
    let (mut restarts, mut snapshots, mut maintenance_in) = (0, 0, 30);
    for minute in 0..30 * 24 * 60 {
        month.minute(&db);
        let when = format!("minute {minute}, {restarts} restarts");
        maintenance_in -= 1;
        if maintenance_in == 0 {
            db.maintenance().run_once(month.now).unwrap();
            maintenance_in = month.random.random_range(1..240);
        }
        if month.random.random_ratio(1, 400) {
            month.delete(&db);
        }
        if month.random.random_ratio(1, 4000) {
            db.admin().clean_tombstones().unwrap();
        }
        if month.random.random_ratio(1, 9000) {
            check_snapshot(&month, &db, dir.path(), &when);
            snapshots += 1;
        }
        if month.random.random_ratio(1, 500)
            || (restarts < 50 && minute > 42_500 && minute % 10 == 0)
        {
            if month.random.random_ratio(1, 2) {
                db.close().unwrap();
            }
            drop(db);
            db = open(dir.path());
            restarts += 1;
            month.check_part(&db, &when);
            if restarts % 16 == 0 {
                month.check_all(&db, &when);
            }
        }
    }
    db.maintenance().run_once(month.now).unwrap();
    month.check_all(&db, "at the end");
    assert!(restarts >= 50, "{restarts} restarts");
    let blocks = db.blocks().len();
    assert!((4..40).contains(&blocks), "{blocks} blocks for a month");
    println!(
        "{} samples of {} series, {restarts} restarts, {snapshots} snapshots, {blocks} blocks",
        month.appended,
        month.all().count()
    );
    assert!(month.appended > 4_000_000, "{}", month.appended);
}
