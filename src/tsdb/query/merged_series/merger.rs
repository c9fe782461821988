//! K-way merge of the chunks of one series into samples with ascending timestamps.
//!
//! A chunk is decoded only as far as samples are requested, several at once only if they overlap.
//! Open chunks are in a heap, so a sample costs the logarithm of the number of chunks that overlap
//! at its timestamp. The merger is generic over the [`ChunkDecoder`]: merging floats is cheaper
//! than merging samples of all types.
//!
//! Counter resets are known only between neighbors in the same chunk. The hint of a sample is
//! therefore cleared if the previous sample is from another chunk.
//!
//! Source: `storage/merge.go` of Prometheus.

use crate::model::intervals::Intervals;
use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::query::corruption::ChunkDefect;
use crate::tsdb::query::source::{Chunk, QueryError};

/// Chunk of a series with its rank among all sources. Of samples at the same timestamp, the one
/// with the highest rank wins.
#[derive(Debug, Clone)]
pub(super) struct RankedChunk {
    pub(super) chunk: Chunk,
    pub(super) rank: usize,
}

/// Sample that a decoder returns.
pub(super) trait DecodedSample {
    /// Returns the timestamp, ms.
    fn t(&self) -> i64;
    /// Clears the counter reset hint, except that of a gauge.
    fn clear_reset_hint(&mut self);
}

/// Decoder of the samples of one chunk.
pub(super) trait ChunkDecoder<'a>: Sized {
    type Sample: DecodedSample;

    /// Creates a decoder that begins with the first sample of `bytes`.
    fn start(encoding: ChunkEncoding, bytes: &'a [u8]) -> Self;

    /// Returns the next sample.
    fn next(&mut self) -> Option<Result<Self::Sample, ChunkError>>;
}

/// Iterator over the samples of a series in a range. An error is the last item.
pub(super) struct SampleMerger<'a, D: ChunkDecoder<'a>> {
    labels: &'a Labels,
    range: TimeRange,
    unread: &'a [RankedChunk],
    /// Binary min-heap of the chunks being decoded, by timestamp of their next sample. More than
    /// one only if they overlap.
    open: Vec<ChunkCursor<'a, D>>,
    /// Rank of the chunk of the last sample.
    last_rank: Option<usize>,
}

struct ChunkCursor<'a, D: ChunkDecoder<'a>> {
    /// Next sample of the chunk.
    head: D::Sample,
    rest: D,
    deleted: Option<&'a Intervals>,
    rank: usize,
}

impl<'a, D: ChunkDecoder<'a>> Iterator for SampleMerger<'a, D> {
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

impl<'a, D: ChunkDecoder<'a>> SampleMerger<'a, D> {
    /// Merges `chunks`, which are sorted by `mint`.
    pub(super) fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        Self { labels, range, unread: chunks, open: Vec::new(), last_rank: None }
    }

    fn end(&mut self) {
        self.open.clear();
        self.unread = &[];
    }

    /// Returns the next sample of all chunks, inside the range or not.
    fn advance(&mut self) -> Result<Option<D::Sample>, QueryError> {
        while let Some((ranked, unread)) = self.unread.split_first()
            && self.open.first().is_none_or(|open| ranked.chunk.mint <= open.head.t())
        {
            self.unread = unread;
            self.open_chunk(ranked)?;
        }
        let mut winner: Option<(usize, D::Sample)> = None;
        while let Some(open) = self.open.first() {
            if winner.as_ref().is_some_and(|(_, sample)| open.head.t() != sample.t()) {
                break;
            }
            let rank = open.rank;
            let sample = self.take_first()?;
            if winner.as_ref().is_none_or(|(best, _)| *best < rank) {
                winner = Some((rank, sample));
            }
        }
        Ok(winner.map(|(rank, mut sample)| {
            if self.last_rank.replace(rank) != Some(rank) {
                sample.clear_reset_hint();
            }
            sample
        }))
    }

    /// Removes the earliest sample of the open chunks. A chunk is closed after its last one.
    fn take_first(&mut self) -> Result<D::Sample, QueryError> {
        let open = &mut self.open[0];
        let sample = match read(&mut open.rest, open.deleted, self.labels)? {
            Some(sample) if sample.t() <= open.head.t() => {
                let t = sample.t();
                return Err(self.corrupted(ChunkDefect::NotAscending { t }));
            }
            Some(sample) => std::mem::replace(&mut open.head, sample),
            None => self.open.swap_remove(0).head,
        };
        self.sift_down();
        Ok(sample)
    }

    /// Restores the order of the heap after its root has changed.
    fn sift_down(&mut self) {
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(child) = self.open.get(left) else { return };
            let is_right =
                self.open.get(right).is_some_and(|other| other.head.t() < child.head.t());
            let child = if is_right { right } else { left };
            if self.open[at].head.t() <= self.open[child].head.t() {
                return;
            }
            self.open.swap(at, child);
            at = child;
        }
    }

    /// Restores the order of the heap after a chunk was added at its end.
    fn sift_up(&mut self) {
        let mut at = self.open.len().saturating_sub(1);
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.open[parent].head.t() <= self.open[at].head.t() {
                return;
            }
            self.open.swap(at, parent);
            at = parent;
        }
    }

    fn open_chunk(&mut self, ranked: &'a RankedChunk) -> Result<(), QueryError> {
        let chunk = &ranked.chunk;
        if !chunk.overlaps(self.range) {
            return Ok(());
        }
        let mut rest = D::start(chunk.encoding, chunk.data.bytes());
        let deleted = chunk.deleted_intervals.as_deref();
        if let Some(head) = read(&mut rest, deleted, self.labels)? {
            if head.t() < chunk.mint {
                let (t, mint, maxt) = (head.t(), chunk.mint, chunk.maxt);
                return Err(self.corrupted(ChunkDefect::OutsideRange { t, mint, maxt }));
            }
            self.open.push(ChunkCursor { head, rest, deleted, rank: ranked.rank });
            self.sift_up();
        }
        Ok(())
    }

    fn corrupted(&self, defect: ChunkDefect) -> QueryError {
        QueryError::CorruptedChunk { series: self.labels.clone(), defect }
    }
}

