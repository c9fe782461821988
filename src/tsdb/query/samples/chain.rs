//! The chunks of one series, decoded and merged into one stream that rises in time.
//!
//! Chunks are decoded one after another, only as far as samples are asked for; several at once only where they overlap.
//! What a chunk is decoded to is the [`Decoder`]'s business: floats are merged as floats, which costs less than to merge
//! values of every kind.
//!
//! Whether a histogram follows a counter reset is known only of neighbours of one chunk. So a sample that comes behind one of another
//! chunk forgets what is said of the sample before it, as with Prometheus (`storage/merge.go`).

use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::query::source::{Chunk, QueryError};

/// A chunk of a series and its place among those of all sources: of samples at the same time that of the greater rank stands.
#[derive(Debug, Clone)]
pub(super) struct RankedChunk {
    pub(super) chunk: Chunk,
    pub(super) rank: usize,
}

/// What a chunk is decoded to.
pub(super) trait Decoded {
    /// Its time, ms.
    fn t(&self) -> i64;
    /// Forgets what is said of the sample before it.
    fn forget_before(&mut self);
}

/// Decodes a chunk.
pub(super) trait Decoder<'a>: Sized {
    type Sample: Decoded;

    /// Begins with the first sample of `bytes`.
    fn begin(encoding: Encoding, bytes: &'a [u8]) -> Self;

    /// The next sample.
    fn next(&mut self) -> Option<Result<Self::Sample, ChunkError>>;
}

/// The samples of a series in a range. After an error it ends.
pub(super) struct Chain<'a, D: Decoder<'a>> {
    labels: &'a Labels,
    range: TimeRange,
    unread: &'a [RankedChunk],
    /// The chunks being decoded; more than one only where they overlap.
    open: Vec<OpenChunk<'a, D>>,
    /// The rank of the chunk that the last sample came from.
    last_rank: Option<usize>,
}

struct OpenChunk<'a, D: Decoder<'a>> {
    /// The sample that comes next.
    head: D::Sample,
    rest: D,
    deleted: Option<&'a Intervals>,
    rank: usize,
}

impl<'a, D: Decoder<'a>> Iterator for Chain<'a, D> {
    type Item = Result<D::Sample, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance() {
                Ok(Some(sample)) if sample.t() < self.range.mint => {}
                Ok(Some(sample)) if sample.t() <= self.range.maxt => return Some(Ok(sample)),
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

impl<'a, D: Decoder<'a>> Chain<'a, D> {
    /// Merges `chunks`, which are sorted by their `mint`.
    pub(super) fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        Self { labels, range, unread: chunks, open: Vec::new(), last_rank: None }
    }

    fn end(&mut self) {
        self.open.clear();
        self.unread = &[];
    }

    /// The next sample of all chunks, whether in the range or not.
    fn advance(&mut self) -> Result<Option<D::Sample>, QueryError> {
        while let Some((ranked, unread)) = self.unread.split_first()
            && self.open.iter().all(|open| ranked.chunk.mint <= open.head.t())
        {
            self.unread = unread;
            self.open(ranked)?;
        }
        let Some(t) = self.open.iter().map(|open| open.head.t()).min() else {
            return Ok(None);
        };
        let mut winner: Option<(usize, D::Sample)> = None;
        let mut at = 0;
        while let Some(open) = self.open.get(at) {
            if open.head.t() != t {
                at += 1;
                continue;
            }
            let (rank, before) = (open.rank, self.open.len());
            let sample = self.take(at)?;
            // Where the chunk has ended, another stands in its place now.
            at += usize::from(self.open.len() == before);
            if winner.as_ref().is_none_or(|(best, _)| *best < rank) {
                winner = Some((rank, sample));
            }
        }
        Ok(winner.map(|(rank, mut sample)| {
            if self.last_rank.replace(rank) != Some(rank) {
                sample.forget_before();
            }
            sample
        }))
    }

    /// Takes the next sample of an open chunk, which goes with its last one.
    fn take(&mut self, at: usize) -> Result<D::Sample, QueryError> {
        let open = &mut self.open[at];
        match read(&mut open.rest, open.deleted, self.labels)? {
            Some(sample) if sample.t() <= open.head.t() => Err(self.damaged("its times do not rise")),
            Some(sample) => Ok(std::mem::replace(&mut open.head, sample)),
            None => Ok(self.open.swap_remove(at).head),
        }
    }

    fn open(&mut self, ranked: &'a RankedChunk) -> Result<(), QueryError> {
        let chunk = &ranked.chunk;
        if !chunk.overlaps(self.range) {
            return Ok(());
        }
        let mut rest = D::begin(chunk.encoding, chunk.data.bytes());
        let deleted = chunk.deleted.as_deref();
        if let Some(head) = read(&mut rest, deleted, self.labels)? {
            if head.t() < chunk.mint {
                return Err(self.damaged("it begins before the time that is stated for it"));
            }
            self.open.push(OpenChunk { head, rest, deleted, rank: ranked.rank });
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> QueryError {
        QueryError::Damaged(format!("a chunk of {}: {what}", self.labels))
    }
}

/// The next sample that is not deleted.
fn read<'a, D: Decoder<'a>>(
    samples: &mut D,
    deleted: Option<&Intervals>,
    labels: &Labels,
) -> Result<Option<D::Sample>, QueryError> {
    while let Some(sample) = samples.next() {
        let sample = sample.map_err(|error| QueryError::Damaged(format!("a chunk of {labels}: {error}")))?;
        if deleted.is_none_or(|deleted| !deleted.contains(sample.t())) {
            return Ok(Some(sample));
        }
    }
    Ok(None)
}
