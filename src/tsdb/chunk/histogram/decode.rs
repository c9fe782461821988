//! The histograms of a chunk, one after another. Reads any bytes: at most as many samples as the header promises, up to the first
//! fault, and no more buckets than the bytes can hold. The format stands in the module above.

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

/// The histograms of a chunk; the first error is the last item.
#[derive(Clone, Debug)]
pub struct HistogramIter<'a, V: ChunkValue> {
    bits: BitReader<'a>,
    pub(super) form: HeaderLayout,
    pub(super) header: ChunkHeader,
    pub(super) layout: ChunkLayout,
    /// `None` until the first sample was read.
    pub(super) numbers: Option<SampleState<V::Number>>,
    pub(super) starts: StCodec,
    read: u16,
}

impl<'a, V: ChunkValue> HistogramIter<'a, V> {
    /// Reads the chunk `bytes`; whatever follows its last sample is not looked at.
    #[must_use]
    pub fn new(form: HeaderLayout, bytes: &'a [u8]) -> Self {
        // Without a header there is one sample to come, which fails.
        let nothing = ChunkHeader { samples: 1, reset: CounterResetHint::Unknown, st_header: 0 };
        let (header, data) = match bytes.split_first_chunk::<{ header::LEN }>() {
            Some((header, data)) => (ChunkHeader::from_bytes(form, *header), data),
            None => (nothing, &bytes[..0]),
        };
        Self {
            bits: BitReader::new(data),
            form,
            header,
            layout: ChunkLayout::default(),
            numbers: None,
            starts: StCodec::from_header(header.st_header),
            read: 0,
        }
    }

    /// Reads the next sample; `false` behind the last one. After an error there is none left.
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

    /// How many samples were read.
    pub(super) fn samples_read(&self) -> u16 {
        self.read
    }

    /// How many bits the samples that were read take, header included.
    pub(super) fn position(&self) -> usize {
        8 * header::LEN + self.bits.position()
    }

    /// The sample that was read last.
    pub(super) fn sample(&self) -> Option<Sample> {
        let numbers = self.numbers.as_ref()?;
        let value = V::build(&self.layout, numbers, reset_hint_at(self.header.reset, self.read));
        Some(Sample {
            start_timestamp: self.starts.st,
            t: numbers.t.value,
            value: value.into_value(),
        })
    }

    /// A look at it, but for its buckets.
    pub(super) fn view(&self) -> Option<HistogramView<'_, RawCount<V>>> {
        let numbers = self.numbers.as_ref()?;
        Some(HistogramView {
            reset_hint: self.header.reset,
            schema: self.layout.schema,
            zero_threshold: self.layout.zero_threshold,
            zero_count: numbers.zero_count.raw(),
            count: numbers.count.raw(),
            sum: numbers.sum.raw(),
            custom_values: &self.layout.custom_values,
            ..HistogramView::default()
        })
    }

    fn read_sample(&mut self) -> Result<(), ChunkError> {
        let before = match &mut self.numbers {
            Some(numbers) => {
                let before = numbers.t.value;
                let sample = self.read;
                let named = |XorWindowError { leading, width }| ChunkError::InvalidXorWindow {
                    sample,
                    leading,
                    width,
                };
                read_next(&mut self.bits, numbers).map_err(named)?;
                before
            }
            None => {
                self.layout = ChunkLayout::read(&mut self.bits)?;
                self.numbers = Some(read_first(&mut self.bits, &self.layout)?);
                0
            }
        };
        if self.form == HeaderLayout::WithSt {
            let t = self.numbers.as_ref().map_or(0, |numbers| numbers.t.value);
            let place = SamplePosition { number: self.read, t, before };
            self.starts
                .read(&mut self.bits, place)
                .ok_or(ChunkError::VarintOverflow { sample: self.read })?;
        }
        Ok(())
    }
}

/// What is known of a counter reset before the sample that is the `count_codec`th of a chunk, from 1, whose header says `reset`.
///
/// What the header says of the first one is not passed on, as in Prometheus: the chunk before may be another one than when this was written.
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
    numbers: &mut SampleState<N>,
) -> Result<(), XorWindowError> {
    numbers.t.read_next(bits)?;
    numbers.count.read_next(bits)?;
    numbers.zero_count.read_next(bits)?;
    numbers.sum.read_next(bits)?;
    if numbers.is_stale() {
        return Ok(());
    }
    numbers.buckets.iter_mut().try_for_each(|bucket| bucket.read_next(bits))
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
