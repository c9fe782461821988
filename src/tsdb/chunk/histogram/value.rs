//! The two kinds of histograms as chunks see them: [`HistogramView`] looks at one, [`ChunkValue::build`] makes one.

use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::sample::SampleValue;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::histogram::count_codec::{CountCodec, DeltaOfDelta, XorFloat};
use crate::tsdb::chunk::histogram::header::HeaderLayout;
use crate::tsdb::chunk::histogram::layout::{ChunkLayout, bucket_count};

/// A kind of histogram that chunks hold.
pub trait ChunkValue: Default + Sized {
    /// Its counts.
    type Number: CountCodec;

    /// What a chunk that follows one of gauges says of counter resets.
    const RESET_AFTER_GAUGES: CounterResetHint;

    /// Its encoding in that form.
    fn encoding(form: HeaderLayout) -> ChunkEncoding;

    /// A look at it.
    fn view(&self) -> HistogramView<'_, RawCount<Self>>;

    /// The histogram with this layout and these numbers. What has a higher resolution than is stored, as a later Prometheus may write it, gets the highest
    /// that is.
    fn build(
        layout: &ChunkLayout,
        numbers: &SampleState<Self::Number>,
        reset_hint: CounterResetHint,
    ) -> Self;

    /// It as a value of a series.
    fn into_value(self) -> SampleValue;
}

/// The counts of a kind of histogram by themselves.
pub type RawCount<V> = <<V as ChunkValue>::Number as CountCodec>::Raw;

/// A histogram of any kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramView<'a, P> {
    /// As [`Histogram::reset_hint`].
    pub reset_hint: CounterResetHint,
    /// As [`Histogram::schema`].
    pub schema: i32,
    /// As [`Histogram::zero_threshold`].
    pub zero_threshold: f64,
    /// As [`Histogram::zero_count`].
    pub zero_count: P,
    /// As [`Histogram::count`].
    pub count: P,
    /// As [`Histogram::sum`].
    pub sum: f64,
    /// The positive buckets.
    pub positive: BucketsView<'a, P>,
    /// The negative buckets.
    pub negative: BucketsView<'a, P>,
    /// As [`Histogram::custom_values`].
    pub custom_values: &'a [f64],
}

/// Buckets on one side of zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct BucketsView<'a, P> {
    /// Which ones.
    pub spans: &'a [Span],
    /// One number for each, as the histogram lists them.
    pub stored: &'a [P],
}

impl<P: Copy + Default> HistogramView<'_, P> {
    /// Whether it is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.to_bits() == STALE_NAN_BITS
    }

    /// Calls `f` with the histogram as a chunk can hold it: a stale marker without anything else, and as many buckets as the spans say.
    pub(super) fn with_valid<R>(&self, f: impl FnOnce(&HistogramView<'_, P>) -> R) -> R {
        if self.is_stale() {
            return f(&HistogramView {
                reset_hint: self.reset_hint,
                sum: self.sum,
                ..HistogramView::default()
            });
        }
        if self.positive.is_valid() && self.negative.is_valid() {
            return f(self);
        }
        let (positive, negative) = (self.positive.valid_spans(), self.negative.valid_spans());
        f(&HistogramView {
            positive: self.positive.truncate_to(&positive),
            negative: self.negative.truncate_to(&negative),
            ..*self
        })
    }
}

impl<'a, P> BucketsView<'a, P> {
    fn is_valid(&self) -> bool {
        bucket_count(self.spans) == self.stored.len()
    }

    /// The spans as far as there are numbers for their buckets.
    fn valid_spans(&self) -> Vec<Span> {
        let mut left = self.stored.len();
        let mut spans = self.spans.to_vec();
        for span in &mut spans {
            let length = left.min(span.length as usize);
            *span = Span { length: length as u32, ..*span };
            left -= length;
        }
        spans
    }

    /// These buckets alone.
    fn truncate_to(&self, spans: &'a [Span]) -> Self {
        Self { spans, stored: &self.stored[..bucket_count(spans).min(self.stored.len())] }
    }
}

