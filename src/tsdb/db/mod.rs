//! Database of one data directory. The only part of the engine that the rest of the program uses
//! directly.
//!
//! # Stages
//! [`LockedDir`] → [`Recovery`](recovery::Recovery) → [`Db`]. A database exists only after its
//! recovery, so it cannot be queried before. [`DbHandle`] represents a database in any stage.
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
//! | [`write_unavailable`] | reasons why writes are rejected |
//! | [`disk_guard`] | read-only mode before the disk is full |
//! | [`stats`] | counters of maintenance |
//! | [`error`] | errors of admin operations and of requests before the database is ready |
//!
//! # Re-exports
//! The rest of the program imports nothing else of `tsdb`: types of other modules that it needs are
//! re-exported here, by purpose. `tests/architecture.rs` checks this.
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
pub mod write_unavailable;

pub use crate::tsdb::db::database::Db;
pub use crate::tsdb::db::handle::DbHandle;
pub use crate::tsdb::db::locked_dir::LockedDir;

// Results of queries.
pub use crate::tsdb::query::chunk_iter::{EncodedChunk, SupportedEncodings};
pub use crate::tsdb::query::label_source::{LabelCollector, LabelQueryError, LabelQueryLimits};
pub use crate::tsdb::query::merged_series::MergedSeries;
pub use crate::tsdb::query::source::QueryError;

// Head: appends, exemplars, metadata, counters.
pub use crate::tsdb::head::Head;
pub use crate::tsdb::head::append::metadata::FamilyError;
pub use crate::tsdb::head::append::sample_rejection::SampleRejection;
pub use crate::tsdb::head::append::samples::OutOfOrderPolicy;
pub use crate::tsdb::head::append::series_handle::SeriesGone;
pub use crate::tsdb::head::append::series_handle::SeriesHandle;
pub use crate::tsdb::head::exemplars::{
    DEFAULT_MAX_EXEMPLARS, ExemplarRejection, ExemplarStorage, MAX_LABEL_CHARACTERS,
    SeriesExemplars,
};
pub use crate::tsdb::head::read::family_list::FamilyList;
pub use crate::tsdb::head::series::store::SeriesLimit;
pub use crate::tsdb::head::stats::HeadStats;
pub use crate::tsdb::head::status::HeadStatus;
pub use crate::tsdb::index::mem_postings::stats::{NameCount, NoMemoryForStats};

// Chunks and their encodings.
pub use crate::tsdb::chunk::ChunkEncoding;
pub use crate::tsdb::chunk::any_chunk::HistogramStMode;
pub use crate::tsdb::chunk::float_chunk::FloatEncoding;

// Logs.
pub use crate::tsdb::wal::compression::RecordCompression;
pub use crate::tsdb::wal::error::WalError;
pub use crate::tsdb::wal::record::builder::RecordVersion;
pub use crate::tsdb::wal::write_log::{SyncMode, Wal};

// Blocks.
pub use crate::tsdb::block::meta::BlockMeta;
pub use crate::tsdb::compact::stats::CompactStats;

// Files.
pub use crate::tsdb::encoding::checksum::crc32c;
pub use crate::tsdb::fs::corruption::Corruption;
pub use crate::tsdb::fs::dir_size::dir_size;

// Parts that only tests outside the engine use.
#[cfg(any(test, feature = "testing"))]
pub use crate::tsdb::{
    chunk::any_chunk::AnyChunkIter,
    fs::disk::{Disk, DiskFile, DiskSpace},
    fs::os_disk::OsDisk,
    head::exemplars::ExemplarOptions,
    head::read::family_list::list_all,
    query::source::ChunkSeries,
};
