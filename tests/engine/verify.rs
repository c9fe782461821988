//! Verification of blocks: corruption is found before a query reads it.

use crate::support::engine::stored;
use crate::support::life::{BEGIN, HOUR, Life, copy_folder, damage_chunk, minutes, named};
use narthex::model::time::TimeRange;
use std::sync::atomic::Ordering::Relaxed;

/// Creates a database with four blocks that are not due for compaction, and samples in the head.
fn four_blocks() -> Life {
    let mut life = Life::new(|options| options.max_block_range_ms = Some(2 * HOUR));
    life.put(&["a", "b"], minutes(BEGIN, BEGIN + 9 * HOUR + HOUR / 2));
    life.maintain();
    assert_eq!(life.blocks().len(), 4);
    life
}

#[test]
fn maintenance_verifies_one_block_per_run_and_counts_corruption() {
    let mut life = four_blocks();
    life.restart();
    let first = life.blocks()[0].dir().to_owned();
    damage_chunk(&first);
    let stats = || {
        (
            life.db().stats().blocks_verified.load(Relaxed),
            life.db().stats().blocks_damaged.load(Relaxed),
        )
    };
    // The start verified the newest block. The corrupted one is the oldest.
    for expected in [(1, 0), (2, 0), (3, 1), (3, 1)] {
        life.maintain();
        assert_eq!(stats(), expected);
    }
    assert_eq!(life.blocks().len(), 4, "the corrupted block is not removed");
    let after = TimeRange::new(BEGIN + 2 * HOUR, i64::MAX);
    assert_eq!(
        stored(life.db(), &[named("a")], after)[&crate::support::life::labels("a").to_string()]
            .len(),
        450
    );
    std::fs::rename(&first, life.beside("moved")).unwrap();
    life.maintain();
    assert_eq!(stats(), (3, 0));
    assert_eq!(life.blocks().len(), 3);
}

#[test]
fn corrupted_newest_block_is_quarantined_and_wal_replayed() {
    let mut life = Life::new(|_| {});
    life.put(&["a", "b"], minutes(BEGIN, BEGIN + 3 * HOUR + HOUR / 2));
    // The state of a process that ends between the write of the block and WAL truncation.
    for part in ["wal", "chunks_head"] {
        copy_folder(&life.dir().join(part), &life.beside(part));
    }
    life.maintain();
    let block = life.blocks()[0].dir().to_owned();
    life.end();
    for part in ["wal", "chunks_head"] {
        std::fs::remove_dir_all(life.dir().join(part)).unwrap();
        std::fs::rename(life.beside(part), life.dir().join(part)).unwrap();
    }
    damage_chunk(&block);
    life.start();
    assert_eq!(life.blocks().len(), 0);
    assert_eq!(life.db().stats().blocks_quarantined.load(Relaxed), 1);
    let name = block.file_name().unwrap().to_str().unwrap();
    assert!(life.dir().join(format!("quarantine/block-{name}")).is_dir());
    life.check("from the WAL");
    life.maintain();
    assert_eq!(life.blocks().len(), 1);
    life.restart();
}

#[test]
fn consecutive_corrupted_newest_blocks_are_quarantined() {
    let mut life = four_blocks();
    let blocks = life.blocks();
    life.end();
    damage_chunk(blocks[3].dir());
    damage_chunk(blocks[2].dir());
    life.start();
    let remaining: Vec<_> = life.blocks().iter().map(|block| block.meta().ulid).collect();
    assert_eq!(remaining, [blocks[0].meta().ulid, blocks[1].meta().ulid]);
    assert_eq!(life.db().stats().blocks_quarantined.load(Relaxed), 2);
}
