//! Decoder of histogram chunks. Format: [`crate::tsdb::chunk::histogram`].
//!
//! The decoder accepts any bytes: it returns at most as many samples as the header states, ends at
//! the first error, and allocates no more buckets than the bytes can hold.

use crate::model::histogram::CounterResetHint;
use crate::model::sample::Sample;
use crate::tsdb::chunk::histogram::count_codec::{
    CountCodec, DeltaOfDelta, XorFloat, XorWindowError,
};
use crate::tsdb::chunk::histogram::header::{self, ChunkHeader, HeaderLayout};
use crate::tsdb::chunk::histogram::layout::{ChunkLayout, bucket_count};
use crate::tsdb::chunk::histogram::start_timestamps::{SamplePosition, StCodec};
use crate::tsdb::chunk::histogram::value::{ChunkValue, HistogramView, RawCount, SampleState};
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::bits::BitReader;

/// Iterator over the samples of a histogram chunk. An error is the last item.
#[derive(Clone, Debug)]
pub struct HistogramIter<'a, V: ChunkValue> {
    bits: BitReader<'a>,
    pub(super) header_layout: HeaderLayout,
    pub(super) header: ChunkHeader,
    pub(super) layout: ChunkLayout,
    /// State of the last sample; `None` until the first sample is read.
    pub(super) state: Option<SampleState<V::Number>>,
    pub(super) st_codec: StCodec,
    read: u16,
}

impl<'a, V: ChunkValue> HistogramIter<'a, V> {
    /// Creates an iterator over the encoded chunk `bytes`. Bytes after the last sample are ignored.
    #[must_use]
    pub fn new(header_layout: HeaderLayout, bytes: &'a [u8]) -> Self {
        // Without a header, the iterator expects one sample, which fails.
        let missing = ChunkHeader { samples: 1, reset: CounterResetHint::Unknown, st_header: 0 };
        let (header, data) = match bytes.split_first_chunk::<{ header::LEN }>() {
            Some((header, data)) => (ChunkHeader::from_bytes(header_layout, *header), data),
            None => (missing, &bytes[..0]),
        };
        Self {
            bits: BitReader::new(data),
            header_layout,
            header,
            layout: ChunkLayout::default(),
            state: None,
            st_codec: StCodec::from_header(header.st_header),
            read: 0,
        }
    }

    /// Reads the next sample. Returns `false` after the last one. After an error no samples are
    /// left.
    pub(super) fn advance(&mut self) -> Result<bool, ChunkError> {
        if self.read == self.header.samples {
            return Ok(false);
        }
        let outcome = self.read_sample();
        let outcome = if self.bits.is_overrun() {
            Err(ChunkError::Truncated { sample: self.read })
        } else {
            outcome
        };
        if let Err(error) = outcome {
            self.header.samples = self.read;
            return Err(error);
        }
        self.read += 1;
        Ok(true)
    }

    /// Returns the number of samples read.
    pub(super) fn samples_read(&self) -> u16 {
        self.read
    }

    /// Returns the number of bits read, header included.
    pub(super) fn position(&self) -> usize {
        8 * header::LEN + self.bits.position()
    }

    /// Returns the last sample.
    pub(super) fn sample(&self) -> Option<Sample> {
        let state = self.state.as_ref()?;
        let value = V::build(&self.layout, state, reset_hint_at(self.header.reset, self.read));
        Some(Sample {
            start_timestamp: self.st_codec.st,
            t: state.t.value,
            value: value.into_value(),
        })
    }

    /// Returns a view of the last sample without its buckets.
    pub(super) fn view(&self) -> Option<HistogramView<'_, RawCount<V>>> {
        let state = self.state.as_ref()?;
        Some(HistogramView {
            reset_hint: self.header.reset,
            schema: self.layout.schema,
            zero_threshold: self.layout.zero_threshold,
            zero_count: state.zero_count.raw(),
            count: state.count.raw(),
            sum: state.sum.raw(),
            custom_values: &self.layout.custom_values,
            ..HistogramView::default()
        })
    }

    fn read_sample(&mut self) -> Result<(), ChunkError> {
        let previous_t = match &mut self.state {
            Some(state) => {
                let previous_t = state.t.value;
                let sample = self.read;
                let with_sample = |XorWindowError { leading, width }| {
                    ChunkError::InvalidXorWindow { sample, leading, width }
                };
                read_next(&mut self.bits, state).map_err(with_sample)?;
                previous_t
            }
            None => {
                self.layout = ChunkLayout::read(&mut self.bits)?;
                self.state = Some(read_first(&mut self.bits, &self.layout)?);
                0
            }
        };
        if self.header_layout == HeaderLayout::WithSt {
            let t = self.state.as_ref().map_or(0, |state| state.t.value);
            let position = SamplePosition { number: self.read, t, previous_t };
            self.st_codec
                .read(&mut self.bits, position)
                .ok_or(ChunkError::VarintOverflow { sample: self.read })?;
        }
        Ok(())
    }
}

/// Returns the counter reset hint of the sample with this number, counted from 1, in a chunk whose
/// header has `reset`.
///
/// As in Prometheus, the header does not apply to the first sample: the chunk may not follow the
/// same chunk as when it was written.
///
pub(super) fn reset_hint_at(reset: CounterResetHint, number: u16) -> CounterResetHint {
    match reset {
        CounterResetHint::Gauge => CounterResetHint::Gauge,
        _ if number > 1 => CounterResetHint::NotReset,
        _ => CounterResetHint::Unknown,
    }
}

fn read_first<N: CountCodec>(
    bits: &mut BitReader<'_>,
    layout: &ChunkLayout,
) -> Result<SampleState<N>, ChunkError> {
    let t = DeltaOfDelta::read_first(bits);
    let count = N::read_first_total(bits);
    let zero_count = N::read_first_total(bits);
    let sum = XorFloat::read_first(bits);
    let buckets = bucket_count(&layout.positive).saturating_add(bucket_count(&layout.negative));
    if buckets > bits.remaining() / N::MIN_BITS {
        return Err(ChunkError::Truncated { sample: 0 });
    }
    let buckets = (0..buckets).map(|_| N::read_first(bits)).collect();
    Ok(SampleState { t, count, zero_count, sum, buckets })
}

fn read_next<N: CountCodec>(
    bits: &mut BitReader<'_>,
    state: &mut SampleState<N>,
) -> Result<(), XorWindowError> {
    state.t.read_next(bits)?;
    state.count.read_next(bits)?;
    state.zero_count.read_next(bits)?;
    state.sum.read_next(bits)?;
    if state.is_stale() {
        return Ok(());
    }
    state.buckets.iter_mut().try_for_each(|bucket| bucket.read_next(bits))
}

impl<V: ChunkValue> Iterator for HistogramIter<'_, V> {
    type Item = Result<Sample, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(true) => self.sample().map(Ok),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.header.samples - self.read)))
    }
}
