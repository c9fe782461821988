//! A chunk of any encoding: [`AnyChunk`] grows, [`AnyIter`] reads. The formats stand in [`crate::tsdb::chunk::xor`],
//! [`crate::tsdb::chunk::xor2`] and [`crate::tsdb::chunk::histogram`].
//!
//! A chunk has points of one kind. An open XOR chunk, of which there may be a million, is as small as by itself; what is rarer stands elsewhere.
//!
//! Neither holds a lock.

use crate::model::histogram::{FloatHistogram, Histogram};
use crate::model::value::{Point, Value, ValueKind};
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::chunk::histogram::append::Appended;
use crate::tsdb::chunk::histogram::decode::HistogramIter;
use crate::tsdb::chunk::histogram::encode::{HistogramChunk, Times};
use crate::tsdb::chunk::histogram::header::Form;
use crate::tsdb::chunk::xor::{ChunkError, XorChunk};
use crate::tsdb::chunk::xor2::encode::Xor2Chunk;

/// Whether new chunks of histograms have a place for start times. Only newer readers know those that have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramStarts {
    /// They have none: encodings 2 and 3.
    #[default]
    Dropped,
    /// They have: 5 and 6.
    Kept,
}

/// How new chunks are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkEncodings {
    /// Those of floats.
    pub floats: FloatEncoding,
    /// Those of histograms.
    pub histogram_starts: HistogramStarts,
}

impl ChunkEncodings {
    /// The encoding of a new chunk of such values.
    #[inline]
    #[must_use]
    pub fn of(self, kind: ValueKind) -> Encoding {
        match (kind, self.histogram_starts) {
            (ValueKind::Float, _) => self.floats.into(),
            (ValueKind::Histogram, HistogramStarts::Dropped) => Encoding::Histogram,
            (ValueKind::Histogram, HistogramStarts::Kept) => Encoding::HistogramSt,
            (ValueKind::FloatHistogram, HistogramStarts::Dropped) => Encoding::FloatHistogram,
            (ValueKind::FloatHistogram, HistogramStarts::Kept) => Encoding::FloatHistogramSt,
        }
    }

    /// Those by which the points of such a chunk become such a chunk again.
    #[must_use]
    pub fn like(encoding: Encoding) -> Self {
        let has_starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
        Self {
            floats: FloatEncoding::of(encoding).unwrap_or_default(),
            histogram_starts: if has_starts { HistogramStarts::Kept } else { HistogramStarts::Dropped },
        }
    }

    fn form(self) -> Form {
        match self.histogram_starts {
            HistogramStarts::Dropped => Form::WithoutStarts,
            HistogramStarts::Kept => Form::WithStarts,
        }
    }
}

/// An open chunk: it has one point or more, and its bytes are at every moment a whole chunk.
#[derive(Clone, Debug)]
pub struct AnyChunk {
    chunk: Open,
}

#[derive(Clone, Debug)]
enum Open {
    Xor(XorChunk),
    Other(Box<Other>),
}

#[derive(Clone, Debug)]
enum Other {
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
    pub fn begin(encodings: ChunkEncodings, point: &Point, before: Option<&Self>) -> Self {
        match &point.value {
            Value::Float(v) if encodings.floats == FloatEncoding::Xor => {
                let mut chunk = XorChunk::new();
                chunk.append(point.t, *v);
                Self { chunk: Open::Xor(chunk) }
            }
            _ => Self { chunk: Open::Other(Box::new(Other::begin(encodings, point, before.and_then(Self::other)))) },
        }
    }

    /// Appends a point, if it is of the chunk's kind and, if it is a histogram, fits to those before it.
    ///
    /// Its time is not looked at; whether a new chunk is to begin for another reason is asked of [`crate::tsdb::chunk::cut`] before. A start is
    /// dropped where the encoding has no place for it.
    #[inline]
    pub fn append(&mut self, point: &Point) -> Appended {
        match (&mut self.chunk, &point.value) {
            (Open::Xor(chunk), Value::Float(v)) if chunk.num_samples() < u16::MAX => {
                chunk.append(point.t, *v);
                Appended::Done
            }
            (Open::Xor(_), _) => Appended::NotTaken,
            (Open::Other(chunk), _) => chunk.append(point),
        }
    }

