//! Faults that lost data of Prometheus users, one test each. A doc names the issue as
//! repository#number.
//!
//! These tests cover blocks, WAL truncation and deletion; `wal_corruption.rs` covers WAL
//! corruption, `tests/damage/disk_full.rs` a full disk.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::{everything, stored};
use crate::support::life::{
    BEGIN, FOREVER, HOUR, Life, MINUTE, copy_folder, damage_chunk, labels, minutes, named, size_of,
};
use narthex::model::float_sample::{FloatSample, STALE_NAN_BITS};
use narthex::model::histogram::{Histogram, Span};
use narthex::model::refs::SeriesRef;
use narthex::model::sample::{Sample, SampleValue, ValueType};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::recovery::Recovered;
use narthex::tsdb::db::recovery::error::RecoveryError;
use narthex::tsdb::db::settings::RetentionSettings;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::query::label_source::LabelQueryLimits;
use narthex::tsdb::wal::batch::LogBatch;
use narthex::tsdb::wal::compression::RecordCompression;
use narthex::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use rand::RngExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Time range of the smallest blocks.
const RANGE: i64 = 2 * HOUR;

/// Returns names of many series, so that the WAL is long enough for checkpoints.
fn crowd() -> Vec<String> {
    (0..40).map(|number| format!("crowd_{number}")).collect()
}

fn names(crowd: &[String]) -> Vec<&str> {
    crowd.iter().map(String::as_str).collect()
}

/// prometheus#19140: deleted series caused missing samples of others, and errors, after a restart.
#[test]
fn deleted_series_do_not_affect_others() {
    let mut life = Life::new(|_| {});
    for round in 0..6 {
        let start = BEGIN + round * RANGE;
        life.put(&["kept", "deleted", "back"], minutes(start, start + RANGE));
        life.delete("deleted", TimeRange::ALL);
        if round % 2 == 0 {
            life.delete("back", TimeRange::new(start + HOUR / 2, i64::MAX));
        }
        life.check("deleted");
        life.restart();
        life.maintain();
        life.check("compacted");
        life.restart();
    }
    assert!(life.blocks().len() >= 2);
    life.db().admin().clean_tombstones().unwrap();
    life.restart();
}

/// The same without samples for a block: the range is removed from the head without one.
#[test]
fn samples_deleted_before_compaction_stay_deleted() {
    let mut life = Life::new(|_| {});
    let crowd = crowd();
    let crowd = names(&crowd);
    for round in 0..4 {
        let start = BEGIN + round * RANGE;
        life.put(&crowd, minutes(start, start + RANGE));
        crowd.iter().for_each(|name| life.delete(name, TimeRange::ALL));
        life.put(&crowd, [start + RANGE - 1]);
        crowd.iter().for_each(|name| life.delete(name, TimeRange::new(start, start + RANGE - 1)));
        life.maintain();
        life.restart();
    }
    life.put(&crowd, minutes(BEGIN + 4 * RANGE, BEGIN + 7 * RANGE));
    life.maintain();
    life.restart();
}

/// prometheus#19016, for in-order samples: a restart between the write of a block and the
/// truncation of head and WAL.
#[test]
fn restart_between_block_and_truncation_keeps_each_sample_once() {
    let mut life = Life::new(|_| {});
    for round in 0..3 {
        let start = BEGIN + round * RANGE;
        life.put(
            &["a", "b"],
            minutes(
                start + if round == 0 { 0 } else { 3 * HOUR / 2 + MINUTE },
                start + 7 * HOUR / 2 + MINUTE,
            ),
        );
        let parts = ["wal", "chunks_head"];
        let before = life.blocks().len();
        parts.iter().for_each(|part| copy_folder(&life.dir().join(part), &life.beside(part)));
        life.maintain();
        assert!(life.blocks().len() > before || round > 0);
        life.end();
        for part in parts {
            std::fs::remove_dir_all(life.dir().join(part)).unwrap();
            std::fs::rename(life.beside(part), life.dir().join(part)).unwrap();
        }
        life.start();
        life.check("with both block and WAL");
        life.maintain();
        life.restart();
    }
}

