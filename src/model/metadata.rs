//! Metadata: the type, unit and help text of a metric.

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum MetricType {
    /// Not known.
    #[default]
    Unknown,
    /// A value that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Counts by bucket.
    Histogram,
    /// Counts by bucket that may also fall.
    GaugeHistogram,
    /// Quantiles.
    Summary,
    /// Facts as labels, the value always 1.
    Info,
    /// A set of states, each 0 or 1.
    Stateset,
}

/// What is known of a metric beside its samples.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// Its type.
    pub metric_type: MetricType,
    /// Its unit, or empty.
    pub unit: String,
    /// Its help text, or empty.
    pub help: String,
}

/// The same, where it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MetadataRef<'a> {
    /// Its type.
    pub metric_type: MetricType,
    /// Its unit, or empty.
    pub unit: &'a str,
    /// Its help text, or empty.
    pub help: &'a str,
}

impl MetadataRef<'_> {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The metadata, to be kept.
    #[must_use]
    pub fn to_metadata(&self) -> Metadata {
        Metadata {
            metric_type: self.metric_type,
            unit: self.unit.to_owned(),
            help: self.help.to_owned(),
        }
    }
}

impl PartialEq<MetadataRef<'_>> for Metadata {
    fn eq(&self, other: &MetadataRef<'_>) -> bool {
        self.metric_type == other.metric_type && self.unit == other.unit && self.help == other.help
    }
}

impl MetricType {
    /// Its name in Prometheus's texts and APIs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::Stateset => "stateset",
        }
    }
}
