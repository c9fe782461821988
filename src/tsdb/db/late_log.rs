//! The log of out-of-order samples, `wbl/`: written as the write-ahead log is, and as safe. It is there from the moment on when an
//! out-of-order window is set; a directory that brings one keeps it.

use crate::tsdb::db::options::DbOptions;
use crate::tsdb::wal::commit::{Wal, WalOptions};
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::segment::list_segments;
use std::path::PathBuf;
use std::sync::Arc;

/// Where it is.
pub(super) fn dir(options: &DbOptions) -> PathBuf {
    options.dir.join("wbl")
}

/// Whether the directory has one.
pub(super) fn is_there(options: &DbOptions) -> bool {
    list_segments(&dir(options)).is_ok_and(|segments| !segments.is_empty())
}

/// Begins a new segment of it.
///
/// # Errors
/// [`WalError::Begin`] where it can't be made.
pub(super) fn open(options: &DbOptions) -> Result<Wal, WalError> {
    Wal::open(WalOptions {
        dir: dir(options),
        segment_size: options.wal_segment_size,
        compression: options.wal_compression,
        sync: options.wal_sync,
        disk: Arc::clone(&options.disk),
    })
}
