//! A series of an answer, and its samples as one stream in the order of time.
//!
//! Chunks are decoded one after another, only as far as samples are asked for; several at once only where they
//! overlap. Of samples at the same time the one of the later chunk wins, "later" meaning the order in which the chunks
//! were given: the sources in their order, and each source's chunks in its order.

use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::query::source::{Chunk, ChunkSeries, QueryError};

/// One series and its chunks from all sources.
#[derive(Debug, Clone)]
pub struct Series {
    labels: Labels,
    /// By `mint`.
    chunks: Vec<RankedChunk>,
}

#[derive(Debug, Clone)]
struct RankedChunk {
    chunk: Chunk,
    /// Its place in the order in which the chunks were given.
    rank: usize,
}

impl Series {
    /// The series as one source has it.
    #[must_use]
    pub fn new(series: ChunkSeries) -> Self {
        let mut own = Self { labels: series.labels, chunks: Vec::new() };
        own.add_chunks(series.chunks);
        own
    }

    /// Adds the chunks of a later source.
    pub(super) fn add_chunks(&mut self, chunks: Vec<Chunk>) {
        let first = self.chunks.len();
        self.chunks.extend(chunks.into_iter().zip(first..).map(|(chunk, rank)| RankedChunk { chunk, rank }));
        self.chunks.sort_by_key(|ranked| ranked.chunk.mint);
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The chunks, by their `mint`; those of different sources may overlap.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = &Chunk> {
        self.chunks.iter().map(|ranked| &ranked.chunk)
    }

    /// The float samples in `range`, each time once and rising.
    #[must_use]
    pub fn samples(&self, range: TimeRange) -> SampleIter<'_> {
        let wanted = self.chunks().filter(|chunk| chunk.overlaps(range));
        let unreadable_chunks = wanted.filter(|chunk| FloatEncoding::of(chunk.encoding).is_none()).count();
        SampleIter { labels: &self.labels, range, unread: &self.chunks, open: Vec::new(), unreadable_chunks, start: 0 }
    }
}

/// The samples of a series in a range; made by [`Series::samples`]. After an error it ends.
pub struct SampleIter<'a> {
    labels: &'a Labels,
    range: TimeRange,
    unread: &'a [RankedChunk],
    /// The chunks being decoded; more than one only where they overlap.
    open: Vec<OpenChunk<'a>>,
    unreadable_chunks: usize,
    /// The start time of the sample given last, ms.
    start: i64,
}

struct OpenChunk<'a> {
    /// The sample that comes next.
    head: Sample,
    /// Its start time, ms.
    start: i64,
    rest: FloatIter<'a>,
    deleted: Option<&'a Intervals>,
    rank: usize,
}

impl Iterator for SampleIter<'_> {
    type Item = Result<Sample, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance() {
                Ok(Some(sample)) if sample.t < self.range.mint => {}
                Ok(Some(sample)) if sample.t <= self.range.maxt => return Some(Ok(sample)),
                Ok(_) => {
                    self.end();
                    return None;
                }
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<'a> SampleIter<'a> {
    /// How many chunks of the range are left out because this version can't decode them (native histograms). Known from the start.
    #[must_use]
    pub fn unreadable_chunks(&self) -> usize {
        self.unreadable_chunks
    }

    /// When the counter began that the sample given last is of, ms; 0 where that is not known.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    fn end(&mut self) {
        self.open.clear();
        self.unread = &[];
    }

    /// The next sample of all chunks, whether in the range or not.
    fn advance(&mut self) -> Result<Option<Sample>, QueryError> {
        while let Some((ranked, unread)) = self.unread.split_first()
            && self.open.iter().all(|open| ranked.chunk.mint <= open.head.t)
        {
            self.unread = unread;
            self.open(ranked)?;
        }
        let Some(t) = self.open.iter().map(|open| open.head.t).min() else {
            return Ok(None);
        };
        let mut winner: Option<(usize, Sample)> = None;
        let mut at = 0;
        while let Some(open) = self.open.get_mut(at) {
            if open.head.t != t {
                at += 1;
                continue;
            }
            if winner.is_none_or(|(rank, _)| rank < open.rank) {
                winner = Some((open.rank, open.head));
                self.start = open.start;
            }
            match read(&mut open.rest, open.deleted, self.labels)? {
                Some(sample) if sample.t <= t => return Err(self.damaged("its times do not rise")),
                Some(sample) => {
                    open.head = sample;
                    open.start = open.rest.start();
                    at += 1;
                }
                None => {
                    self.open.swap_remove(at);
                }
            }
        }
        Ok(winner.map(|(_, sample)| sample))
    }

    fn open(&mut self, ranked: &'a RankedChunk) -> Result<(), QueryError> {
        let chunk = &ranked.chunk;
        let Some(encoding) = FloatEncoding::of(chunk.encoding).filter(|_| chunk.overlaps(self.range)) else {
            return Ok(());
        };
        let mut rest = FloatIter::new(encoding, chunk.data.bytes());
        let deleted = chunk.deleted.as_deref();
        if let Some(head) = read(&mut rest, deleted, self.labels)? {
            if head.t < chunk.mint {
                return Err(self.damaged("it begins before the time that is stated for it"));
            }
            let start = rest.start();
            self.open.push(OpenChunk { head, start, rest, deleted, rank: ranked.rank });
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> QueryError {
        QueryError::Damaged(format!("a chunk of {}: {what}", self.labels))
    }
}

/// The next sample that is not deleted.
fn read(
    samples: &mut FloatIter<'_>,
    deleted: Option<&Intervals>,
    labels: &Labels,
) -> Result<Option<Sample>, QueryError> {
    let is_kept = |sample: &Sample| deleted.is_none_or(|deleted| !deleted.contains(sample.t));
    let next = samples.find(|sample| sample.as_ref().map_or(true, is_kept));
    next.transpose().map_err(|error| QueryError::Damaged(format!("a chunk of {labels}: {error}")))
}

#[cfg(test)]
mod tests;
