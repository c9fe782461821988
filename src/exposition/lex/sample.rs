//! Place and content of a sample line.

use crate::exposition::entry::{EntryValue, SeriesEntry};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::lex::label_set::{Body, LabelSyntax, push_labels};
use crate::exposition::lex::scan::slice;
use crate::exposition::lex::unescape::push_unescaped;
use crate::exposition::number::push_canonical;
use crate::model::labels::METRIC_NAME;
use crate::model::metadata::MetricType;
use std::ops::Range;

/// Name and labels of a sample line.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesText {
    /// Name and label set as in the body.
    pub(crate) key: Range<usize>,
    /// Metric name, without quotes.
    pub(crate) name: Range<usize>,
    /// Offset after the opening brace.
    pub(crate) labels: Option<usize>,
}

/// Sample line without exemplar.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleLine {
    /// Name and labels.
    pub(crate) series: SeriesText,
    /// Value; every NaN is the normal one.
    pub(crate) value: f64,
    /// Timestamp, ms since the Unix epoch.
    pub(crate) timestamp: Option<i64>,
}

impl SampleLine {
    /// Returns the entry.
    #[inline]
    pub(crate) fn entry<'b>(&self, body: Body<'b>, start_timestamp: i64) -> SeriesEntry<'b> {
        SeriesEntry {
            key: slice(body.bytes, self.series.key.clone()),
            value: EntryValue::Float(self.value),
            timestamp: self.timestamp,
            start_timestamp,
        }
    }
}

impl SeriesText {
    /// Replaces the content of `labels` with the sorted labels. The type of the family decides
    /// which label is canonical.
    pub(crate) fn labels<S: LabelSyntax>(
        &self,
        body: Body<'_>,
        family_type: MetricType,
        labels: &mut LabelBuffer,
    ) {
        labels.clear();
        let name = body.text(self.name.clone());
        labels.push_with(|text| text.push_str(METRIC_NAME), |text| push_unescaped(text, name));
        if let Some(start) = self.labels {
            let bound = bound_label(family_type);
            push_labels::<S>(body, start, labels, |text, name, value| {
                // A value with an escape is no number.
                if Some(name) == bound && !value.contains('\\') {
                    push_canonical(text, value);
                } else {
                    push_unescaped(text, value);
                }
            });
        }
        labels.sort();
    }
}

/// Returns the name of the label whose values are numbers.
pub(crate) fn bound_label(family_type: MetricType) -> Option<&'static str> {
    match family_type {
        MetricType::Histogram => Some("le"),
        MetricType::Summary => Some("quantile"),
        _ => None,
    }
}
