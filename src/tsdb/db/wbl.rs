//! The log of out-of-order samples, `wbl/`: written as the write-ahead log is, and as safe. It is there from the moment on when an
//! out-of-order window is set; a directory that brings one keeps it, and its samples are served whether or not a window is set.
//!
//! Damage is dealt with as in the write-ahead log: what stands before it is kept, what stands behind it is set aside.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::replay::{WblReplay, WblReplayOutcome, WblReplayReport};
use crate::tsdb::head::replay::ReplayProgress;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::{RepairError, RepairReport, repair};
use crate::tsdb::wal::segment::{SegmentError, list_segments};
use crate::tsdb::wal::write_log::{Wal, WalOptions};
use hashbrown::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WblError {
    /// Its folder can't be made.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its files don't follow each other.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// A file of it can't be read.
    #[error(transparent)]
    Read(ReadLogError),
    /// The damaged rest of it could not be set aside.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// It can't be begun.
    #[error(transparent)]
    Begin(#[from] WalError),
}

/// What a start found of late samples.
#[derive(Debug, Default)]
pub struct WblRecovery {
    /// What was read.
    pub report: WblReplayReport,
    /// The damage that was cut off or set aside.
    pub repaired: Option<RepairReport>,
}

impl WblRecovery {
    /// Whether late samples belong to series that the head does not know.
    #[must_use]
    pub fn has_unknown_series(&self) -> bool {
        self.report.unknown_refs > 0
    }
}

/// Where it is.
pub(super) fn dir(options: &DbOptions) -> PathBuf {
    options.dir.join("wbl")
}

/// Whether the directory has one.
pub(super) fn exists(options: &DbOptions) -> bool {
    list_segments(&dir(options)).is_ok_and(|segments| !segments.is_empty())
}

/// Begins a new segment of it.
///
/// # Errors
/// [`WblError`] where it can't be made.
pub(super) fn open(options: &DbOptions) -> Result<Wal, WblError> {
    let dir = dir(options);
    options
        .disk
        .create_dir_all(&dir)
        .map_err(|source| WblError::Folder { path: dir.clone(), source })?;
    let (segment_size, compression) = (options.wal_segment_size, options.wal_compression);
    let (sync, disk) = (options.wal_sync, Arc::clone(&options.disk));
    Ok(Wal::open(WalOptions { dir, segment_size, compression, sync, disk })?)
}

/// A head whose series are known, and what belongs to it.
pub(super) struct WblReplayInput<'a> {
    pub(super) head: &'a Head,
    /// What `chunks_head/` holds of late samples.
    pub(super) chunks: &'a [HeadChunkMeta],
    /// Second references of series.
    pub(super) aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Gives the series of a head their late samples, and cuts the log off where it is damaged.
///
/// # Errors
/// [`WblError`].
pub(super) fn replay(
    options: &DbOptions,
    known: WblReplayInput<'_>,
    progress: &ReplayProgress,
    quarantine: &Path,
) -> Result<WblRecovery, WblError> {
    let dir = dir(options);
    let files = if dir.is_dir() { list_segments(&dir)? } else { Vec::new() };
    let WblReplayOutcome { report, damage } =
        WblReplay::new(known.head, known.chunks, known.aliases).run(&files, progress);
    let repaired = match damage {
        None => None,
        Some(ReadLogError::Damaged(damage)) => {
            Some(repair(&*options.disk, &dir, quarantine, &damage)?)
        }
        Some(error) => return Err(WblError::Read(error)),
    };
    Ok(WblRecovery { report, repaired })
}
