//! Encoder of histogram chunks. Format: [`crate::tsdb::chunk::histogram`]. Rules for appends:
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

/// Size above which a chunk takes no more samples, bits. It keeps the 32-bit length from
/// overflowing.
const MAX_BITS: u32 = u32::MAX / 2;

/// Open histogram chunk with at least one sample. Its bytes are a complete chunk after every
/// append.
#[derive(Clone)]
pub struct HistogramChunk<V: ChunkValue> {
    /// Encoded chunk and spare capacity.
    buffer: Box<[u8]>,
    /// Length of the chunk, bits, header included.
    len: u32,
    samples: u16,
    pub(super) header_layout: HeaderLayout,
    pub(super) reset: CounterResetHint,
    pub(super) layout: ChunkLayout,
    pub(super) state: SampleState<V::Number>,
    st_codec: StCodec,
}

/// Timestamp and start timestamp of a histogram, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleTimes {
    /// Start timestamp, ms; 0 if unknown.
    pub start: i64,
    /// Timestamp of the sample, ms.
    pub t: i64,
}

impl<V: ChunkValue> HistogramChunk<V> {
    /// Creates a chunk with one histogram. Its bucket lists must match its spans; those of a stale
    /// marker must be empty.
    pub(super) fn with_first(
        header_layout: HeaderLayout,
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
        let state = push_first(&mut sink, times.t, view);
        let mut st_codec = StCodec::default();
        if header_layout == HeaderLayout::WithSt {
            st_codec.push(
                &mut sink,
                SamplePosition { number: 0, t: times.t, previous_t: 0 },
                times.start,
            );
        }
        let mut chunk =
            Self { buffer, len, samples: 1, header_layout, reset, layout, state, st_codec };
        chunk.write_header();
        chunk
    }

    /// Appends a histogram that has the layout of the chunk, or a stale marker without buckets.
    pub(super) fn push(&mut self, times: SampleTimes, view: &HistogramView<'_, RawCount<V>>) {
        let previous_t = self.state.t.value;
        let mut sink = BitWriter { buffer: &mut self.buffer, len: &mut self.len };
        push_next(&mut sink, &mut self.state, times.t, view);
        if self.header_layout == HeaderLayout::WithSt {
            self.st_codec.push(
                &mut sink,
                SamplePosition { number: self.samples, t: times.t, previous_t },
                times.start,
            );
        }
        self.samples += 1;
        self.write_header();
    }

    /// Creates an open chunk from an encoded one. Bytes after its last sample are dropped.
    ///
    /// Samples appended afterwards are encoded as if the chunk had never been interrupted;
    /// Prometheus may write wider windows.
    ///
    /// # Errors
    /// [`ChunkError`] if the bytes are not a complete chunk, or the chunk has no samples.
    pub fn resume(header_layout: HeaderLayout, bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut iter = HistogramIter::<V>::new(header_layout, bytes);
        while iter.advance()? {}
        let end = iter.position();
        let samples = iter.samples_read();
        let len = u32::try_from(end).map_err(|_| ChunkError::Truncated { sample: samples })?;
        let state = iter.state.ok_or(ChunkError::Truncated { sample: 0 })?;
        if header_layout == HeaderLayout::WithSt && !iter.st_codec.fits_sample_count(samples) {
            return Err(ChunkError::Truncated { sample: samples });
        }
        Ok(Self {
            buffer: truncate_to_bits(bytes, end),
            len,
            samples,
            header_layout,
            reset: iter.header.reset,
            layout: iter.layout,
            state,
            st_codec: iter.st_codec,
        })
    }

    /// Returns `true` if the chunk can take no more samples.
    pub(super) fn is_full(&self) -> bool {
        self.samples >= self.header_layout.max_samples() || self.len > MAX_BITS
    }

    /// Returns the codec of the chunk.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        V::encoding(self.header_layout)
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.samples
    }

    /// Returns the encoded chunk, which is complete and equal to Prometheus's.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.num_bytes()]
    }

    /// Returns the length of [`Self::bytes`].
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        self.len.div_ceil(8) as usize
    }

    /// Returns the encoded chunk without spare capacity.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        let len = self.num_bytes();
        into_exact_len(self.buffer, len)
    }

    /// Returns the timestamp of the last sample, ms.
    #[must_use]
    pub fn last_t(&self) -> i64 {
        self.state.t.value
    }

    /// Returns the last sample.
    #[must_use]
    pub fn last_sample(&self) -> Sample {
        let value = V::build(&self.layout, &self.state, reset_hint_at(self.reset, self.samples));
        Sample { start_timestamp: self.st_codec.st, t: self.last_t(), value: value.into_value() }
    }

    /// Returns `true` if the last sample is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.state.is_stale()
    }

    fn write_header(&mut self) {
        let header =
            ChunkHeader { samples: self.samples, reset: self.reset, st_header: self.st_codec.byte };
        let bytes = header.to_bytes(self.header_layout);
        if let Some(prefix) = self.buffer.first_chunk_mut() {
            *prefix = bytes;
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
    let stored = view.positive.stored.iter().chain(view.negative.stored);
    let buckets = stored.map(|&stored| N::push_first(sink, stored)).collect();
    SampleState { t, count, zero_count, sum, buckets }
}

fn push_next<N: CountCodec>(
    sink: &mut BitWriter<'_>,
    state: &mut SampleState<N>,
    t: i64,
    view: &HistogramView<'_, N::Raw>,
) {
    state.t.push_next(sink, t);
    if view.is_stale() {
        state.count.push_stale_total(sink);
        state.zero_count.push_stale_total(sink);
        return state.sum.push_next(sink, view.sum);
    }
    state.count.push_next(sink, view.count);
    state.zero_count.push_next(sink, view.zero_count);
    state.sum.push_next(sink, view.sum);
    let stored = view.positive.stored.iter().chain(view.negative.stored);
    state
        .buckets
        .iter_mut()
        .zip(stored)
        .for_each(|(bucket, &stored)| bucket.push_next(sink, stored));
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