/// tsdb#424 and similar: samples at the end of a block belonged to no block, or to two.
#[test]
fn samples_at_block_ends_belong_to_one_block() {
    let mut life = Life::new(|options| options.max_block_range_ms = Some(RANGE));
    let ends: Vec<i64> = (1..=4).map(|nth| BEGIN + nth * RANGE).collect();
    let mut samples: Vec<(i64, String)> =
        minutes(BEGIN, BEGIN + 5 * RANGE).map(|t| (t, "steady".to_owned())).collect();
    for end in &ends {
        for off in [-1, 0, 1] {
            samples.push((end + off, format!("around_{off}")));
            samples.push((end + off, "all".to_owned()));
            // A series with one sample.
            samples.push((end + off, format!("once_{}", end + off)));
        }
    }
    samples.sort();
    let mut compact_at = BEGIN + RANGE;
    for (t, name) in samples {
        if t >= compact_at + MINUTE {
            life.maintain();
            life.restart();
            compact_at += HOUR;
        }
        life.put(&[name.as_str()], [t]);
    }
    life.maintain();
    life.restart();
    assert!(life.blocks().len() >= 4, "{}", life.blocks().len());
    for end in ends {
        for t in [end - 1, end, end + 1] {
            let at = stored(life.db(), &[named("all")], TimeRange::new(t, t));
            assert_eq!(at.values().flatten().map(|(t, _)| *t).collect::<Vec<_>>(), [t]);
            let num_blocks = life
                .blocks()
                .iter()
                .filter(|block| (block.meta().min_time..block.meta().max_time).contains(&t))
                .count();
            assert!(num_blocks <= 1);
        }
    }
}

/// prometheus#13616: series records were deleted with their segments, while sample records stayed.
///
/// The series end just before a block, so that the head collects them while the WAL still has their
/// samples. They return later with another reference.
#[test]
fn checkpoint_keeps_series_of_later_records() {
    let mut life = Life::new(|_| {});
    let crowd = crowd();
    let crowd = names(&crowd);
    for round in 0..8 {
        let start = BEGIN + round * RANGE;
        let ending = ["ghost_0", "ghost_1", "ghost_2"][round as usize % 3];
        life.put(&crowd, minutes(start, start + RANGE - 10 * MINUTE));
        life.put(&[ending], minutes(start + RANGE - 10 * MINUTE, start + RANGE - 5 * MINUTE));
        life.put(&[ending, "steady"], minutes(start + RANGE - 5 * MINUTE, start + RANGE));
        life.maintain();
        // The restart fails if a record refers to a series that the WAL does not name.
        life.restart();
    }
    assert!(life.checkpoint().is_some(), "no checkpoint exists");
    assert!(life.db().head().series_count() < 43);
}

/// prometheus#18552: corruption that the start did not detect made every later checkpoint fail, and
/// the WAL grew forever.
#[test]
fn checkpoint_accepts_corrupted_wal_that_start_accepts() {
    let mut life = Life::new(|_| {});
    let crowd = crowd();
    let crowd = names(&crowd);
    life.put(&crowd, minutes(BEGIN, BEGIN + 5 * RANGE));
    life.maintain();
    life.put(&crowd, minutes(BEGIN + 5 * RANGE, BEGIN + 11 * HOUR));
    let wal = life.dir().join("wal");
    let mut files: Vec<_> =
        std::fs::read_dir(&wal).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file() && path.metadata().unwrap().len() > 0);
    files.extend(
        life.checkpoint().map(|number| wal.join(format!("checkpoint.{number:08}/00000000"))),
    );
    files.sort();
    life.end();
    let mut random = crate::support::seed::seeded("pitfalls");
    let (mut repaired, mut rejected) = (0, 0);
    for round in 0..40 {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(life.dir(), copy.path());
        let file = &files[round % files.len()];
        let corrupted = copy.path().join(file.strip_prefix(life.dir()).unwrap());
        let mut bytes = std::fs::read(&corrupted).unwrap();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8u32);
        std::fs::write(&corrupted, bytes).unwrap();
        let mut options = DbOptions::new(copy.path().to_owned());
        options.wal_segment_size = 32 * 1024;
        options.settings.retention = FOREVER;
        let db = match LockedDir::open(options.clone()).unwrap().into_recovery().run() {
            Ok(Recovered { db, report }) => {
                repaired += usize::from(report.repaired.is_some());
                db
            }
            Err(RecoveryError::Checkpoint(_)) => {
                rejected += 1;
                continue;
            }
            Err(error) => panic!("{}, byte {at}: {error}", corrupted.display()),
        };
        // Remaining samples are kept from now on, and the WAL is truncated again.
        for t in minutes(BEGIN + 11 * HOUR, BEGIN + 16 * HOUR) {
            let mut appender = db.appender().unwrap();
            for name in &crowd {
                let reject = |sample, why| panic!("{sample:?} {why:?}");
                appender
                    .append_or_create(
                        &labels(name),
                        std::iter::once(FloatSample::new(t, random.random()).into()),
                        reject,
                    )
                    .unwrap();
            }
            appender.commit().unwrap();
        }
        let before = everything(&db);
        db.maintenance()
            .run_once(BEGIN + 1000 * HOUR)
            .unwrap_or_else(|error| panic!("{}, byte {at}: {error}", corrupted.display()));
        assert_eq!(db.stats().checkpoints_failed.load(Relaxed), 0);
        assert!(db.stats().checkpoints.load(Relaxed) > 0);
        drop(db);
        let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
        assert!(everything(&db) == before, "{}, byte {at}", corrupted.display());
    }
    assert!(repaired > 0, "{repaired} repaired, {rejected} rejected");
}

