//! Entries of a parser as lines of text, for tests.

use crate::exposition::entry::{EntryKind, EntryValue, ExemplarEntry, MetadataItem};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::parse_error::ParseError;
use crate::exposition::parser::Parser;
use crate::model::histogram::buckets::Bucket;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram};
use std::fmt::Display;

/// Entries of a body, and the error after them.
#[derive(Debug, PartialEq)]
pub(crate) struct Parsed {
    /// One line per entry, such as `TYPE h histogram` and
    /// `h_bucket{le="1.0"} 3 @5 st=2 # {id="a"} 0.5 @4`.
    pub(crate) entries: Vec<String>,
    /// Error that ended the body.
    pub(crate) error: Option<ParseError>,
}

/// Reads a body to its end or to an error.
pub(crate) fn parse(mut parser: impl Parser) -> Parsed {
    let mut entries = Vec::new();
    loop {
        match parser.next_entry() {
            Ok(Some(EntryKind::Metadata)) => entries.push(metadata_line(&parser)),
            Ok(Some(EntryKind::Series)) => entries.push(series_line(&parser)),
            Ok(None) => return Parsed { entries, error: None },
            Err(error) => return Parsed { entries, error: Some(error) },
        }
    }
}

/// Returns the entries of a body, or its error.
pub(crate) fn entry_lines(parser: impl Parser) -> Result<Vec<String>, ParseError> {
    let Parsed { entries, error } = parse(parser);
    error.map_or(Ok(entries), Err)
}

fn metadata_line(parser: &dyn Parser) -> String {
    let metadata = parser.metadata();
    match metadata.item {
        MetadataItem::Type(metric_type) => {
            format!("TYPE {} {}", metadata.family, metric_type.as_str())
        }
        MetadataItem::Help(help) => format!("HELP {} {help:?}", metadata.family),
        MetadataItem::Unit(unit) => format!("UNIT {} {unit:?}", metadata.family),
    }
}

fn series_line(parser: &dyn Parser) -> String {
    let series = parser.series();
    let mut labels = LabelBuffer::new();
    parser.labels(&mut labels);
    let value = match series.value {
        EntryValue::Float(value) => value.to_string(),
        EntryValue::Histogram(histogram) => integer_text(histogram),
        EntryValue::FloatHistogram(histogram) => float_text(histogram),
    };
    let mut line = format!("{} {value}", labels_text(&labels));
    if let Some(timestamp) = series.timestamp {
        line.push_str(&format!(" @{timestamp}"));
    }
    if series.start_timestamp != 0 {
        line.push_str(&format!(" st={}", series.start_timestamp));
    }
    let mut exemplar = ExemplarEntry::default();
    for index in 0.. {
        if !parser.exemplar(index, &mut exemplar) {
            break;
        }
        let labels = labels_text(&exemplar.labels);
        line.push_str(&format!(" # {labels} {}", exemplar.value));
        if let Some(timestamp) = exemplar.timestamp {
            line.push_str(&format!(" @{timestamp}"));
        }
    }
    line
}

/// Returns labels in the text format, except that names are neither quoted nor escaped. Labels of
/// exemplars have no metric name.
pub(crate) fn labels_text(labels: &LabelBuffer) -> String {
    let (mut metric, mut others) = (None, Vec::new());
    for (label, value) in labels.iter() {
        if label == "__name__" && metric.is_none() {
            metric = Some(value);
        } else {
            others.push(format!("{label}={value:?}"));
        }
    }
    let metric = metric.unwrap_or_default();
    if others.is_empty() && !metric.is_empty() {
        metric.to_owned()
    } else {
        format!("{metric}{{{}}}", others.join(","))
    }
}

fn integer_text(histogram: &Histogram) -> String {
    let kind = if histogram.reset_hint == CounterResetHint::Gauge { "gauge" } else { "integer" };
    format!(
        "{kind} schema={} zero={}/{} count={} sum={} [{}] [{}] {:?}",
        histogram.schema,
        histogram.zero_threshold,
        histogram.zero_count,
        histogram.count,
        histogram.sum,
        buckets_text(histogram.iter_negative()),
        buckets_text(histogram.iter_positive()),
        histogram.custom_values,
    )
}

fn float_text(histogram: &FloatHistogram) -> String {
    let is_gauge = histogram.reset_hint == CounterResetHint::Gauge;
    format!(
        "{} schema={} zero={}/{} count={} sum={} [{}] [{}] {:?}",
        if is_gauge { "float gauge" } else { "float" },
        histogram.schema,
        histogram.zero_threshold,
        histogram.zero_count,
        histogram.count,
        histogram.sum,
        buckets_text(histogram.iter_negative()),
        buckets_text(histogram.iter_positive()),
        histogram.custom_values,
    )
}

fn buckets_text<C: Display>(buckets: impl Iterator<Item = Bucket<C>>) -> String {
    let buckets: Vec<String> =
        buckets.map(|bucket| format!("{}:{}", bucket.index, bucket.count)).collect();
    buckets.join(" ")
}
