//! Unusable chunk files: a gap between them, corruption, also combined with a WAL that lost
//! samples. The start continues, every sample in the WAL or a block is returned, and lost samples
//! are reported by series and time range.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::{Stored, everything};
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::LabelsBuilder;
use narthex::tsdb::chunk::head_chunks::{HeadChunkMeta, HeadChunkStore};
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::recovery::Recovered;
use narthex::tsdb::db::recovery::report::RecoveryReport;
use narthex::tsdb::fs::os_disk::OsDisk;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const SERIES: u64 = 30;

fn open(dir: &Path) -> (Db, RecoveryReport) {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_segment_size = 32 * 1024;
    options.settings.out_of_order_window_ms = 2 * HOUR;
    let Recovered { db, report } = LockedDir::open(options).unwrap().into_recovery().run().unwrap();
    (db, report)
}

/// Appends a sample of every series every 30 s of these hours, and out-of-order samples of the
/// first series.
fn append(db: &Db, hours: Range<i64>) {
    for t in (hours.start * 120..hours.end * 120).map(|step| BEGIN + step * MINUTE / 2) {
        put(db, 0..SERIES, t);
        if t % (2 * MINUTE) == 0 {
            put(db, 0..3, t - 17 * MINUTE - 1);
        }
    }
}

fn put(db: &Db, series: Range<u64>, t: i64) {
    let mut appender = db.appender().unwrap();
    for number in series {
        let name = format!("series_{number}");
        let labels = LabelsBuilder::from_iter([("__name__", name.as_str())]).build().unwrap();
        let value = f64::from_bits((t as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2 ^ number);
        appender
            .append_or_create(
                &labels,
                std::iter::once(FloatSample::new(t, value).into()),
                |_, why| panic!("{why:?}"),
            )
            .unwrap();
    }
    appender.commit().unwrap();
}

/// Writes a directory with a process per range of hours, each of them killed. Returns its contents,
/// too.
fn written(lives: impl IntoIterator<Item = Range<i64>>) -> (tempfile::TempDir, Stored) {
    let dir = tempfile::tempdir().unwrap();
    let mut stored = Stored::new();
    for hours in lives {
        let (db, _) = open(dir.path());
        append(&db, hours);
        stored = everything(&db);
    }
    (dir, stored)
}

fn chunk_file(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("chunks_head/{number:06}"))
}

fn quarantined(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("quarantine/chunks_head.{number:06}"))
}

/// Asserts that all samples are stored, now, after another kill and after a clean shutdown.
#[track_caller]
fn assert_holds(dir: &Path, db: Db, stored: &Stored) {
    assert!(everything(&db) == *stored, "after the repair");
    drop(db);
    let (db, report) = open(dir);
    assert!(everything(&db) == *stored, "after another start");
    assert!(report.lost.is_empty() && report.repaired.is_none(), "{report:?}");
    db.close().unwrap();
    drop(db);
    assert!(everything(&open(dir).0) == *stored, "after a stop");
}

#[test]
fn gap_between_chunk_files_is_filled_from_wal() {
    let (dir, stored) = written([0..3, 3..6, 6..9]);
    let after_gap = fs::read(chunk_file(dir.path(), 3)).unwrap();
    fs::remove_file(chunk_file(dir.path(), 2)).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.lost, []);
    assert!(fs::read(quarantined(dir.path(), 3)).unwrap() == after_gap);
    assert!(report.replay.samples_in_chunks > 0, "the file before the gap is used");
    // New files fill the gap.
    append(&db, 9..10);
    let stored_later = everything(&db);
    assert!(
        stored
            .iter()
            .all(|(series, samples)| samples.iter().all(|s| stored_later[series].contains(s)))
    );
    assert!(chunk_file(dir.path(), 2).exists());
    assert_holds(dir.path(), db, &stored_later);
}

#[test]
fn unmappable_chunk_file_is_quarantined() {
    let (dir, stored) = written([0..3, 3..6]);
    fs::remove_file(chunk_file(dir.path(), 1)).unwrap();
    fs::create_dir(chunk_file(dir.path(), 1)).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.lost, []);
    assert!(quarantined(dir.path(), 1).is_dir() && quarantined(dir.path(), 2).is_file());
    assert_holds(dir.path(), db, &stored);
}

