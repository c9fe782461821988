//! A chunk of any encoding: [`AnyChunk`] grows, [`AnyChunkIter`] reads. The formats stand in [`crate::tsdb::chunk::xor`],
//! [`crate::tsdb::chunk::xor2`] and [`crate::tsdb::chunk::histogram`].
//!
//! A chunk has points of one kind. An open XOR chunk, of which there may be a million, is as small as by itself; what is rarer stands elsewhere.
//!
//! Neither holds a lock.

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

/// Whether new chunks of histograms have a place for start times. Only newer readers know those that have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramStMode {
    /// They have none: encodings 2 and 3.
    #[default]
    WithoutSt,
    /// They have: 5 and 6.
    WithSt,
}

/// How new chunks are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodingPolicy {
    /// Those of floats.
    pub floats: FloatEncoding,
    /// Those of histograms.
    pub histogram_st_mode: HistogramStMode,
}

impl EncodingPolicy {
    /// The encoding of a new chunk of such values.
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

    /// Those by which the points of such a chunk become such a chunk again.
    #[must_use]
    pub fn from_encoding(encoding: ChunkEncoding) -> Self {
        let has_starts =
            matches!(encoding, ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt);
        Self {
            floats: FloatEncoding::from_chunk_encoding(encoding).unwrap_or_default(),
            histogram_st_mode: if has_starts {
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

/// An open chunk: it has one point or more, and its bytes are at every moment a whole chunk.
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
    /// A chunk with one point in it.
    ///
    /// `before` is the series' chunk before this one, if it is at hand: the header of a chunk of histograms says whether the counters were reset
    /// between the two. A start is dropped where the encoding has no place for it.
    #[inline]
    #[must_use]
    pub fn with_first_sample(
        encodings: EncodingPolicy,
        point: &Sample,
        before: Option<&Self>,
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
                    before.and_then(Self::other),
                ))),
            },
        }
    }

    /// Appends a point, if it is of the chunk's kind and, if it is a histogram, fits to those before it.
    ///
    /// Its time is not looked at; whether a new chunk is to begin for another reason is asked of [`crate::tsdb::chunk::cut`] before. A start is
    /// dropped where the encoding has no place for it.
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

    /// Continues a chunk that was begun elsewhere; bytes after its last sample are dropped.
    ///
    /// # Errors
    /// [`ChunkError`] where the bytes are not a whole chunk, or one without samples.
    pub fn resume(encoding: ChunkEncoding, bytes: &[u8]) -> Result<Self, ChunkError> {
        let whole = |form| {
            HistogramChunk::resume(form, bytes).map(|chunk| LargeChunk::Histogram(Box::new(chunk)))
        };
        let real = |form| {
            HistogramChunk::resume(form, bytes)
                .map(|chunk| LargeChunk::FloatHistogram(Box::new(chunk)))
        };
        let other = match encoding {
            ChunkEncoding::Xor => {
                let chunk = ChunkRepr::Xor(XorChunk::resume(bytes)?);
                return Self { chunk }.require_samples();
            }
            ChunkEncoding::Xor2 => LargeChunk::Xor2(Xor2Chunk::resume(bytes)?),
            ChunkEncoding::Histogram => whole(HeaderLayout::WithoutSt)?,
            ChunkEncoding::FloatHistogram => real(HeaderLayout::WithoutSt)?,
            ChunkEncoding::HistogramSt => whole(HeaderLayout::WithSt)?,
            ChunkEncoding::FloatHistogramSt => real(HeaderLayout::WithSt)?,
        };
        Self { chunk: ChunkRepr::Other(Box::new(other)) }.require_samples()
    }

    fn require_samples(self) -> Result<Self, ChunkError> {
        if self.num_samples() == 0 { Err(ChunkError::Truncated { sample: 0 }) } else { Ok(self) }
    }

    /// How it is encoded.
    #[inline]
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        match &self.chunk {
            ChunkRepr::Xor(_) => ChunkEncoding::Xor,
            ChunkRepr::Other(chunk) => chunk.encoding(),
        }
    }

    /// What its points are.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> ValueType {
        self.encoding().value_type()
    }

    /// The chunk as it stands: whole.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.bytes(),
            ChunkRepr::Other(chunk) => chunk.bytes(),
        }
    }

    /// The length of [`Self::bytes`].
    #[inline]
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.num_bytes(),
            ChunkRepr::Other(chunk) => chunk.bytes().len(),
        }
    }

    /// The bytes of the chunk, and no more allocated than they take.
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

    /// How many samples are in it.
    #[inline]
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.num_samples(),
            ChunkRepr::Other(chunk) => chunk.num_samples(),
        }
    }

    /// Time of the last sample, ms.
    #[inline]
    #[must_use]
    pub fn last_t(&self) -> Option<i64> {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.last().map(|last| last.t),
            ChunkRepr::Other(chunk) => chunk.last_t(),
        }
    }

    /// The last sample; its start is 0 where the chunk has no place for one.
    #[must_use]
    pub fn last_sample(&self) -> Option<Sample> {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.last().map(Sample::from),
            ChunkRepr::Other(chunk) => chunk.last_sample(),
        }
    }

    /// Whether the last sample is a stale marker.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match &self.chunk {
            ChunkRepr::Xor(chunk) => chunk.last().is_some_and(|last| last.is_stale()),
            ChunkRepr::Other(chunk) => chunk.is_stale(),
        }
    }

    fn other(&self) -> Option<&LargeChunk> {
        match &self.chunk {
            ChunkRepr::Xor(_) => None,
            ChunkRepr::Other(chunk) => Some(chunk),
        }
    }
}

