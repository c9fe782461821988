//! Metadata of a metric: type, unit and help text.

/// Type of a metric, as in OpenMetrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum MetricType {
    /// The type is unknown.
    #[default]
    Unknown,
    /// A value that only increases, except for resets.
    Counter,
    /// A value that can increase and decrease.
    Gauge,
    /// Cumulative counts by bucket.
    Histogram,
    /// Counts by bucket that can decrease.
    GaugeHistogram,
    /// Quantiles with sum and count.
    Summary,
    /// Information in labels; the value is always 1.
    Info,
    /// A set of states; each value is 0 or 1.
    Stateset,
}

/// Metadata of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// Metric type; unknown if the sender did not send it.
    pub metric_type: MetricType,
    /// Unit; empty if unknown.
    pub unit: String,
    /// Help text; empty if unknown.
    pub help: String,
}

/// Metadata that borrows from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MetadataRef<'a> {
    /// Metric type; unknown if the sender did not send it.
    pub metric_type: MetricType,
    /// Unit; empty if unknown.
    pub unit: &'a str,
    /// Help text; empty if unknown.
    pub help: &'a str,
}

impl MetadataRef<'_> {
    /// Returns `true` if type, unit and help are unknown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns an owned copy.
    #[must_use]
    pub fn to_metadata(self) -> Metadata {
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
    /// Returns the name of the type in Prometheus's text format and API.
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
