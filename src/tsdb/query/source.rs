//! Data sources of queries: the trait that the head and every block implement.
//!
//! A source returns series sorted by labels, and for each series its chunks in time order,
//! out-of-order chunks of the head last. The bytes of a chunk stay valid as long as its
//! [`ChunkData`] lives (shared memory, or a pinned mapped file), so no lock is held while a chunk
//! is read. The result is lazy and borrows only the source, not the matchers.
//!
//! Every source passes the tests of `testing::conformance`.

use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::query::corruption::{ChunkDefect, DataDefect};
use std::sync::Arc;

/// Part of the stored data that can be queried: the head or a block.
pub trait BlockSource: Send + Sync {
    /// Returns the series that satisfy every matcher, sorted by labels, with the chunks that
    /// overlap `range`.
    ///
    /// Label sets are unique. A series without such a chunk is omitted. An absent label has the
    /// empty value. An empty list of matchers selects nothing.
    ///
    /// # Errors
    /// [`QueryError`] if the stored data cannot be read.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError>;
}

/// Lazy iterator over series with their chunks, sorted by labels.
pub type ChunkSeriesSet<'a> = Box<dyn Iterator<Item = Result<ChunkSeries, QueryError>> + Send + 'a>;

/// Series of one source with its chunks in a range.
#[derive(Debug, Clone)]
pub struct ChunkSeries {
    /// Label set of the series.
    pub labels: Labels,
    /// Chunks of the series. In-order chunks come first, sorted by `mint` and without overlap. They
    /// are followed by out-of-order chunks of the head, which may overlap any other. If two chunks
    /// have a sample at the same timestamp, the later one in this list wins.
    pub chunks: Vec<Chunk>,
}

/// Encoded samples with timestamps from `mint` to `maxt`.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms, or a later one for an open chunk.
    pub maxt: i64,
    /// Codec of the bytes in `data`.
    pub encoding: ChunkEncoding,
    /// Encoded samples, without the header and checksum of a file.
    pub data: ChunkData,
    /// Deleted time ranges. Their samples are still in `data`; readers skip them.
    pub deleted_intervals: Option<Arc<Intervals>>,
}

impl Chunk {
    /// Returns `true` if the chunk may have samples in `range`. A range with `mint` > `maxt`
    /// contains nothing.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        range.mint <= range.maxt && range.overlaps(TimeRange::new(self.mint, self.maxt))
    }

    /// Returns `true` if all samples are in `range` and none is deleted.
    #[must_use]
    pub fn is_fully_selected(&self, range: TimeRange) -> bool {
        let chunk_range = TimeRange::new(self.mint, self.maxt);
        let has_deletions =
            self.deleted_intervals.as_ref().is_some_and(|deleted| deleted.overlaps(chunk_range));
        range.contains(self.mint) && range.contains(self.maxt) && !has_deletions
    }
}

/// Reference-counted bytes of a chunk.
#[derive(Clone)]
pub struct ChunkData(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl ChunkData {
    /// Wraps shared bytes, such as a part of a mapped file with its mapping.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }

    /// Returns the encoded samples.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl std::fmt::Debug for ChunkData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkData({} bytes)", self.bytes().len())
    }
}

/// Error of a query that returns no result, or only a part of it.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A file is corrupted or missing.
    #[error("corrupted data: {0}")]
    Corrupted(Corruption<DataDefect>),
    /// A chunk has a valid checksum but invalid samples.
    #[error("corrupted data: chunk of {series}: {defect}")]
    CorruptedChunk {
        /// Labels of the series.
        series: Labels,
        /// Defect of the samples.
        defect: ChunkDefect,
    },
    /// A source returned a series that is not greater than the previous one.
    #[error("corrupted data: series {series} follows {previous}")]
    SeriesOrder {
        /// Labels of the series.
        series: Labels,
        /// Labels of the previous series.
        previous: Labels,
    },
}

impl<C: Into<DataDefect>> From<Corruption<C>> for QueryError {
    fn from(Corruption { path, offset, cause }: Corruption<C>) -> Self {
        Self::Corrupted(Corruption { path, offset, cause: cause.into() })
    }
}