    /// Continues a chunk that was begun elsewhere; bytes after its last sample are dropped.
    ///
    /// # Errors
    /// [`ChunkError`] where the bytes are not a whole chunk, or one without samples.
    pub fn resume(encoding: Encoding, bytes: &[u8]) -> Result<Self, ChunkError> {
        let whole = |form| HistogramChunk::resume(form, bytes).map(|chunk| Other::Histogram(Box::new(chunk)));
        let real = |form| HistogramChunk::resume(form, bytes).map(|chunk| Other::FloatHistogram(Box::new(chunk)));
        let other = match encoding {
            Encoding::Xor => {
                let chunk = Open::Xor(XorChunk::resume(bytes)?);
                return Self { chunk }.with_samples();
            }
            Encoding::Xor2 => Other::Xor2(Xor2Chunk::resume(bytes)?),
            Encoding::Histogram => whole(Form::WithoutStarts)?,
            Encoding::FloatHistogram => real(Form::WithoutStarts)?,
            Encoding::HistogramSt => whole(Form::WithStarts)?,
            Encoding::FloatHistogramSt => real(Form::WithStarts)?,
        };
        Self { chunk: Open::Other(Box::new(other)) }.with_samples()
    }

    fn with_samples(self) -> Result<Self, ChunkError> {
        if self.num_samples() == 0 { Err(ChunkError::Truncated { sample: 0 }) } else { Ok(self) }
    }

    /// How it is encoded.
    #[inline]
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match &self.chunk {
            Open::Xor(_) => Encoding::Xor,
            Open::Other(chunk) => chunk.encoding(),
        }
    }

    /// What its points are.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        self.encoding().kind()
    }

    /// The chunk as it stands: whole.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.chunk {
            Open::Xor(chunk) => chunk.bytes(),
            Open::Other(chunk) => chunk.bytes(),
        }
    }

    /// The length of [`Self::bytes`].
    #[inline]
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        match &self.chunk {
            Open::Xor(chunk) => chunk.num_bytes(),
            Open::Other(chunk) => chunk.bytes().len(),
        }
    }

    /// The bytes of the chunk, and no more allocated than they take.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        match self.chunk {
            Open::Xor(chunk) => chunk.into_bytes(),
            Open::Other(chunk) => match *chunk {
                Other::Xor2(chunk) => chunk.into_bytes(),
                Other::Histogram(chunk) => chunk.into_bytes(),
                Other::FloatHistogram(chunk) => chunk.into_bytes(),
            },
        }
    }

    /// How many samples are in it.
    #[inline]
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        match &self.chunk {
            Open::Xor(chunk) => chunk.num_samples(),
            Open::Other(chunk) => chunk.num_samples(),
        }
    }

    /// Time of the last sample, ms.
    #[inline]
    #[must_use]
    pub fn last_t(&self) -> Option<i64> {
        match &self.chunk {
            Open::Xor(chunk) => chunk.last().map(|last| last.t),
            Open::Other(chunk) => chunk.last_t(),
        }
    }

    /// The last sample; its start is 0 where the chunk has no place for one.
    #[must_use]
    pub fn last_point(&self) -> Option<Point> {
        match &self.chunk {
            Open::Xor(chunk) => chunk.last().map(Point::from),
            Open::Other(chunk) => chunk.last_point(),
        }
    }

    /// Whether the last sample is a stale marker.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match &self.chunk {
            Open::Xor(chunk) => chunk.last().is_some_and(|last| last.is_stale()),
            Open::Other(chunk) => chunk.is_stale(),
        }
    }

    fn other(&self) -> Option<&Other> {
        match &self.chunk {
            Open::Xor(_) => None,
            Open::Other(chunk) => Some(chunk),
        }
    }
}

impl Other {
    fn begin(encodings: ChunkEncodings, point: &Point, before: Option<&Self>) -> Self {
        let times = Times { start: point.start, t: point.t };
        match &point.value {
            Value::Float(v) => {
                let mut chunk = Xor2Chunk::new();
                chunk.append_with_start(point.start, point.t, *v);
                Self::Xor2(chunk)
            }
            Value::Histogram(value) => {
                let before = match before {
                    Some(Self::Histogram(chunk)) => Some(&**chunk),
                    _ => None,
                };
                Self::Histogram(Box::new(HistogramChunk::begin(encodings.form(), times, &**value, before)))
            }
            Value::FloatHistogram(value) => {
                let before = match before {
                    Some(Self::FloatHistogram(chunk)) => Some(&**chunk),
                    _ => None,
                };
                Self::FloatHistogram(Box::new(HistogramChunk::begin(encodings.form(), times, &**value, before)))
            }
        }
    }

