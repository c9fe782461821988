//! The points of a chunk of any encoding, one after another.
//!
//! Holds no lock.

use crate::model::histogram::{FloatHistogram, Histogram};
use crate::model::value::{Point, Value};
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use crate::tsdb::chunk::histogram::decode::HistogramIter;
use crate::tsdb::chunk::histogram::header::Form;
use crate::tsdb::chunk::xor::ChunkError;

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
