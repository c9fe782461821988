//! The database in the test's own process: replay, maintenance, restarts, models and failing disks.
//!
//! Fail points are armed nowhere in this binary, because they act on the whole process; see
//! `tests/fail_points`.

mod checkpoint_loss;
mod chunk_files;
mod concurrency;
mod cuts;
mod damage;
mod exemplars;
mod failures;
mod golden;
mod labels;
mod late_golden;
mod log_commit;
mod metadata;
mod model;
mod month;
mod month_kinds;
mod ooo;
mod pitfalls;
mod quarantine;
mod reads;
mod replay;
mod restarts;
mod retention;
mod times;
mod upkeep;
mod verify;

#[path = "../support/mod.rs"]
mod support;
