//! Decoder of `io.prometheus.client.Histogram`: classic buckets and the native histogram.

use crate::exposition::classic_histogram::{ClassicHistogram, ConversionError};
use crate::exposition::histogram_buffer::HistogramBuffer;
use crate::exposition::protobuf::exemplar::{Exemplar, ExemplarLabels, Timestamp};
use crate::exposition::protobuf::wire::{DecodeError, Field, Message};
use crate::exposition::protobuf_problem::ProtobufProblem;
use crate::model::histogram::Span;
use crate::model::histogram::compact::{compact, compact_float};
use crate::model::histogram::validate::{BucketSign, InvalidHistogram};

/// Maximum number of buckets, spans, quantiles or exemplars of a metric.
pub(crate) const MAX_LIST: usize = 1 << 16;

/// Classic bucket with its cumulative count.
#[derive(Debug, Default)]
pub(crate) struct ClassicBucket {
    count: u64,
    /// Has priority over `count`, except for 0.
    count_float: f64,
    pub(crate) upper_bound: f64,
    pub(crate) exemplar: Option<Exemplar>,
}

/// Native buckets of one sign: spans, and deltas or counts.
#[derive(Debug, Default)]
struct NativeBuckets {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Fields of a histogram. The lists are reused for the next one.
#[derive(Debug, Default)]
pub(crate) struct HistogramFields {
    sample_count: u64,
    sample_count_float: f64,
    pub(crate) sum: f64,
    pub(crate) buckets: Vec<ClassicBucket>,
    pub(crate) start: Option<Timestamp>,
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    negative: NativeBuckets,
    positive: NativeBuckets,
    /// Exemplars of the native histogram.
    pub(crate) exemplars: Vec<Exemplar>,
}

impl ClassicBucket {
    fn read<'a>(
        mut message: Message<'a>,
        labels: &mut ExemplarLabels<'a>,
    ) -> Result<Self, DecodeError> {
        let mut bucket = Self::default();
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => bucket.count = field.varint()?,
                2 => bucket.upper_bound = field.double()?,
                3 => Exemplar::read(&mut bucket.exemplar, field.message()?, labels)?,
                4 => bucket.count_float = field.double()?,
                _ => {}
            }
        }
        Ok(bucket)
    }

    /// Returns the cumulative count.
    pub(crate) fn cumulative_count(&self) -> f64 {
        if self.count_float == 0.0 { self.count as f64 } else { self.count_float }
    }
}

impl NativeBuckets {
    fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }
}

impl HistogramFields {
    pub(crate) fn clear(&mut self) {
        self.sample_count = 0;
        self.sample_count_float = 0.0;
        self.sum = 0.0;
        self.buckets.clear();
        self.start = None;
        self.schema = 0;
        self.zero_threshold = 0.0;
        self.zero_count = 0;
        self.zero_count_float = 0.0;
        self.negative.clear();
        self.positive.clear();
        self.exemplars.clear();
    }

