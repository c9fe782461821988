//! Quarantine on another file system than the corrupted files. The start continues, corrupted files
//! are kept, and every sample in the WAL or a block is returned.
//!
//! The second file system is a tmpfs that the test mounts, which requires root, or `/dev/shm`.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::engine::everything;
use crate::support::life::{BEGIN, HOUR, Life, copy_folder, damage_chunk, minutes};
use narthex::tsdb::wal::compression::RecordCompression;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Directory on another file system than that of temporary directories.
struct OtherDisk {
    temp_dir: TempDir,
    is_mounted: bool,
}

impl OtherDisk {
    fn new() -> Self {
        let temp_dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "-o", "size=64M", "tmpfs"])
            .arg(temp_dir.path())
            .stderr(Stdio::null());
        if mounted.status().is_ok_and(|status| status.success()) {
            return Self { temp_dir, is_mounted: true };
        }
        let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).unwrap();
        let shared = Path::new("/dev/shm");
        assert!(
            shared.is_dir() && device(shared) != device(temp_dir.path()),
            "no second file system: these tests need root or /dev/shm"
        );
        Self { temp_dir: tempfile::tempdir_in(shared).unwrap(), is_mounted: false }
    }

    /// Moves a directory to this disk and leaves a link.
    fn take(&self, dir: &Path) {
        let target = self.temp_dir.path().join(dir.file_name().unwrap());
        if dir.exists() {
            copy_folder(dir, &target);
            fs::remove_dir_all(dir).unwrap();
        } else {
            fs::create_dir(&target).unwrap();
        }
        symlink(target, dir).unwrap();
    }
}

impl Drop for OtherDisk {
    fn drop(&mut self) {
        if self.is_mounted {
            let unmounted = Command::new("umount").arg("-l").arg(self.temp_dir.path()).status();
            assert!(
                std::thread::panicking() || unmounted.is_ok_and(|status| status.success()),
                "still mounted"
            );
        }
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 4;
    fs::write(file, bytes).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn chunk_files_on_another_disk_are_quarantined() {
    let disk = OtherDisk::new();
    let mut life = Life::new(|_| {});
    life.end();
    let chunks = life.dir().join("chunks_head");
    disk.take(&chunks);
    for hours in [0..3, 3..6, 6..9] {
        life.start();
        life.put(&["up", "down"], minutes(BEGIN + hours.start * HOUR, BEGIN + hours.end * HOUR));
        life.end();
    }
    flip(&chunks.join("000002"), 30);
    let corrupted: Vec<_> =
        [2, 3].map(|number| fs::read(chunks.join(format!("{number:06}"))).unwrap()).into();
    life.start();
    life.check("after the repair");
    let moved = files(&life.dir().join("quarantine"));
    let names = ["chunks_head.000002", "chunks_head.000003"];
    assert_eq!(moved, names.map(|name| life.dir().join("quarantine").join(name)));
    assert_eq!(moved.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), corrupted);
    life.restart();
}

#[test]
fn segments_on_another_disk_are_quarantined() {
    let disk = OtherDisk::new();
    let mut life = Life::new(|options| options.wal_compression = RecordCompression::None);
    life.end();
    let wal = life.dir().join("wal");
    disk.take(&wal);
    life.start();
    let crowd: Vec<String> = (0..40).map(|number| format!("crowd_{number}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    life.put(&crowd, minutes(BEGIN, BEGIN + 3 * HOUR / 2));
    let before = life.model.clone();
    let kept_segments = files(&wal).len();
    life.end();
    life.start();
    life.put(&crowd, minutes(BEGIN + 3 * HOUR / 2, BEGIN + 5 * HOUR));
    life.end();
    let segments = files(&wal);
    flip(&segments[kept_segments], 20);
    let later: Vec<_> =
        segments[kept_segments + 1..].iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(later.len() > 1);
    life.start();
    let quarantine = files(&life.dir().join("quarantine")).pop().unwrap();
    let moved = files(&quarantine);
    assert_eq!(moved[1..].iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), later);
    // Chunk files may have more samples than the WAL.
    let found = everything(life.db());
    for (series, samples) in &before {
        assert!(found[series].starts_with(samples), "{series}");
        assert!(life.model[series].starts_with(&found[series]), "{series}");
    }
    life.model = found;
    life.restart();
}

#[test]
fn block_is_quarantined_on_another_disk() {
    let disk = OtherDisk::new();
    let mut life = Life::new(|_| {});
    life.put(&["up", "down"], minutes(BEGIN, BEGIN + 8 * HOUR));
    life.maintain();
    let block = life.blocks().pop().unwrap().dir().to_owned();
    life.end();
    disk.take(&life.dir().join("quarantine"));
    damage_chunk(&block);
    let copy = life.beside("copy");
    copy_folder(&block, &copy);
    life.start();
    let moved = life
        .dir()
        .join("quarantine")
        .join(format!("block-{}", block.file_name().unwrap().to_str().unwrap()));
    assert!(!block.exists());
    for name in ["index", "meta.json", "chunks/000001"] {
        assert!(
            fs::read(moved.join(name)).unwrap() == fs::read(copy.join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(files(&life.dir().join("quarantine")), [moved]);
    assert!(!life.blocks().is_empty(), "other blocks are readable");
}
