//! Chunks of any encoding: [`AnyChunk`] is an open chunk, [`AnyChunkIter`] decodes.
//!
//! Formats: [`crate::tsdb::chunk::xor`], [`crate::tsdb::chunk::xor2`],
//! [`crate::tsdb::chunk::histogram`].
//!
//! All samples of a chunk have one type. An open XOR chunk, of which there may be a million, is
//! stored inline; the other encodings are boxed. Neither type holds a lock.

use crate::model::histogram::{FloatHistogram, Histogram};
use crate::model::sample::{Sample, SampleValue, ValueType};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::chunk::histogram::append::AppendOutcome;
use crate::tsdb::chunk::histogram::decode::HistogramIter;
use crate::tsdb::chunk::histogram::encode::{HistogramChunk, SampleTimes};
use crate::tsdb::chunk::histogram::header::HeaderLayout;
use crate::tsdb::chunk::xor::{ChunkError, XorChunk};
use crate::tsdb::chunk::xor2::encode::Xor2Chunk;

/// Choice between histogram encodings with and without start timestamps. Only newer versions of
/// Prometheus read those with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramStMode {
    /// Encodings 2 and 3, without start timestamps.
    #[default]
    WithoutSt,
    /// Encodings 5 and 6, with start timestamps.
    WithSt,
}

/// Encodings of new chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodingPolicy {
    /// Encoding of float chunks.
    pub floats: FloatEncoding,
    /// Encodings of histogram chunks.
    pub histogram_st_mode: HistogramStMode,
}

impl EncodingPolicy {
    /// Returns the encoding of a new chunk of values of this type.
    #[inline]
    #[must_use]
    pub fn encoding_for(self, kind: ValueType) -> ChunkEncoding {
        match (kind, self.histogram_st_mode) {
            (ValueType::Float, _) => self.floats.into(),
            (ValueType::Histogram, HistogramStMode::WithoutSt) => ChunkEncoding::Histogram,
            (ValueType::Histogram, HistogramStMode::WithSt) => ChunkEncoding::HistogramSt,
            (ValueType::FloatHistogram, HistogramStMode::WithoutSt) => {
                ChunkEncoding::FloatHistogram
            }
            (ValueType::FloatHistogram, HistogramStMode::WithSt) => ChunkEncoding::FloatHistogramSt,
        }
    }

    /// Returns a policy that encodes the samples of a chunk of `encoding` with the same encoding
    /// again.
    #[must_use]
    pub fn from_encoding(encoding: ChunkEncoding) -> Self {
        let has_st =
            matches!(encoding, ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt);
        Self {
            floats: FloatEncoding::from_chunk_encoding(encoding).unwrap_or_default(),
            histogram_st_mode: if has_st {
                HistogramStMode::WithSt
            } else {
                HistogramStMode::WithoutSt
            },
        }
    }

    fn header_layout(self) -> HeaderLayout {
        match self.histogram_st_mode {
            HistogramStMode::WithoutSt => HeaderLayout::WithoutSt,
            HistogramStMode::WithSt => HeaderLayout::WithSt,
        }
    }
}

/// Open chunk with at least one sample. Its bytes are a complete chunk after every append.
#[derive(Clone, Debug)]
pub struct AnyChunk {
    chunk: ChunkRepr,
}

#[derive(Clone, Debug)]
enum ChunkRepr {
    Xor(XorChunk),
    Other(Box<LargeChunk>),
}

#[derive(Clone, Debug)]
enum LargeChunk {
    Xor2(Xor2Chunk),
    Histogram(Box<HistogramChunk<Histogram>>),
    FloatHistogram(Box<HistogramChunk<FloatHistogram>>),
}

impl AnyChunk {
    /// Prefetches the end of an XOR chunk, to which the next sample is appended.
    #[inline]
    pub fn prefetch_end(&self) {
        if let ChunkRepr::Xor(chunk) = &self.chunk {
            chunk.prefetch_end();
        }
    }

    /// Creates a chunk with one sample.
    ///
    /// `previous` is the preceding chunk of the series, if available: the header of a histogram
    /// chunk records whether the counter was reset between the two. The start timestamp is dropped
    /// if the encoding cannot store it.
    ///
    #[inline]
    #[must_use]
    pub fn with_first_sample(
        encodings: EncodingPolicy,
        point: &Sample,
        previous: Option<&Self>,
    ) -> Self {
        match &point.value {
            SampleValue::Float(v) if encodings.floats == FloatEncoding::Xor => {
                let mut chunk = XorChunk::new();
                chunk.append(point.t, *v);
                Self { chunk: ChunkRepr::Xor(chunk) }
            }
            _ => Self {
                chunk: ChunkRepr::Other(Box::new(LargeChunk::with_first_sample(
                    encodings,
                    point,
                    previous.and_then(Self::as_large),
                ))),
            },
        }
    }

