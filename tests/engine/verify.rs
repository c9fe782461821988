//! Damage in stored blocks is found before somebody reads what it has hit.

use crate::support::engine::stored;
use crate::support::life::{BEGIN, HOUR, Life, copy_folder, damage_chunk, minutes, named};
use narthex::model::time::TimeRange;
use std::sync::atomic::Ordering::Relaxed;

/// Four blocks that are not merged, and some of the head.
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
    // The newest was checked at the start, the damaged one is the oldest.
    for expected in [(1, 0), (2, 0), (3, 1), (3, 1)] {
        life.maintain();
        assert_eq!(stats(), expected);
    }
    assert_eq!(life.blocks().len(), 4, "it stays served");
    let behind = TimeRange::new(BEGIN + 2 * HOUR, i64::MAX);
    assert_eq!(
        stored(life.db(), &[named("a")], behind)[&crate::support::life::labels("a").to_string()]
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
    // As they are where the process ends between the block and the truncation of the log.
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
    life.check("from the log");
    life.maintain();
    assert_eq!(life.blocks().len(), 1);
    life.restart();
}

#[test]
fn behind_a_damaged_newest_block_the_one_before_it_decides() {
    let mut life = four_blocks();
    let blocks = life.blocks();
    life.end();
    damage_chunk(blocks[3].dir());
    damage_chunk(blocks[2].dir());
    life.start();
    let left: Vec<_> = life.blocks().iter().map(|block| block.meta().ulid).collect();
    assert_eq!(left, [blocks[0].meta().ulid, blocks[1].meta().ulid]);
    assert_eq!(life.db().stats().blocks_quarantined.load(Relaxed), 2);
}
