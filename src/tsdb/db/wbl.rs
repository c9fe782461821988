//! Write-behind log of out-of-order samples, `wbl/`: same format and same durability as the WAL.
//!
//! It is created when an out-of-order window is first set. An existing one is replayed, and its
//! samples are served, even if no window is set.
//!
//! Corruption is handled as in the WAL: records before it are used, the rest is quarantined.

use crate::model::refs::SeriesRef;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::report::ReplayProgress;
use crate::tsdb::head::replay::wbl::{WblReplay, WblReplayOutcome, WblReplayReport};
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::{RepairError, RepairReport, repair};
use crate::tsdb::wal::segment::{SegmentError, list_segments};
use crate::tsdb::wal::write_log::{Wal, WalOptions};
use hashbrown::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Error of opening or replaying the WBL.
#[derive(Debug, thiserror::Error)]
pub enum WblError {
    /// The directory of the WBL cannot be created.
    #[error("cannot create directory {path}: {source}")]
    Folder {
        /// Directory of the WBL.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The segments cannot be listed or are not consecutive.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// A segment cannot be read.
    #[error(transparent)]
    Read(ReadLogError),
    /// The corrupted rest could not be moved to the quarantine.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// A new segment cannot be created.
    #[error(transparent)]
    Begin(#[from] WalError),
}

/// Result of a WBL replay.
#[derive(Debug, Default)]
pub struct WblRecovery {
    /// Counts of the replay.
    pub report: WblReplayReport,
    /// Corruption that was cut off or quarantined.
    pub repaired: Option<RepairReport>,
}

impl WblRecovery {
    /// Returns `true` if the WBL has samples of series that the head does not have.
    #[must_use]
    pub fn has_unknown_series(&self) -> bool {
        self.report.unknown_refs > 0
    }
}

/// Directory of the WBL.
pub(super) fn dir(options: &DbOptions) -> PathBuf {
    options.dir.join("wbl")
}

/// Returns `true` if the WBL has a segment.
pub(super) fn exists(options: &DbOptions) -> bool {
    list_segments(&dir(options)).is_ok_and(|segments| !segments.is_empty())
}

/// Opens the WBL at a new segment.
///
/// # Errors
/// [`WblError`] if the directory or the segment cannot be created.
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

/// Input of a WBL replay: a head with its series, and what the WAL replay found.
pub(super) struct WblReplayInput<'a> {
    pub(super) head: &'a Head,
    /// Out-of-order chunks in `chunks_head/`.
    pub(super) chunks: &'a [HeadChunkMeta],
    /// Aliases of series that the WAL replay found.
    pub(super) aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Replays out-of-order samples into the head. Repairs the WBL if it is corrupted.
///
/// # Errors
/// [`WblError`] if the WBL cannot be read or repaired.
pub(super) fn replay(
    options: &DbOptions,
    known: WblReplayInput<'_>,
    progress: &ReplayProgress,
    quarantine: &Path,
) -> Result<WblRecovery, WblError> {
    let dir = dir(options);
    let files = if dir.is_dir() { list_segments(&dir)? } else { Vec::new() };
    let WblReplayOutcome { report, corruption } =
        WblReplay::new(known.head, known.chunks, known.aliases).run(&files, progress);
    let repaired = match corruption {
        None => None,
        Some(ReadLogError::Damaged(corruption)) => {
            Some(repair(&*options.disk, &dir, quarantine, &corruption)?)
        }
        Some(error) => return Err(WblError::Read(error)),
    };
    Ok(WblRecovery { report, repaired })
}