    /// Appends a sample if it has the type of the chunk and, for a histogram, fits the samples
    /// before it.
    ///
    /// The timestamp is not checked. [`crate::tsdb::chunk::cut`] decides beforehand whether another
    /// reason requires a new chunk. The start timestamp is dropped if the encoding cannot store it.
    ///
    #[inline]
    pub fn append(&mut self, point: &Sample) -> AppendOutcome {
        match (&mut self.chunk, &point.value) {
            (ChunkRepr::Xor(chunk), SampleValue::Float(v)) if chunk.num_samples() < u16::MAX => {
                chunk.append(point.t, *v);
                AppendOutcome::Appended
            }
            (ChunkRepr::Xor(_), _) => AppendOutcome::NeedsNewChunk,
            (ChunkRepr::Other(chunk), _) => chunk.append(point),
        }
    }

    /// Creates an open chunk from an encoded one. Bytes after its last sample are dropped.
    ///
    /// # Errors
    /// [`ChunkError`] if the bytes are not a complete chunk, or the chunk has no samples.
    pub fn resume(encoding: ChunkEncoding, bytes: &[u8]) -> Result<Self, ChunkError> {
        let integer = |layout| {
            HistogramChunk::resume(layout, bytes)
                .map(|chunk| LargeChunk::Histogram(Box::new(chunk)))
        };
        let float = |layout| {
            HistogramChunk::resume(layout, bytes)
                .map(|chunk| LargeChunk::FloatHistogram(Box::new(chunk)))
        };
        let other = match encoding {
            ChunkEncoding::Xor => {
                let chunk = ChunkRepr::Xor(XorChunk::resume(bytes)?);
                return Self { chunk }.require_samples();
            }
            ChunkEncoding::Xor2 => LargeChunk::Xor2(Xor2Chunk::resume(bytes)?),
            ChunkEncoding::Histogram => integer(HeaderLayout::WithoutSt)?,
            ChunkEncoding::FloatHistogram => float(HeaderLayout::WithoutSt)?,
            ChunkEncoding::HistogramSt => integer(HeaderLayout::WithSt)?,
            ChunkEncoding::FloatHistogramSt => float(HeaderLayout::WithSt)?,
        };
        Self { chunk: ChunkRepr::Other(Box::new(other)) }.require_samples()
    }

    fn require_samples(self) -> Result<Self, ChunkError> {
        if self.num_samples() == 0 { Err(ChunkError::Truncated { sample: 0 }) } else { Ok(self) }
    }

    /// Returns the codec of the chunk.
    #[inline]
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        match &self.chunk {
            ChunkRepr::Xor(_) => ChunkEncoding::Xor,
            ChunkRepr::Other(chunk) => chunk.encoding(),
        }
    }

    /// Returns the type of all samples in the chunk.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> ValueType {
        self.encoding().value_type()
    }

    /// Returns the encoded chunk, which is complete.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.bytes(),
            ChunkRepr::Other(chunk) => chunk.bytes(),
        }
    }

    /// Returns the length of [`Self::bytes`].
    #[inline]
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.num_bytes(),
            ChunkRepr::Other(chunk) => chunk.bytes().len(),
        }
    }

    /// Returns the encoded chunk without spare capacity.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        match self.chunk {
            ChunkRepr::Xor(chunk) => chunk.into_bytes(),
            ChunkRepr::Other(chunk) => match *chunk {
                LargeChunk::Xor2(chunk) => chunk.into_bytes(),
                LargeChunk::Histogram(chunk) => chunk.into_bytes(),
                LargeChunk::FloatHistogram(chunk) => chunk.into_bytes(),
            },
        }
    }

    /// Returns the number of samples.
    #[inline]
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.num_samples(),
            ChunkRepr::Other(chunk) => chunk.num_samples(),
        }
    }

    /// Returns the timestamp of the last sample, ms.
    #[inline]
    #[must_use]
    pub fn last_t(&self) -> Option<i64> {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.last().map(|last| last.t),
            ChunkRepr::Other(chunk) => chunk.last_t(),
        }
    }

    /// Returns the last sample. Its start timestamp is 0 if the encoding does not store one.
    #[must_use]
    pub fn last_sample(&self) -> Option<Sample> {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.last().map(Sample::from),
            ChunkRepr::Other(chunk) => chunk.last_sample(),
        }
    }

    /// Returns `true` if the last sample is a stale marker.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.last().is_some_and(|last| last.is_stale()),
            ChunkRepr::Other(chunk) => chunk.is_stale(),
        }
    }

    fn as_large(&self) -> Option<&LargeChunk> {
        match &self.chunk {
            ChunkRepr::Xor(_) => None,
            ChunkRepr::Other(chunk) => Some(chunk),
        }
    }
}

