//! Database of one data directory. The only part of the engine that the rest of the program uses
//! directly.
//!
//! # Stages
//! [`LockedDir`] → [`Recovery`](recovery::Recovery) → [`Db`]. A database
//! exists only after its recovery, so it cannot be queried before.
//! [`DbHandle`] stands for a database in any stage.
//!
//! | module | contents |
//! |--------|----------|
//! | [`options`] | options that are fixed while the database is open |
//! | [`settings`] | settings that can change at a reload |
//! | [`locked_dir`] | first stage: the locked data directory |
//! | [`recovery`] | second stage: from a locked directory to a ready database |
//! | [`database`] | ready database |
//! | [`handle`] | handle on a database in any stage |
//! | [`dir_lock`] | lock of the data directory |
//! | [`wbl`] | log of out-of-order samples |
//! | [`admission`] | admission of writes, and the reasons against it |
//! | [`appender`] | appends of a request |
//! | [`querier`] | consistent read view |
//! | `lookup` | one series of one block |
//! | `block_duplicates` | duplicate check against blocks |
//! | [`blocks`] | open blocks |
//! | [`clock`] | wall clock |
//! | [`state`] | parts of a database that its stages and its work share |
//! | [`maintenance`] | background work: compaction, truncation, retention, verification |
//! | [`admin`] | admin operations: delete series, clean tombstones, snapshot |
//! | `new_block` | helpers of everything that writes blocks |
//! | `shutdown_snapshot` | chunk snapshot of the head at a shutdown, for a fast startup |
//! | [`disk_guard`] | read-only mode before the disk is full |
//! | [`stats`] | counters of maintenance |
//! | [`error`] | errors of admin operations and of requests before the database is ready |
//!
//! All functions block; none needs an async runtime.

pub mod admin;
pub mod admission;
pub mod appender;
mod block_duplicates;
pub mod blocks;
pub mod clock;
pub mod database;
pub mod dir_lock;
pub mod disk_guard;
pub mod error;
pub mod handle;
pub mod locked_dir;
mod lookup;
pub mod maintenance;
mod new_block;
pub mod options;
pub mod querier;
pub mod recovery;
pub mod settings;
mod shutdown_snapshot;
pub mod state;
pub mod stats;
pub mod wbl;

pub use crate::tsdb::db::database::{Db, DbHealth};
pub use crate::tsdb::db::handle::DbHandle;
pub use crate::tsdb::db::locked_dir::LockedDir;
