//! Merged series: the chunks of all sources, and their samples as one stream in time order.
//!
//! If several chunks have a sample at the same timestamp, the one added last wins: sources in their
//! order, and the chunks of a source in theirs. `merger` merges the chunks; [`groups`] finds the
//! ones that overlap.

pub mod groups;
mod merger;

use crate::model::float_sample::FloatSample;
use crate::model::histogram::CounterResetHint;
use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::query::merged_series::merger::{
    ChunkDecoder, DecodedSample, RankedChunk, SampleMerger,
};
use crate::tsdb::query::source::{Chunk, ChunkSeries, QueryError};

/// Series of a query result with its chunks from all sources.
#[derive(Debug, Clone)]
pub struct MergedSeries {
    labels: Labels,
    /// Chunks, sorted by `mint`.
    chunks: Vec<RankedChunk>,
}

impl MergedSeries {
    /// Creates a series from the chunks of one source.
    #[must_use]
    pub fn new(series: ChunkSeries) -> Self {
        let mut merged = Self { labels: series.labels, chunks: Vec::new() };
        merged.add_chunks(series.chunks);
        merged
    }

    /// Adds the chunks of a later source.
    pub(super) fn add_chunks(&mut self, chunks: Vec<Chunk>) {
        let first = self.chunks.len();
        self.chunks.extend(
            chunks.into_iter().zip(first..).map(|(chunk, rank)| RankedChunk { chunk, rank }),
        );
        self.chunks.sort_by_key(|ranked| ranked.chunk.mint);
    }

    /// Returns the label set of the series.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Iterates over the chunks, sorted by `mint`. Chunks of different sources may overlap.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = &Chunk> {
        self.chunks.iter().map(|ranked| &ranked.chunk)
    }

    /// Returns the samples in `range` with unique, ascending timestamps. The counter reset hint of
    /// a histogram is cleared if the previous sample is from another chunk.
    #[must_use]
    pub fn samples(&self, range: TimeRange) -> SampleIter<'_> {
        SampleIter::new(&self.labels, &self.chunks, range)
    }

    /// Returns only the float samples of [`Self::samples`].
    #[cfg(any(test, feature = "testing"))]
    pub fn float_samples(
        &self,
        range: TimeRange,
    ) -> impl Iterator<Item = Result<FloatSample, QueryError>> {
        self.samples(range).filter_map(|sample| match sample {
            Ok(Sample { t, value: SampleValue::Float(v), .. }) => Some(Ok(FloatSample::new(t, v))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// Iterator of [`MergedSeries::samples`]. An error is the last item.
pub struct SampleIter<'a>(SampleIterRepr<'a>);

/// Merger for float chunks only, which is cheaper, or for all types.
enum SampleIterRepr<'a> {
    Floats(SampleMerger<'a, FloatIter<'a>>),
    Any(SampleMerger<'a, AnyChunkIter<'a>>),
}

impl<'a> SampleIterRepr<'a> {
    fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        let mut selected = chunks.iter().filter(|ranked| ranked.chunk.overlaps(range));
        if selected
            .all(|ranked| FloatEncoding::from_chunk_encoding(ranked.chunk.encoding).is_some())
        {
            Self::Floats(SampleMerger::new(labels, chunks, range))
        } else {
            Self::Any(SampleMerger::new(labels, chunks, range))
        }
    }
}

impl<'a> SampleIter<'a> {
    fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        Self(SampleIterRepr::new(labels, chunks, range))
    }
}

impl Iterator for SampleIter<'_> {
    type Item = Result<Sample, QueryError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            SampleIterRepr::Floats(floats) => floats.next().map(|float| float.map(Sample::from)),
            SampleIterRepr::Any(samples) => samples.next(),
        }
    }
}

/// Float sample with its start timestamp.
#[derive(Clone, Copy)]
struct FloatWithSt {
    start: i64,
    sample: FloatSample,
}

impl From<FloatWithSt> for Sample {
    #[inline]
    fn from(float: FloatWithSt) -> Self {
        Self {
            start_timestamp: float.start,
            t: float.sample.t,
            value: SampleValue::Float(float.sample.v),
        }
    }
}

impl DecodedSample for FloatWithSt {
    #[inline]
    fn t(&self) -> i64 {
        self.sample.t
    }

    #[inline]
    fn clear_reset_hint(&mut self) {}
}

impl DecodedSample for Sample {
    #[inline]
    fn t(&self) -> i64 {
        self.t
    }

    fn clear_reset_hint(&mut self) {
        let hint = match &mut self.value {
            SampleValue::Float(_) => return,
            SampleValue::Histogram(histogram) => &mut histogram.reset_hint,
            SampleValue::FloatHistogram(histogram) => &mut histogram.reset_hint,
        };
        if *hint != CounterResetHint::Gauge {
            *hint = CounterResetHint::Unknown;
        }
    }
}

impl<'a> ChunkDecoder<'a> for FloatIter<'a> {
    type Sample = FloatWithSt;

    fn start(encoding: ChunkEncoding, bytes: &'a [u8]) -> Self {
        // Called only if all chunks have floats.
        FloatIter::new(FloatEncoding::from_chunk_encoding(encoding).unwrap_or_default(), bytes)
    }

    #[inline]
    fn next(&mut self) -> Option<Result<FloatWithSt, ChunkError>> {
        let sample = Iterator::next(self)?;
        Some(sample.map(|sample| FloatWithSt { start: self.start_timestamp(), sample }))
    }
}

impl<'a> ChunkDecoder<'a> for AnyChunkIter<'a> {
    type Sample = Sample;

    fn start(encoding: ChunkEncoding, bytes: &'a [u8]) -> Self {
        AnyChunkIter::new(encoding, bytes)
    }

    #[inline]
    fn next(&mut self) -> Option<Result<Sample, ChunkError>> {
        Iterator::next(self)
    }
}

#[cfg(test)]
mod tests;
