//! References: numbers that identify series and locate chunks.
//!
//! | type | bits | identifies | stored in |
//! |---|---|---|---|
//! | [`SeriesRef`] | 64, counted from 1 | series of the head | WAL, `chunks_head/`, head index |
//! | [`HeadChunkRef`] | 32 file number, 32 offset | m-mapped chunk | memory only |
//! | [`BlockChunkRef`] | 32 segment number, 32 offset | chunk of a block | block index |
//! | [`BlockSeriesRef`] | 32, in units of 16 bytes | series of a block | block index |
//!
//! A [`SeriesRef`] is never reused, not even after a restart, because the WAL may still have
//! records of a collected series. 0 is not a valid reference: Prometheus reads it in a head chunk
//! file as the end of the file.

/// Reference of a series in the head. Never 0, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u64);

/// Location of an m-mapped chunk: number of its file in `chunks_head/` and offset of its first
/// byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadChunkRef(u64);

impl HeadChunkRef {
    /// Combines a file number and a byte offset.
    #[must_use]
    pub fn new(file: u32, offset: u32) -> Self {
        Self(u64::from(file) << 32 | u64::from(offset))
    }

    /// Number of the file, which is its name.
    #[must_use]
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Offset of the chunk header in the file, bytes.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// Location of a chunk in a block: number of its segment from 0 (file `000001` is number 0) and
/// offset of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockChunkRef(pub u64);

impl BlockChunkRef {
    /// Combines a segment number, from 0, and a byte offset.
    #[must_use]
    pub fn new(segment: u32, offset: u32) -> Self {
        Self(u64::from(segment) << 32 | u64::from(offset))
    }

    /// Number of the segment, from 0.
    #[must_use]
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Offset of the chunk's length field in the segment, bytes.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// Reference of a series in a block: offset of its index entry in units of 16 bytes (1 byte in
/// index version 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSeriesRef(pub u32);
