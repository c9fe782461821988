//! Power failures and a full disk at every step of publishing blocks, snapshots and tombstones.
//!
//! | module | contents |
//! |--------|----------|
//! | `blocks` | blocks of the head and of late samples, merges, deletion of blocks |
//! | `tombstones` | deletions from blocks and their cleanup |
//! | `snapshots` | snapshots for backups, chunk snapshots |
//! | `quarantine` | corrupted blocks and chunk files |
//! | `full_disk` | a full disk while a block is written |
//!
//! Each [`Case`] runs once per change of the disk that its operation makes, and the power fails
//! before that change. A crash keeps either what was synced, or all names and what was synced of
//! each file. The database then starts on what is left: it finds every acknowledged sample once,
//! serves complete blocks only, and leaves no unfinished work. Every few changes the operation is
//! then repeated, and succeeds.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

mod blocks;
mod full_disk;
mod quarantine;
mod snapshots;
mod tombstones;

use crate::support::engine::{Stored, everything};
use crate::support::life::{BEGIN, FOREVER, HOUR, MINUTE, labels};
use narthex::model::float_sample::FloatSample;
use narthex::testing::crash_disk::CrashDisk;
use narthex::tsdb::block::verify::verify;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::disk_guard::DiskReserve;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::wal::write_log::SyncMode;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Time between two samples of a series, ms.
const STEP: i64 = 10 * MINUTE;
const NOW: i64 = BEGIN + 1000 * HOUR;
/// Number of changes after which a case is also repeated after the restart.
const REPEAT_EVERY: u64 = 5;

/// Result of an operation, with its error as text.
type Done = Result<(), String>;

/// Kind of a crash.
type Crash = fn(&CrashDisk) -> io::Result<()>;

const CRASHES: [Crash; 2] = [CrashDisk::crash, CrashDisk::crash_with_names];

/// Operation that a power failure interrupts.
struct Case {
    change_options: fn(&mut DbOptions),
    /// Stores samples, and whatever else the operation needs.
    prepare: fn(&Db),
    /// Changes files of the closed database, for [`Case::run_at_start`].
    damage: fn(&Path),
    operation: fn(&Db) -> Done,
    /// Returns `true` if the operation deletes the sample.
    is_deleted: fn(&str, i64) -> bool,
    /// Further checks after a restart.
    check: fn(&Db),
}

const CASE: Case = Case {
    change_options: |_| {},
    prepare: |_| {},
    damage: |_| {},
    operation: |_| Ok(()),
    is_deleted: |_, _| false,
    check: |_| {},
};

impl Case {
    /// Opens the database below `place`. Returns `None` if the power failed.
    fn open(&self, place: &Path, disk: &CrashDisk) -> Option<Db> {
        let mut options = DbOptions::new(place.join("data"));
        options.wal_segment_size = 32 * 1024;
        options.wal_sync = SyncMode::Always;
        options.chunk_range_ms = HOUR;
        options.max_block_range_ms = Some(HOUR);
        options.disk_reserve = DiskReserve::Bytes(0);
        options.replay_workers = 1;
        options.settings.retention = FOREVER;
        options.disk = Arc::new(disk.clone());
        (self.change_options)(&mut options);
        let locked = LockedDir::open(options).map_err(text);
        let opened = locked.and_then(|dir| dir.into_recovery().run().map_err(text));
        let opened = opened.map(|recovered| recovered.db);
        assert!(opened.is_ok() || disk.is_off(), "{opened:?}");
        opened.ok()
    }

    /// Opens a database and stores its samples.
    fn begin(&self, place: &Path) -> (CrashDisk, Db, Stored) {
        let disk = CrashDisk::new();
        let db = self.open(place, &disk).unwrap();
        (self.prepare)(&db);
        let before = everything(&db);
        assert!(!before.is_empty());
        (disk, db, before)
    }

    /// Runs the operation with a power failure before each of its changes. Returns their number.
    fn run(&self) -> u64 {
        let count = |crash| (0..).find(|changes| !self.is_cut(crash, *changes)).unwrap();
        CRASHES.map(count)[0]
    }

