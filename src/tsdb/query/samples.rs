//! A series of an answer, and its points as one stream in the order of time.
//!
//! Of points at the same time the one of the later chunk wins, "later" meaning the order in which the chunks were given: the
//! sources in their order, and each source's chunks in its order. How chunks are merged stands in `chain`.

mod chain;
pub mod groups;

use crate::model::histogram::CounterResetHint;
use crate::model::labels::Labels;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::model::value::{Point, Value};
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::any_chunk::AnyIter;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::query::samples::chain::{Chain, Decoded, Decoder, RankedChunk};
use crate::tsdb::query::source::{Chunk, ChunkSeries, QueryError};

/// One series and its chunks from all sources.
#[derive(Debug, Clone)]
pub struct Series {
    labels: Labels,
    /// By `mint`.
    chunks: Vec<RankedChunk>,
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

    /// The points in `range`, each time once and rising. What a histogram says of a counter reset before it is forgotten where the
    /// point before it is of another chunk.
    #[must_use]
    pub fn points(&self, range: TimeRange) -> PointIter<'_> {
        PointIter::new(&self.labels, &self.chunks, range)
    }

    /// Those of [`Self::points`] that are floats.
    #[must_use]
    pub fn samples(&self, range: TimeRange) -> SampleIter<'_> {
        SampleIter(Merged::new(&self.labels, &self.chunks, range))
    }
}

/// The points of a series in a range; made by [`Series::points`]. After an error it ends.
pub struct PointIter<'a>(Merged<'a>);

/// The float samples of a series in a range; made by [`Series::samples`]. After an error it ends.
pub struct SampleIter<'a>(Merged<'a>);

/// Where all chunks are of floats they are merged as such.
enum Merged<'a> {
    Floats(Chain<'a, FloatIter<'a>>),
    Any(Chain<'a, AnyIter<'a>>),
}

impl<'a> Merged<'a> {
    fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        let mut wanted = chunks.iter().filter(|ranked| ranked.chunk.overlaps(range));
        if wanted.all(|ranked| FloatEncoding::of(ranked.chunk.encoding).is_some()) {
            Self::Floats(Chain::new(labels, chunks, range))
        } else {
            Self::Any(Chain::new(labels, chunks, range))
        }
    }
}

impl<'a> PointIter<'a> {
    fn new(labels: &'a Labels, chunks: &'a [RankedChunk], range: TimeRange) -> Self {
        Self(Merged::new(labels, chunks, range))
    }
}

impl Iterator for PointIter<'_> {
    type Item = Result<Point, QueryError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Merged::Floats(floats) => floats.next().map(|float| float.map(Point::from)),
            Merged::Any(points) => points.next(),
        }
    }
}

impl Iterator for SampleIter<'_> {
    type Item = Result<Sample, QueryError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Merged::Floats(floats) => floats.next().map(|float| float.map(|float| float.sample)),
            Merged::Any(points) => points.find_map(|point| match point {
                Ok(Point { t, value: Value::Float(v), .. }) => Some(Ok(Sample::new(t, v))),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }),
        }
    }
}

/// A float with its start.
#[derive(Clone, Copy)]
struct Float {
    start: i64,
    sample: Sample,
}

impl From<Float> for Point {
    #[inline]
    fn from(float: Float) -> Self {
        Self { start: float.start, t: float.sample.t, value: Value::Float(float.sample.v) }
    }
}

impl Decoded for Float {
    #[inline]
    fn t(&self) -> i64 {
        self.sample.t
    }

    #[inline]
    fn forget_before(&mut self) {}
}

impl Decoded for Point {
    #[inline]
    fn t(&self) -> i64 {
        self.t
    }

    fn forget_before(&mut self) {
        let hint = match &mut self.value {
            Value::Float(_) => return,
            Value::Histogram(histogram) => &mut histogram.reset_hint,
            Value::FloatHistogram(histogram) => &mut histogram.reset_hint,
        };
        if *hint != CounterResetHint::Gauge {
            *hint = CounterResetHint::Unknown;
        }
    }
}

impl<'a> Decoder<'a> for FloatIter<'a> {
    type Sample = Float;

    fn begin(encoding: Encoding, bytes: &'a [u8]) -> Self {
        // Asked for only where all chunks are of floats.
        FloatIter::new(FloatEncoding::of(encoding).unwrap_or_default(), bytes)
    }

    #[inline]
    fn next(&mut self) -> Option<Result<Float, ChunkError>> {
        let sample = Iterator::next(self)?;
        Some(sample.map(|sample| Float { start: self.start(), sample }))
    }
}

impl<'a> Decoder<'a> for AnyIter<'a> {
    type Sample = Point;

    fn begin(encoding: Encoding, bytes: &'a [u8]) -> Self {
        AnyIter::new(encoding, bytes)
    }

    #[inline]
    fn next(&mut self) -> Option<Result<Point, ChunkError>> {
        Iterator::next(self)
    }
}

#[cfg(test)]
mod tests;
