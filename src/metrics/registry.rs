//! Registry of all metrics of the process.
//!
//! Metrics are registered once at startup and updated without a lock. A [`Registry`] is shared only
//! when it is complete; the `/metrics` endpoint owns it.

use crate::metrics::text::{ExpositionFormat, to_classic};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::fmt::Write;

/// Counter of events; clones share the value.
pub type Counter = prometheus_client::metrics::counter::Counter;
/// Integer gauge; clones share the value.
pub type Gauge = prometheus_client::metrics::gauge::Gauge;
/// Histogram with fixed buckets; clones share the state.
pub type Histogram = prometheus_client::metrics::histogram::Histogram;

/// All metrics of the process.
#[derive(Debug, Default)]
pub struct Registry {
    inner: prometheus_client::registry::Registry,
    /// Separate because the library that encodes `inner` does not support this type.
    summaries: Vec<FnSummary>,
}

impl Registry {
    /// Returns a registry without metrics.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a counter. `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.inner.register(family_name(name), help_text(help), counter.clone());
        counter
    }

    /// Registers an integer gauge.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.inner.register(name, help_text(help), gauge.clone());
        gauge
    }

    /// Registers a family of counters (the name ends in `_total`), gauges or histograms with
    /// labels.
    pub fn family<S, M, C>(
        &mut self,
        name: &str,
        help: &str,
        family: Family<S, M, C>,
    ) -> Family<S, M, C>
    where
        S: Clone + fmt::Debug + EncodeLabelSet + std::hash::Hash + Eq + Send + Sync + 'static,
        M: EncodeMetric
            + prometheus_client::metrics::TypedMetric
            + fmt::Debug
            + Send
            + Sync
            + 'static,
        C: MetricConstructor<M> + Clone + Send + Sync + 'static,
    {
        self.inner.register(family_name(name), help_text(help), family.clone());
        family
    }

    /// Registers a counter whose value is computed at each scrape. `name` ends in `_total`.
    pub fn counter_fn(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.register_fn(family_name(name), help, MetricType::Counter, Box::new(value));
    }

    /// Registers a counter with several label sets, whose values are computed at each scrape.
    pub fn counter_family_fn(&mut self, name: &str, help: &str, counters: Vec<LabeledFn>) {
        let (name, help) = (family_name(name).to_owned(), format!("{}.", help_text(help)));
        self.register_collector(FnCounterFamily { name, help, counters });
    }

    /// Registers a gauge whose label sets and values are computed at each scrape.
    pub fn gauge_family_fn(
        &mut self,
        name: &str,
        help: &str,
        values: impl Fn() -> Vec<(LabelPairs, f64)> + Send + Sync + 'static,
    ) {
        let (name, help) = (name.to_owned(), format!("{}.", help_text(help)));
        self.register_collector(FnGaugeFamily { name, help, values: Box::new(values) });
    }

    /// Registers a gauge whose value is computed at each scrape.
    pub fn gauge_fn(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.register_fn(name, help, MetricType::Gauge, Box::new(value));
    }

    /// Registers a histogram whose state is computed at each scrape.
    pub fn histogram_fn(
        &mut self,
        name: &str,
        help: &str,
        state: impl Fn() -> HistogramSnapshot + Send + Sync + 'static,
    ) {
        let help = format!("{}.", help_text(help));
        self.register_collector(FnHistogram {
            name: name.to_owned(),
            help,
            state: Box::new(state),
        });
    }

    /// Registers a summary whose state is computed at each scrape.
    pub fn summary_fn(
        &mut self,
        name: &str,
        help: &str,
        state: impl Fn() -> SummarySnapshot + Send + Sync + 'static,
    ) {
        self.summary_family_fn(name, help, move || vec![(Vec::new(), state())]);
    }

    /// Registers summaries with several label sets, whose states are computed at each scrape.
    pub fn summary_family_fn(
        &mut self,
        name: &str,
        help: &str,
        states: impl Fn() -> Vec<(LabelPairs, SummarySnapshot)> + Send + Sync + 'static,
    ) {
        let help = format!("{}.", help_text(help));
        self.summaries.push(FnSummary { name: name.to_owned(), help, states: Box::new(states) });
    }

    /// Registers a gauge that is always 1 and has information in its labels.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, String)]) {
        let family = Family::<Vec<(&'static str, String)>, Gauge>::default();
        family.get_or_create(&labels.to_vec()).set(1);
        self.inner.register(name, help_text(help), family);
    }

    /// Registers a collector that encodes its own metrics.
    pub fn register_collector(&mut self, collector: impl Collector) {
        self.inner.register_collector(Box::new(collector));
    }

    /// Encodes all metrics in the given format.
    #[must_use]
    pub fn encode(&self, format: ExpositionFormat) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing to a string cannot fail. A collector that fails leaves out its own metrics.
        let encoded = encode_registry(&mut text, &self.inner)
            .and_then(|()| self.summaries.iter().try_for_each(|summary| summary.encode(&mut text)))
            .and_then(|()| encode_eof(&mut text));
        if let Err(error) = encoded {
            tracing::warn!(%error, "cannot encode metrics");
        }
        match format {
            ExpositionFormat::OpenMetrics => text,
            ExpositionFormat::Classic => to_classic(&text),
        }
    }

    fn register_fn(&mut self, name: &str, help: &str, kind: MetricType, value: ValueFn) {
        let help = format!("{}.", help_text(help));
        self.register_collector(FnMetric { name: name.to_owned(), help, kind, value });
    }
}

