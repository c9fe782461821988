//! A chunk of histograms that grows. The format stands in the module above; when a chunk takes a histogram in
//! [`crate::tsdb::chunk::histogram::append`].

use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint};
use crate::model::value::Point;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::histogram::decode::{HistogramIter, hint_of};
use crate::tsdb::chunk::histogram::header::{self, Form, Header};
use crate::tsdb::chunk::histogram::layout::Layout;
use crate::tsdb::chunk::histogram::number::{Number, Real, Whole};
use crate::tsdb::chunk::histogram::starts::{Place, Starts};
use crate::tsdb::chunk::histogram::value::{ChunkValue, Numbers, Plain, View};
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::bits::{BitSink, cut_off, trimmed};

/// A chunk of more bits takes no more samples: the next one could not be counted.
const MOST_BITS: u32 = u32::MAX / 2;

/// An open chunk of histograms: it has one sample or more, and its bytes are at every moment a whole chunk.
#[derive(Clone)]
pub struct HistogramChunk<V: ChunkValue> {
    /// The chunk, and room to grow into.
    buffer: Box<[u8]>,
    /// Length of the chunk in bits, header included.
    len: u32,
    samples: u16,
    pub(super) form: Form,
    pub(super) reset: CounterResetHint,
    pub(super) layout: Layout,
    pub(super) numbers: Numbers<V::Number>,
    starts: Starts,
}

/// When a histogram was taken, and when its counts began, both in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// 0 where it is not known.
    pub start: i64,
    /// Its time.
    pub t: i64,
}

impl<V: ChunkValue> HistogramChunk<V> {
    /// A chunk with one histogram, whose lists of buckets are as long as its spans say. A stale marker's have to be empty.
    pub(super) fn with_first(form: Form, reset: CounterResetHint, times: Times, view: &View<'_, Plain<V>>) -> Self {
        let is_custom = view.schema == CUSTOM_BUCKETS_SCHEMA;
        let custom_values = if is_custom { view.custom_values.to_vec() } else { Vec::new() };
        let layout = Layout {
            schema: view.schema,
            zero_threshold: view.zero_threshold,
            positive: view.positive.spans.to_vec(),
            negative: view.negative.spans.to_vec(),
            custom_values,
        };
        let (mut buffer, mut len) = (Box::default(), 0);
        let mut sink = BitSink { buffer: &mut buffer, len: &mut len };
        sink.push_zeros(8 * header::LEN as u32);
        layout.push(&mut sink);
        let numbers = push_first(&mut sink, times.t, view);
        let mut starts = Starts::default();
        if form == Form::WithStarts {
            starts.push(&mut sink, Place { number: 0, t: times.t, before: 0 }, times.start);
        }
        let mut chunk = Self { buffer, len, samples: 1, form, reset, layout, numbers, starts };
        chunk.write_header();
        chunk
    }

    /// Appends a histogram that has the chunk's layout, or is a stale marker without buckets.
    pub(super) fn push(&mut self, times: Times, view: &View<'_, Plain<V>>) {
        let before = self.numbers.t.value;
        let mut sink = BitSink { buffer: &mut self.buffer, len: &mut self.len };
        push_next(&mut sink, &mut self.numbers, times.t, view);
        if self.form == Form::WithStarts {
            self.starts.push(&mut sink, Place { number: self.samples, t: times.t, before }, times.start);
        }
        self.samples += 1;
        self.write_header();
    }

    /// Continues a chunk that was begun elsewhere; bytes after its last sample are dropped.
    ///
    /// As with XOR chunks the outcome is as if the chunk had never been interrupted, where Prometheus may take longer windows.
    ///
    /// # Errors
    /// [`ChunkError`] where the bytes are not a whole chunk, or one without samples.
    pub fn resume(form: Form, bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut iter = HistogramIter::<V>::new(form, bytes);
        while iter.advance()? {}
        let end = iter.position();
        let samples = iter.read();
        let len = u32::try_from(end).map_err(|_| ChunkError::Truncated { sample: samples })?;
        let numbers = iter.numbers.ok_or(ChunkError::Truncated { sample: 0 })?;
        if form == Form::WithStarts && !iter.starts.can_be_of(samples) {
            return Err(ChunkError::Truncated { sample: samples });
        }
        Ok(Self {
            buffer: cut_off(bytes, end),
            len,
            samples,
            form,
            reset: iter.header.reset,
            layout: iter.layout,
            numbers,
            starts: iter.starts,
        })
    }

    /// Whether it can take no more samples, whatever they are.
    pub(super) fn is_full(&self) -> bool {
        self.samples >= self.form.most_samples() || self.len > MOST_BITS
    }

    /// How it is encoded.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        V::encoding(self.form)
    }

    /// How many samples are in it.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.samples
    }

    /// The chunk as it stands: whole, as Prometheus would have it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.num_bytes()]
    }

    /// The length of [`Self::bytes`].
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        self.len.div_ceil(8) as usize
    }

    /// The bytes of the chunk, and no more allocated than they take.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        let len = self.num_bytes();
        trimmed(self.buffer, len)
    }

    /// Time of the last sample, ms.
    #[must_use]
    pub fn last_t(&self) -> i64 {
        self.numbers.t.value
    }

    /// The last sample.
    #[must_use]
    pub fn last_point(&self) -> Point {
        let value = V::build(&self.layout, &self.numbers, hint_of(self.reset, self.samples));
        Point { start: self.starts.start, t: self.last_t(), value: value.boxed() }
    }

    /// Whether the last sample is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.numbers.is_stale()
    }

    fn write_header(&mut self) {
        let header = Header { samples: self.samples, reset: self.reset, starts: self.starts.byte };
        let bytes = header.to_bytes(self.form);
        if let Some(place) = self.buffer.first_chunk_mut() {
            *place = bytes;
        }
    }
}

fn push_first<N: Number>(sink: &mut BitSink<'_>, t: i64, view: &View<'_, N::Plain>) -> Numbers<N> {
    let t = Whole::push_first(sink, t);
    let count = N::push_first_total(sink, view.count);
    let zero_count = N::push_first_total(sink, view.zero_count);
    let sum = Real::push_first(sink, view.sum);
    let listed = view.positive.listed.iter().chain(view.negative.listed);
    let buckets = listed.map(|&listed| N::push_first(sink, listed)).collect();
    Numbers { t, count, zero_count, sum, buckets }
}

fn push_next<N: Number>(sink: &mut BitSink<'_>, numbers: &mut Numbers<N>, t: i64, view: &View<'_, N::Plain>) {
    numbers.t.push_next(sink, t);
    if view.is_stale() {
        numbers.count.push_stale_total(sink);
        numbers.zero_count.push_stale_total(sink);
        return numbers.sum.push_next(sink, view.sum);
    }
    numbers.count.push_next(sink, view.count);
    numbers.zero_count.push_next(sink, view.zero_count);
    numbers.sum.push_next(sink, view.sum);
    let listed = view.positive.listed.iter().chain(view.negative.listed);
    numbers.buckets.iter_mut().zip(listed).for_each(|(bucket, &listed)| bucket.push_next(sink, listed));
}

impl<V: ChunkValue> std::fmt::Debug for HistogramChunk<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HistogramChunk({:?}, {} samples, {} bytes)", self.encoding(), self.samples, self.num_bytes())
    }
}
