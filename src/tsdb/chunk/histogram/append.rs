//! When a chunk takes a histogram, and what has to be done for it. The rules are those of Prometheus (`appendable`, `appendableGauge`
//! and `AppendHistogram` in `tsdb/chunkenc/histogram.go`, and their like for floats).
//!
//! | the histogram                                                     | counters                        | gauges              |
//! |-------------------------------------------------------------------|---------------------------------|---------------------|
//! | is a gauge and the chunk has counters, or the other way round     | new chunk                       | new chunk           |
//! | says of itself that there was a reset                             | new chunk, reset                |                     |
//! | is a stale marker                                                 | taken                           | taken               |
//! | is not, and the one before it is                                  | new chunk                       | new chunk           |
//! | has a smaller count                                               | new chunk, reset                |                     |
//! | has another schema or zero threshold                              | new chunk                       | new chunk           |
//! | has other custom bounds                                           | new chunk, reset                | new chunk           |
//! | has a smaller zero count, a bucket with a smaller count, or lacks a bucket that was not empty | new chunk, reset |        |
//! | has new buckets                                                   | the chunk is written anew       | as with counters    |
//! | lacks (empty) buckets                                             | it gets them, empty             | it gets them, empty |
//!
//! The first that applies decides. What a new chunk's header then says is in `HistogramChunk::detect_counter_reset`.
//!
//! The new layout is the histogram's own where it lacks nothing, and else has the fewest spans. (Of counters only the side that lacks
//! buckets is laid out anew, of gauges both.)
//!
//! A histogram whose lists are not as long as its spans say is cut to what both have; no sender's gets here.

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

/// What became of a point that was to be appended to a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It is the chunk's last one now.
    Appended,
    /// It is, and the whole chunk was written anew: its histograms have more buckets.
    Recoded,
    /// It is not in the chunk: it has to begin another.
    NeedsNewChunk,
}

/// Whether a chunk takes a histogram.
enum LayoutFit {
    /// It has the chunk's layout.
    Identical,
    /// Either may lack buckets of the other.
    Mergeable(BucketUnions),
    /// It begins a new chunk, of whose counters this is known.
    Incompatible(CounterResetHint),
}

/// The buckets of a chunk (the one) and of a histogram (the other) together.
struct BucketUnions {
    positive: BucketUnion,
    negative: BucketUnion,
}

/// The buckets of both sides.
struct SpanPair {
    positive: Vec<Span>,
    negative: Vec<Span>,
}

/// Numbers for each of them.
struct CountPair<P> {
    positive: Vec<P>,
    negative: Vec<P>,
}

impl<V: ChunkValue> HistogramChunk<V> {
    /// A chunk with one histogram; `before` is the chunk of the series before it, where that has histograms of the same kind.
    pub fn with_first_sample(
        form: HeaderLayout,
        times: SampleTimes,
        value: &V,
        before: Option<&Self>,
    ) -> Self {
        value.view().with_valid(|view| {
            let reset = match (view.reset_hint, before) {
                (hint @ (CounterResetHint::Gauge | CounterResetHint::Reset), _) => hint,
                (_, Some(before)) => before.detect_counter_reset(view),
                (_, None) => CounterResetHint::Unknown,
            };
            Self::with_first(form, reset, times, view)
        })
    }

    /// Appends a histogram where the chunk can take it.
    pub fn append(&mut self, times: SampleTimes, value: &V) -> AppendOutcome {
        if self.is_full() {
            return AppendOutcome::NeedsNewChunk;
        }
        value.view().with_valid(|view| match self.check_appendable(view) {
            LayoutFit::Identical => {
                self.push(times, view);
                AppendOutcome::Appended
            }
            LayoutFit::Mergeable(sides) => self.append_with_new_buckets(times, view, &sides),
            LayoutFit::Incompatible(_) => AppendOutcome::NeedsNewChunk,
        })
    }

    /// What a new chunk's header says of counter resets where it begins with this counter histogram, after this chunk.
    ///
    /// Whether this chunk could have taken it is asked, even if it was not for that reason that the new one began. Where it could not, but for no
    /// reset, nothing is known. Prometheus says "no reset" after gauges if the counts are whole, and if they are floats and the
    /// new chunk began for another reason as well; it is only followed in the first.
    fn detect_counter_reset(&self, view: &HistogramView<'_, RawCount<V>>) -> CounterResetHint {
        match self.check_appendable(view) {
            LayoutFit::Identical | LayoutFit::Mergeable(_) => CounterResetHint::NotReset,
            LayoutFit::Incompatible(reset) => reset,
        }
    }

    /// Whether it takes the histogram; the table above.
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
        if !is_gauge && V::Number::has_total_decreased(self.numbers.count.raw(), view.count) {
            return LayoutFit::Incompatible(CounterResetHint::Reset);
        }
        if view.schema != self.layout.schema || view.zero_threshold != self.layout.zero_threshold {
            return LayoutFit::Incompatible(CounterResetHint::Unknown);
        }
        if view.schema == CUSTOM_BUCKETS_SCHEMA && view.custom_values != self.layout.custom_values {
            return LayoutFit::Incompatible(CounterResetHint::Reset);
        }
        if !is_gauge
            && V::Number::has_total_decreased(self.numbers.zero_count.raw(), view.zero_count)
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