/// State of a histogram at a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSnapshot {
    /// Sum of all observations.
    pub sum: f64,
    /// Upper bounds, ascending and ending with +Inf, and the number of observations in each bucket
    /// (not cumulative).
    pub buckets: Vec<(f64, u64)>,
}

/// Histogram that calls a function at each scrape.
struct FnHistogram {
    name: String,
    help: String,
    state: Box<dyn Fn() -> HistogramSnapshot + Send + Sync>,
}

impl fmt::Debug for FnHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnHistogram").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for FnHistogram {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Histogram)?;
        let HistogramSnapshot { sum, buckets } = (self.state)();
        let count = buckets.iter().map(|(_, count)| count).sum();
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// State of a summary at a scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SummarySnapshot {
    /// Sum of all observations.
    pub sum: f64,
    /// Number of all observations.
    pub count: u64,
    /// Ranks, between 0 and 1, and their quantiles; NaN for an unknown one.
    pub quantiles: Vec<(f64, f64)>,
}

/// Names and values of labels.
pub type LabelPairs = Vec<(&'static str, String)>;

/// Summaries of one name that call a function at each scrape.
struct FnSummary {
    name: String,
    help: String,
    states: Box<dyn Fn() -> Vec<(LabelPairs, SummarySnapshot)> + Send + Sync>,
}

impl fmt::Debug for FnSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnSummary").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FnSummary {
    /// Encodes the family, which is the same in both formats.
    fn encode(&self, text: &mut String) -> fmt::Result {
        let Self { name, help, states } = self;
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} summary")?;
        for (labels, SummarySnapshot { sum, count, quantiles }) in states() {
            for (rank, quantile) in quantiles {
                let braces = in_braces(&labels, Some(rank));
                writeln!(text, "{name}{braces} {quantile}")?;
            }
            let braces = in_braces(&labels, None);
            writeln!(text, "{name}_sum{braces} {sum}\n{name}_count{braces} {count}")?;
        }
        Ok(())
    }
}

/// Returns the labels, and the rank of a quantile, as they follow the name of a series.
fn in_braces(labels: &LabelPairs, rank: Option<f64>) -> String {
    let rank = rank.map(|rank| ("quantile", rank.to_string()));
    let pairs: Vec<_> = labels
        .iter()
        .chain(&rank)
        .map(|(name, value)| {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// Function for the value of one label set.
pub struct LabeledFn {
    /// Label names and values.
    pub labels: &'static [(&'static str, &'static str)],
    /// Returns the value; called at each scrape.
    pub value: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// Counters of one name that call functions at each scrape.
struct FnCounterFamily {
    name: String,
    help: String,
    counters: Vec<LabeledFn>,
}

impl fmt::Debug for FnCounterFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnCounterFamily").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for FnCounterFamily {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family =
            encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Counter)?;
        self.counters.iter().try_for_each(|counter| {
            ConstCounter::new((counter.value)()).encode(family.encode_family(&counter.labels)?)
        })
    }
}

/// Gauges of one name that call a function at each scrape.
struct FnGaugeFamily {
    name: String,
    help: String,
    values: Box<dyn Fn() -> Vec<(LabelPairs, f64)> + Send + Sync>,
}

impl fmt::Debug for FnGaugeFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnGaugeFamily").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for FnGaugeFamily {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family =
            encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Gauge)?;
        (self.values)().into_iter().try_for_each(|(labels, value)| {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)
        })
    }
}