/// prometheus#6595: a block compaction that always failed blocked all maintenance, and the WAL grew
/// until memory was exhausted.
#[test]
fn failing_block_compaction_does_not_block_truncation() {
    let mut life = Life::new(|_| {});
    let crowd = crowd();
    let crowd = names(&crowd);
    life.put(&crowd, minutes(BEGIN, BEGIN + 7 * HOUR / 2));
    life.maintain();
    damage_chunk(life.blocks()[0].dir());
    life.put(&crowd, minutes(BEGIN + 7 * HOUR / 2, BEGIN + 12 * HOUR));
    assert!(life.db().maintenance().run_once(BEGIN).is_err(), "a failed compaction is reported");
    assert_eq!(life.db().stats().compactions_failed.load(Relaxed), 1);
    assert!(life.blocks().len() >= 5, "{} blocks", life.blocks().len());
    assert!(life.db().head().truncated_before() >= BEGIN + 10 * HOUR);
    let first = life.checkpoint().expect("a truncated WAL");
    // The same compaction is not retried every minute.
    life.db().maintenance().run_once(BEGIN + MINUTE).unwrap();
    for round in 0..3 {
        let start = BEGIN + 12 * HOUR + round * RANGE;
        life.put(&crowd, minutes(start, start + RANGE));
        // Ignored: other blocks may be compacted, and these fail again after an hour.
        let _ = life.db().maintenance().run_once(BEGIN + round * RANGE);
        life.end();
        life.start();
    }
    assert!(life.checkpoint().unwrap() > first, "the WAL is not truncated again");
    let after = TimeRange::new(BEGIN + RANGE, i64::MAX);
    let all = stored(life.db(), &[named("crowd_7")], after);
    assert_eq!(all.values().next().unwrap().len(), 16 * 60);
}

/// prometheus#12882 and others: `retention.size` counted blocks only, and the disk became full.
#[test]
fn size_limit_counts_wal_head_chunks_and_unfinished_files() {
    for scratch in
        ["wbl", "chunk_snapshot.000001.0000000000", "01M82CTXRBSZKSA9A0ZWVPK1T0.tmp-for-creation"]
    {
        let mut life = Life::new(|options| options.max_block_range_ms = Some(RANGE));
        let crowd = crowd();
        life.put(&names(&crowd), minutes(BEGIN, BEGIN + 10 * HOUR));
        life.maintain();
        let blocks: u64 = life.blocks().iter().map(|block| block.size_bytes()).sum();
        let other = size_of(&life.dir().join("wal")) + size_of(&life.dir().join("chunks_head"));
        assert!(other > 0 && life.blocks().len() == 4);
        let mut settings = life.db().settings();
        settings.retention = RetentionSettings { bytes: blocks + other + 1000, ..FOREVER };
        life.db().apply_settings(settings).unwrap();
        life.maintain();
        assert_eq!(life.blocks().len(), 4, "within the limit");
        settings.retention.bytes = blocks + other - 1000;
        life.db().apply_settings(settings).unwrap();
        life.maintain();
        assert_eq!(life.blocks().len(), 3, "WAL and head chunks count");
        let remaining: u64 = life.blocks().iter().map(|block| block.size_bytes()).sum();
        settings.retention.bytes = remaining + other + 1000;
        life.db().apply_settings(settings).unwrap();
        life.maintain();
        assert_eq!(life.blocks().len(), 3);
        let scratch = life.dir().join(scratch);
        std::fs::create_dir_all(&scratch).unwrap();
        std::fs::write(scratch.join("file"), vec![0; 2000]).unwrap();
        life.maintain();
        assert_eq!(life.blocks().len(), 2, "{} counts", scratch.display());
    }
}

