//! Why a record's bytes are not a record.

use crate::model::labels::BuildLabelsError;
use crate::tsdb::encoding::byte_reader::ByteError;
use crate::tsdb::wal::record::record_type::RecordType;

/// A record that does not decode although its checksums are right. Offsets count from the record's first byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The record is not of the kind that the decoder reads.
    #[error("{found} record where {expected} was expected")]
    UnexpectedType {
        /// The kind that the decoder reads.
        expected: RecordType,
        /// The kind of the record.
        found: RecordType,
    },
    /// A value that ends beyond the record, or is not one.
    #[error(transparent)]
    Bytes(#[from] ByteError),
    /// Labels that are no label set.
    #[error("labels that end at offset {offset}: {source}")]
    Labels {
        /// Where the labels end.
        offset: usize,
        /// What is wrong with them.
        source: BuildLabelsError,
    },
    /// A series with the reference 0, which names nothing.
    #[error("series reference 0 before offset {offset}")]
    ZeroRef {
        /// Where the reference ends.
        offset: usize,
    },
    /// A byte that has only a few meanings has another.
    #[error("bad {what} {byte} before offset {offset}")]
    InvalidByte {
        /// What the byte is.
        what: &'static str,
        /// Its value.
        byte: u8,
        /// The offset behind it.
        offset: usize,
    },
    /// A number that does not fit where it belongs.
    #[error("{what} out of range before offset {offset}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The offset behind it.
        offset: usize,
    },
}
