//! What the database has, in the notation of the recordings.
//!
//! Floats are the 16 hexadecimal digits of their bits, `stale` is the stale marker. Histograms are
//! compared by their buckets, not by their spans, which storage may change.

use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::histogram::buckets::{Bucket, BucketIndices};
use crate::model::histogram::{CounterResetHint, Span};
use crate::model::labels::LabelsBuilder;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::metadata::Metadata;
use crate::model::sample::SampleValue;
use crate::model::time::TimeRange;
use crate::tsdb::db::DbHandle;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Samples by labels: time in ms, value.
pub(in crate::scrape) type StoredSeries = BTreeMap<String, Vec<(i64, String)>>;

/// Returns all samples of the database.
pub(in crate::scrape) fn stored(db: &DbHandle) -> StoredSeries {
    let querier = db.ready().unwrap().querier();
    let series = querier.select(&[all()], TimeRange::ALL).unwrap().map(|series| {
        let series = series.unwrap();
        let samples = series.samples(TimeRange::ALL).map(|sample| {
            let sample = sample.unwrap();
            (sample.t, value_text(&sample.value))
        });
        (series.labels().to_string(), samples.collect())
    });
    series.collect()
}

/// Returns all labels of a series that is written without those of its target, such as `a{x="1"}`.
pub(in crate::scrape) fn series_text(series: &str, instance: &str, job: &str) -> String {
    let (metric, others) = series.split_once('{').unwrap_or((series, "}"));
    let others = others.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
    let others = others.map(|pair| pair.split_once('=').unwrap());
    let others = others.map(|(name, value)| (name, value.trim_matches('"')));
    let own = [("__name__", metric), ("instance", instance), ("job", job)];
    let mut labels: LabelsBuilder<'_> = own.into_iter().chain(others).collect();
    labels.build().unwrap().to_string()
}

/// Exemplars by series: time in ms, value, labels.
pub(in crate::scrape) type StoredExemplars = BTreeMap<String, Vec<(i64, String, String)>>;

/// Returns all exemplars of the database.
pub(in crate::scrape) fn exemplars(db: &DbHandle) -> StoredExemplars {
    let querier = db.ready().unwrap().querier();
    let found = querier.exemplars(&[vec![all()]], TimeRange::ALL).into_iter();
    let series = found.map(|series| {
        let exemplars = series.exemplars.into_iter().map(|exemplar| {
            let labels = exemplar.labels.map_or("{}".to_owned(), |labels| labels.to_string());
            (exemplar.t, exemplar.v.to_string(), labels)
        });
        (series.labels.to_string(), exemplars.collect())
    });
    series.collect()
}

/// Returns the exemplars of a recording. `time` reads a timestamp.
pub(in crate::scrape) fn expected_exemplars(
    recorded: &[Value],
    time: impl Fn(&Value) -> i64,
) -> StoredExemplars {
    let series = recorded.iter().map(|series| {
        let list = series["exemplars"].as_array().unwrap().iter().map(|exemplar| {
            let value: f64 = exemplar["value"].as_str().unwrap().parse().unwrap();
            let labels = label_text(&exemplar["labels"]);
            (time(&exemplar["timestamp"]), value.to_string(), labels)
        });
        (label_text(&series["seriesLabels"]), list.collect())
    });
    series.collect()
}

/// Returns the text of recorded labels.
pub(in crate::scrape) fn label_text(labels: &Value) -> String {
    let pairs = labels.as_object().unwrap().iter();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    match pairs.collect::<LabelsBuilder<'_>>().build() {
        Ok(labels) => labels.to_string(),
        Err(_) => "{}".to_owned(),
    }
}

/// Returns the text of the metadata of a family.
pub(in crate::scrape) fn metadata_text(family: &str, metadata: &Metadata) -> String {
    let Metadata { metric_type, unit, help } = metadata;
    format!("{family} {} {help:?} {unit:?}", metric_type.as_str())
}

/// Returns the texts of recorded metadata.
pub(in crate::scrape) fn expected_metadata(recorded: &[Value]) -> BTreeSet<String> {
    let entries = recorded.iter().map(|entry| {
        let field = |name: &str| entry[name].as_str().unwrap();
        format!("{} {} {:?} {:?}", field("metric"), field("type"), field("help"), field("unit"))
    });
    entries.collect()
}

