//! Power failures while corrupted files are moved to the quarantine at startup.

use super::{CASE, Case, hours, put, put_blocks};
use crate::support::life::{BEGIN, HOUR, damage_chunk};
use narthex::tsdb::block::meta::{BlockMeta, list_block_dirs};
use narthex::tsdb::db::Db;
use std::path::{Path, PathBuf};

/// Returns the block directories by time.
fn blocks(dir: &Path) -> Vec<PathBuf> {
    let mut blocks = list_block_dirs(dir).unwrap();
    blocks.sort_by_key(|path| BlockMeta::read(path).unwrap().min_time);
    blocks
}

/// Checks that the block is in the quarantine with all files, once or, if a rename was lost in one
/// of the two directories, twice.
fn check_quarantine(db: &Db) {
    let entries = std::fs::read_dir(db.shared().options().dir.join("quarantine")).unwrap();
    let moved: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(matches!(moved.len(), 1 | 2), "{moved:?}");
    for block in &moved {
        for name in ["index", "chunks/000001", "meta.json", "tombstones"] {
            assert_ne!(std::fs::metadata(block.join(name)).unwrap().len(), 0, "{name}");
        }
    }
}

#[test]
fn power_cut_while_an_unreadable_block_is_quarantined() {
    let changes = Case {
        prepare: |db| put_blocks(db, 2),
        damage: |dir| std::fs::write(blocks(dir)[0].join("index"), "no index").unwrap(),
        is_deleted: |_, t| t < BEGIN + HOUR,
        check: check_quarantine,
        ..CASE
    }
    .run_at_start();
    assert!(changes > 4, "{changes}");
}

/// The newest block is verified before its samples in the WAL are dropped.
#[test]
fn power_cut_while_the_newest_block_is_quarantined() {
    let changes = Case {
        prepare: |db| put_blocks(db, 2),
        damage: |dir| damage_chunk(&blocks(dir)[1]),
        check: check_quarantine,
        ..CASE
    }
    .run_at_start();
    assert!(changes > 4, "{changes}");
}

#[test]
fn power_cut_while_chunk_files_are_quarantined() {
    let changes = Case {
        change_options: |options| options.samples_per_chunk = 3,
        prepare: |db| put(db, &["a", "b"], hours(0, 2)),
        damage: |dir| {
            let path = dir.join("chunks_head/000001");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40] ^= 4;
            std::fs::write(path, bytes).unwrap();
        },
        check: |db| {
            let quarantine = db.shared().options().dir.join("quarantine");
            assert!(matches!(std::fs::read_dir(quarantine).unwrap().count(), 1 | 2));
        },
        ..CASE
    }
    .run_at_start();
    assert!(changes > 4, "{changes}");
}
