//! Damage: what is wrong with a file of the log, where, and whether it looks like a torn write.

use std::fmt;
use std::path::PathBuf;

use crate::tsdb::wal::compression::{CompressionError, MAX_RECORD_BYTES};
use crate::tsdb::wal::page::FragmentError;
use crate::tsdb::wal::record::error::DecodeRecordError;

/// A place in a segment behind which nothing can be relied on.
#[derive(Debug)]
pub struct WalCorruption {
    /// The segment's number.
    pub segment: u32,
    /// Its file.
    pub path: PathBuf,
    /// Where the damaged fragment (or the record that does not decode) begins, in bytes.
    pub offset: u64,
    /// Where the last good record ends: everything before is to be kept.
    pub good_end: u64,
    /// What stands behind it.
    pub extent: CorruptionExtent,
    /// What is wrong.
    pub reason: CorruptionReason,
}

/// Whether damage is the end of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptionExtent {
    /// The last record of the file is incomplete, zeroed or otherwise half written, and no other begins behind it: what a
    /// crash leaves.
    TornTail,
    /// Another record begins behind it, or the record itself is complete and yet makes no sense.
    Middle,
}

/// What is wrong at a place of the log.
#[derive(Debug, thiserror::Error)]
pub enum CorruptionReason {
    /// There is no fragment.
    #[error(transparent)]
    Slot(#[from] FragmentError),
    /// The file ends before the record does.
    #[error("the file ends before the record does")]
    Unfinished,
    /// A fragment whose record has no beginning, or a beginning within another record.
    #[error("fragment out of order")]
    OutOfOrder,
    /// A fragment whose record goes on in the next page and that does not fill its own, or that adds nothing to its record.
    #[error("fragment shorter than any that is written")]
    ShortFragment,
    /// Fragments of one record that say different things about its compression.
    #[error("fragments of one record differ in compression")]
    MixedCompression,
    /// More fragments than a record may have.
    #[error("record of over {MAX_RECORD_BYTES} bytes")]
    TooLong,
    /// The record can't be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The record does not decode.
    #[error(transparent)]
    Record(#[from] DecodeRecordError),
    /// A kind of record that no Prometheus wrote.
    #[error("unknown record type {0}")]
    UnknownKind(u8),
}

impl CorruptionReason {
    /// Whether a write that was cut off can leave this behind. What has a right checksum was written whole.
    #[must_use]
    pub fn may_be_torn_write(&self) -> bool {
        matches!(self, Self::Unfinished | Self::ShortFragment | Self::Slot(_))
    }
}

impl fmt::Display for WalCorruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.extent {
            CorruptionExtent::TornTail => "torn tail",
            CorruptionExtent::Middle => "damage",
        };
        write!(f, "{what} in {} at {}: {}", self.path.display(), self.offset, self.reason)
    }
}

impl std::error::Error for WalCorruption {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}