/// prometheus#3488: names of deleted series stayed in the lists of labels and values.
#[test]
fn deleted_series_are_removed_from_label_lists() {
    let mut life = Life::new(|_| {});
    let lists = |life: &Life, name: &str| {
        let querier = life.db().querier();
        let values = |label: &str| {
            querier.label_values(label, &[], TimeRange::ALL, LabelQueryLimits::NONE).unwrap()
        };
        values("__name__").contains(&name.to_owned()) || values("only").contains(&name.to_owned())
    };
    life.put(&["kept", "in_block"], minutes(BEGIN, BEGIN + RANGE));
    life.put(&["kept", "in_head"], minutes(BEGIN + RANGE, BEGIN + 7 * HOUR / 2));
    life.maintain();
    assert!(lists(&life, "in_block") && lists(&life, "in_head") && lists(&life, "kept"));
    life.delete("in_block", TimeRange::ALL);
    life.db().admin().clean_tombstones().unwrap();
    assert!(!lists(&life, "in_block"), "in a block");
    life.delete("in_head", TimeRange::ALL);
    life.put(&["kept"], minutes(BEGIN + 7 * HOUR / 2, BEGIN + 6 * HOUR));
    life.maintain();
    life.db().admin().clean_tombstones().unwrap();
    assert!(!lists(&life, "in_head"), "in the head");
    life.restart();
    assert!(!lists(&life, "in_block") && !lists(&life, "in_head") && lists(&life, "kept"));
}

/// prometheus#4200: `clean_tombstones` freed no space.
#[test]
fn clean_tombstones_frees_space() {
    let mut life = Life::new(|options| options.max_block_range_ms = Some(RANGE));
    let crowd = crowd();
    let crowd = names(&crowd);
    life.put(&crowd, minutes(BEGIN, BEGIN + 6 * HOUR));
    life.maintain();
    let on_disk = |life: &Life| {
        let entries = std::fs::read_dir(life.dir()).unwrap().map(|entry| entry.unwrap().path());
        let blocks =
            entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("01"));
        blocks.map(|path| size_of(&path)).sum::<u64>()
    };
    let before = on_disk(&life);
    crowd[4..].iter().for_each(|name| life.delete(name, TimeRange::ALL));
    life.check("deleted");
    life.db().admin().clean_tombstones().unwrap();
    life.check("cleaned");
    let after = on_disk(&life);
    assert!(after * 4 < before, "{after} of {before} bytes remain");
    assert_eq!(after, life.blocks().iter().map(|block| block.size_bytes()).sum::<u64>());
    crowd.iter().for_each(|name| life.delete(name, TimeRange::ALL));
    life.db().admin().clean_tombstones().unwrap();
    // The newest block stays until there is another one: without it, a start would replay its
    // samples from the WAL.
    assert_eq!(life.blocks().len(), 1, "empty blocks are deleted");
    life.restart();
    life.put(&["new"], minutes(BEGIN + 6 * HOUR, BEGIN + 10 * HOUR));
    life.maintain();
    life.db().admin().clean_tombstones().unwrap();
    life.restart();
    let empty = life.blocks().iter().filter(|block| !block.tombstones().is_empty()).count();
    assert_eq!(empty, 0, "the empty block is deleted");
}

