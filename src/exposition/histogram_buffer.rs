//! Native histogram that a parser reuses for one series after the other.

use crate::exposition::entry::EntryValue;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram};

/// Integer and float histogram of which one is in use. Both keep their memory.
#[derive(Debug, Default)]
pub(crate) struct HistogramBuffer {
    pub(crate) integer: Histogram,
    pub(crate) float: FloatHistogram,
    /// Whether `float` is in use.
    pub(crate) is_float: bool,
}

impl HistogramBuffer {
    /// Returns the histogram in use.
    pub(crate) fn value(&self) -> EntryValue<'_> {
        if self.is_float {
            EntryValue::FloatHistogram(&self.float)
        } else {
            EntryValue::Histogram(&self.integer)
        }
    }

    /// Sets the hint of the histogram in use.
    pub(crate) fn set_reset_hint(&mut self, hint: CounterResetHint) {
        if self.is_float {
            self.float.reset_hint = hint;
        } else {
            self.integer.reset_hint = hint;
        }
    }

    /// Puts an empty integer histogram in use and returns it.
    pub(crate) fn start_integer(&mut self) -> &mut Histogram {
        self.is_float = false;
        let mut positive_spans = std::mem::take(&mut self.integer.positive_spans);
        let mut negative_spans = std::mem::take(&mut self.integer.negative_spans);
        let mut positive_buckets = std::mem::take(&mut self.integer.positive_buckets);
        let mut negative_buckets = std::mem::take(&mut self.integer.negative_buckets);
        let mut custom_values = std::mem::take(&mut self.integer.custom_values);
        positive_spans.clear();
        negative_spans.clear();
        positive_buckets.clear();
        negative_buckets.clear();
        custom_values.clear();
        self.integer = Histogram {
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values,
            ..Histogram::default()
        };
        &mut self.integer
    }

    /// Puts an empty float histogram in use and returns it.
    pub(crate) fn start_float(&mut self) -> &mut FloatHistogram {
        self.is_float = true;
        let mut positive_spans = std::mem::take(&mut self.float.positive_spans);
        let mut negative_spans = std::mem::take(&mut self.float.negative_spans);
        let mut positive_buckets = std::mem::take(&mut self.float.positive_buckets);
        let mut negative_buckets = std::mem::take(&mut self.float.negative_buckets);
        let mut custom_values = std::mem::take(&mut self.float.custom_values);
        positive_spans.clear();
        negative_spans.clear();
        positive_buckets.clear();
        negative_buckets.clear();
        custom_values.clear();
        self.float = FloatHistogram {
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values,
            ..FloatHistogram::default()
        };
        &mut self.float
    }
}
