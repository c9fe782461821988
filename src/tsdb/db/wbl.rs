//! Write-behind log of out-of-order samples, `wbl/`: same format and same durability as the WAL.
//!
//! It is created when an out-of-order window is first set. An existing one is replayed, and its
//! samples are served, even if no window is set.
//!
//! Corruption is handled as in the WAL: records before it are used, the rest is quarantined.

use crate::tsdb::db::options::DbOptions;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::RepairError;
use crate::tsdb::wal::segment::{SegmentError, list_segments};
use crate::tsdb::wal::write_log::{Wal, WalOptions};
use std::io;
use std::path::PathBuf;
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

/// Directory of the WBL.
pub(crate) fn dir(options: &DbOptions) -> PathBuf {
    options.dir.join("wbl")
}

/// Returns `true` if the WBL has a segment.
pub(crate) fn exists(options: &DbOptions) -> bool {
    list_segments(&dir(options)).is_ok_and(|segments| !segments.is_empty())
}

/// Opens the WBL at a new segment.
///
/// # Errors
/// [`WblError`] if the directory or the segment cannot be created.
pub(crate) fn open(options: &DbOptions) -> Result<Wal, WblError> {
    let dir = dir(options);
    options
        .disk
        .create_dir_all(&dir)
        .map_err(|source| WblError::Folder { path: dir.clone(), source })?;
    let (segment_size, compression) = (options.wal_segment_size, options.wal_compression);
    let (sync, disk) = (options.wal_sync, Arc::clone(&options.disk));
    Ok(Wal::open(WalOptions { dir, segment_size, compression, sync, disk })?)
}
