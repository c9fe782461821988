//! Rules that decide whether a chunk takes a histogram, and the recoding of chunks.
//!
//! The first row that applies decides. The header of a new chunk follows from
//! `HistogramChunk::detect_counter_reset`.
//!
//! | the histogram | counters | gauges |
//! |---|---|---|
//! | is a gauge in a chunk of counters, or the reverse | new chunk | new chunk |
//! | has the reset hint "reset" | new chunk, reset | |
//! | is a stale marker | appended | appended |
//! | follows a stale marker | new chunk | new chunk |
//! | has a smaller count | new chunk, reset | |
//! | has another schema or zero threshold | new chunk | new chunk |
//! | has other custom values | new chunk, reset | new chunk |
//! | has a smaller zero count or bucket, or lacks a nonempty bucket | new chunk, reset | |
//! | has additional buckets | chunk is recoded | chunk is recoded |
//! | lacks (empty) buckets | gets empty buckets | gets empty buckets |
//!
//! The new layout is that of the histogram if it lacks no buckets, otherwise the one with the
//! fewest spans. For counters this applies to each sign separately, for gauges to both together.
//!
//! A histogram whose bucket lists are shorter or longer than its spans is truncated to what both
//! have. Input validation rejects such histograms earlier.
//!
//! Source: `appendable`, `appendableGauge` and `AppendHistogram` in `tsdb/chunkenc/histogram.go` of
//! Prometheus, and their counterparts for float histograms.

use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use crate::tsdb::chunk::histogram::count_codec::CountCodec;
use crate::tsdb::chunk::histogram::decode::HistogramIter;
use crate::tsdb::chunk::histogram::encode::{HistogramChunk, SampleTimes};
use crate::tsdb::chunk::histogram::header::HeaderLayout;
use crate::tsdb::chunk::histogram::layout::ChunkLayout;
use crate::tsdb::chunk::histogram::spans::{BucketUnion, indices, spans_from_indices};
use crate::tsdb::chunk::histogram::value::{
    BucketsView, ChunkValue, HistogramView, RawCount, raw_counts,
};

/// Result of appending a sample to a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The sample was appended.
    Appended,
    /// The sample was appended, and the chunk was recoded because the sample has additional
    /// buckets.
    Recoded,
    /// The sample was not appended; it requires a new chunk, and this one is unchanged.
    NeedsNewChunk,
}

/// Relation of a histogram to the layout of a chunk.
enum LayoutFit {
    /// The histogram has the layout of the chunk.
    Identical,
    /// The histogram or the chunk may lack buckets of the other.
    Mergeable(BucketUnions),
    /// The histogram requires a new chunk, with this counter reset header.
    Incompatible(CounterResetHint),
}

/// Unions of the buckets of a chunk (left) and of a histogram (right).
struct BucketUnions {
    positive: BucketUnion,
    negative: BucketUnion,
}

/// Spans of both signs.
struct SpanPair {
    positive: Vec<Span>,
    negative: Vec<Span>,
}

/// Stored counts of both signs.
struct CountPair<P> {
    positive: Vec<P>,
    negative: Vec<P>,
}

impl<V: ChunkValue> HistogramChunk<V> {
    /// Creates a chunk with one histogram. `previous` is the previous chunk of the series, if it
    /// has the same type.
    pub fn with_first_sample(
        header_layout: HeaderLayout,
        times: SampleTimes,
        value: &V,
        previous: Option<&Self>,
    ) -> Self {
        value.view().with_valid(|view| {
            let reset = match (view.reset_hint, previous) {
                (hint @ (CounterResetHint::Gauge | CounterResetHint::Reset), _) => hint,
                (_, Some(previous)) => previous.detect_counter_reset(view),
                (_, None) => CounterResetHint::Unknown,
            };
            Self::with_first(header_layout, reset, times, view)
        })
    }

    /// Appends a histogram if the chunk can take it.
    pub fn append(&mut self, times: SampleTimes, value: &V) -> AppendOutcome {
        if self.is_full() {
            return AppendOutcome::NeedsNewChunk;
        }
        value.view().with_valid(|view| match self.check_appendable(view) {
            LayoutFit::Identical => {
                self.push(times, view);
                AppendOutcome::Appended
            }
            LayoutFit::Mergeable(unions) => self.append_with_new_buckets(times, view, &unions),
            LayoutFit::Incompatible(_) => AppendOutcome::NeedsNewChunk,
        })
    }

