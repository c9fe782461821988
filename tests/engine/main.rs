//! Tests of the database in their own process: replay, maintenance, restarts, models, failing
//! disks.
//!
//! No test of this binary arms fail points, because they affect the whole process; see
//! `tests/fail_points`.

mod atomicity;
mod checkpoint_loss;
mod chunk_files;
mod concurrency;
mod cuts;
mod exemplars;
mod failures;
mod golden;
mod labels;
mod log_commit;
mod maintenance;
mod metadata;
mod model;
mod month;
mod month_kinds;
mod ooo;
mod ooo_golden;
mod pitfalls;
mod power;
mod quarantine;
mod reads;
mod replay;
mod restarts;
mod retention;
mod times;
mod verify;
mod wal_corruption;

#[path = "../support/mod.rs"]
mod support;
