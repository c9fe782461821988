//! What a query reads from: the seam that the head and every block implement.
//!
//! A source answers with series sorted by their labels; each series lists its chunks in the order of their time (late ones of the head last). A chunk
//! is bytes that stay valid as long as the [`ChunkData`] lives (shared memory, or a pinned mapped file): no lock is
//! held while it is read. The answer is lazy, and its matchers are the source's own by then: it borrows the source alone.
//!
//! Every source passes the tests of `conformance`.

use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use std::sync::Arc;

/// A part of the stored data that can be queried by itself.
pub trait BlockSource: Send + Sync {
    /// The series that satisfy every matcher, sorted by labels, with the chunks that overlap `range`. No labels come
    /// twice, and a series without such a chunk is left out. An absent label has the empty value; no matcher at all
    /// selects nothing.
    ///
    /// # Errors
    /// [`QueryError`] where the data can't be read.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError>;
}

/// Series with their chunks, sorted by labels, made one by one as they are asked for.
pub type ChunkSeriesSet<'a> = Box<dyn Iterator<Item = Result<ChunkSeries, QueryError>> + Send + 'a>;

/// One series and its chunks in a range.
#[derive(Debug, Clone)]
pub struct ChunkSeries {
    /// The labels of the series.
    pub labels: Labels,
    /// Its chunks. Those of a block and those of samples that came in order are sorted by `mint` and do not overlap; behind them stand those of
    /// late samples, which may overlap anything. Where two have a sample at the same time, the later one in this list wins.
    pub chunks: Vec<Chunk>,
}

/// A chunk: an encoded run of samples. All of them lie between `mint` and `maxt`.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Time of its first sample, ms.
    pub mint: i64,
    /// Time of its last sample, ms, or a later one where it is still growing.
    pub maxt: i64,
    /// How `data` is encoded.
    pub encoding: ChunkEncoding,
    /// The encoded samples, without the header and checksum of any file.
    pub data: ChunkData,
    /// Samples at these times are deleted: they are in `data`, and no reader gets them.
    pub deleted_intervals: Option<Arc<Intervals>>,
}

impl Chunk {
    /// Whether the chunk may have samples in the range. A range that ends before it begins has none.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        range.mint <= range.maxt && range.overlaps(TimeRange::new(self.mint, self.maxt))
    }

    /// Whether all of its samples are in the range, and none is deleted.
    #[must_use]
    pub fn is_fully_selected(&self, range: TimeRange) -> bool {
        let times = TimeRange::new(self.mint, self.maxt);
        let is_touched =
            self.deleted_intervals.as_ref().is_some_and(|deleted| deleted.overlaps(times));
        range.contains(self.mint) && range.contains(self.maxt) && !is_touched
    }
}

/// The bytes of a chunk, kept alive by whatever owns them.
#[derive(Clone)]
pub struct ChunkData(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl ChunkData {
    /// Takes shared bytes, such as a part of a mapped file with its mapping.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }

    /// The encoded samples.
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

/// Why a query has no answer, or none that is whole.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Stored data that can't be read; the text names file and offset.
    #[error("damaged data: {0}")]
    Corrupted(String),
}