#[test]
fn compacted_chunks_in_quarantine_are_not_lost() {
    let (dir, _) = written([0..3, 3..6]);
    let (db, _) = open(dir.path());
    append(&db, 6..7);
    db.maintenance().run_once(BEGIN + 7 * HOUR).unwrap();
    assert!(!db.blocks().is_empty());
    append(&db, 7..8);
    let stored = everything(&db);
    drop(db);
    let mut files: Vec<_> =
        fs::read_dir(dir.path().join("chunks_head")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut bytes = fs::read(&files[0]).unwrap();
    bytes[9] ^= 1;
    fs::write(&files[0], bytes).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.lost, []);
    assert_eq!(fs::read_dir(dir.path().join("quarantine")).unwrap().count(), files.len());
    assert_holds(dir.path(), db, &stored);
}

/// Returns first timestamp, last timestamp and number of samples of each series in the in-order
/// chunks of a file.
fn outline(file: &Path) -> BTreeMap<u64, (i64, i64, u64)> {
    let temp_dir = tempfile::tempdir().unwrap();
    let dir = temp_dir.path().join("chunks_head");
    fs::create_dir(&dir).unwrap();
    fs::copy(file, dir.join("000001")).unwrap();
    let (mut files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir).unwrap();
    let mut outline = BTreeMap::new();
    let add = |chunk: HeadChunkMeta| {
        if !chunk.out_of_order {
            let (mint, maxt, samples) =
                outline.entry(chunk.series.0).or_insert((i64::MAX, i64::MIN, 0));
            (*mint, *maxt) = (chunk.mint.min(*mint), chunk.maxt.max(*maxt));
            *samples += u64::from(chunk.samples);
        }
    };
    files.for_each(&temp_dir.path().join("quarantine"), add).unwrap();
    outline
}

/// Returns the same from the report of a start.
fn reported(report: &RecoveryReport) -> BTreeMap<u64, (i64, i64, u64)> {
    let range_of = |series: &narthex::tsdb::db::recovery::chunk_loss::LostSeries| {
        (series.range.mint, series.range.maxt, series.samples)
    };
    report.lost.iter().map(|series| (series.series_ref.0, range_of(series))).collect()
}

#[test]
fn lost_samples_are_reported_by_series_and_range() {
    let dir = tempfile::tempdir().unwrap();
    let mut segments = 0;
    for (life, hours) in [0..3, 3..6, 6..9].into_iter().enumerate() {
        let (db, _) = open(dir.path());
        for t in (hours.start * 120..hours.end * 120).map(|step| BEGIN + step * MINUTE / 2) {
            put(&db, 0..SERIES, t);
        }
        drop(db);
        if life == 0 {
            segments = fs::read_dir(dir.path().join("wal")).unwrap().count();
        }
    }
    fs::remove_file(chunk_file(dir.path(), 2)).unwrap();
    for number in segments.. {
        if fs::remove_file(dir.path().join(format!("wal/{number:08}"))).is_err() {
            break;
        }
    }
    let expected = outline(&chunk_file(dir.path(), 3));
    assert_eq!(expected.len(), SERIES as usize);
    let (db, report) = open(dir.path());
    assert_eq!(reported(&report), expected);
    assert!(report.lost.iter().all(|series| series.labels.is_some()), "the WAL names the series");
    let list = fs::read_to_string(dir.path().join("quarantine/chunks_head.000003.lost")).unwrap();
    let (mint, maxt, samples) = expected.values().next().unwrap();
    assert_eq!(list.lines().count(), SERIES as usize);
    let line = format!("{mint}\t{maxt}\t{samples}\t{{__name__=\"series_0\"}}");
    assert!(list.lines().any(|found| found == line), "no {line:?} in {list}");
    // The WAL has the samples of the first process.
    let first: Vec<i64> = (0..3 * 120).map(|step| BEGIN + step * MINUTE / 2).collect();
    let found = everything(&db);
    assert_eq!(found.len(), SERIES as usize);
    for samples in found.values() {
        assert_eq!(samples.iter().map(|(t, _)| *t).collect::<Vec<_>>(), first);
    }
    assert_holds(dir.path(), db, &found);
}

#[test]
fn lost_samples_without_labels_are_reported_by_reference() {
    let (dir, _) = written(std::iter::once(0..3));
    fs::write(dir.path().join("chunks_head/000003"), "no chunk file").unwrap();
    fs::rename(chunk_file(dir.path(), 1), chunk_file(dir.path(), 4)).unwrap();
    let expected = outline(&chunk_file(dir.path(), 4));
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    fs::remove_dir_all(dir.path().join("wbl")).unwrap();
    let (_, report) = open(dir.path());
    assert_eq!(reported(&report), expected);
    assert!(report.lost.iter().all(|series| series.labels.is_none()));
}