impl LargeChunk {
    fn with_first_sample(
        encodings: EncodingPolicy,
        point: &Sample,
        previous: Option<&Self>,
    ) -> Self {
        let times = SampleTimes { start: point.start_timestamp, t: point.t };
        match &point.value {
            SampleValue::Float(v) => {
                let mut chunk = Xor2Chunk::new();
                chunk.append_with_st(point.start_timestamp, point.t, *v);
                Self::Xor2(chunk)
            }
            SampleValue::Histogram(value) => {
                let previous = match previous {
                    Some(Self::Histogram(chunk)) => Some(&**chunk),
                    _ => None,
                };
                Self::Histogram(Box::new(HistogramChunk::with_first_sample(
                    encodings.header_layout(),
                    times,
                    &**value,
                    previous,
                )))
            }
            SampleValue::FloatHistogram(value) => {
                let previous = match previous {
                    Some(Self::FloatHistogram(chunk)) => Some(&**chunk),
                    _ => None,
                };
                Self::FloatHistogram(Box::new(HistogramChunk::with_first_sample(
                    encodings.header_layout(),
                    times,
                    &**value,
                    previous,
                )))
            }
        }
    }

    fn append(&mut self, point: &Sample) -> AppendOutcome {
        let times = SampleTimes { start: point.start_timestamp, t: point.t };
        match (self, &point.value) {
            (Self::Xor2(chunk), SampleValue::Float(v)) if chunk.num_samples() < u16::MAX => {
                chunk.append_with_st(point.start_timestamp, point.t, *v);
                AppendOutcome::Appended
            }
            (Self::Histogram(chunk), SampleValue::Histogram(value)) => chunk.append(times, value),
            (Self::FloatHistogram(chunk), SampleValue::FloatHistogram(value)) => {
                chunk.append(times, value)
            }
            _ => AppendOutcome::NeedsNewChunk,
        }
    }

    fn encoding(&self) -> ChunkEncoding {
        match self {
            Self::Xor2(_) => ChunkEncoding::Xor2,
            Self::Histogram(chunk) => chunk.encoding(),
            Self::FloatHistogram(chunk) => chunk.encoding(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Xor2(chunk) => chunk.bytes(),
            Self::Histogram(chunk) => chunk.bytes(),
            Self::FloatHistogram(chunk) => chunk.bytes(),
        }
    }

    fn num_samples(&self) -> u16 {
        match self {
            Self::Xor2(chunk) => chunk.num_samples(),
            Self::Histogram(chunk) => chunk.num_samples(),
            Self::FloatHistogram(chunk) => chunk.num_samples(),
        }
    }

    fn last_t(&self) -> Option<i64> {
        match self {
            Self::Xor2(chunk) => chunk.last().map(|last| last.t),
            Self::Histogram(chunk) => Some(chunk.last_t()),
            Self::FloatHistogram(chunk) => Some(chunk.last_t()),
        }
    }

    fn last_sample(&self) -> Option<Sample> {
        match self {
            Self::Xor2(chunk) => chunk
                .last()
                .map(|last| Sample { start_timestamp: chunk.last_st(), ..Sample::from(last) }),
            Self::Histogram(chunk) => Some(chunk.last_sample()),
            Self::FloatHistogram(chunk) => Some(chunk.last_sample()),
        }
    }

    fn is_stale(&self) -> bool {
        match self {
            Self::Xor2(chunk) => chunk.last().is_some_and(|last| last.is_stale()),
            Self::Histogram(chunk) => chunk.is_stale(),
            Self::FloatHistogram(chunk) => chunk.is_stale(),
        }
    }
}

/// Iterator over the samples of a chunk. An error is the last item.
///
/// Counter reset hints are those that Prometheus returns: a gauge histogram keeps its hint, the
/// first histogram of a chunk has none whatever the header of the chunk says, and the others have
/// "no reset".
#[derive(Clone, Debug)]
pub struct AnyChunkIter<'a> {
    points: AnyChunkIterRepr<'a>,
}