    /// Whether a bucket of the histogram, which has those of the chunk, has a smaller count.
    fn has_decreased_bucket(&self, view: &HistogramView<'_, RawCount<V>>) -> bool {
        let positive = self.numbers.positive(&self.layout);
        let negative = self.numbers.negative(&self.layout);
        has_decreased(positive, view.positive.stored)
            || has_decreased(negative, view.negative.stored)
    }

    fn fit_of_buckets(&self, view: &HistogramView<'_, RawCount<V>>, is_gauge: bool) -> LayoutFit {
        let Some(sides) = BucketUnions::new(&self.layout, view) else {
            return LayoutFit::Incompatible(CounterResetHint::Unknown);
        };
        let positive = self.numbers.positive(&self.layout);
        let negative = self.numbers.negative(&self.layout);
        let has_reset = !is_gauge
            && (has_decreased_in_union(&sides.positive, positive, view.positive.stored)
                || has_decreased_in_union(&sides.negative, negative, view.negative.stored));
        if has_reset {
            LayoutFit::Incompatible(CounterResetHint::Reset)
        } else {
            LayoutFit::Mergeable(sides)
        }
    }

    /// Appends a histogram that fits but for the buckets that it adds or lacks.
    fn append_with_new_buckets(
        &mut self,
        times: SampleTimes,
        view: &HistogramView<'_, RawCount<V>>,
        sides: &BucketUnions,
    ) -> AppendOutcome {
        let adds = sides.positive.right_adds_buckets() || sides.negative.right_adds_buckets();
        if adds {
            let Some(chunk) = self.recode(sides, &sides.new_spans(view)) else {
                return AppendOutcome::NeedsNewChunk;
            };
            *self = chunk;
        }
        let lists = CountPair {
            positive: sides.positive.expand_right::<V::Number>(view.positive.stored),
            negative: sides.negative.expand_right::<V::Number>(view.negative.stored),
        };
        let spans = SpanPair {
            positive: self.layout.positive.clone(),
            negative: self.layout.negative.clone(),
        };
        self.push(times, &view.with_buckets(&spans, &lists));
        if adds { AppendOutcome::Recoded } else { AppendOutcome::Appended }
    }

    /// The chunk with the buckets of both; `None` where its own bytes can't be read.
    fn recode(&self, sides: &BucketUnions, spans: &SpanPair) -> Option<Self> {
        let mut iter = HistogramIter::<V>::new(self.form, self.bytes());
        let mut rewritten: Option<Self> = None;
        while iter.advance().ok()? {
            let numbers = iter.numbers.as_ref()?;
            let lists = CountPair {
                positive: sides
                    .positive
                    .expand_left::<V::Number>(&raw_counts(numbers.positive(&iter.layout))),
                negative: sides
                    .negative
                    .expand_left::<V::Number>(&raw_counts(numbers.negative(&iter.layout))),
            };
            let view = iter.view()?.with_buckets(spans, &lists);
            let times = SampleTimes { start: iter.starts.st, t: numbers.t.value };
            match &mut rewritten {
                Some(chunk) => chunk.push(times, &view),
                None => rewritten = Some(Self::with_first(self.form, self.reset, times, &view)),
            }
        }
        rewritten
    }
}

impl BucketUnions {
    /// `None` where the spans of either do not rise.
    fn new<P: Copy>(layout: &ChunkLayout, view: &HistogramView<'_, P>) -> Option<Self> {
        let positive =
            BucketUnion::new(&indices(&layout.positive)?, &indices(view.positive.spans)?);
        let negative =
            BucketUnion::new(&indices(&layout.negative)?, &indices(view.negative.spans)?);
        Some(Self { positive, negative })
    }

    /// The spans of a chunk that gets the histogram's buckets.
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

/// Whether one of the buckets has a smaller count than before; both have the same.
fn has_decreased<N: CountCodec>(before: &[N], now: &[N::Raw]) -> bool {
    let (mut from, mut to) = (N::Raw::default(), N::Raw::default());
    before.iter().zip(now).any(|(before, &now)| {
        from = N::to_absolute(from, before.raw());
        to = N::to_absolute(to, now);
        N::has_decreased(from, to)
    })
}

/// Whether one of the buckets of the one has a smaller count in the other, or is not empty and missing there.
fn has_decreased_in_union<N: CountCodec>(
    union: &BucketUnion,
    before: &[N],
    now: &[N::Raw],
) -> bool {
    let mut others = union.right.iter().zip(now).peekable();
    let (mut from, mut to) = (N::Raw::default(), N::Raw::default());
    union.left.iter().zip(before).any(|(place, before)| {
        from = N::to_absolute(from, before.raw());
        while let Some((_, now)) = others.next_if(|(other, _)| *other < place) {
            to = N::to_absolute(to, *now);
        }
        match others.next_if(|(other, _)| *other == place) {
            Some((_, now)) => {
                to = N::to_absolute(to, *now);
                N::has_decreased(from, to)
            }
            None => !N::is_zero(from),
        }
    })
}