    fn append(&mut self, point: &Point) -> Appended {
        let times = Times { start: point.start, t: point.t };
        match (self, &point.value) {
            (Self::Xor2(chunk), Value::Float(v)) if chunk.num_samples() < u16::MAX => {
                chunk.append_with_start(point.start, point.t, *v);
                Appended::Done
            }
            (Self::Histogram(chunk), Value::Histogram(value)) => chunk.append(times, value),
            (Self::FloatHistogram(chunk), Value::FloatHistogram(value)) => chunk.append(times, value),
            _ => Appended::NotTaken,
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            Self::Xor2(_) => Encoding::Xor2,
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

    fn last_point(&self) -> Option<Point> {
        match self {
            Self::Xor2(chunk) => chunk.last().map(|last| Point { start: chunk.last_start(), ..Point::from(last) }),
            Self::Histogram(chunk) => Some(chunk.last_point()),
            Self::FloatHistogram(chunk) => Some(chunk.last_point()),
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
pub struct AnyIter<'a> {
    points: Points<'a>,
}

#[derive(Clone, Debug)]
enum Points<'a> {
    Float(FloatIter<'a>),
    Histogram(Box<HistogramIter<'a, Histogram>>),
    FloatHistogram(Box<HistogramIter<'a, FloatHistogram>>),
}

impl<'a> AnyIter<'a> {
    /// Reads the chunk `bytes`; whatever follows its last sample is not looked at.
    #[must_use]
    pub fn new(encoding: Encoding, bytes: &'a [u8]) -> Self {
        let whole = |form| Points::Histogram(Box::new(HistogramIter::new(form, bytes)));
        let real = |form| Points::FloatHistogram(Box::new(HistogramIter::new(form, bytes)));
        let points = match encoding {
            Encoding::Xor => Points::Float(FloatIter::new(FloatEncoding::Xor, bytes)),
            Encoding::Xor2 => Points::Float(FloatIter::new(FloatEncoding::Xor2, bytes)),
            Encoding::Histogram => whole(Form::WithoutStarts),
            Encoding::FloatHistogram => real(Form::WithoutStarts),
            Encoding::HistogramSt => whole(Form::WithStarts),
            Encoding::FloatHistogramSt => real(Form::WithStarts),
        };
        Self { points }
    }
}

impl Iterator for AnyIter<'_> {
    type Item = Result<Point, ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.points {
            Points::Float(iter) => {
                let sample = iter.next()?;
                Some(sample.map(|sample| Point { start: iter.start(), t: sample.t, value: Value::Float(sample.v) }))
            }
            Points::Histogram(iter) => iter.next(),
            Points::FloatHistogram(iter) => iter.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.points {
            Points::Float(iter) => iter.size_hint(),
            Points::Histogram(iter) => iter.size_hint(),
            Points::FloatHistogram(iter) => iter.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyChunk, AnyIter, ChunkEncodings};
    use crate::model::value::{Point, Value};
    use crate::tsdb::chunk::Encoding;
    use crate::tsdb::chunk::float_chunk::FloatEncoding;
    use crate::tsdb::chunk::histogram::append::Appended;
    use crate::tsdb::chunk::xor::{ChunkError, XorChunk};

    #[test]
    fn an_open_chunk_is_as_small_as_one_of_floats() {
        assert_eq!((size_of::<AnyChunk>(), size_of::<XorChunk>()), (48, 48));
    }

    #[test]
    fn floats_keep_their_start_where_the_encoding_has_a_place_for_it() {
        for floats in [FloatEncoding::Xor, FloatEncoding::Xor2] {
            let encodings = ChunkEncodings { floats, ..ChunkEncodings::default() };
            let point = |t| Point { start: t - 5, t, value: Value::Float(t as f64) };
            let mut chunk = AnyChunk::begin(encodings, &point(10), None);
            assert_eq!([chunk.append(&point(20)), chunk.append(&point(30))], [Appended::Done; 2]);
            assert_eq!((chunk.encoding(), chunk.num_samples(), chunk.last_t()), (floats.into(), 3, Some(30)));
            let start = if floats == FloatEncoding::Xor { 0 } else { 25 };
            assert_eq!(chunk.last_point().map(|last| last.start), Some(start));
            let read: Vec<Point> = AnyIter::new(floats.into(), chunk.bytes()).map(Result::unwrap).collect();
            assert_eq!(read.iter().map(|point| point.t).collect::<Vec<_>>(), [10, 20, 30]);
            assert_eq!(read[2].start, start);
            assert_eq!(AnyChunk::resume(floats.into(), chunk.bytes()).unwrap().bytes(), chunk.bytes());
            assert_eq!(&*chunk.clone().into_bytes(), chunk.bytes());
        }
    }

    #[test]
    fn a_chunk_without_samples_is_not_continued() {
        for encoding in (1..=6).filter_map(Encoding::from_byte) {
            assert_eq!(AnyIter::new(encoding, &[0, 0, 0]).count(), 0);
            assert_eq!(AnyChunk::resume(encoding, &[0, 0, 0]).err(), Some(ChunkError::Truncated { sample: 0 }));
        }
    }
}
