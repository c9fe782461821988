//! A series of an answer, and its points as one stream in the order of time.
//!
//! Of points at the same time the one of the later chunk wins, "later" meaning the order in which the chunks were given: the
//! sources in their order, and each source's chunks in its order. How chunks are merged stands in `merger`.

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

/// One series and its chunks from all sources.
#[derive(Debug, Clone)]
pub struct MergedSeries {
    labels: Labels,
    /// By `mint`.
    chunks: Vec<RankedChunk>,
}

impl MergedSeries {
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
        self.chunks.extend(
            chunks.into_iter().zip(first..).map(|(chunk, rank)| RankedChunk { chunk, rank }),
        );
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

    /// The points in `range`, each time once and rising. What a histogram says of a counter reset before it is forgotten where the
    /// point before it is of another chunk.
    #[must_use]
    pub fn samples(&self, range: TimeRange) -> SampleIter<'_> {
        SampleIter::new(&self.labels, &self.chunks, range)
    }

    /// Those of [`Self::samples`] that are floats.
    #[must_use]
    pub fn float_samples(&self, range: TimeRange) -> FloatSampleIter<'_> {
        FloatSampleIter(SampleIterRepr::new(&self.labels, &self.chunks, range))
    }
}

/// The points of a series in a range; made by [`MergedSeries::samples`]. After an error it ends.
pub struct SampleIter<'a>(SampleIterRepr<'a>);

/// The float samples of a series in a range; made by [`MergedSeries::samples`]. After an error it ends.
pub struct FloatSampleIter<'a>(SampleIterRepr<'a>);

/// Where all chunks are of floats they are merged as such.
enum SampleIterRepr<'a> {
    Floats(SampleMerger<'a, FloatIter<'a>>),
    Any(SampleMerger<'a, AnyChunkIter<'a>>),
}

impl<'a> SampleIterRepr<'a> {
    fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        let mut wanted = chunks.iter().filter(|ranked| ranked.chunk.overlaps(range));
        if wanted.all(|ranked| FloatEncoding::from_chunk_encoding(ranked.chunk.encoding).is_some())
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
            SampleIterRepr::Any(points) => points.next(),
        }
    }
}

impl Iterator for FloatSampleIter<'_> {
    type Item = Result<FloatSample, QueryError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            SampleIterRepr::Floats(floats) => {
                floats.next().map(|float| float.map(|float| float.sample))
            }
            SampleIterRepr::Any(points) => points.find_map(|point| match point {
                Ok(Sample { t, value: SampleValue::Float(v), .. }) => {
                    Some(Ok(FloatSample::new(t, v)))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }),
        }
    }
}

/// A float with its start.
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
        // Asked for only where all chunks are of floats.
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