    /// Returns the counter reset header of a new chunk that begins with this counter histogram
    /// after this chunk.
    ///
    /// It depends on whether this chunk could have taken the histogram, even if the new chunk began
    /// for another reason. If it could not, but not because of a reset, the hint is unknown. After
    /// gauges, Prometheus states "no reset" for integer counts, and for float counts if the new
    /// chunk began for another reason as well. Only the first is reproduced.
    ///
    fn detect_counter_reset(&self, view: &HistogramView<'_, RawCount<V>>) -> CounterResetHint {
        match self.check_appendable(view) {
            LayoutFit::Identical | LayoutFit::Mergeable(_) => CounterResetHint::NotReset,
            LayoutFit::Incompatible(reset) => reset,
        }
    }

    /// Applies the table in the module documentation.
    fn check_appendable(&self, view: &HistogramView<'_, RawCount<V>>) -> LayoutFit {
        let is_gauge = view.reset_hint == CounterResetHint::Gauge;
        if is_gauge != (self.reset == CounterResetHint::Gauge) {
            return LayoutFit::Incompatible(V::RESET_AFTER_GAUGES);
        }
        if view.reset_hint == CounterResetHint::Reset {
            return LayoutFit::Incompatible(CounterResetHint::Reset);
        }
        if view.is_stale() {
            return LayoutFit::Identical;
        }
        if self.is_stale() {
            return LayoutFit::Incompatible(CounterResetHint::Unknown);
        }
        if !is_gauge && V::Number::has_total_decreased(self.state.count.raw(), view.count) {
            return LayoutFit::Incompatible(CounterResetHint::Reset);
        }
        if view.schema != self.layout.schema || view.zero_threshold != self.layout.zero_threshold {
            return LayoutFit::Incompatible(CounterResetHint::Unknown);
        }
        if view.schema == CUSTOM_BUCKETS_SCHEMA && view.custom_values != self.layout.custom_values {
            return LayoutFit::Incompatible(CounterResetHint::Reset);
        }
        if !is_gauge && V::Number::has_total_decreased(self.state.zero_count.raw(), view.zero_count)
        {
            return LayoutFit::Incompatible(CounterResetHint::Reset);
        }
        if view.positive.spans == self.layout.positive
            && view.negative.spans == self.layout.negative
        {
            return if is_gauge || !self.has_decreased_bucket(view) {
                LayoutFit::Identical
            } else {
                LayoutFit::Incompatible(CounterResetHint::Reset)
            };
        }
        self.fit_of_buckets(view, is_gauge)
    }

    /// Returns `true` if a bucket has a smaller count. The histogram has the buckets of the chunk.
    fn has_decreased_bucket(&self, view: &HistogramView<'_, RawCount<V>>) -> bool {
        let positive = self.state.positive(&self.layout);
        let negative = self.state.negative(&self.layout);
        has_decreased(positive, view.positive.stored)
            || has_decreased(negative, view.negative.stored)
    }

    fn fit_of_buckets(&self, view: &HistogramView<'_, RawCount<V>>, is_gauge: bool) -> LayoutFit {
        let Some(unions) = BucketUnions::new(&self.layout, view) else {
            return LayoutFit::Incompatible(CounterResetHint::Unknown);
        };
        let positive = self.state.positive(&self.layout);
        let negative = self.state.negative(&self.layout);
        let has_decreased_bucket = !is_gauge
            && (has_decreased_in_union(&unions.positive, positive, view.positive.stored)
                || has_decreased_in_union(&unions.negative, negative, view.negative.stored));
        if has_decreased_bucket {
            LayoutFit::Incompatible(CounterResetHint::Reset)
        } else {
            LayoutFit::Mergeable(unions)
        }
    }

    /// Appends a histogram that fits except for missing or additional buckets.
    fn append_with_new_buckets(
        &mut self,
        times: SampleTimes,
        view: &HistogramView<'_, RawCount<V>>,
        unions: &BucketUnions,
    ) -> AppendOutcome {
        let adds_buckets =
            unions.positive.right_adds_buckets() || unions.negative.right_adds_buckets();
        if adds_buckets {
            let Some(chunk) = self.recode(unions, &unions.new_spans(view)) else {
                return AppendOutcome::NeedsNewChunk;
            };
            *self = chunk;
        }
        let lists = CountPair {
            positive: unions.positive.expand_right::<V::Number>(view.positive.stored),
            negative: unions.negative.expand_right::<V::Number>(view.negative.stored),
        };
        let spans = SpanPair {
            positive: self.layout.positive.clone(),
            negative: self.layout.negative.clone(),
        };
        self.push(times, &view.with_buckets(&spans, &lists));
        if adds_buckets { AppendOutcome::Recoded } else { AppendOutcome::Appended }
    }

