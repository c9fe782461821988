//! Integer and float histograms behind one trait: [`HistogramView`] borrows the fields of one,
//! [`ChunkValue::build`] creates one.

use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span, reduce};
use crate::model::sample::SampleValue;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::histogram::count_codec::{CountCodec, DeltaOfDelta, XorFloat};
use crate::tsdb::chunk::histogram::header::HeaderLayout;
use crate::tsdb::chunk::histogram::layout::{ChunkLayout, bucket_count};

/// Type of histogram that a chunk can store.
pub trait ChunkValue: Default + Sized {
    /// Codec of the counts.
    type Number: CountCodec;

    /// Counter reset header of a chunk that follows one of gauges.
    const RESET_AFTER_GAUGES: CounterResetHint;

    /// Returns the encoding with this header layout.
    fn encoding(header_layout: HeaderLayout) -> ChunkEncoding;

    /// Returns a view of the fields.
    fn view(&self) -> HistogramView<'_, RawCount<Self>>;

    /// Creates a histogram. A schema above the supported ones, which later versions of Prometheus
    /// may write, is reduced.
    fn build(
        layout: &ChunkLayout,
        state: &SampleState<Self::Number>,
        reset_hint: CounterResetHint,
    ) -> Self;

    /// Converts the histogram into the value of a sample.
    fn into_value(self) -> SampleValue;
}

/// Count of a histogram type, without codec state.
pub type RawCount<V> = <<V as ChunkValue>::Number as CountCodec>::Raw;

/// Borrowed fields of an integer or float histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramView<'a, P> {
    /// Counter reset hint, as [`Histogram::reset_hint`].
    pub reset_hint: CounterResetHint,
    /// Resolution of the buckets, as [`Histogram::schema`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Same as [`Histogram::zero_count`], wrapped if integer.
    pub zero_count: P,
    /// Same as [`Histogram::count`], wrapped if integer.
    pub count: P,
    /// Sum of all observations; a stale marker has a special NaN.
    pub sum: f64,
    /// Buckets with positive bounds.
    pub positive: BucketsView<'a, P>,
    /// Buckets with negative bounds.
    pub negative: BucketsView<'a, P>,
    /// Upper bounds of custom buckets; empty for other schemas.
    pub custom_values: &'a [f64],
}

/// Spans and stored counts of the buckets of one sign.
#[derive(Clone, Copy, Debug, Default)]
pub struct BucketsView<'a, P> {
    /// Runs of consecutive buckets.
    pub spans: &'a [Span],
    /// Number of each bucket: delta to the previous bucket (integer) or count (float).
    pub stored: &'a [P],
}

impl<P: Copy + Default> HistogramView<'_, P> {
    /// Returns `true` if the histogram is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.to_bits() == STALE_NAN_BITS
    }

    /// Calls `f` with the histogram as a chunk stores it: a stale marker without other fields, and
    /// lists of buckets that match the spans.
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

    /// Returns the spans, truncated to the stored numbers.
    fn valid_spans(&self) -> Vec<Span> {
        let mut remaining = self.stored.len();
        let mut spans = self.spans.to_vec();
        for span in &mut spans {
            let length = remaining.min(span.length as usize);
            *span = Span { length: length as u32, ..*span };
            remaining -= length;
        }
        spans
    }

    /// Returns the buckets of `spans`, a prefix of the own spans.
    fn truncate_to(&self, spans: &'a [Span]) -> Self {
        Self { spans, stored: &self.stored[..bucket_count(spans).min(self.stored.len())] }
    }
}

/// Codec state of all numbers of the last sample.
#[derive(Clone, Debug)]
pub struct SampleState<N> {
    /// Timestamp of the sample, ms.
    pub t: DeltaOfDelta,
    /// Count of all observations.
    pub count: N,
    /// Count of the zero bucket.
    pub zero_count: N,
    /// Sum of all observations.
    pub sum: XorFloat,
    /// Positive buckets, then negative ones.
    pub buckets: Box<[N]>,
}

impl<N: CountCodec> SampleState<N> {
    /// Returns `true` if the sample is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.raw().to_bits() == STALE_NAN_BITS
    }

    /// Buckets with positive bounds.
    #[must_use]
    pub fn positive(&self, layout: &ChunkLayout) -> &[N] {
        &self.buckets[..bucket_count(&layout.positive).min(self.buckets.len())]
    }

    /// Buckets with negative bounds.
    #[must_use]
    pub fn negative(&self, layout: &ChunkLayout) -> &[N] {
        &self.buckets[bucket_count(&layout.positive).min(self.buckets.len())..]
    }
}

/// Returns the numbers without codec state.
pub(super) fn raw_counts<N: CountCodec>(codecs: &[N]) -> Vec<N::Raw> {
    codecs.iter().map(|codec| codec.raw()).collect()
}

impl ChunkValue for Histogram {
    type Number = DeltaOfDelta;

    const RESET_AFTER_GAUGES: CounterResetHint = CounterResetHint::NotReset;

    fn encoding(header_layout: HeaderLayout) -> ChunkEncoding {
        match header_layout {
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
        state: &SampleState<DeltaOfDelta>,
        reset_hint: CounterResetHint,
    ) -> Self {
        if state.is_stale() {
            return Self { sum: state.sum.raw(), ..Self::default() };
        }
        let mut histogram = Self {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: state.zero_count.raw() as u64,
            count: state.count.raw() as u64,
            sum: state.sum.raw(),
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: raw_counts(state.positive(layout)),
            negative_buckets: raw_counts(state.negative(layout)),
            custom_values: layout.custom_values.clone(),
        };
        // An error means invalid spans; the histogram then stays as it is.
        let _ = reduce::limit_resolution(&mut histogram);
        histogram
    }

    fn into_value(self) -> SampleValue {
        SampleValue::Histogram(Box::new(self))
    }
}

impl ChunkValue for FloatHistogram {
    type Number = XorFloat;

    const RESET_AFTER_GAUGES: CounterResetHint = CounterResetHint::Unknown;

    fn encoding(header_layout: HeaderLayout) -> ChunkEncoding {
        match header_layout {
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
        state: &SampleState<XorFloat>,
        reset_hint: CounterResetHint,
    ) -> Self {
        if state.is_stale() {
            return Self { sum: state.sum.raw(), ..Self::default() };
        }
        let mut histogram = Self {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: state.zero_count.raw(),
            count: state.count.raw(),
            sum: state.sum.raw(),
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: raw_counts(state.positive(layout)),
            negative_buckets: raw_counts(state.negative(layout)),
            custom_values: layout.custom_values.clone(),
        };
        // An error means invalid spans; the histogram then stays as it is.
        let _ = reduce::limit_float_resolution(&mut histogram);
        histogram
    }

    fn into_value(self) -> SampleValue {
        SampleValue::FloatHistogram(Box::new(self))
    }
}
