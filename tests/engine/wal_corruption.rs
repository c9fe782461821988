//! WAL truncated at every byte of its last page, or with one flipped bit. The start does not panic,
//! returns no wrong value, loses only the corrupted record and later ones, and reports it.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::{Stored, everything};
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::LabelsBuilder;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::recovery::Recovered;
use narthex::tsdb::db::recovery::report::RecoveryReport;
use narthex::tsdb::fs::disk::{Disk, DiskFile, DiskSpace};
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::wal::compression::RecordCompression;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Disk whose syncs do nothing, because thousands of starts would wait for them.
#[derive(Debug)]
struct UnsyncedDisk(OsDisk);

#[derive(Debug)]
struct UnsyncedFile(Arc<dyn DiskFile>);

impl Disk for UnsyncedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UnsyncedFile(self.0.create_new(path)?)))
    }
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UnsyncedFile(self.0.open_append(path)?)))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.hard_link(from, to)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir_all(path)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.0.space(path)
    }
}

impl DiskFile for UnsyncedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

const PAGE: usize = 32 * 1024;
const START: i64 = 1_700_000_000_000;

fn options(dir: &Path, compression: RecordCompression) -> DbOptions {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_compression = compression;
    options.wal_segment_size = 2 * PAGE as u64;
    options.replay_workers = 1;
    options.disk = Arc::new(UnsyncedDisk(OsDisk));
    options
}

fn open(dir: &Path) -> (Db, RecoveryReport) {
    let Recovered { db, report } = LockedDir::open(options(dir, RecordCompression::Snappy))
        .unwrap()
        .into_recovery()
        .run()
        .unwrap();
    (db, report)
}

/// Writes a WAL of `requests` requests on 20 series without a sealed chunk. Ends without a clean
/// shutdown.
fn written(compression: RecordCompression, requests: i64) -> (tempfile::TempDir, Stored) {
    let dir = tempfile::tempdir().unwrap();
    let db = LockedDir::open(options(dir.path(), compression))
        .unwrap()
        .into_recovery()
        .run()
        .unwrap()
        .db;
    for request in 0..requests {
        let mut appender = db.appender().unwrap();
        for series in 0..20 {
            let number = format!("{series:03}");
            let labels =
                LabelsBuilder::from_iter([("__name__", "corrupted"), ("number", number.as_str())])
                    .build()
                    .unwrap();
            let value =
                f64::from_bits((request as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ series);
            let sample = FloatSample::new(START + request * 1000, value);
            appender
                .append_or_create(&labels, std::iter::once(sample.into()), |_, _| {
                    panic!("rejected")
                })
                .unwrap();
        }
        appender.commit().unwrap();
    }
    let stored = everything(&db);
    drop(db);
    (dir, stored)
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir.join("wal")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.metadata().unwrap().len() > 0);
    files.sort();
    files
}

/// Asserts that each series of `read` is a prefix of the stored one.
fn assert_prefix(read: &Stored, stored: &Stored, context: &str) {
    for (series, samples) in read {
        let all =
            stored.get(series).unwrap_or_else(|| panic!("{context}: unknown series {series}"));
        assert_eq!(samples, &all[..samples.len()], "{context}: {series}");
    }
}

fn count(stored: &Stored) -> usize {
    stored.values().map(Vec::len).sum()
}

#[test]
fn wal_truncated_at_any_byte_of_last_page_keeps_prefix() {
    let (dir, stored) = written(RecordCompression::None, 120);
    let last = segments(dir.path()).pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    let first_cut = (bytes.len() - 1) / PAGE * PAGE;
    let mut previous_count = 0;
    // A record has 12 bytes or more, so every one of them is cut several times.
    for cut in (first_cut..bytes.len() - 1).step_by(5).chain([bytes.len() - 1]) {
        fs::write(&last, &bytes[..cut]).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), scratch.path());
        let (db, _) = open(scratch.path());
        let read = everything(&db);
        assert_prefix(&read, &stored, &format!("truncated at {cut}"));
        assert!(
            count(&read) >= previous_count,
            "truncated at {cut}: {} samples, {previous_count} at the previous offset",
            count(&read)
        );
        previous_count = count(&read);
    }
    // The last truncation removes one byte of the last request.
    assert_eq!(count(&stored) - previous_count, 20);
}

#[test]
fn wal_with_flipped_bit_keeps_prefix_and_reports_loss() {
    for compression in [RecordCompression::None, RecordCompression::Snappy, RecordCompression::Zstd]
    {
        let (dir, stored) = written(compression, 25);
        let files = segments(dir.path());
        for file in &files {
            let bytes = fs::read(file).unwrap();
            // Every header has 7 bytes, so each is hit. Compressed records are opaque to readers.
            let step = if compression == RecordCompression::None { 5 } else { 11 };
            for position in (0..bytes.len()).step_by(step) {
                let bit = (position * 7 + 3) % 8;
                let mut corrupted = bytes.clone();
                corrupted[position] ^= 1 << bit;
                let scratch = tempfile::tempdir().unwrap();
                copy_dir(dir.path(), scratch.path());
                fs::write(scratch.path().join("wal").join(file.file_name().unwrap()), &corrupted)
                    .unwrap();
                let context =
                    format!("{compression:?}, {}, bit {bit} of byte {position}", file.display());
                let (db, report) = open(scratch.path());
                let read = everything(&db);
                assert_prefix(&read, &stored, &context);
                let is_lossy = count(&read) < count(&stored);
                assert!(
                    !is_lossy || report.repaired.is_some() || report.replay.unknown_records > 0,
                    "{context}: the loss is not reported"
                );
                drop(db);
                // A second start repairs nothing.
                if position % 101 == 0 {
                    let (db, again) = open(scratch.path());
                    assert!(again.repaired.is_none(), "{context}: repaired twice");
                    assert_eq!(everything(&db), read, "{context}");
                }
            }
        }
    }
}
