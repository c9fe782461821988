//! Error of a recovery.

use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::db::blocks::load::LoadBlocksError;
use crate::tsdb::db::recovery::log_files::LogFilesError;
use crate::tsdb::db::wbl::WblError;
use crate::tsdb::wal::corruption::WalCorruption;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::lost_checkpoint::GIVEN_UP;
use crate::tsdb::wal::reader::ReadLogError;
use crate::tsdb::wal::repair::RepairError;
use std::io;

/// Error of a recovery.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The blocks cannot be listed or read.
    #[error(transparent)]
    Blocks(#[from] LoadBlocksError),
    /// The files in `chunks_head/` cannot be listed or read.
    #[error(transparent)]
    Chunks(#[from] HeadChunksError),
    /// The checkpoint is corrupted. Cutting it off would orphan the WAL records of its series.
    #[error(
        "{}; a corrupted checkpoint is not repaired automatically: restore it from a backup, or \
        delete this file and the later ones and create the file {} to start without the \
        series that only they name",
        .0,
        .0.path.with_file_name(GIVEN_UP).display()
    )]
    Checkpoint(Box<WalCorruption>),
    /// A WAL file cannot be read.
    #[error(transparent)]
    Read(ReadLogError),
    /// The WAL is incomplete.
    #[error(transparent)]
    LogFiles(#[from] LogFilesError),
    /// The corrupted rest of the WAL could not be moved to the quarantine.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The WBL cannot be used.
    #[error(transparent)]
    Wbl(#[from] WblError),
    /// A new WAL segment cannot be created.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A directory cannot be created, or the head cannot be truncated.
    #[error(transparent)]
    Io(#[from] io::Error),
}
