//! Requests are visible as a whole: to all selections of a querier, and in snapshots.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::{Stored, everything, stored_of};
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::LabelsBuilder;
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::snapshot::SnapshotContents;
use narthex::tsdb::db::appender::Appender;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use std::path::Path;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const BEGIN: i64 = 1_762_300_800_000;
const SERIES: i64 = 20;

fn open(dir: &Path) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.settings.out_of_order_window_ms = HOUR;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

/// Appends a sample of every series. Some series end, others start.
fn append(appender: &mut Appender<'_>, t: i64) {
    for series in 0..SERIES {
        let generation = if series % 3 == 0 { (t - BEGIN).div_euclid(2 * HOUR) } else { 0 };
        let name = format!("s{series}_{generation}");
        let labels = LabelsBuilder::from_iter([("__name__", name.as_str())]).build().unwrap();
        let sample = std::iter::once(FloatSample::new(t, t as f64).into());
        appender.append_or_create(&labels, sample, |_, why| panic!("{why:?}")).unwrap();
    }
}

fn write(db: &Db, minutes: std::ops::Range<i64>) {
    for minute in minutes.step_by(5) {
        let mut appender = db.appender().unwrap();
        append(&mut appender, BEGIN + minute * MINUTE);
        // Out of order, in pairs with in-order samples in between.
        append(&mut appender, BEGIN + minute * MINUTE - 7 * MINUTE + 1);
        append(&mut appender, BEGIN + minute * MINUTE - MINUTE);
        appender.commit().unwrap();
    }
}

fn all() -> [Matcher; 1] {
    [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()]
}

#[test]
fn querier_sees_the_same_requests_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    write(&db, 10..200);
    let querier = db.querier();
    let expected = everything(&db);
    let selected =
        || -> Stored { stored_of(querier.select(&all(), TimeRange::ALL).unwrap(), TimeRange::ALL) };
    let lazy = querier.select(&all(), TimeRange::ALL).unwrap();
    assert_eq!(selected(), expected);
    for end in [260, 500, 740, 980] {
        write(&db, end - 240..end);
        assert_eq!(selected(), expected);
        db.maintenance().run_once(BEGIN).unwrap();
        assert!(selected() == expected, "after a compaction at minute {end}");
    }
    assert!(db.blocks().len() > 2);
    assert!(stored_of(lazy, TimeRange::ALL) == expected, "selected before the compactions");
    drop(querier);
    assert!(everything(&db).len() > expected.len());
}

#[test]
fn snapshot_has_no_part_of_a_request() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    write(&db, 10..200);
    let expected = everything(&db);
    let mut appender = db.appender().unwrap();
    append(&mut appender, BEGIN + 200 * MINUTE);
    append(&mut appender, BEGIN + 200 * MINUTE - 1);
    let name = db.admin().snapshot(SnapshotContents::BlocksAndHead, BEGIN).unwrap();
    appender.commit().unwrap();
    let snapshot = open(&dir.path().join("snapshots").join(name));
    assert!(everything(&snapshot) == expected);
    assert!(everything(&db) != expected);
}
