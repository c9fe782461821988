//! Errors of decoding records.

use crate::model::labels::BuildLabelsError;
use crate::tsdb::encoding::byte_reader::ByteError;
use crate::tsdb::wal::record::record_type::RecordType;

/// Error of decoding a record whose checksums are valid. Offsets count from the byte after the type
/// byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The record has another type than the decoder reads.
    #[error("expected {expected} record, found {found}")]
    UnexpectedType {
        /// Type that the decoder reads.
        expected: RecordType,
        /// Type of the record.
        found: RecordType,
    },
    /// A value crosses the end of the record or is malformed.
    #[error(transparent)]
    Bytes(#[from] ByteError),
    /// The labels are not a valid label set.
    #[error("invalid labels before offset {offset}: {source}")]
    Labels {
        /// End offset of the labels, bytes.
        offset: usize,
        /// Defect of the label set.
        source: BuildLabelsError,
    },
    /// A series has the reference 0, which is never assigned.
    #[error("series reference 0 before offset {offset}")]
    ZeroRef {
        /// End offset of the reference, bytes.
        offset: usize,
    },
    /// A byte has none of its defined values.
    #[error("invalid {what} {byte} before offset {offset}")]
    InvalidByte {
        /// Name of the field.
        what: &'static str,
        /// Value of the byte.
        byte: u8,
        /// End offset of the byte.
        offset: usize,
    },
    /// A number exceeds the range of its field.
    #[error("{what} out of range before offset {offset}")]
    OutOfRange {
        /// Name of the field.
        what: &'static str,
        /// End offset of the number, bytes.
        offset: usize,
    },
}
