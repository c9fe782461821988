//! References: the numbers by which the parts of the engine name each other's things.
//!
//! | type            | bits                              | names                                      | lives in                       |
//! |-----------------|-----------------------------------|--------------------------------------------|--------------------------------|
//! | `SeriesRef`     | 64, counted from 1                | a series of the head                       | WAL records, chunks_head, index|
//! | `HeadChunkRef`  | 32 file number, 32 byte offset    | a full chunk of the head in `chunks_head/` | memory only                    |
//! | `BlockChunkRef` | 32 file number, 32 byte offset    | a chunk of a block in `chunks/`            | block index                    |
//! | `BlockSeriesRef`| 32, in units of 16 bytes          | a series of a block                        | block index                    |
//!
//! A `SeriesRef` is never given out twice, not even across restarts: records of a dead series may still stand in the
//! log. 0 is not a reference: Prometheus reads a zero in a head-chunk file as the end of the file.

/// Names a series of the head. Never 0, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u64);

/// Where a full chunk of the head lies: the number of its file in `chunks_head/` and the offset of its first byte there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadChunkRef(u64);

impl HeadChunkRef {
    /// Packs file number and byte offset.
    #[must_use]
    pub fn new(file: u32, offset: u32) -> Self {
        Self(u64::from(file) << 32 | u64::from(offset))
    }

    /// The number that is the file's name.
    #[must_use]
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The offset in bytes of the chunk's header in that file.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// Where a chunk of a block lies: its segment file, counted from 0 (file `000001` is number 0), and the offset of its first byte there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockChunkRef(pub u64);

impl BlockChunkRef {
    /// Packs the number of the segment, from 0, and the byte offset.
    #[must_use]
    pub fn new(segment: u32, offset: u32) -> Self {
        Self(u64::from(segment) << 32 | u64::from(offset))
    }

    /// The number of the segment, from 0.
    #[must_use]
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The offset in bytes of the chunk's length field in that file.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// A series of a block: the offset of its entry in the index, in units of 16 bytes (in index version 1, of single bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSeriesRef(pub u32);