/// prometheus#18379: blocks of stale series were mistaken for compacted ranges of the head, and
/// after a restart samples of other series were rejected or lost.
#[test]
fn block_of_stale_series_does_not_cover_the_head() {
    let mut life = Life::new(|options| options.settings.stale_series_threshold = 0.3);
    life.put(&["a", "b", "c", "d", "e"], minutes(BEGIN, BEGIN + HOUR / 2));
    let stale = f64::from_bits(STALE_NAN_BITS);
    ["a", "b"].iter().for_each(|name| life.put_one(name, BEGIN + HOUR / 2, stale));
    life.maintain();
    assert_eq!(life.blocks().len(), 1);
    assert_eq!(life.db().head().series_count(), 3, "two series are compacted");
    let hints = life.blocks()[0].meta().compaction.hints.clone();
    assert_eq!(hints, ["from-stale-series"]);
    assert!(meta_text(life.blocks()[0].dir()).contains("from-stale-series"));
    life.check("compacted early");
    life.restart();
    // Within the range of the block: of series in the head, and of one that returns.
    life.put(&["c", "d", "e"], [BEGIN + HOUR / 2 + 1]);
    life.put(&["a"], minutes(BEGIN + HOUR / 2 + MINUTE, BEGIN + HOUR));
    life.check("after the return of a series");
    life.restart();
    life.put_one("a", BEGIN + HOUR, stale);
    life.put_one("c", BEGIN + HOUR, stale);
    life.maintain();
    life.check("after its second end");
    life.restart();
    life.put(&["a", "d", "e"], minutes(BEGIN + HOUR + MINUTE, BEGIN + 6 * HOUR));
    life.maintain();
    life.check("after head compaction");
    life.restart();
    let regular =
        life.blocks().iter().filter(|block| block.meta().compaction.hints.is_empty()).count();
    assert!(
        regular >= 1 && life.blocks().len() > regular,
        "blocks of stale series are not merged with others"
    );
}

fn meta_text(block: &Path) -> String {
    std::fs::read_to_string(block.join("meta.json")).unwrap()
}

/// prometheus#19202: the stale marker of a histogram series, which a scraper logs as a float, was
/// replayed as a float, and later samples were wrong.
#[test]
fn stale_marker_of_histogram_is_replayed_as_histogram() {
    let dir = tempfile::tempdir().unwrap();
    let histogram = |count: u64| {
        SampleValue::Histogram(Box::new(Histogram {
            count,
            sum: count as f64,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![count as i64],
            ..Histogram::default()
        }))
    };
    let wal = Wal::open(WalOptions {
        dir: dir.path().join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::Snappy,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    });
    let (wal, mut batch, series) = (wal.unwrap(), LogBatch::default(), SeriesRef(1));
    batch.push_series(series, &labels("h"));
    batch.push_sample(series, &Sample::new(BEGIN, histogram(5)));
    batch.finish_records();
    batch.push_float_sample(
        series,
        FloatSample::new(BEGIN + MINUTE, f64::from_bits(STALE_NAN_BITS)),
    );
    batch.finish_records();
    batch.push_sample(series, &Sample::new(BEGIN + 2 * MINUTE, histogram(7)));
    wal.wait(wal.enqueue(&mut batch)).unwrap();
    wal.close().unwrap();
    drop(wal);
    for start in ["first", "second", "third"] {
        let mut options = DbOptions::new(dir.path().to_owned());
        options.settings.retention = FOREVER;
        let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
        let querier = db.querier();
        let found: Vec<_> = querier
            .select(&[named("h")], TimeRange::ALL)
            .unwrap()
            .map(|series| series.unwrap())
            .collect();
        let samples: Vec<Sample> =
            found[0].samples(TimeRange::ALL).map(|sample| sample.unwrap()).collect();
        assert_eq!(samples.len(), 3, "{start} start");
        assert!(
            samples.iter().all(|sample| sample.value.kind() == ValueType::Histogram),
            "{start} start: {samples:?}"
        );
        assert!(
            samples[0].value.is_equivalent(&histogram(5))
                && samples[2].value.is_equivalent(&histogram(7)),
            "{start} start"
        );
        assert!(samples[1].value.is_stale(), "{start} start");
        if start == "second" {
            db.close().unwrap();
        }
    }
}
