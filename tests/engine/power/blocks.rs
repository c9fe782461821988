//! Power failures during maintenance of blocks.

use super::{CASE, Case, assert_blocks_are_disjoint, hours, maintain, put, put_blocks, text};
use crate::support::life::{BEGIN, FOREVER, HOUR, MINUTE};
use narthex::tsdb::block::open::Block;
use narthex::tsdb::db::settings::{RetentionSettings, Settings};
use std::sync::Arc;

#[test]
fn power_cut_during_head_compaction_and_checkpoint() {
    let changes = Case {
        prepare: |db| {
            put_blocks(db, 1);
            // Several segments, so that a checkpoint is due.
            for hour in 2..5 {
                put(db, &["a", "b", "c"], hours(hour, hour + 1));
                db.wal().next_segment().unwrap();
            }
        },
        operation: |db| {
            maintain(db)?;
            let names = std::fs::read_dir(db.shared().options().dir.join("wal")).unwrap();
            let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert!(names.any(|name| name.starts_with("checkpoint.")));
            Ok(())
        },
        check: assert_blocks_are_disjoint,
        ..CASE
    }
    .run();
    assert!(changes > 60, "{changes}");
}

#[test]
fn power_cut_during_compaction_of_late_samples() {
    let case = Case {
        change_options: |options| options.settings.out_of_order_window_ms = 24 * HOUR,
        prepare: |db| {
            put_blocks(db, 2);
            put(db, &["a"], hours(3, 4));
            // More than an open chunk takes, so that chunks and markers are written.
            let late = (BEGIN + HOUR + 1..BEGIN + 3 * HOUR).step_by(2 * MINUTE as usize);
            put(db, &["a", "late"], late);
        },
        operation: maintain,
        ..CASE
    };
    let place = tempfile::tempdir().unwrap();
    let (_, db, _) = case.begin(place.path());
    maintain(&db).unwrap();
    let has_late = |block: &Arc<Block>| block.symbols().any(|symbol| symbol.unwrap() == "late");
    assert!(db.blocks().iter().any(has_late));
    let changes = case.run();
    assert!(changes > 60, "{changes}");
}

#[test]
fn power_cut_while_blocks_are_merged() {
    let changes = Case {
        change_options: |options| options.max_block_range_ms = Some(3 * HOUR),
        prepare: |db| {
            put_blocks(db, 2);
            put(db, &["a", "b"], hours(3, 5));
        },
        operation: |db| {
            maintain(db)?;
            assert!(db.blocks().iter().any(|block| block.meta().compaction.level == 2));
            Ok(())
        },
        check: assert_blocks_are_disjoint,
        ..CASE
    }
    .run();
    assert!(changes > 60, "{changes}");
}

#[test]
fn power_cut_while_expired_blocks_are_deleted() {
    let changes = Case {
        prepare: |db| put_blocks(db, 4),
        operation: |db| {
            let retention = RetentionSettings { time_ms: HOUR + 1, ..FOREVER };
            db.apply_settings(Settings { retention, ..db.settings() }).map_err(text)?;
            maintain(db)
        },
        is_deleted: |_, t| t < BEGIN + 2 * HOUR,
        check: assert_blocks_are_disjoint,
        ..CASE
    }
    .run();
    assert!(changes >= 6, "{changes}");
}
