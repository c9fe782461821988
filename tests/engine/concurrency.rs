//! Concurrent appenders on their own series and on shared ones. The WAL has every acknowledged
//! sample, in the order of the head.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::everything;
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

const WRITERS: usize = 8;
const REQUESTS: usize = 300;
const SHARED_SERIES: usize = 5;

fn open(dir: &Path) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_segment_size = 4 * 32 * 1024;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

fn labels(name: &str, number: usize) -> Labels {
    let number = number.to_string();
    LabelsBuilder::from_iter([("__name__", name), ("number", number.as_str())]).build().unwrap()
}

#[test]
fn samples_of_concurrent_appenders_survive_restart() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let clock = AtomicI64::new(1_700_000_000_000);
    let acknowledged: Mutex<BTreeMap<String, BTreeMap<i64, u64>>> = Mutex::default();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, clock, acknowledged) = (&db, &clock, &acknowledged);
            scope.spawn(move || {
                for request in 0..REQUESTS {
                    // Shared series in opposite orders, so that two requests wait for each other's
                    // series, and new series in every request.
                    let mut series: Vec<_> =
                        (0..SHARED_SERIES).map(|n| labels("shared", n)).collect();
                    if writer % 2 == 1 {
                        series.reverse();
                    }
                    series.push(labels("own", writer));
                    series.push(labels("new_for_all", request));
                    let mut appender = db.appender().unwrap();
                    let mut accepted = Vec::new();
                    for labels in series {
                        let t = clock.fetch_add(1, Ordering::Relaxed);
                        let sample = FloatSample::new(t, t as f64);
                        let mut is_rejected = false;
                        appender
                            .append_or_create(&labels, std::iter::once(sample.into()), |_, _| {
                                is_rejected = true
                            })
                            .unwrap();
                        if !is_rejected {
                            accepted.push((labels.to_string(), sample));
                        }
                    }
                    appender.commit().unwrap();
                    let mut acknowledged = acknowledged.lock().unwrap();
                    for (series, sample) in accepted {
                        acknowledged
                            .entry(series)
                            .or_default()
                            .insert(sample.t, sample.v.to_bits());
                    }
                }
            });
        }
    });
    let acknowledged: BTreeMap<String, Vec<(i64, u64)>> = acknowledged
        .into_inner()
        .unwrap()
        .into_iter()
        .map(|(s, samples)| (s, samples.into_iter().collect()))
        .collect();
    assert_eq!(acknowledged.len(), SHARED_SERIES + WRITERS + REQUESTS);
    assert_eq!(everything(&db), acknowledged);
    drop(db);
    assert_eq!(everything(&open(dir.path())), acknowledged);
}

#[test]
fn concurrent_read_sees_acknowledged_samples_and_series_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let newest = AtomicI64::new(0);
    let done = AtomicBool::new(false);
    let start = 1_700_000_000_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 1..=5000 {
                let mut appender = db.appender().unwrap();
                let sample = FloatSample::new(start + i, i as f64);
                appender
                    .append_or_create(
                        &labels("read_while_written", 0),
                        std::iter::once(sample.into()),
                        |_, _| {},
                    )
                    .unwrap();
                appender.commit().unwrap();
                newest.store(i, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let at_least = newest.load(Ordering::Acquire);
            let read = everything(&db).into_values().next().unwrap_or_default();
            assert!(
                read.len() as i64 >= at_least,
                "{} samples read, {at_least} acknowledged",
                read.len()
            );
            for (i, (t, bits)) in (1..).zip(&read) {
                assert_eq!((*t, *bits), (start + i, (i as f64).to_bits()));
            }
        }
    });
    assert_eq!(everything(&db).into_values().next().unwrap().len(), 5000);
}

#[test]
fn appender_dropped_without_commit_reaches_wal() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let mut appender = db.appender().unwrap();
    appender
        .append_or_create(
            &labels("dropped", 0),
            std::iter::once(FloatSample::new(1_000_000, 1.0).into()),
            |_, _| {},
        )
        .unwrap();
    drop(appender);
    let mut appender = db.appender().unwrap();
    appender
        .append_or_create(
            &labels("dropped", 0),
            std::iter::once(FloatSample::new(1_000_001, 2.0).into()),
            |_, _| {},
        )
        .unwrap();
    appender.commit().unwrap();
    let before = everything(&db);
    drop(db);
    assert_eq!(everything(&open(dir.path())), before);
}
