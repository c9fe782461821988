//! A chunk of histograms that grows. The format stands in the module above; when a chunk takes a histogram in
//! [`crate::tsdb::chunk::histogram::append`].

use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint};
use crate::model::sample::Sample;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::histogram::count_codec::{CountCodec, DeltaOfDelta, XorFloat};
use crate::tsdb::chunk::histogram::decode::{HistogramIter, reset_hint_at};
use crate::tsdb::chunk::histogram::header::{self, ChunkHeader, HeaderLayout};
use crate::tsdb::chunk::histogram::layout::ChunkLayout;
use crate::tsdb::chunk::histogram::start_timestamps::{SamplePosition, StCodec};
use crate::tsdb::chunk::histogram::value::{ChunkValue, HistogramView, RawCount, SampleState};
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::bits::{BitWriter, into_exact_len, truncate_to_bits};

/// A chunk of more bits takes no more samples: the next one could not be counted.
const MAX_BITS: u32 = u32::MAX / 2;

/// An open chunk of histograms: it has one sample or more, and its bytes are at every moment a whole chunk.
#[derive(Clone)]
pub struct HistogramChunk<V: ChunkValue> {
    /// The chunk, and room to grow into.
    buffer: Box<[u8]>,
    /// Length of the chunk in bits, header included.
    len: u32,
    samples: u16,
    pub(super) form: HeaderLayout,
    pub(super) reset: CounterResetHint,
    pub(super) layout: ChunkLayout,
    pub(super) numbers: SampleState<V::Number>,
    starts: StCodec,
}

/// When a histogram was taken, and when its counts began, both in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleTimes {
    /// 0 where it is not known.
    pub start: i64,
    /// Its time.
    pub t: i64,
}

impl<V: ChunkValue> HistogramChunk<V> {
    /// A chunk with one histogram, whose lists of buckets are as long as its spans say. A stale marker's have to be empty.
    pub(super) fn with_first(
        form: HeaderLayout,
        reset: CounterResetHint,
        times: SampleTimes,
        view: &HistogramView<'_, RawCount<V>>,
    ) -> Self {
        let is_custom = view.schema == CUSTOM_BUCKETS_SCHEMA;
        let custom_values = if is_custom { view.custom_values.to_vec() } else { Vec::new() };
        let layout = ChunkLayout {
            schema: view.schema,
            zero_threshold: view.zero_threshold,
            positive: view.positive.spans.to_vec(),
            negative: view.negative.spans.to_vec(),
            custom_values,
        };
        let (mut buffer, mut len) = (Box::default(), 0);
        let mut sink = BitWriter { buffer: &mut buffer, len: &mut len };
        sink.push_zeros(8 * header::LEN as u32);
        layout.push(&mut sink);
        let numbers = push_first(&mut sink, times.t, view);
        let mut starts = StCodec::default();
        if form == HeaderLayout::WithSt {
            starts.push(
                &mut sink,
                SamplePosition { number: 0, t: times.t, before: 0 },
                times.start,
            );
        }
        let mut chunk = Self { buffer, len, samples: 1, form, reset, layout, numbers, starts };
        chunk.write_header();
        chunk
    }

    /// Appends a histogram that has the chunk's layout, or is a stale marker without buckets.
    pub(super) fn push(&mut self, times: SampleTimes, view: &HistogramView<'_, RawCount<V>>) {
        let before = self.numbers.t.value;
        let mut sink = BitWriter { buffer: &mut self.buffer, len: &mut self.len };
        push_next(&mut sink, &mut self.numbers, times.t, view);
        if self.form == HeaderLayout::WithSt {
            self.starts.push(
                &mut sink,
                SamplePosition { number: self.samples, t: times.t, before },
                times.start,
            );
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
    pub fn resume(form: HeaderLayout, bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut iter = HistogramIter::<V>::new(form, bytes);
        while iter.advance()? {}
        let end = iter.position();
        let samples = iter.samples_read();
        let len = u32::try_from(end).map_err(|_| ChunkError::Truncated { sample: samples })?;
        let numbers = iter.numbers.ok_or(ChunkError::Truncated { sample: 0 })?;
        if form == HeaderLayout::WithSt && !iter.starts.fits_sample_count(samples) {
            return Err(ChunkError::Truncated { sample: samples });
        }
        Ok(Self {
            buffer: truncate_to_bits(bytes, end),
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
        self.samples >= self.form.max_samples() || self.len > MAX_BITS
    }

    /// How it is encoded.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
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
        into_exact_len(self.buffer, len)
    }

    /// Time of the last sample, ms.
    #[must_use]
    pub fn last_t(&self) -> i64 {
        self.numbers.t.value
    }

    /// The last sample.
    #[must_use]
    pub fn last_sample(&self) -> Sample {
        let value = V::build(&self.layout, &self.numbers, reset_hint_at(self.reset, self.samples));
        Sample { start_timestamp: self.starts.st, t: self.last_t(), value: value.into_value() }
    }

    /// Whether the last sample is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.numbers.is_stale()
    }

    fn write_header(&mut self) {
        let header =
            ChunkHeader { samples: self.samples, reset: self.reset, st_header: self.starts.byte };
        let bytes = header.to_bytes(self.form);
        if let Some(place) = self.buffer.first_chunk_mut() {
            *place = bytes;
        }
    }
}

fn push_first<N: CountCodec>(
    sink: &mut BitWriter<'_>,
    t: i64,
    view: &HistogramView<'_, N::Raw>,
) -> SampleState<N> {
    let t = DeltaOfDelta::push_first(sink, t);
    let count = N::push_first_total(sink, view.count);
    let zero_count = N::push_first_total(sink, view.zero_count);
    let sum = XorFloat::push_first(sink, view.sum);
    let listed = view.positive.stored.iter().chain(view.negative.stored);
    let buckets = listed.map(|&listed| N::push_first(sink, listed)).collect();
    SampleState { t, count, zero_count, sum, buckets }
}

fn push_next<N: CountCodec>(
    sink: &mut BitWriter<'_>,
    numbers: &mut SampleState<N>,
    t: i64,
    view: &HistogramView<'_, N::Raw>,
) {
    numbers.t.push_next(sink, t);
    if view.is_stale() {
        numbers.count.push_stale_total(sink);
        numbers.zero_count.push_stale_total(sink);
        return numbers.sum.push_next(sink, view.sum);
    }
    numbers.count.push_next(sink, view.count);
    numbers.zero_count.push_next(sink, view.zero_count);
    numbers.sum.push_next(sink, view.sum);
    let listed = view.positive.stored.iter().chain(view.negative.stored);
    numbers
        .buckets
        .iter_mut()
        .zip(listed)
        .for_each(|(bucket, &listed)| bucket.push_next(sink, listed));
}

impl<V: ChunkValue> std::fmt::Debug for HistogramChunk<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "HistogramChunk({:?}, {} samples, {} bytes)",
            self.encoding(),
            self.samples,
            self.num_bytes()
        )
    }
}
