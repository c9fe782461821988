//! Retention by time, size and share of the disk, changed while the database runs, and held while
//! it is not configured.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::life::{BEGIN, FOREVER, HOUR, Life, minutes, size_of};
use narthex::tsdb::db::settings::{RetentionSettings, Settings};
use narthex::tsdb::fs::disk::{Disk, DiskFile, DiskSpace};
use narthex::tsdb::fs::os_disk::OsDisk;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

const DAY: i64 = 24 * HOUR;

/// Disk of the operating system with another size, bytes.
#[derive(Debug)]
struct ResizedDisk(AtomicU64);

impl Disk for ResizedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.create_new(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open_append(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir_all(path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_dir(path)
    }

    fn space(&self, _: &Path) -> io::Result<DiskSpace> {
        let size = self.0.load(Relaxed);
        Ok(DiskSpace { free: size, total: size })
    }
}

/// Creates a database with nine blocks of two hours and samples in the head. Retention is off.
fn nine_blocks() -> Life {
    let mut life = Life::new(|options| options.max_block_range_ms = Some(2 * HOUR));
    life.put(&["a", "b", "c"], minutes(BEGIN, BEGIN + 19 * HOUR + HOUR / 2));
    life.maintain();
    assert_eq!(life.blocks().len(), 9);
    life
}

fn apply(life: &Life, retention: RetentionSettings) {
    life.db().apply_settings(Settings { retention, ..life.db().settings() }).unwrap();
}

/// Asserts that only the newest `blocks` blocks remain, on disk and in queries.
fn assert_remaining(life: &mut Life, blocks: i64) {
    assert_eq!(life.blocks().len() as i64, blocks);
    life.forget_before(BEGIN + (9 - blocks) * 2 * HOUR);
    life.check("after retention");
    let entries = std::fs::read_dir(life.dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let dirs = entries.filter(|name| name.to_str().unwrap().starts_with("01")).count();
    assert_eq!(dirs as i64, blocks);
    life.restart();
}

#[test]
fn time_retention_deletes_old_blocks_and_follows_reload() {
    let mut life = nine_blocks();
    // The newest block ends at 18 h.
    apply(&life, RetentionSettings { time_ms: 16 * HOUR + 1, ..FOREVER });
    life.maintain();
    assert_remaining(&mut life, 9);
    apply(&life, RetentionSettings { time_ms: 16 * HOUR, ..FOREVER });
    life.maintain();
    assert_eq!(life.db().stats().time_retentions.load(Relaxed), 1);
    assert_remaining(&mut life, 8);
    apply(&life, RetentionSettings { time_ms: 6 * HOUR, ..FOREVER });
    life.maintain();
    assert_remaining(&mut life, 3);
    apply(&life, FOREVER);
    life.put(&["a"], minutes(BEGIN + 19 * HOUR + HOUR / 2, BEGIN + 30 * HOUR));
    life.maintain();
    life.check("without a limit");
}

#[test]
fn size_retention_deletes_oldest_blocks() {
    let mut life = nine_blocks();
    let other = size_of(&life.dir().join("wal")) + size_of(&life.dir().join("chunks_head"));
    let newest: u64 = life.blocks()[5..].iter().map(|block| block.size_bytes()).sum();
    apply(&life, RetentionSettings { bytes: other + newest, ..FOREVER });
    life.maintain();
    assert_eq!(life.db().stats().size_retentions.load(Relaxed), 5);
    assert_remaining(&mut life, 4);
}

#[test]
fn disk_percentage_precedes_size_limit() {
    let mut life = nine_blocks();
    let disk = Arc::new(ResizedDisk(AtomicU64::new(1 << 40)));
    life.restart_with(|options| options.disk = disk.clone());
    let other = size_of(&life.dir().join("wal")) + size_of(&life.dir().join("chunks_head"));
    let newest: u64 = life.blocks()[7..].iter().map(|block| block.size_bytes()).sum();
    // A tenth of the disk holds two blocks and the other files.
    disk.0.store(10 * (other + newest), Relaxed);
    apply(&life, RetentionSettings { bytes: u64::MAX, percentage: 10.0, ..FOREVER });
    life.maintain();
    assert_eq!(life.db().stats().size_retentions.load(Relaxed), 7);
    assert_remaining(&mut life, 2);
}

#[test]
fn default_retention_is_held_until_one_is_configured() {
    let mut life = Life::new(|_| {});
    life.put(&["old"], minutes(BEGIN, BEGIN + 4 * HOUR));
    life.maintain();
    life.put(&["new"], minutes(BEGIN + 40 * DAY, BEGIN + 40 * DAY + 4 * HOUR));
    life.maintain();
    assert!(!life.db().shared().retention_is_held(), "unlimited retention is configured");
    life.restart_with(|options| options.settings = Settings::default());
    assert!(life.db().shared().retention_is_held());
    life.maintain();
    life.check("held");
    apply(&life, RetentionSettings { time_ms: 30 * DAY, ..FOREVER });
    assert!(!life.db().shared().retention_is_held());
    apply(&life, RetentionSettings::default());
    assert!(life.db().shared().retention_is_held(), "retention is no longer configured");
    life.maintain();
    life.check("held again");
    apply(&life, RetentionSettings { time_ms: 30 * DAY, ..FOREVER });
    life.maintain();
    assert!(life.db().stats().time_retentions.load(Relaxed) > 0);
    life.forget_before(BEGIN + DAY);
    life.check("configured");
    life.restart();
    assert!(
        life.db().shared().retention_is_held(),
        "the remaining data are older than the default retention"
    );
}