#[derive(Clone, Debug)]
enum AnyChunkIterRepr<'a> {
    Float(FloatIter<'a>),
    Histogram(Box<HistogramIter<'a, Histogram>>),
    FloatHistogram(Box<HistogramIter<'a, FloatHistogram>>),
}

impl<'a> AnyChunkIter<'a> {
    /// Creates an iterator over the encoded chunk `bytes`. Bytes after the last sample are ignored.
    #[must_use]
    pub fn new(encoding: ChunkEncoding, bytes: &'a [u8]) -> Self {
        let integer =
            |layout| AnyChunkIterRepr::Histogram(Box::new(HistogramIter::new(layout, bytes)));
        let float =
            |layout| AnyChunkIterRepr::FloatHistogram(Box::new(HistogramIter::new(layout, bytes)));
        let points = match encoding {
            ChunkEncoding::Xor => {
                AnyChunkIterRepr::Float(FloatIter::new(FloatEncoding::Xor, bytes))
            }
            ChunkEncoding::Xor2 => {
                AnyChunkIterRepr::Float(FloatIter::new(FloatEncoding::Xor2, bytes))
            }
            ChunkEncoding::Histogram => integer(HeaderLayout::WithoutSt),
            ChunkEncoding::FloatHistogram => float(HeaderLayout::WithoutSt),
            ChunkEncoding::HistogramSt => integer(HeaderLayout::WithSt),
            ChunkEncoding::FloatHistogramSt => float(HeaderLayout::WithSt),
        };
        Self { points }
    }
}

impl Iterator for AnyChunkIter<'_> {
    type Item = Result<Sample, ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.points {
            AnyChunkIterRepr::Float(iter) => {
                let sample = iter.next()?;
                Some(sample.map(|sample| Sample {
                    start_timestamp: iter.start_timestamp(),
                    t: sample.t,
                    value: SampleValue::Float(sample.v),
                }))
            }
            AnyChunkIterRepr::Histogram(iter) => iter.next(),
            AnyChunkIterRepr::FloatHistogram(iter) => iter.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.points {
            AnyChunkIterRepr::Float(iter) => iter.size_hint(),
            AnyChunkIterRepr::Histogram(iter) => iter.size_hint(),
            AnyChunkIterRepr::FloatHistogram(iter) => iter.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyChunk, AnyChunkIter, EncodingPolicy};
    use crate::model::sample::{Sample, SampleValue};
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::float_chunk::FloatEncoding;
    use crate::tsdb::chunk::histogram::append::AppendOutcome;
    use crate::tsdb::chunk::xor::{ChunkError, XorChunk};

    #[test]
    fn open_chunk_is_as_small_as_an_xor_chunk() {
        assert_eq!((size_of::<AnyChunk>(), size_of::<XorChunk>()), (48, 48));
    }

    #[test]
    fn start_timestamp_is_kept_only_by_xor2() {
        for floats in [FloatEncoding::Xor, FloatEncoding::Xor2] {
            let encodings = EncodingPolicy { floats, ..EncodingPolicy::default() };
            let point =
                |t| Sample { start_timestamp: t - 5, t, value: SampleValue::Float(t as f64) };
            let mut chunk = AnyChunk::with_first_sample(encodings, &point(10), None);
            assert_eq!(
                [chunk.append(&point(20)), chunk.append(&point(30))],
                [AppendOutcome::Appended; 2]
            );
            assert_eq!(
                (chunk.encoding(), chunk.num_samples(), chunk.last_t()),
                (floats.into(), 3, Some(30))
            );
            let start = if floats == FloatEncoding::Xor { 0 } else { 25 };
            assert_eq!(chunk.last_sample().map(|last| last.start_timestamp), Some(start));
            let read: Vec<Sample> =
                AnyChunkIter::new(floats.into(), chunk.bytes()).map(Result::unwrap).collect();
            assert_eq!(read.iter().map(|sample| sample.t).collect::<Vec<_>>(), [10, 20, 30]);
            assert_eq!(read[2].start_timestamp, start);
            assert_eq!(
                AnyChunk::resume(floats.into(), chunk.bytes()).unwrap().bytes(),
                chunk.bytes()
            );
            assert_eq!(&*chunk.clone().into_bytes(), chunk.bytes());
        }
    }

    #[test]
    fn resume_rejects_a_chunk_without_samples() {
        for encoding in (1..=6).filter_map(ChunkEncoding::from_byte) {
            assert_eq!(AnyChunkIter::new(encoding, &[0, 0, 0]).count(), 0);
            assert_eq!(
                AnyChunk::resume(encoding, &[0, 0, 0]).err(),
                Some(ChunkError::Truncated { sample: 0 })
            );
        }
    }
}