/// Returns the next sample that is not deleted.
fn read<'a, D: ChunkDecoder<'a>>(
    samples: &mut D,
    deleted: Option<&Intervals>,
    labels: &Labels,
) -> Result<Option<D::Sample>, QueryError> {
    while let Some(sample) = samples.next() {
        let sample = sample.map_err(|error| QueryError::CorruptedChunk {
            series: labels.clone(),
            defect: error.into(),
        })?;
        if deleted.is_none_or(|deleted| !deleted.contains(sample.t())) {
            return Ok(Some(sample));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{ChunkDecoder, DecodedSample, RankedChunk, SampleMerger};
    use crate::model::labels::LabelsBuilder;
    use crate::model::time::TimeRange;
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::xor::ChunkError;
    use crate::tsdb::query::source::{Chunk, ChunkData};
    use std::cell::Cell;

    thread_local! {
        /// Number of calls of `t`.
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// Sample that is only a timestamp.
    #[derive(Debug, PartialEq)]
    struct Time(i64);

    impl DecodedSample for Time {
        fn t(&self) -> i64 {
            LOOKS.set(LOOKS.get() + 1);
            self.0
        }

        fn clear_reset_hint(&mut self) {}
    }

    /// Decoder of timestamps, 8 bytes each.
    struct Times<'a>(std::slice::Chunks<'a, u8>);

    impl<'a> ChunkDecoder<'a> for Times<'a> {
        type Sample = Time;

        fn start(_: ChunkEncoding, bytes: &'a [u8]) -> Self {
            Self(bytes.chunks(8))
        }

        fn next(&mut self) -> Option<Result<Time, ChunkError>> {
            self.0.next().map(|bytes| Ok(Time(i64::from_le_bytes(bytes.try_into().unwrap()))))
        }
    }

    /// Merges `count` overlapping chunks. Returns the number of timestamp reads per sample.
    fn looks_per_sample(count: i64) -> u64 {
        let chunk = |first: i64| {
            let times = (0..32).map(|n| first + n * count);
            let bytes: Vec<u8> = times.flat_map(i64::to_le_bytes).collect();
            let (mint, maxt) = (first, first + 31 * count);
            let chunk = Chunk {
                mint,
                maxt,
                encoding: ChunkEncoding::Xor,
                data: ChunkData::new(bytes),
                deleted_intervals: None,
            };
            RankedChunk { chunk, rank: first as usize }
        };
        let chunks: Vec<RankedChunk> = (0..count).map(chunk).collect();
        let labels = LabelsBuilder::from_iter([("a", "b")]).build().unwrap();
        LOOKS.set(0);
        let merged = SampleMerger::<Times<'_>>::new(&labels, &chunks, TimeRange::ALL)
            .map(|sample| sample.unwrap().0);
        assert!(merged.eq(0..32 * count));
        LOOKS.get() / (32 * count as u64)
    }

    #[test]
    fn merge_cost_is_logarithmic_in_overlapping_chunks() {
        let (few, many) = (looks_per_sample(16), looks_per_sample(1 << 12));
        // Every level of the heap compares four timestamps; there are 4 levels and 12.
        assert!(many <= few + 8 * 4 && many < 100, "{few} and {many} reads per sample");
    }
}