/// The numbers of the newest sample that was written or read.
#[derive(Clone, Debug)]
pub struct SampleState<N> {
    /// Its time, ms.
    pub t: DeltaOfDelta,
    /// All observations.
    pub count: N,
    /// Those in the zero bucket.
    pub zero_count: N,
    /// The sum of all observations.
    pub sum: XorFloat,
    /// The positive buckets, then the negative ones.
    pub buckets: Box<[N]>,
}

impl<N: CountCodec> SampleState<N> {
    /// Whether the sample is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.raw().to_bits() == STALE_NAN_BITS
    }

    /// The positive buckets.
    #[must_use]
    pub fn positive(&self, layout: &ChunkLayout) -> &[N] {
        &self.buckets[..bucket_count(&layout.positive).min(self.buckets.len())]
    }

    /// The negative buckets.
    #[must_use]
    pub fn negative(&self, layout: &ChunkLayout) -> &[N] {
        &self.buckets[bucket_count(&layout.positive).min(self.buckets.len())..]
    }
}

/// The numbers by themselves.
pub(super) fn raw_counts<N: CountCodec>(numbers: &[N]) -> Vec<N::Raw> {
    numbers.iter().map(|number| number.raw()).collect()
}

impl ChunkValue for Histogram {
    type Number = DeltaOfDelta;

    const RESET_AFTER_GAUGES: CounterResetHint = CounterResetHint::NotReset;

    fn encoding(form: HeaderLayout) -> ChunkEncoding {
        match form {
            HeaderLayout::WithoutSt => ChunkEncoding::Histogram,
            HeaderLayout::WithSt => ChunkEncoding::HistogramSt,
        }
    }

    fn view(&self) -> HistogramView<'_, i64> {
        HistogramView {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as i64,
            count: self.count as i64,
            sum: self.sum,
            positive: BucketsView { spans: &self.positive_spans, stored: &self.positive_buckets },
            negative: BucketsView { spans: &self.negative_spans, stored: &self.negative_buckets },
            custom_values: &self.custom_values,
        }
    }

    fn build(
        layout: &ChunkLayout,
        numbers: &SampleState<DeltaOfDelta>,
        reset_hint: CounterResetHint,
    ) -> Self {
        if numbers.is_stale() {
            return Self { sum: numbers.sum.raw(), ..Self::default() };
        }
        let mut histogram = Self {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: numbers.zero_count.raw() as u64,
            count: numbers.count.raw() as u64,
            sum: numbers.sum.raw(),
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: raw_counts(numbers.positive(layout)),
            negative_buckets: raw_counts(numbers.negative(layout)),
            custom_values: layout.custom_values.clone(),
        };
        // Where the spans are those of no histogram it stays as it is.
        let _ = histogram.limit_resolution();
        histogram
    }

    fn into_value(self) -> SampleValue {
        SampleValue::Histogram(Box::new(self))
    }
}

impl ChunkValue for FloatHistogram {
    type Number = XorFloat;

    const RESET_AFTER_GAUGES: CounterResetHint = CounterResetHint::Unknown;

    fn encoding(form: HeaderLayout) -> ChunkEncoding {
        match form {
            HeaderLayout::WithoutSt => ChunkEncoding::FloatHistogram,
            HeaderLayout::WithSt => ChunkEncoding::FloatHistogramSt,
        }
    }

    fn view(&self) -> HistogramView<'_, f64> {
        HistogramView {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive: BucketsView { spans: &self.positive_spans, stored: &self.positive_buckets },
            negative: BucketsView { spans: &self.negative_spans, stored: &self.negative_buckets },
            custom_values: &self.custom_values,
        }
    }

    fn build(
        layout: &ChunkLayout,
        numbers: &SampleState<XorFloat>,
        reset_hint: CounterResetHint,
    ) -> Self {
        if numbers.is_stale() {
            return Self { sum: numbers.sum.raw(), ..Self::default() };
        }
        let mut histogram = Self {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: numbers.zero_count.raw(),
            count: numbers.count.raw(),
            sum: numbers.sum.raw(),
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: raw_counts(numbers.positive(layout)),
            negative_buckets: raw_counts(numbers.negative(layout)),
            custom_values: layout.custom_values.clone(),
        };
        // Where the spans are those of no histogram it stays as it is.
        let _ = histogram.limit_resolution();
        histogram
    }

    fn into_value(self) -> SampleValue {
        SampleValue::FloatHistogram(Box::new(self))
    }
}