fn all() -> Matcher {
    Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()
}

fn bits(v: f64) -> String {
    float_text(v.to_bits())
}

/// Returns the text of the bits of a float.
pub(in crate::scrape) fn float_text(bits: u64) -> String {
    if bits == STALE_NAN_BITS { "stale".to_owned() } else { format!("{bits:016x}") }
}

/// Returns the text of a value of the database.
fn value_text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(v) => bits(*v),
        SampleValue::Histogram(h) if h.sum.to_bits() == STALE_NAN_BITS => "stale".to_owned(),
        SampleValue::FloatHistogram(h) if h.sum.to_bits() == STALE_NAN_BITS => "stale".to_owned(),
        SampleValue::Histogram(h) => histogram_text(
            [false, h.reset_hint == CounterResetHint::Gauge],
            h.schema,
            &bits(h.zero_threshold),
            &[&h.zero_count.to_string(), &h.count.to_string(), &bits(h.sum)],
            [buckets(h.iter_positive()), buckets(h.iter_negative())],
            h.custom_values.iter().map(|v| bits(*v)).collect(),
        ),
        SampleValue::FloatHistogram(h) => histogram_text(
            [true, h.reset_hint == CounterResetHint::Gauge],
            h.schema,
            &bits(h.zero_threshold),
            &[&bits(h.zero_count), &bits(h.count), &bits(h.sum)],
            [float_buckets(h.iter_positive()), float_buckets(h.iter_negative())],
            h.custom_values.iter().map(|v| bits(*v)).collect(),
        ),
    }
}

fn buckets(buckets: impl Iterator<Item = Bucket<i64>>) -> Vec<String> {
    let filled = buckets.filter(|bucket| bucket.count != 0);
    filled.map(|bucket| format!("{}:{}", bucket.index, bucket.count)).collect()
}

fn float_buckets(buckets: impl Iterator<Item = Bucket<f64>>) -> Vec<String> {
    let filled = buckets.filter(|bucket| bucket.count != 0.0);
    filled.map(|bucket| format!("{}:{}", bucket.index, bits(bucket.count))).collect()
}

fn histogram_text(
    [is_float, is_gauge]: [bool; 2],
    schema: i32,
    zero_threshold: &str,
    numbers: &[&str],
    buckets: [Vec<String>; 2],
    custom_values: Vec<String>,
) -> String {
    format!(
        "float={is_float} gauge={is_gauge} {schema} {zero_threshold} {numbers:?} {buckets:?} \
         {custom_values:?}"
    )
}

/// Returns the text of a value of a recording.
pub(in crate::scrape) fn expected_text(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let number = |key: &str| match &value[key] {
        Value::String(bits) => bits.clone(),
        number => number.to_string(),
    };
    let sum = number("sum");
    if u64::from_str_radix(&sum, 16).unwrap() == STALE_NAN_BITS {
        return "stale".to_owned();
    }
    let buckets = |spans: &str, counts: &str| -> Vec<String> {
        let pairs = value[spans].as_array().unwrap().iter();
        let spans: Vec<Span> = pairs
            .map(|pair| Span {
                offset: pair[0].as_i64().unwrap() as i32,
                length: pair[1].as_u64().unwrap() as u32,
            })
            .collect();
        let counts = value[counts].as_array().unwrap().iter().map(|count| match count {
            Value::String(bits) => bits.clone(),
            number => number.to_string(),
        });
        let filled = BucketIndices::new(&spans).zip(counts);
        let filled = filled.filter(|(_, count)| count != "0" && count != "0000000000000000");
        filled.map(|(index, count)| format!("{index}:{count}")).collect()
    };
    let custom = value["custom_values"].as_array().unwrap().iter();
    histogram_text(
        [value["float"].as_bool().unwrap(), value["reset_hint"] == "gauge"],
        value["schema"].as_i64().unwrap() as i32,
        &number("zero_threshold"),
        &[&number("zero_count"), &number("count"), &sum],
        [
            buckets("positive_spans", "positive_buckets"),
            buckets("negative_spans", "negative_buckets"),
        ],
        custom.map(|bits| bits.as_str().unwrap().to_owned()).collect(),
    )
}
