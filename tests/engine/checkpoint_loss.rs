//! Missing or empty checkpoint: it stops the start, the error names the remedy, and no file
//! changes. Directories without checkpoint, or with one that had nothing to keep, start.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine;
use crate::support::life;

use crate::support::life::{BEGIN, HOUR, Life, MINUTE, minutes};
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use narthex::tsdb::db::recovery::Recovered;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Creates a directory with a checkpoint and later samples of its series, ended without a clean
/// shutdown. Returns the path of the checkpoint, too.
fn life_with_checkpoint() -> (Life, PathBuf) {
    let mut life = Life::new(|_| {});
    let crowd: Vec<String> = (0..40).map(|number| format!("crowd_{number}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    life.put(&crowd, minutes(BEGIN, BEGIN + 10 * HOUR));
    life.maintain();
    life.put(&crowd, minutes(BEGIN + 10 * HOUR, BEGIN + 11 * HOUR));
    life.end();
    let number = life.checkpoint().unwrap();
    let path = life.dir().join(format!("wal/checkpoint.{number:08}"));
    (life, path)
}

fn options(dir: &Path) -> DbOptions {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_segment_size = 32 * 1024;
    options.settings.retention = life::FOREVER;
    options
}

/// Returns the error of a start. Asserts that the start does not change the WAL.
#[track_caller]
fn start_error(dir: &Path) -> String {
    let before = names(&dir.join("wal"));
    let error =
        LockedDir::open(options(dir)).unwrap().into_recovery().run().unwrap_err().to_string();
    assert_eq!(names(&dir.join("wal")), before);
    assert!(!dir.join("quarantine").exists());
    error
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[track_caller]
fn assert_names_remedy(error: &str, checkpoint: &Path) {
    let lost = checkpoint.join("lost");
    assert!(
        error.contains("restore it from a backup") && error.contains(lost.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn missing_checkpoint_stops_start() {
    let (mut life, checkpoint) = life_with_checkpoint();
    let kept = life.beside("kept");
    fs::rename(&checkpoint, &kept).unwrap();
    for _ in 0..2 {
        let error = start_error(life.dir());
        assert!(error.contains("is missing"), "{error}");
        assert_names_remedy(&error, &checkpoint);
    }
    fs::rename(&kept, &checkpoint).unwrap();
    life.start();
    life.check("with the restored checkpoint");
}

#[test]
fn missing_checkpoint_stops_start_with_chunk_snapshot() {
    let (mut life, _) = life_with_checkpoint();
    life.restart_with(|options| options.shutdown_mode = ShutdownMode::ChunkSnapshot);
    life.db().close().unwrap();
    life.end();
    let checkpoint = life.dir().join(format!("wal/checkpoint.{:08}", life.checkpoint().unwrap()));
    fs::rename(&checkpoint, life.beside("kept")).unwrap();
    let mut options = options(life.dir());
    options.shutdown_mode = ShutdownMode::ChunkSnapshot;
    let error = LockedDir::open(options).unwrap().into_recovery().run().unwrap_err().to_string();
    assert_names_remedy(&error, &checkpoint);
}

/// Returns the files of a checkpoint with their contents.
fn contents(checkpoint: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    names(checkpoint)
        .iter()
        .map(|name| checkpoint.join(name))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn emptied_checkpoint_stops_start() {
    let (mut life, checkpoint) = life_with_checkpoint();
    let files = contents(&checkpoint);
    assert!(files.len() > 1);
    // One file is emptied, or all are removed.
    for (path, content) in &files {
        fs::write(path, "").unwrap();
        let error = start_error(life.dir());
        assert!(error.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
        assert_names_remedy(&error, &checkpoint);
        fs::write(path, content).unwrap();
    }
    files.iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
    assert_names_remedy(&start_error(life.dir()), &checkpoint);
    // The only file is empty.
    for blank in [0, 64 << 10] {
        fs::write(&files[0].0, vec![0; blank]).unwrap();
        let error = start_error(life.dir());
        assert!(error.contains("has no records"), "{error}");
        assert_names_remedy(&error, &checkpoint);
    }
    files.iter().for_each(|(path, content)| fs::write(path, content).unwrap());
    life.start();
    life.check("with the restored checkpoint");
}

#[test]
fn checkpoint_marked_lost_starts_with_remaining_data() {
    let (life, checkpoint) = life_with_checkpoint();
    fs::remove_dir_all(&checkpoint).unwrap();
    fs::create_dir(&checkpoint).unwrap();
    fs::write(checkpoint.join("lost"), "").unwrap();
    let start = || {
        let Recovered { db, report } =
            LockedDir::open(options(life.dir())).unwrap().into_recovery().run().unwrap();
        (db, report)
    };
    let (db, report) = start();
    assert!(report.replay.unknown_refs > 0, "the series of the checkpoint are lost");
    let stored = engine::everything(&db);
    let blocks_end = db.blocks().iter().map(|block| block.meta().max_time).max().unwrap();
    for (series, samples) in &life.model {
        let kept: Vec<_> = samples.iter().filter(|(t, _)| *t < blocks_end).collect();
        assert_eq!(stored[series].iter().take(kept.len()).collect::<Vec<_>>(), kept, "{series}");
    }
    // Writes continue, and the next checkpoint replaces the lost one.
    drop(db);
    let mut expected = stored;
    for round in 0..2 {
        let (db, _) = start();
        for t in minutes(BEGIN + (11 + 6 * round) * HOUR, BEGIN + (17 + 6 * round) * HOUR) {
            let mut appender = db.appender().unwrap();
            for number in 0..40 {
                let labels = life::labels(&format!("crowd_{number}"));
                let sample = narthex::model::float_sample::FloatSample::new(t, t as f64);
                appender
                    .append_or_create(&labels, std::iter::once(sample.into()), |_, why| {
                        panic!("{why:?}")
                    })
                    .unwrap();
                expected.get_mut(&labels.to_string()).unwrap().push((t, (t as f64).to_bits()));
            }
            appender.commit().unwrap();
        }
        db.maintenance().run_once(BEGIN + 1000 * HOUR).unwrap();
    }
    assert!(!checkpoint.exists() && life.checkpoint().is_some());
    let (db, report) = start();
    assert_eq!(report.replay.unknown_refs, 0);
    assert!(engine::everything(&db) == expected);
}

#[test]
fn deleted_wal_starts_empty() {
    let (life, _) = life_with_checkpoint();
    fs::remove_dir_all(life.dir().join("wal")).unwrap();
    for minute in 0..2 {
        let db = LockedDir::open(options(life.dir())).unwrap().into_recovery().run().unwrap().db;
        let mut appender = db.appender().unwrap();
        let sample = narthex::model::float_sample::FloatSample::new(
            BEGIN + 12 * HOUR + minute * MINUTE,
            1.0,
        );
        let labels = life::labels("new");
        appender
            .append_or_create(&labels, std::iter::once(sample.into()), |_, why| panic!("{why:?}"))
            .unwrap();
        appender.commit().unwrap();
        assert_eq!(engine::everything(&db)[&labels.to_string()].len() as i64, minute + 1);
    }
}

#[test]
fn empty_checkpoint_before_first_segment_starts() {
    let mut life = Life::new(|_| {});
    life.put(&["up", "down"], minutes(BEGIN, BEGIN + HOUR));
    life.end();
    let wal = life.dir().join("wal");
    let segments: Vec<String> = names(&wal).into_iter().collect();
    for name in segments.iter().rev() {
        let next = name.parse::<u32>().unwrap() + 1;
        fs::rename(wal.join(name), wal.join(format!("{next:08}"))).unwrap();
    }
    fs::create_dir(wal.join("checkpoint.00000000")).unwrap();
    fs::write(wal.join("checkpoint.00000000/00000000"), "").unwrap();
    life.start();
    life.check("after an empty checkpoint");
}
