//! The histograms of a chunk, one after another. Reads any bytes: at most as many samples as the header promises, up to the first
//! fault, and no more buckets than the bytes can hold. The format stands in the module above.

use crate::model::histogram::CounterResetHint;
use crate::model::value::Point;
use crate::tsdb::chunk::histogram::header::{self, Form, Header};
use crate::tsdb::chunk::histogram::layout::{Layout, bucket_count};
use crate::tsdb::chunk::histogram::number::{BadWindow, Number, Real, Whole};
use crate::tsdb::chunk::histogram::starts::{Place, Starts};
use crate::tsdb::chunk::histogram::value::{ChunkValue, Numbers, Plain, View};
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::bits::BitReader;

/// The histograms of a chunk; the first error is the last item.
#[derive(Clone, Debug)]
pub struct HistogramIter<'a, V: ChunkValue> {
    bits: BitReader<'a>,
    pub(super) form: Form,
    pub(super) header: Header,
    pub(super) layout: Layout,
    /// `None` until the first sample was read.
    pub(super) numbers: Option<Numbers<V::Number>>,
    pub(super) starts: Starts,
    read: u16,
}

impl<'a, V: ChunkValue> HistogramIter<'a, V> {
    /// Reads the chunk `bytes`; whatever follows its last sample is not looked at.
    #[must_use]
    pub fn new(form: Form, bytes: &'a [u8]) -> Self {
        // Without a header there is one sample to come, which fails.
        let nothing = Header { samples: 1, reset: CounterResetHint::Unknown, starts: 0 };
        let (header, data) = match bytes.split_first_chunk::<{ header::LEN }>() {
            Some((header, data)) => (Header::from_bytes(form, *header), data),
            None => (nothing, &bytes[..0]),
        };
        Self {
            bits: BitReader::new(data),
            form,
            header,
            layout: Layout::default(),
            numbers: None,
            starts: Starts::with_byte(header.starts),
            read: 0,
        }
    }

    /// Reads the next sample; `false` behind the last one. After an error there is none left.
    pub(super) fn advance(&mut self) -> Result<bool, ChunkError> {
        if self.read == self.header.samples {
            return Ok(false);
        }
        let outcome = self.read_sample();
        let outcome = if self.bits.overran() { Err(ChunkError::Truncated { sample: self.read }) } else { outcome };
        if let Err(error) = outcome {
            self.header.samples = self.read;
            return Err(error);
        }
        self.read += 1;
        Ok(true)
    }

    /// How many samples were read.
    pub(super) fn read(&self) -> u16 {
        self.read
    }

    /// How many bits the samples that were read take, header included.
    pub(super) fn position(&self) -> usize {
        8 * header::LEN + self.bits.position()
    }

    /// The sample that was read last.
    pub(super) fn point(&self) -> Option<Point> {
        let numbers = self.numbers.as_ref()?;
        let value = V::build(&self.layout, numbers, hint_of(self.header.reset, self.read));
        Some(Point { start: self.starts.start, t: numbers.t.value, value: value.boxed() })
    }

    /// A look at it, but for its buckets.
    pub(super) fn view(&self) -> Option<View<'_, Plain<V>>> {
        let numbers = self.numbers.as_ref()?;
        Some(View {
            reset_hint: self.header.reset,
            schema: self.layout.schema,
            zero_threshold: self.layout.zero_threshold,
            zero_count: numbers.zero_count.plain(),
            count: numbers.count.plain(),
            sum: numbers.sum.plain(),
            custom_values: &self.layout.custom_values,
            ..View::default()
        })
    }

    fn read_sample(&mut self) -> Result<(), ChunkError> {
        let before = match &mut self.numbers {
            Some(numbers) => {
                let before = numbers.t.value;
                let sample = self.read;
                let named = |BadWindow { leading, width }| ChunkError::BadWindow { sample, leading, width };
                read_next(&mut self.bits, numbers).map_err(named)?;
                before
            }
            None => {
                self.layout = Layout::read(&mut self.bits)?;
                self.numbers = Some(read_first(&mut self.bits, &self.layout)?);
                0
            }
        };
        if self.form == Form::WithStarts {
            let t = self.numbers.as_ref().map_or(0, |numbers| numbers.t.value);
            let place = Place { number: self.read, t, before };
            self.starts.read(&mut self.bits, place).ok_or(ChunkError::TimeTooLong { sample: self.read })?;
        }
        Ok(())
    }
}

/// What is known of a counter reset before the sample that is the `number`th of a chunk, from 1, whose header says `reset`.
///
/// What the header says of the first one is not passed on, as in Prometheus: the chunk before may be another one than when this was written.
pub(super) fn hint_of(reset: CounterResetHint, number: u16) -> CounterResetHint {
    match reset {
        CounterResetHint::Gauge => CounterResetHint::Gauge,
        _ if number > 1 => CounterResetHint::NotReset,
        _ => CounterResetHint::Unknown,
    }
}

fn read_first<N: Number>(bits: &mut BitReader<'_>, layout: &Layout) -> Result<Numbers<N>, ChunkError> {
    let t = Whole::read_first(bits);
    let count = N::read_first_total(bits);
    let zero_count = N::read_first_total(bits);
    let sum = Real::read_first(bits);
    let buckets = bucket_count(&layout.positive).saturating_add(bucket_count(&layout.negative));
    if buckets > bits.left() / N::LEAST_BITS {
        return Err(ChunkError::Truncated { sample: 0 });
    }
    let buckets = (0..buckets).map(|_| N::read_first(bits)).collect();
    Ok(Numbers { t, count, zero_count, sum, buckets })
}

fn read_next<N: Number>(bits: &mut BitReader<'_>, numbers: &mut Numbers<N>) -> Result<(), BadWindow> {
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
    type Item = Result<Point, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(true) => self.point().map(Ok),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.header.samples - self.read)))
    }
}
