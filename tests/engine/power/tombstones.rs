//! Power failures while series are deleted from blocks, and while tombstones are cleaned.

use super::{CASE, Case, Done, assert_blocks_are_disjoint, put_blocks, text};
use crate::support::life::{BEGIN, HOUR, labels, named};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;

/// Deletes the series `a` from blocks and head.
fn delete(db: &Db) -> Done {
    db.admin().delete(&[vec![named("a")]], TimeRange::ALL).map_err(text)
}

fn is_deleted(series: &str, _: i64) -> bool {
    series == labels("a").to_string()
}

#[test]
fn power_cut_while_series_are_deleted() {
    let changes =
        Case { prepare: |db| put_blocks(db, 2), operation: delete, is_deleted, ..CASE }.run();
    assert!(changes > 15, "{changes}");
}

#[test]
fn power_cut_while_tombstones_are_cleaned() {
    let changes = Case {
        prepare: |db| put_blocks(db, 2),
        operation: |db| {
            delete(db)?;
            db.admin().clean_tombstones().map_err(text)
        },
        is_deleted,
        check: assert_blocks_are_disjoint,
        ..CASE
    }
    .run();
    assert!(changes > 60, "{changes}");
}

#[test]
fn power_cut_while_an_empty_block_is_marked_and_removed() {
    let changes = Case {
        prepare: |db| put_blocks(db, 2),
        operation: |db| {
            let range = TimeRange::new(BEGIN, BEGIN + HOUR - 1);
            db.admin().delete(&[vec![named("a")], vec![named("b")]], range).map_err(text)?;
            db.admin().clean_tombstones().map_err(text)?;
            assert!(db.blocks().iter().all(|block| block.meta().min_time >= BEGIN + HOUR));
            Ok(())
        },
        is_deleted: |_, t| t < BEGIN + HOUR,
        ..CASE
    }
    .run();
    assert!(changes > 15, "{changes}");
}