impl LargeChunk {
    fn with_first_sample(encodings: EncodingPolicy, point: &Sample, before: Option<&Self>) -> Self {
        let times = SampleTimes { start: point.start_timestamp, t: point.t };
        match &point.value {
            SampleValue::Float(v) => {
                let mut chunk = Xor2Chunk::new();
                chunk.append_with_st(point.start_timestamp, point.t, *v);
                Self::Xor2(chunk)
            }
            SampleValue::Histogram(value) => {
                let before = match before {
                    Some(Self::Histogram(chunk)) => Some(&**chunk),
                    _ => None,
                };
                Self::Histogram(Box::new(HistogramChunk::with_first_sample(
                    encodings.header_layout(),
                    times,
                    &**value,
                    before,
                )))
            }
            SampleValue::FloatHistogram(value) => {
                let before = match before {
                    Some(Self::FloatHistogram(chunk)) => Some(&**chunk),
                    _ => None,
                };
                Self::FloatHistogram(Box::new(HistogramChunk::with_first_sample(
                    encodings.header_layout(),
                    times,
                    &**value,
                    before,
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

/// The points of a chunk; the first error is the last item.
///
/// The reset hint of a histogram is as Prometheus gives it: gauges have theirs; the first histogram of a chunk has none, whatever the
/// chunk's header says; of the others it is known that there was no reset before them.
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
    /// Reads the chunk `bytes`; whatever follows its last sample is not looked at.
    #[must_use]
    pub fn new(encoding: ChunkEncoding, bytes: &'a [u8]) -> Self {
        let whole = |form| AnyChunkIterRepr::Histogram(Box::new(HistogramIter::new(form, bytes)));
        let real =
            |form| AnyChunkIterRepr::FloatHistogram(Box::new(HistogramIter::new(form, bytes)));
        let points = match encoding {
            ChunkEncoding::Xor => {
                AnyChunkIterRepr::Float(FloatIter::new(FloatEncoding::Xor, bytes))
            }
            ChunkEncoding::Xor2 => {
                AnyChunkIterRepr::Float(FloatIter::new(FloatEncoding::Xor2, bytes))
            }
            ChunkEncoding::Histogram => whole(HeaderLayout::WithoutSt),
            ChunkEncoding::FloatHistogram => real(HeaderLayout::WithoutSt),
            ChunkEncoding::HistogramSt => whole(HeaderLayout::WithSt),
            ChunkEncoding::FloatHistogramSt => real(HeaderLayout::WithSt),
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
    fn an_open_chunk_is_as_small_as_one_of_floats() {
        assert_eq!((size_of::<AnyChunk>(), size_of::<XorChunk>()), (48, 48));
    }

    #[test]
    fn floats_keep_their_start_where_the_encoding_has_a_place_for_it() {
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
            assert_eq!(read.iter().map(|point| point.t).collect::<Vec<_>>(), [10, 20, 30]);
            assert_eq!(read[2].start_timestamp, start);
            assert_eq!(
                AnyChunk::resume(floats.into(), chunk.bytes()).unwrap().bytes(),
                chunk.bytes()
            );
            assert_eq!(&*chunk.clone().into_bytes(), chunk.bytes());
        }
    }

    #[test]
    fn a_chunk_without_samples_is_not_continued() {
        for encoding in (1..=6).filter_map(ChunkEncoding::from_byte) {
            assert_eq!(AnyChunkIter::new(encoding, &[0, 0, 0]).count(), 0);
            assert_eq!(
                AnyChunk::resume(encoding, &[0, 0, 0]).err(),
                Some(ChunkError::Truncated { sample: 0 })
            );
        }
    }
}