    /// Returns `false` if the operation ended before the power failed.
    fn is_cut(&self, crash: Crash, changes: u64) -> bool {
        let place = tempfile::tempdir().unwrap();
        let (disk, db, before) = self.begin(place.path());
        disk.set_power(changes);
        let is_done = (self.operation)(&db).is_ok();
        drop(db);
        crash(&disk).unwrap();

        let next_disk = CrashDisk::new();
        let db = self.open(place.path(), &next_disk).unwrap();
        let when = format!("cut after {changes} changes");
        self.check_restart(&db, &before, is_done, &when);
        if changes.is_multiple_of(REPEAT_EVERY) {
            (self.operation)(&db).unwrap();
            drop(db);
            next_disk.crash().unwrap();
            let db = self.open(place.path(), &CrashDisk::new()).unwrap();
            self.check_restart(&db, &before, true, &when);
        }
        disk.is_off()
    }

    /// Starts a damaged database with a power failure before each change. Returns their number.
    fn run_at_start(&self) -> u64 {
        let count = |crash| (0..).find(|changes| !self.is_start_cut(crash, *changes)).unwrap();
        CRASHES.map(count)[0]
    }

    fn is_start_cut(&self, crash: Crash, changes: u64) -> bool {
        let place = tempfile::tempdir().unwrap();
        let (_, db, before) = self.begin(place.path());
        drop(db);
        (self.damage)(&place.path().join("data"));

        let disk = CrashDisk::new();
        disk.set_power(changes);
        drop(self.open(place.path(), &disk));
        crash(&disk).unwrap();
        let db = self.open(place.path(), &CrashDisk::new()).unwrap();
        self.check_restart(&db, &before, true, &format!("start cut after {changes} changes"));
        disk.is_off()
    }

    /// Checks the database after a restart. `is_done`: the operation had succeeded.
    fn check_restart(&self, db: &Db, before: &Stored, is_done: bool, when: &str) {
        let found = everything(db);
        for (series, samples) in &found {
            assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "{series}, {when}");
            let extra = samples.iter().find(|sample| !before[series].contains(sample));
            assert_eq!(extra, None, "{series}, {when}");
        }
        for (series, samples) in before {
            let found = found.get(series).map_or(&[][..], Vec::as_slice);
            for sample in samples {
                let is_found = found.contains(sample);
                let is_deleted = (self.is_deleted)(series, sample.0);
                assert!(is_found || is_deleted, "{series}: {sample:?} is lost, {when}");
                let is_back = is_found && is_deleted && is_done;
                assert!(!is_back, "{series}: {sample:?} is not deleted, {when}");
            }
        }
        check_directory(db, when);
        (self.check)(db);
    }
}

/// Checks that every served block is complete and that no unfinished work is left.
fn check_directory(db: &Db, when: &str) {
    for block in db.blocks().iter() {
        let verified = verify(block);
        assert!(verified.is_ok(), "{verified:?}, {when}");
    }
    assert_eq!(leftovers(&db.shared().options().dir), Vec::<PathBuf>::new(), "{when}");
}

/// Returns the unfinished files and directories below `dir`.
fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().contains(".tmp") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(leftovers(&path));
        }
    }
    found
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Appends a sample of each series per timestamp.
fn put(db: &Db, names: &[&str], times: impl IntoIterator<Item = i64>) {
    for t in times {
        let mut appender = db.appender().unwrap();
        for name in names {
            let sample = std::iter::once(FloatSample::new(t, (t / 7) as f64).into());
            let reject = |sample, why| panic!("{name}: {sample:?} {why:?}");
            appender.append_or_create(&labels(name), sample, reject).unwrap();
        }
        appender.commit().unwrap();
    }
}

/// Timestamps of the samples of these hours.
fn hours(from: i64, to: i64) -> impl Iterator<Item = i64> {
    (BEGIN + from * HOUR..BEGIN + to * HOUR).step_by(STEP as usize)
}

fn maintain(db: &Db) -> Done {
    db.maintenance().run_once(NOW).map_err(text)
}

/// Stores `count` blocks of an hour, and an hour in the head.
fn put_blocks(db: &Db, count: i64) {
    for hour in 0..=count {
        put(db, &["a", "b"], hours(hour, hour + 1));
        maintain(db).unwrap();
    }
    assert_eq!(db.blocks().len() as i64, count);
}

fn assert_blocks_are_disjoint(db: &Db) {
    for pair in db.blocks().windows(2) {
        assert!(pair[0].meta().max_time <= pair[1].meta().min_time, "{:?}", pair[1].meta());
    }
}
