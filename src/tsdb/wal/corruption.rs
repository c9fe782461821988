//! Corruption of a segment: file, offset, reason, and whether it looks like a torn write.

use std::fmt;
use std::path::PathBuf;

use crate::tsdb::wal::compression::{CompressionError, MAX_RECORD_BYTES};
use crate::tsdb::wal::page::FragmentError;
use crate::tsdb::wal::record::error::DecodeRecordError;

/// A position in a segment after which no data can be trusted.
#[derive(Clone, Debug)]
pub struct WalCorruption {
    /// Number of the segment.
    pub segment: u32,
    /// Path of the segment.
    pub path: PathBuf,
    /// Offset of the corrupted fragment, or of the record that does not decode, bytes.
    pub offset: u64,
    /// End offset of the last valid record, bytes. Everything before it is kept.
    pub good_end: u64,
    /// Extent of the corruption.
    pub extent: CorruptionExtent,
    /// Reason, with the failed check.
    pub reason: CorruptionReason,
}

/// Extent of a corruption: the end of the file, or a part before other records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptionExtent {
    /// The last record of the file is incomplete, zeroed or partly written, and no other record
    /// starts after it, or the last write was not finished. A crash leaves this.
    TornTail,
    /// Another record starts after it, or the record is complete but invalid.
    Middle,
}

/// Reason of a corruption.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CorruptionReason {
    /// The bytes are neither a fragment nor padding.
    #[error(transparent)]
    Slot(#[from] FragmentError),
    /// The file ends within the record.
    #[error("file ends within a record")]
    Unfinished,
    /// A continuation without a first fragment, or a first fragment within another record.
    #[error("fragment out of order")]
    OutOfOrder,
    /// A fragment that is continued in the next page but does not fill its own, or a continuation
    /// without data.
    #[error("fragment is too short")]
    ShortFragment,
    /// The fragments of one record name different compressions.
    #[error("fragments of one record have different compressions")]
    MixedCompression,
    /// The joined fragments exceed [`MAX_RECORD_BYTES`].
    #[error("record exceeds {MAX_RECORD_BYTES} bytes")]
    TooLong,
    /// The record cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The record does not decode.
    #[error(transparent)]
    Record(#[from] DecodeRecordError),
    /// A record type that no version of Prometheus writes.
    #[error("unknown record type {0}")]
    UnknownKind(u8),
}

impl CorruptionReason {
    /// Returns `true` if a torn write can cause this. Data with a valid checksum was written
    /// completely.
    #[must_use]
    pub fn may_be_torn_write(&self) -> bool {
        matches!(self, Self::Unfinished | Self::ShortFragment | Self::Slot(_))
    }

    /// Returns `true` if nothing in the rest of the file was acknowledged, although it may have
    /// complete records.
    #[must_use]
    pub fn is_unfinished_write(&self) -> bool {
        matches!(self, Self::Slot(FragmentError::Unfinished))
    }
}

impl fmt::Display for WalCorruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.extent {
            CorruptionExtent::TornTail => "torn tail",
            CorruptionExtent::Middle => "corruption",
        };
        write!(f, "{what} in {} at {}: {}", self.path.display(), self.offset, self.reason)
    }
}

impl std::error::Error for WalCorruption {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}
