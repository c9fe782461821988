//! The two kinds of histograms as chunks see them: [`View`] looks at one, [`ChunkValue::build`] makes one.

use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::sample::STALE_NAN_BITS;
use crate::model::value::Value;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::histogram::header::Form;
use crate::tsdb::chunk::histogram::layout::{Layout, bucket_count};
use crate::tsdb::chunk::histogram::number::{Number, Real, Whole};

/// A kind of histogram that chunks hold.
pub trait ChunkValue: Default + Sized {
    /// Its counts.
    type Number: Number;

    /// What a chunk that follows one of gauges says of counter resets.
    const RESET_AFTER_GAUGES: CounterResetHint;

    /// Its encoding in that form.
    fn encoding(form: Form) -> Encoding;

    /// A look at it.
    fn view(&self) -> View<'_, Plain<Self>>;

    /// The histogram with this layout and these numbers. What has a higher resolution than is stored, as a later Prometheus may write it, gets the highest
    /// that is.
    fn build(layout: &Layout, numbers: &Numbers<Self::Number>, reset_hint: CounterResetHint) -> Self;

    /// It as a value of a series.
    fn boxed(self) -> Value;
}

/// The counts of a kind of histogram by themselves.
pub type Plain<V> = <<V as ChunkValue>::Number as Number>::Plain;

/// A histogram of any kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a, P> {
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
    pub positive: Buckets<'a, P>,
    /// The negative buckets.
    pub negative: Buckets<'a, P>,
    /// As [`Histogram::custom_values`].
    pub custom_values: &'a [f64],
}

/// Buckets on one side of zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buckets<'a, P> {
    /// Which ones.
    pub spans: &'a [Span],
    /// One number for each, as the histogram lists them.
    pub listed: &'a [P],
}

impl<P: Copy + Default> View<'_, P> {
    /// Whether it is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.to_bits() == STALE_NAN_BITS
    }

    /// Calls `f` with the histogram as a chunk can hold it: a stale marker without anything else, and as many buckets as the spans say.
    pub(super) fn with_sound<R>(&self, f: impl FnOnce(&View<'_, P>) -> R) -> R {
        if self.is_stale() {
            return f(&View { reset_hint: self.reset_hint, sum: self.sum, ..View::default() });
        }
        if self.positive.is_sound() && self.negative.is_sound() {
            return f(self);
        }
        let (positive, negative) = (self.positive.sound_spans(), self.negative.sound_spans());
        f(&View { positive: self.positive.cut_to(&positive), negative: self.negative.cut_to(&negative), ..*self })
    }
}

impl<'a, P> Buckets<'a, P> {
    fn is_sound(&self) -> bool {
        bucket_count(self.spans) == self.listed.len()
    }

    /// The spans as far as there are numbers for their buckets.
    fn sound_spans(&self) -> Vec<Span> {
        let mut left = self.listed.len();
        let mut spans = self.spans.to_vec();
        for span in &mut spans {
            let length = left.min(span.length as usize);
            *span = Span { length: length as u32, ..*span };
            left -= length;
        }
        spans
    }

    /// These buckets alone.
    fn cut_to(&self, spans: &'a [Span]) -> Self {
        Self { spans, listed: &self.listed[..bucket_count(spans).min(self.listed.len())] }
    }
}

/// The numbers of the newest sample that was written or read.
#[derive(Clone, Debug)]
pub struct Numbers<N> {
    /// Its time, ms.
    pub t: Whole,
    /// All observations.
    pub count: N,
    /// Those in the zero bucket.
    pub zero_count: N,
    /// The sum of all observations.
    pub sum: Real,
    /// The positive buckets, then the negative ones.
    pub buckets: Box<[N]>,
}

impl<N: Number> Numbers<N> {
    /// Whether the sample is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.plain().to_bits() == STALE_NAN_BITS
    }

    /// The positive buckets.
    #[must_use]
    pub fn positive(&self, layout: &Layout) -> &[N] {
        &self.buckets[..bucket_count(&layout.positive).min(self.buckets.len())]
    }

    /// The negative buckets.
    #[must_use]
    pub fn negative(&self, layout: &Layout) -> &[N] {
        &self.buckets[bucket_count(&layout.positive).min(self.buckets.len())..]
    }
}

/// The numbers by themselves.
pub(super) fn plain<N: Number>(numbers: &[N]) -> Vec<N::Plain> {
    numbers.iter().map(|number| number.plain()).collect()
}

impl ChunkValue for Histogram {
    type Number = Whole;

    const RESET_AFTER_GAUGES: CounterResetHint = CounterResetHint::NotReset;

    fn encoding(form: Form) -> Encoding {
        match form {
            Form::WithoutStarts => Encoding::Histogram,
            Form::WithStarts => Encoding::HistogramSt,
        }
    }

    fn view(&self) -> View<'_, i64> {
        View {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as i64,
            count: self.count as i64,
            sum: self.sum,
            positive: Buckets { spans: &self.positive_spans, listed: &self.positive_buckets },
            negative: Buckets { spans: &self.negative_spans, listed: &self.negative_buckets },
            custom_values: &self.custom_values,
        }
    }

    fn build(layout: &Layout, numbers: &Numbers<Whole>, reset_hint: CounterResetHint) -> Self {
        if numbers.is_stale() {
            return Self { sum: numbers.sum.plain(), ..Self::default() };
        }
        let mut histogram = Self {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: numbers.zero_count.plain() as u64,
            count: numbers.count.plain() as u64,
            sum: numbers.sum.plain(),
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: plain(numbers.positive(layout)),
            negative_buckets: plain(numbers.negative(layout)),
            custom_values: layout.custom_values.clone(),
        };
        // Where the spans are those of no histogram it stays as it is.
        let _ = histogram.limit_resolution();
        histogram
    }

    fn boxed(self) -> Value {
        Value::Histogram(Box::new(self))
    }
}

impl ChunkValue for FloatHistogram {
    type Number = Real;

    const RESET_AFTER_GAUGES: CounterResetHint = CounterResetHint::Unknown;

    fn encoding(form: Form) -> Encoding {
        match form {
            Form::WithoutStarts => Encoding::FloatHistogram,
            Form::WithStarts => Encoding::FloatHistogramSt,
        }
    }

    fn view(&self) -> View<'_, f64> {
        View {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive: Buckets { spans: &self.positive_spans, listed: &self.positive_buckets },
            negative: Buckets { spans: &self.negative_spans, listed: &self.negative_buckets },
            custom_values: &self.custom_values,
        }
    }

    fn build(layout: &Layout, numbers: &Numbers<Real>, reset_hint: CounterResetHint) -> Self {
        if numbers.is_stale() {
            return Self { sum: numbers.sum.plain(), ..Self::default() };
        }
        let mut histogram = Self {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: numbers.zero_count.plain(),
            count: numbers.count.plain(),
            sum: numbers.sum.plain(),
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: plain(numbers.positive(layout)),
            negative_buckets: plain(numbers.negative(layout)),
            custom_values: layout.custom_values.clone(),
        };
        // Where the spans are those of no histogram it stays as it is.
        let _ = histogram.limit_resolution();
        histogram
    }

    fn boxed(self) -> Value {
        Value::FloatHistogram(Box::new(self))
    }
}
