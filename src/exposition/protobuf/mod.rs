//! Protobuf format: length-delimited messages `io.prometheus.client.MetricFamily`.
//!
//! The body is read in place, metric by metric. A metric becomes the same series as in the text
//! formats: a summary or classic histogram has `_count`, `_sum` and one series per quantile or
//! bucket. A native histogram is one series.
//!
//! # Differences from Prometheus
//! - Metrics of one family are judged one by one: a family can mix classic and native histograms,
//!   and all exemplars of each native histogram are read. Prometheus 3.14 takes the kind of the
//!   metric before, and skips as many exemplars as that one had.
//! - An empty untyped metric is 0, not the value of the metric before it.
//! - A unit that is not UTF-8, a label without a name, and a packed list that ends within a value
//!   are errors. An exemplar that is not UTF-8 is skipped.
//! - Lists of a metric have at most 65,536 values.
//!
//! | module | content |
//! |---|---|
//! | `exemplar` | decoder of exemplars and timestamps |
//! | `family` | decoder of families |
//! | `histogram` | decoder of histograms |
//! | `metric` | decoder of metrics |
//! | `parser` | entries of a body |
//! | `wire` | cursor over messages |
//!
//! Source: `model/textparse` and `prompb/io/prometheus/client` of Prometheus.

mod exemplar;
mod family;
mod histogram;
mod metric;
pub(crate) mod parser;
mod wire;

#[cfg(test)]
mod tests;