    /// Reads the fields of `message` over those that are known.
    pub(crate) fn read<'a>(
        &mut self,
        mut message: Message<'a>,
        labels: &mut ExemplarLabels<'a>,
    ) -> Result<(), DecodeError> {
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => self.sample_count = field.varint()?,
                2 => self.sum = field.double()?,
                3 => {
                    let bucket = ClassicBucket::read(field.message()?, labels)?;
                    push(&mut self.buckets, bucket, "buckets", &field)?;
                }
                4 => self.sample_count_float = field.double()?,
                5 => self.schema = field.sint32()?,
                6 => self.zero_threshold = field.double()?,
                7 => self.zero_count = field.varint()?,
                8 => self.zero_count_float = field.double()?,
                9 => read_span(&field, &mut self.negative.spans)?,
                10 => read_deltas(&field, &mut self.negative.deltas)?,
                11 => read_counts(&field, &mut self.negative.counts)?,
                12 => read_span(&field, &mut self.positive.spans)?,
                13 => read_deltas(&field, &mut self.positive.deltas)?,
                14 => read_counts(&field, &mut self.positive.counts)?,
                15 => self.start.get_or_insert_default().read(field.message()?)?,
                16 => {
                    let mut exemplar = None;
                    Exemplar::read(&mut exemplar, field.message()?, labels)?;
                    if let Some(exemplar) = exemplar {
                        push(&mut self.exemplars, exemplar, "exemplars", &field)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns `true` if the message has a native histogram. One without observations needs an
    /// empty span to be recognized.
    pub(crate) fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
    }

    fn is_float(&self) -> bool {
        self.sample_count_float > 0.0 || self.zero_count_float > 0.0
    }

    /// Returns the count of all observations.
    pub(crate) fn count(&self) -> f64 {
        if self.sample_count_float == 0.0 {
            self.sample_count as f64
        } else {
            self.sample_count_float
        }
    }

    /// Writes the native histogram to `target`, without empty buckets.
    ///
    /// # Errors
    /// [`InvalidHistogram::BucketCountMismatch`].
    pub(crate) fn write_native(
        &mut self,
        target: &mut HistogramBuffer,
    ) -> Result<(), InvalidHistogram> {
        check_spans(&self.positive, self.is_float(), BucketSign::Positive)?;
        check_spans(&self.negative, self.is_float(), BucketSign::Negative)?;
        // The lists are swapped, not copied; they are cleared before the next use.
        if self.is_float() {
            let histogram = target.start_float();
            histogram.schema = self.schema;
            histogram.zero_threshold = self.zero_threshold;
            histogram.zero_count = self.zero_count_float;
            histogram.count = self.sample_count_float;
            histogram.sum = self.sum;
            histogram.positive_spans.extend_from_slice(&self.positive.spans);
            histogram.negative_spans.extend_from_slice(&self.negative.spans);
            std::mem::swap(&mut histogram.positive_buckets, &mut self.positive.counts);
            std::mem::swap(&mut histogram.negative_buckets, &mut self.negative.counts);
            compact_float(histogram);
        } else {
            let histogram = target.start_integer();
            histogram.schema = self.schema;
            histogram.zero_threshold = self.zero_threshold;
            histogram.zero_count = self.zero_count;
            histogram.count = self.sample_count;
            histogram.sum = self.sum;
            histogram.positive_spans.extend_from_slice(&self.positive.spans);
            histogram.negative_spans.extend_from_slice(&self.negative.spans);
            std::mem::swap(&mut histogram.positive_buckets, &mut self.positive.deltas);
            std::mem::swap(&mut histogram.negative_buckets, &mut self.negative.deltas);
            compact(histogram, 0);
        }
        Ok(())
    }

    /// Converts the classic buckets to a histogram with custom buckets in `target`.
    pub(crate) fn write_converted(
        &self,
        classic: &mut ClassicHistogram,
        target: &mut HistogramBuffer,
    ) -> Result<(), ConversionError> {
        classic.clear();
        classic.set_count(self.count());
        classic.set_sum(self.sum);
        for bucket in &self.buckets {
            classic.add_bucket(bucket.upper_bound, bucket.cumulative_count());
        }
        classic.convert(target)
    }
}

/// Checks that the spans have as many buckets as the list in use.
fn check_spans(
    buckets: &NativeBuckets,
    is_float: bool,
    side: BucketSign,
) -> Result<(), InvalidHistogram> {
    let named = buckets.spans.iter().map(|span| u64::from(span.length)).sum();
    let present = if is_float { buckets.counts.len() } else { buckets.deltas.len() };
    if named == present as u64 {
        Ok(())
    } else {
        Err(InvalidHistogram::BucketCountMismatch { side, named, present })
    }
}

fn read_span(field: &Field<'_>, spans: &mut Vec<Span>) -> Result<(), DecodeError> {
    let mut message = field.message()?;
    let mut span = Span { offset: 0, length: 0 };
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => span.offset = field.sint32()?,
            2 => span.length = field.varint()? as u32,
            _ => {}
        }
    }
    push(spans, span, "spans", field)
}

fn read_deltas(field: &Field<'_>, deltas: &mut Vec<i64>) -> Result<(), DecodeError> {
    field.sint64s(|delta| push(deltas, delta, "native buckets", field))
}

fn read_counts(field: &Field<'_>, counts: &mut Vec<f64>) -> Result<(), DecodeError> {
    field.doubles(|count| push(counts, count, "native buckets", field))
}

/// Appends a value to a list of at most [`MAX_LIST`] ones.
pub(crate) fn push<T>(
    list: &mut Vec<T>,
    value: T,
    items: &'static str,
    field: &Field<'_>,
) -> Result<(), DecodeError> {
    if list.len() == MAX_LIST {
        return Err(field.error(ProtobufProblem::TooMany { items, limit: MAX_LIST }));
    }
    list.push(value);
    Ok(())
}
