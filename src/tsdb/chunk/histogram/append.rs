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
//! The first that applies decides. What a new chunk's header then says is in `HistogramChunk::reset_before`.
//!
//! The new layout is the histogram's own where it lacks nothing, and else has the fewest spans. (Of counters only the side that lacks
//! buckets is laid out anew, of gauges both.)
//!
//! A histogram whose lists are not as long as its spans say is cut to what both have; no sender's gets here.

use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use crate::tsdb::chunk::histogram::decode::HistogramIter;
use crate::tsdb::chunk::histogram::encode::{HistogramChunk, Times};
use crate::tsdb::chunk::histogram::header::Form;
use crate::tsdb::chunk::histogram::layout::Layout;
use crate::tsdb::chunk::histogram::number::Number;
use crate::tsdb::chunk::histogram::spans::{Union, indices, spans_of};
use crate::tsdb::chunk::histogram::value::{Buckets, ChunkValue, Plain, View, plain};

/// What became of a point that was to be appended to a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is the chunk's last one now.
    Done,
    /// It is, and the whole chunk was written anew: its histograms have more buckets.
    Rewritten,
    /// It is not in the chunk: it has to begin another.
    NotTaken,
}

/// Whether a chunk takes a histogram.
enum Fit {
    /// It has the chunk's layout.
    Same,
    /// Either may lack buckets of the other.
    Other(Sides),
    /// It begins a new chunk, of whose counters this is known.
    Not(CounterResetHint),
}

/// The buckets of a chunk (the one) and of a histogram (the other) together.
struct Sides {
    positive: Union,
    negative: Union,
}

/// The buckets of both sides.
struct BothSpans {
    positive: Vec<Span>,
    negative: Vec<Span>,
}

/// Numbers for each of them.
struct BothLists<P> {
    positive: Vec<P>,
    negative: Vec<P>,
}

impl<V: ChunkValue> HistogramChunk<V> {
    /// A chunk with one histogram; `before` is the chunk of the series before it, where that has histograms of the same kind.
    pub fn begin(form: Form, times: Times, value: &V, before: Option<&Self>) -> Self {
        value.view().with_sound(|view| {
            let reset = match (view.reset_hint, before) {
                (hint @ (CounterResetHint::Gauge | CounterResetHint::Reset), _) => hint,
                (_, Some(before)) => before.reset_before(view),
                (_, None) => CounterResetHint::Unknown,
            };
            Self::with_first(form, reset, times, view)
        })
    }

    /// Appends a histogram where the chunk can take it.
    pub fn append(&mut self, times: Times, value: &V) -> Appended {
        if self.is_full() {
            return Appended::NotTaken;
        }
        value.view().with_sound(|view| match self.fit(view) {
            Fit::Same => {
                self.push(times, view);
                Appended::Done
            }
            Fit::Other(sides) => self.append_other(times, view, &sides),
            Fit::Not(_) => Appended::NotTaken,
        })
    }

    /// What a new chunk's header says of counter resets where it begins with this counter histogram, after this chunk.
    ///
    /// Whether this chunk could have taken it is asked, even if it was not for that reason that the new one began. Where it could not, but for no
    /// reset, nothing is known. Prometheus says "no reset" after gauges if the counts are whole, and if they are floats and the
    /// new chunk began for another reason as well; it is only followed in the first.
    fn reset_before(&self, view: &View<'_, Plain<V>>) -> CounterResetHint {
        match self.fit(view) {
            Fit::Same | Fit::Other(_) => CounterResetHint::NotReset,
            Fit::Not(reset) => reset,
        }
    }

    /// Whether it takes the histogram; the table above.
    fn fit(&self, view: &View<'_, Plain<V>>) -> Fit {
        let is_gauge = view.reset_hint == CounterResetHint::Gauge;
        if is_gauge != (self.reset == CounterResetHint::Gauge) {
            return Fit::Not(V::RESET_AFTER_GAUGES);
        }
        if view.reset_hint == CounterResetHint::Reset {
            return Fit::Not(CounterResetHint::Reset);
        }
        if view.is_stale() {
            return Fit::Same;
        }
        if self.is_stale() {
            return Fit::Not(CounterResetHint::Unknown);
        }
        if !is_gauge && V::Number::has_total_fallen(self.numbers.count.plain(), view.count) {
            return Fit::Not(CounterResetHint::Reset);
        }
        if view.schema != self.layout.schema || view.zero_threshold != self.layout.zero_threshold {
            return Fit::Not(CounterResetHint::Unknown);
        }
        if view.schema == CUSTOM_BUCKETS_SCHEMA && view.custom_values != self.layout.custom_values {
            return Fit::Not(CounterResetHint::Reset);
        }
        if !is_gauge && V::Number::has_total_fallen(self.numbers.zero_count.plain(), view.zero_count) {
            return Fit::Not(CounterResetHint::Reset);
        }
        if view.positive.spans == self.layout.positive && view.negative.spans == self.layout.negative {
            return if is_gauge || !self.has_fallen_bucket(view) {
                Fit::Same
            } else {
                Fit::Not(CounterResetHint::Reset)
            };
        }
        self.fit_of_buckets(view, is_gauge)
    }

