//! Known data set of `tests/golden/wire/read` in a database, for tests.
//!
//! The golden files have Prometheus's responses to reads of it.

use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::metrics::registry::Registry;
use crate::model::float_sample::FloatSample;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::labels::LabelsBuilder;
use crate::model::sample::{Sample, SampleValue};
use crate::remote::body_compression::BodyCompression;
use crate::remote::pb::prometheus as pb;
use crate::remote::read::{TIMESERIES_KEY, message_header, put_float_sample};
use crate::remote::write::limits::CountLimits;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::{RemoteWriteVersion, RemoteWriter, WireFormat};
use crate::tsdb::db::Db;
use crate::tsdb::db::locked_dir::LockedDir;
use crate::tsdb::db::options::DbOptions;
use flate2::read::GzDecoder;
use prost::Message;
use std::io::Read;
use tempfile::TempDir;

const PLAIN: WireFormat =
    WireFormat { version: RemoteWriteVersion::V1, packing: BodyCompression::Plain };

pub(crate) fn golden(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/wire/read/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(crate) fn db_with(timeseries: Vec<pb::TimeSeries>) -> (Db, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let db = LockedDir::open(DbOptions::new(dir.path().to_owned()))
        .unwrap()
        .into_recovery()
        .run()
        .unwrap()
        .db;
    let limits = WriteLimits {
        decoded_bytes: usize::MAX,
        counts: CountLimits { series: u64::MAX, samples: u64::MAX },
        items: IngestLimits {
            labels: LabelLimits { count: 100, name_bytes: 1000, value_bytes: 1000 },
            metadata: MetadataLimits { name_bytes: 1000, text_bytes: 1000 },
            max_future_ms: i64::MAX,
            dry_run: DryRunLimits::NONE,
        },
    };
    let writer = RemoteWriter::new(limits, WriteMetrics::register(&mut Registry::new()));
    let outcome = writer.store(&db, &encode(&timeseries), PLAIN, 0).unwrap();
    assert!(outcome.rejections.is_empty(), "{}", outcome.rejections);
    (db, dir)
}

/// Encodes a write request by hand, because prost drops the sign of -0.
fn encode(timeseries: &[pb::TimeSeries]) -> Vec<u8> {
    let mut request = Vec::new();
    for series in timeseries {
        let mut fields =
            pb::TimeSeries { labels: series.labels.clone(), ..Default::default() }.encode_to_vec();
        series.samples.iter().for_each(|sample| {
            put_float_sample(&mut fields, FloatSample::new(sample.timestamp, sample.value))
        });
        request.extend(message_header(TIMESERIES_KEY, fields.len() as u64));
        request.extend(fields);
    }
    request
}

pub(crate) fn known_lines() -> Vec<serde_json::Value> {
    let mut text = String::new();
    GzDecoder::new(&golden("known-data.txt.gz")[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns a database with the known data set, native histograms included.
pub(crate) fn golden_db() -> (Db, TempDir) {
    let (db, dir) = db_with(golden_series());
    let mut labels = None;
    for line in known_lines() {
        if let Some(pairs) = line["labels"].as_object() {
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            labels = Some(LabelsBuilder::from_iter(pairs).build().unwrap());
        } else if line["h"].is_object() {
            let mut appender = db.appender().unwrap();
            let sample = Sample::new(line["t"].as_i64().unwrap(), known_histogram(&line["h"]));
            let reject = |sample, reason| panic!("{sample:?} is rejected: {reason:?}");
            appender
                .append_or_create(labels.as_ref().unwrap(), std::iter::once(sample), reject)
                .unwrap();
            appender.commit().unwrap();
        }
    }
    (db, dir)
}

/// Returns the spans and counts of the non-empty buckets of one sign.
///
/// A histogram read from a chunk has empty buckets that its sender did not send.
fn filled(h: &serde_json::Value, side: &str) -> (Vec<Span>, Vec<serde_json::Value>) {
    let list = |what: &str| h[format!("{side}_{what}").as_str()].as_array().unwrap().clone();
    let mut indices = Vec::new();
    let mut next = 0;
    for span in list("spans") {
        next += span[0].as_i64().unwrap();
        let length = span[1].as_i64().unwrap();
        indices.extend(next..next + length);
        next += length;
    }
    let is_empty = |count: &serde_json::Value| *count == 0 || *count == "0000000000000000";
    let kept = indices.into_iter().zip(list("buckets")).filter(|(_, count)| !is_empty(count));
    let mut spans: Vec<Span> = Vec::new();
    let (mut next, mut counts) = (0, Vec::new());
    for (index, count) in kept {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: (index - next) as i32, length: 1 }),
        }
        next = index + 1;
        counts.push(count);
    }
    (spans, counts)
}

fn known_histogram(h: &serde_json::Value) -> SampleValue {
    let list = |name: &str| h[name].as_array().unwrap().clone();
    let bits = |value: &serde_json::Value| {
        f64::from_bits(u64::from_str_radix(value.as_str().unwrap(), 16).unwrap())
    };
    let (positive_spans, positive) = filled(h, "positive");
    let (negative_spans, negative) = filled(h, "negative");
    let frame = FloatHistogram {
        reset_hint: if h["reset_hint"] == "gauge" {
            CounterResetHint::Gauge
        } else {
            CounterResetHint::Unknown
        },
        schema: h["schema"].as_i64().unwrap() as i32,
        zero_threshold: bits(&h["zero_threshold"]),
        sum: bits(&h["sum"]),
        positive_spans,
        negative_spans,
        custom_values: list("custom_values").iter().map(bits).collect(),
        ..FloatHistogram::default()
    };
    if h["float"] == true {
        let floats = |counts: &[serde_json::Value]| counts.iter().map(bits).collect();
        return SampleValue::FloatHistogram(Box::new(FloatHistogram {
            zero_count: bits(&h["zero_count"]),
            count: bits(&h["count"]),
            positive_buckets: floats(&positive),
            negative_buckets: floats(&negative),
            ..frame
        }));
    }
    let deltas = |counts: &[serde_json::Value]| {
        let counts: Vec<i64> = counts.iter().map(|count| count.as_i64().unwrap()).collect();
        counts
            .iter()
            .scan(0, |before, count| Some(count - std::mem::replace(before, *count)))
            .collect()
    };
    SampleValue::Histogram(Box::new(Histogram {
        reset_hint: frame.reset_hint,
        schema: frame.schema,
        zero_threshold: frame.zero_threshold,
        zero_count: h["zero_count"].as_u64().unwrap(),
        count: h["count"].as_u64().unwrap(),
        sum: frame.sum,
        positive_spans: frame.positive_spans,
        negative_spans: frame.negative_spans,
        positive_buckets: deltas(&positive),
        negative_buckets: deltas(&negative),
        custom_values: frame.custom_values,
    }))
}

/// Returns the float samples of the known data set.
pub(crate) fn golden_series() -> Vec<pb::TimeSeries> {
    let mut all: Vec<pb::TimeSeries> = Vec::new();
    for line in known_lines() {
        if let Some(labels) = line["labels"].as_object() {
            let label = |(name, value): (&String, &serde_json::Value)| pb::Label {
                name: name.clone(),
                value: value.as_str().unwrap().to_owned(),
            };
            all.push(pb::TimeSeries {
                labels: labels.iter().map(label).collect(),
                ..Default::default()
            });
        } else if let Some(bits) = line["v"].as_str() {
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            let timestamp = line["t"].as_i64().unwrap();
            all.last_mut().unwrap().samples.push(pb::Sample { value, timestamp });
        }
    }
    all.retain(|series| !series.samples.is_empty());
    assert!(all.len() > 5);
    all
}
