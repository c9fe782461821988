//! Entries of an exposition: metadata of families, and samples of series with their exemplars.

use crate::exposition::label_buffer::LabelBuffer;
use crate::model::histogram::{FloatHistogram, Histogram};
use crate::model::metadata::MetricType;
#[cfg(any(test, feature = "testing"))]
use crate::model::sample::SampleValue;

/// Kind of an entry, and so the accessor of the parser that has its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Type, help text or unit of a family: `Parser::metadata`.
    Metadata,
    /// Sample of a series: `Parser::series`.
    Series,
}

/// Type, help text or unit of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataEntry<'a> {
    /// Name of the metric family, without the suffixes of its series.
    pub family: &'a str,
    /// Kind and text of the entry.
    pub item: MetadataItem<'a>,
}

/// Item of the metadata of a family. Texts are unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataItem<'a> {
    /// `# TYPE`
    Type(MetricType),
    /// `# HELP`
    Help(&'a str),
    /// `# UNIT`, without the underscore before it.
    Unit(&'a str),
}

/// Sample of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesEntry<'a> {
    /// Bytes that identify the series within the target. A series can have several keys, since
    /// blanks and the order of labels are not normalized. `le` and `quantile` are not canonical
    /// here, so after a change of its type the labels of a key can change.
    pub key: &'a [u8],
    /// Value of the sample.
    pub value: EntryValue<'a>,
    /// Timestamp in the body, ms since the Unix epoch.
    pub timestamp: Option<i64>,
    /// Start timestamp, ms since the Unix epoch; 0 = unknown.
    pub start_timestamp: i64,
}

/// Value of a sample. Histograms belong to the parser, which reuses them.
#[derive(Clone, Copy, Debug)]
pub enum EntryValue<'a> {
    /// Float. Every NaN has the bits of Prometheus's normal NaN in the text formats.
    Float(f64),
    /// Native histogram with integer counts.
    Histogram(&'a Histogram),
    /// Native histogram with float counts.
    FloatHistogram(&'a FloatHistogram),
}

/// Exemplar of a sample.
#[derive(Clone, Debug, Default)]
pub struct ExemplarEntry {
    /// Labels of the exemplar, sorted by name; may be empty.
    pub labels: LabelBuffer,
    /// Observed value.
    pub value: f64,
    /// Timestamp, ms since the Unix epoch; `None` means that of the sample.
    pub timestamp: Option<i64>,
}

impl EntryValue<'_> {
    /// Returns an owned copy.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn to_sample_value(self) -> SampleValue {
        match self {
            Self::Float(v) => SampleValue::Float(v),
            Self::Histogram(histogram) => SampleValue::Histogram(Box::new(histogram.clone())),
            Self::FloatHistogram(histogram) => {
                SampleValue::FloatHistogram(Box::new(histogram.clone()))
            }
        }
    }
}