    /// Whether a bucket of the histogram, which has those of the chunk, has a smaller count.
    fn has_fallen_bucket(&self, view: &View<'_, Plain<V>>) -> bool {
        let positive = self.numbers.positive(&self.layout);
        let negative = self.numbers.negative(&self.layout);
        has_fallen(positive, view.positive.listed) || has_fallen(negative, view.negative.listed)
    }

    fn fit_of_buckets(&self, view: &View<'_, Plain<V>>, is_gauge: bool) -> Fit {
        let Some(sides) = Sides::of(&self.layout, view) else { return Fit::Not(CounterResetHint::Unknown) };
        let positive = self.numbers.positive(&self.layout);
        let negative = self.numbers.negative(&self.layout);
        let has_reset = !is_gauge
            && (has_fallen_in(&sides.positive, positive, view.positive.listed)
                || has_fallen_in(&sides.negative, negative, view.negative.listed));
        if has_reset { Fit::Not(CounterResetHint::Reset) } else { Fit::Other(sides) }
    }

    /// Appends a histogram that fits but for the buckets that it adds or lacks.
    fn append_other(&mut self, times: Times, view: &View<'_, Plain<V>>, sides: &Sides) -> Appended {
        let adds = sides.positive.adds_to_one() || sides.negative.adds_to_one();
        if adds {
            let Some(chunk) = self.rewritten(sides, &sides.new_spans(view)) else { return Appended::NotTaken };
            *self = chunk;
        }
        let lists = BothLists {
            positive: sides.positive.widen_other::<V::Number>(view.positive.listed),
            negative: sides.negative.widen_other::<V::Number>(view.negative.listed),
        };
        let spans = BothSpans { positive: self.layout.positive.clone(), negative: self.layout.negative.clone() };
        self.push(times, &view.with_buckets(&spans, &lists));
        if adds { Appended::Rewritten } else { Appended::Done }
    }

    /// The chunk with the buckets of both; `None` where its own bytes can't be read.
    fn rewritten(&self, sides: &Sides, spans: &BothSpans) -> Option<Self> {
        let mut iter = HistogramIter::<V>::new(self.form, self.bytes());
        let mut rewritten: Option<Self> = None;
        while iter.advance().ok()? {
            let numbers = iter.numbers.as_ref()?;
            let lists = BothLists {
                positive: sides.positive.widen_one::<V::Number>(&plain(numbers.positive(&iter.layout))),
                negative: sides.negative.widen_one::<V::Number>(&plain(numbers.negative(&iter.layout))),
            };
            let view = iter.view()?.with_buckets(spans, &lists);
            let times = Times { start: iter.starts.start, t: numbers.t.value };
            match &mut rewritten {
                Some(chunk) => chunk.push(times, &view),
                None => rewritten = Some(Self::with_first(self.form, self.reset, times, &view)),
            }
        }
        rewritten
    }
}

impl Sides {
    /// `None` where the spans of either do not rise.
    fn of<P: Copy>(layout: &Layout, view: &View<'_, P>) -> Option<Self> {
        let positive = Union::of(&indices(&layout.positive)?, &indices(view.positive.spans)?);
        let negative = Union::of(&indices(&layout.negative)?, &indices(view.negative.spans)?);
        Some(Self { positive, negative })
    }

    /// The spans of a chunk that gets the histogram's buckets.
    fn new_spans<P: Copy>(&self, view: &View<'_, P>) -> BothSpans {
        let is_gauge = view.reset_hint == CounterResetHint::Gauge;
        let any_lacks = self.positive.adds_to_other() || self.negative.adds_to_other();
        let of_side = |union: &Union, spans: &[Span]| {
            let lacks = if is_gauge { any_lacks } else { union.adds_to_other() };
            if lacks { spans_of(&union.indices) } else { spans.to_vec() }
        };
        BothSpans {
            positive: of_side(&self.positive, view.positive.spans),
            negative: of_side(&self.negative, view.negative.spans),
        }
    }
}

impl<'a, P: Copy> View<'a, P> {
    fn with_buckets<'b>(&self, spans: &'b BothSpans, lists: &'b BothLists<P>) -> View<'b, P>
    where
        'a: 'b,
    {
        View {
            positive: Buckets { spans: &spans.positive, listed: &lists.positive },
            negative: Buckets { spans: &spans.negative, listed: &lists.negative },
            ..*self
        }
    }
}

/// Whether one of the buckets has a smaller count than before; both have the same.
fn has_fallen<N: Number>(before: &[N], now: &[N::Plain]) -> bool {
    let (mut from, mut to) = (N::Plain::default(), N::Plain::default());
    before.iter().zip(now).any(|(before, &now)| {
        from = N::count(from, before.plain());
        to = N::count(to, now);
        N::has_fallen(from, to)
    })
}

/// Whether one of the buckets of the one has a smaller count in the other, or is not empty and missing there.
fn has_fallen_in<N: Number>(union: &Union, before: &[N], now: &[N::Plain]) -> bool {
    let mut others = union.other.iter().zip(now).peekable();
    let (mut from, mut to) = (N::Plain::default(), N::Plain::default());
    union.one.iter().zip(before).any(|(place, before)| {
        from = N::count(from, before.plain());
        while let Some((_, now)) = others.next_if(|(other, _)| *other < place) {
            to = N::count(to, *now);
        }
        match others.next_if(|(other, _)| *other == place) {
            Some((_, now)) => {
                to = N::count(to, *now);
                N::has_fallen(from, to)
            }
            None => !N::is_zero(from),
        }
    })
}
