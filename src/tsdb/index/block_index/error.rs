//! What can go wrong with the index of a block, with file and offset.

use crate::tsdb::encoding::byte_reader::ByteError;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with bytes of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexFormatError {
    /// Fewer bytes than the header, the table of contents or a stated length need.
    #[error("{needed} bytes needed, {left} left")]
    UnexpectedEnd {
        /// How many are needed.
        needed: u64,
        /// How many there are.
        left: u64,
    },
    /// Bytes and checksum do not belong together.
    #[error("checksum is {stored:08x}, that of the bytes is {computed:08x}")]
    Checksum {
        /// What the file says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The file does not begin as an index.
    #[error("not an index: begins with {0:08x}")]
    Magic(u32),
    /// A version that is not known.
    #[error("unknown index version {0}")]
    Version(u8),
    /// A value that can't be read.
    #[error(transparent)]
    Value(#[from] ByteError),
    /// The number of a symbol that the table does not have.
    #[error("no symbol {0}")]
    NoSymbol(u64),
    /// A label set that can't be: an empty or repeated name, or no label at all.
    #[error("not a label set: {0}")]
    Labels(String),
    /// Bytes are left where nothing more is to come.
    #[error("{0} bytes too many")]
    TrailingBytes(u64),
    /// Things that rise do not.
    #[error("{0} do not rise")]
    Order(&'static str),
    /// A number that has to be another one.
    #[error("{what} is {found}")]
    Unexpected {
        /// What the number is.
        what: &'static str,
        /// The number.
        found: u64,
    },
    /// Two parts of the index contradict each other.
    #[error("{0} do not agree")]
    Inconsistent(&'static str),
}

/// A fault and where it is, before the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormatErrorAt {
    pub(super) offset: u64,
    pub(super) fault: IndexFormatError,
}

impl FormatErrorAt {
    pub(super) fn new(offset: usize, fault: impl Into<IndexFormatError>) -> Self {
        Self { offset: offset as u64, fault: fault.into() }
    }

    pub(super) fn in_file(self, path: &Path) -> IndexError {
        IndexError::Corrupted(IndexCorruption {
            path: path.to_owned(),
            offset: self.offset,
            fault: self.fault,
        })
    }
}

/// Bytes of an index that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: at byte {offset}: {fault}", path = path.display())]
pub struct IndexCorruption {
    /// The file.
    pub path: PathBuf,
    /// Where in it the part begins that is wrong.
    pub offset: u64,
    /// What is wrong.
    pub fault: IndexFormatError,
}

/// Why an index does not take what it is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexInputError {
    /// A symbol that does not come after the one before.
    #[error("symbol {0:?} out of order")]
    SymbolOrder(String),
    /// A symbol after the first series.
    #[error("symbol {0:?} after the first series")]
    LateSymbol(String),
    /// A label whose name or value was not given as a symbol.
    #[error("no symbol {0:?}")]
    UnknownSymbol(String),
    /// A series that does not come after the one before.
    #[error("series {0} out of order")]
    SeriesOrder(String),
    /// Chunks of a series that overlap or go back in time, or that end before they begin.
    #[error("chunk from {mint} to {maxt} of series {series} out of order")]
    ChunkOrder {
        /// The series.
        series: String,
        /// The chunk's first time, ms.
        mint: i64,
        /// The chunk's last time, ms.
        maxt: i64,
    },
    /// A chunk that lies before one that was named before it.
    #[error("chunk {chunk:#x} of series {series} lies before the chunk named before it")]
    ChunkPlace {
        /// The series.
        series: String,
        /// The chunk's reference.
        chunk: u64,
    },
    /// A part of the file outgrows its length field, or the file its references.
    #[error("{what} of {bytes} bytes is too large")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A call before it failed; what was written can't be trusted.
    #[error("an earlier step failed")]
    Broken,
}

/// Why an index could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A step on the file failed.
    #[error("{path}: {step}: {source}", path = path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is damaged, or no index.
    #[error(transparent)]
    Corrupted(#[from] IndexCorruption),
    /// What was to be written can't stand in an index.
    #[error("{path}: {refusal}", path = path.display())]
    InvalidInput {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        refusal: IndexInputError,
    },
    /// The caller did not want to wait for the end.
    #[error("stopped before the end")]
    Stopped,
}
