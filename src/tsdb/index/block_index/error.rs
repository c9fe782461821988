//! Errors of a block's index, with path and offset.

use crate::model::labels::{BuildLabelsError, Labels};
use crate::tsdb::encoding::byte_reader::ByteError;
use crate::tsdb::fs::corruption::Corruption;
use std::io;
use std::path::{Path, PathBuf};

/// Defect in the bytes of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexFormatError {
    /// The file or a section ends before the header, the table of contents or the declared length.
    #[error("{needed} bytes needed, {left} remain")]
    UnexpectedEnd {
        /// Number of required bytes.
        needed: u64,
        /// Number of available bytes.
        left: u64,
    },
    /// The stored checksum does not match the bytes.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    Checksum {
        /// Checksum in the file.
        stored: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The file does not start with the magic number.
    #[error("bad magic {0:#010x}")]
    Magic(u32),
    /// The index version is unknown.
    #[error("unknown index version {0}")]
    Version(u8),
    /// A value is malformed or cut short.
    #[error(transparent)]
    Value(#[from] ByteError),
    /// A symbol reference that the table does not have.
    #[error("unknown symbol reference {0}")]
    NoSymbol(u64),
    /// The labels of a series are not a label set.
    #[error("invalid label set: {0}")]
    Labels(#[from] BuildLabelsError),
    /// A label of a series has an empty value.
    #[error("invalid label set: label {name:?} has an empty value")]
    EmptyValue {
        /// Name of the label.
        name: String,
    },
    /// Bytes follow the last value of a section or entry.
    #[error("{0} trailing bytes")]
    TrailingBytes(u64),
    /// Items that must ascend are out of order.
    #[error("{0} are out of order")]
    Order(&'static str),
    /// A number has an unexpected value.
    #[error("unexpected {what}: {found}")]
    Unexpected {
        /// Name of the number.
        what: &'static str,
        /// Value in the file.
        found: u64,
    },
    /// Two parts of the index contradict each other.
    #[error("{0} are inconsistent")]
    Inconsistent(&'static str),
}

/// Defect and its offset, without the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormatErrorAt {
    pub(super) offset: u64,
    pub(super) fault: IndexFormatError,
}

impl FormatErrorAt {
    pub(super) fn new(offset: usize, fault: impl Into<IndexFormatError>) -> Self {
        Self { offset: offset as u64, fault: fault.into() }
    }

    pub(super) fn in_file(self, path: &Path) -> IndexCorruption {
        Corruption::at(path, self.offset, self.fault)
    }
}

/// Corruption of an index file.
pub type IndexCorruption = Corruption<IndexFormatError>;

/// Invalid input to an index writer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexInputError {
    /// The symbol is not greater than the previous one.
    #[error("symbol {symbol:?} is out of order")]
    SymbolOrder {
        /// Rejected symbol.
        symbol: String,
    },
    /// The symbol was added after the first series.
    #[error("symbol {symbol:?} was added after the first series")]
    LateSymbol {
        /// Rejected symbol.
        symbol: String,
    },
    /// A label name or value was not added as a symbol.
    #[error("unknown symbol {symbol:?}")]
    UnknownSymbol {
        /// Label name or value.
        symbol: String,
    },
    /// The series is not greater than the previous one.
    #[error("series {series} is out of order")]
    SeriesOrder {
        /// Labels of the series.
        series: Labels,
    },
    /// A chunk of the series overlaps or precedes the previous one, or ends before it starts.
    #[error("chunk from {mint} to {maxt} of series {series} is out of order")]
    ChunkOrder {
        /// Labels of the series.
        series: Labels,
        /// Timestamp of the chunk's first sample, ms.
        mint: i64,
        /// Timestamp of the chunk's last sample, ms.
        maxt: i64,
    },
    /// The reference of a chunk is lower than that of the chunk added before.
    #[error("chunk {chunk:#x} of series {series} precedes the previous chunk in the file")]
    ChunkPlace {
        /// Labels of the series.
        series: Labels,
        /// Reference of the chunk.
        chunk: u64,
    },
    /// A part exceeds its length field, or the file exceeds the largest reference.
    #[error("{what} is too large: {bytes} bytes")]
    TooLarge {
        /// Name of the part.
        what: &'static str,
        /// Size of the part, bytes.
        bytes: u64,
    },
    /// An earlier call failed, so the content of the file is undefined.
    #[error("an earlier write failed")]
    Broken,
}

/// Error of reading or writing an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file operation failed.
    #[error("cannot {step} {path}: {source}", path = path.display())]
    Io {
        /// Name of the operation, such as `open`.
        step: &'static str,
        /// Path of the index file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is corrupted or is not an index.
    #[error("corrupted index {0}")]
    Corrupted(#[from] IndexCorruption),
    /// The input of the writer is invalid.
    #[error("cannot write {path}: {cause}", path = path.display())]
    InvalidInput {
        /// Path of the index file.
        path: PathBuf,
        /// Reason of the rejection.
        cause: IndexInputError,
    },
    /// The caller cancelled the operation.
    #[error("cancelled")]
    Stopped,
}