    /// Returns the chunk with the buckets of both, or `None` if its own bytes cannot be decoded.
    fn recode(&self, unions: &BucketUnions, spans: &SpanPair) -> Option<Self> {
        let mut iter = HistogramIter::<V>::new(self.header_layout, self.bytes());
        let mut recoded: Option<Self> = None;
        while iter.advance().ok()? {
            let state = iter.state.as_ref()?;
            let lists = CountPair {
                positive: unions
                    .positive
                    .expand_left::<V::Number>(&raw_counts(state.positive(&iter.layout))),
                negative: unions
                    .negative
                    .expand_left::<V::Number>(&raw_counts(state.negative(&iter.layout))),
            };
            let view = iter.view()?.with_buckets(spans, &lists);
            let times = SampleTimes { start: iter.st_codec.st, t: state.t.value };
            match &mut recoded {
                Some(chunk) => chunk.push(times, &view),
                None => {
                    recoded = Some(Self::with_first(self.header_layout, self.reset, times, &view))
                }
            }
        }
        recoded
    }
}

impl BucketUnions {
    /// Returns `None` if the bucket indices of either are not ascending.
    fn new<P: Copy>(layout: &ChunkLayout, view: &HistogramView<'_, P>) -> Option<Self> {
        let positive =
            BucketUnion::new(&indices(&layout.positive)?, &indices(view.positive.spans)?);
        let negative =
            BucketUnion::new(&indices(&layout.negative)?, &indices(view.negative.spans)?);
        Some(Self { positive, negative })
    }

    /// Returns the spans of the recoded chunk.
    fn new_spans<P: Copy>(&self, view: &HistogramView<'_, P>) -> SpanPair {
        let is_gauge = view.reset_hint == CounterResetHint::Gauge;
        let any_lacks = self.positive.left_adds_buckets() || self.negative.left_adds_buckets();
        let of_side = |union: &BucketUnion, spans: &[Span]| {
            let lacks = if is_gauge { any_lacks } else { union.left_adds_buckets() };
            if lacks { spans_from_indices(&union.indices) } else { spans.to_vec() }
        };
        SpanPair {
            positive: of_side(&self.positive, view.positive.spans),
            negative: of_side(&self.negative, view.negative.spans),
        }
    }
}

impl<'a, P: Copy> HistogramView<'a, P> {
    fn with_buckets<'b>(&self, spans: &'b SpanPair, lists: &'b CountPair<P>) -> HistogramView<'b, P>
    where
        'a: 'b,
    {
        HistogramView {
            positive: BucketsView { spans: &spans.positive, stored: &lists.positive },
            negative: BucketsView { spans: &spans.negative, stored: &lists.negative },
            ..*self
        }
    }
}

/// Returns `true` if a bucket has a smaller count than before. Both have the same buckets.
fn has_decreased<N: CountCodec>(previous: &[N], now: &[N::Raw]) -> bool {
    let (mut from, mut to) = (N::Raw::default(), N::Raw::default());
    previous.iter().zip(now).any(|(previous, &now)| {
        from = N::to_absolute(from, previous.raw());
        to = N::to_absolute(to, now);
        N::has_decreased(from, to)
    })
}

/// Returns `true` if a bucket of the left histogram is smaller in the right one, or is missing
/// there although it is not empty.
fn has_decreased_in_union<N: CountCodec>(
    union: &BucketUnion,
    previous: &[N],
    now: &[N::Raw],
) -> bool {
    let mut others = union.right.iter().zip(now).peekable();
    let (mut from, mut to) = (N::Raw::default(), N::Raw::default());
    union.left.iter().zip(previous).any(|(index, previous)| {
        from = N::to_absolute(from, previous.raw());
        while let Some((_, now)) = others.next_if(|(other, _)| *other < index) {
            to = N::to_absolute(to, *now);
        }
        match others.next_if(|(other, _)| *other == index) {
            Some((_, now)) => {
                to = N::to_absolute(to, *now);
                N::has_decreased(from, to)
            }
            None => !N::is_zero(from),
        }
    })
}