/// Function that is called at each scrape.
type ValueFn = Box<dyn Fn() -> f64 + Send + Sync>;

/// Returns the name without `_total`, which the encoder appends.
fn family_name(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// Returns the help text without its full stop, which the encoder appends.
fn help_text(help: &str) -> &str {
    help.strip_suffix('.').unwrap_or(help)
}

/// Counter or gauge that calls a function at each scrape.
struct FnMetric {
    name: String,
    help: String,
    kind: MetricType,
    value: ValueFn,
}

impl fmt::Debug for FnMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnMetric").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for FnMetric {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metric = encoder.encode_descriptor(&self.name, &self.help, None, self.kind)?;
        match self.kind {
            MetricType::Counter => ConstCounter::new((self.value)()).encode(metric),
            _ => ConstGauge::new((self.value)()).encode(metric),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HistogramSnapshot, LabeledFn, Registry, SummarySnapshot};
    use crate::metrics::text::ExpositionFormat;

    #[test]
    fn metrics_are_encoded_in_both_formats() {
        let mut registry = Registry::new();
        registry.counter("a_things_total", "Things.").inc_by(3);
        registry.gauge("b_now", "Now.").set(-2);
        registry.counter_fn("c_seconds_total", "Seconds.", || 1.5);
        let value = |labels, value: f64| LabeledFn { labels, value: Box::new(move || value) };
        let both = vec![value(&[("type", "float")], 1.0), value(&[("type", "histogram")], 2.0)];
        registry.counter_family_fn("family_total", "Several.", both);
        registry.gauge_fn("d_now", "Now.", || 0.25);
        let state = || HistogramSnapshot {
            sum: 4.5,
            buckets: vec![(2.0, 1), (4.0, 1), (f64::INFINITY, 1)],
        };
        registry.histogram_fn("h_seconds", "Durations.", state);
        let state = || SummarySnapshot {
            sum: 1.5,
            count: 2,
            quantiles: vec![(0.5, 0.25), (0.99, f64::NAN)],
        };
        registry.summary_fn("s_seconds", "Durations.", state);
        registry.summary_family_fn("t_seconds", "Labeled.", move || {
            let state = SummarySnapshot { sum: 0.5, count: 1, quantiles: vec![(0.5, 0.5)] };
            vec![(vec![("job", "a\\b\"c\nd".to_owned())], state)]
        });
        registry.gauge_family_fn("e_ratio", "Labeled.", || {
            vec![(vec![("job", "x".to_owned())], 0.5), (vec![("job", "y".to_owned())], 1.0)]
        });
        registry.info("f_info", "Build.", &[("version", "1".into())]);
        let open = registry.encode(ExpositionFormat::OpenMetrics);
        let classic = registry.encode(ExpositionFormat::Classic);
        for line in [
            "a_things_total 3",
            "b_now -2",
            "c_seconds_total 1.5",
            "d_now 0.25",
            "h_seconds_bucket{le=\"4.0\"} 2",
            "h_seconds_bucket{le=\"+Inf\"} 3",
            "h_seconds_sum 4.5",
            "h_seconds_count 3",
            "e_ratio{job=\"x\"} 0.5",
            "e_ratio{job=\"y\"} 1.0",
            "# HELP s_seconds Durations.",
            "# TYPE s_seconds summary",
            "s_seconds{quantile=\"0.5\"} 0.25",
            "s_seconds{quantile=\"0.99\"} NaN",
            "s_seconds_sum 1.5",
            "s_seconds_count 2",
            r#"t_seconds{job="a\\b\"c\nd",quantile="0.5"} 0.5"#,
            r#"t_seconds_sum{job="a\\b\"c\nd"} 0.5"#,
            r#"t_seconds_count{job="a\\b\"c\nd"} 1"#,
            "f_info{version=\"1\"} 1",
        ] {
            assert!(open.lines().any(|l| l == line), "{line} in {open}");
            assert!(classic.lines().any(|l| l == line), "{line} in {classic}");
        }
        assert!(open.contains("# TYPE a_things counter\n") && open.ends_with("# EOF\n"));
        assert!(
            classic.contains("# HELP a_things_total Things.\n# TYPE a_things_total counter\n"),
            "{classic}"
        );
        assert!(!classic.contains("# EOF"));
    }
}
