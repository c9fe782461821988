//! Answers to reads, held against those of Prometheus 3.14 to the same requests over the same data.

use super::{ReadError, ReadLimits, SERIES_BYTES, Stop, TIMESERIES_KEY, answer, decode_request, header, put_sample};
use crate::metrics::registry::Registry;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::labels::LabelsBuilder;
use crate::model::sample::Sample;
use crate::model::value::{Point, Value};
use crate::remote::limits::{LabelLimits, WriteLimits};
use crate::remote::metadata::MetadataLimits;
use crate::remote::metrics::WriteMetrics;
use crate::remote::packing::Packing;
use crate::remote::pb::prometheus as pb;
use crate::remote::reader::CountLimits;
use crate::remote::write::{Form, Version, Writer};
use crate::tsdb::db::Db;
use crate::tsdb::db::options::DbOptions;
use flate2::read::GzDecoder;
use prost::Message;
use std::io::Read;
use tempfile::TempDir;

const PLAIN: Form = Form { version: Version::V1, packing: Packing::Plain };
const UNLIMITED: ReadLimits = ReadLimits { samples: None, answer_bytes: usize::MAX };

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/wire/read/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn db_with(timeseries: Vec<pb::TimeSeries>) -> (Db, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(DbOptions::new(dir.path().to_owned())).unwrap();
    db.replay().unwrap();
    let limits = WriteLimits {
        decoded_bytes: usize::MAX,
        counts: CountLimits { series: u64::MAX, samples: u64::MAX },
        labels: LabelLimits { count: 100, name_bytes: 1000, value_bytes: 1000 },
        metadata: MetadataLimits { name_bytes: 1000, text_bytes: 1000 },
        max_future_ms: i64::MAX,
    };
    let writer = Writer::new(limits, WriteMetrics::register(&mut Registry::new()));
    let outcome = writer.store(&db, &encode(&timeseries), PLAIN, 0).unwrap();
    assert!(outcome.refusals.is_empty(), "{}", outcome.refusals);
    (db, dir)
}

/// A write request; by hand, because prost drops the sign of -0.
fn encode(timeseries: &[pb::TimeSeries]) -> Vec<u8> {
    let mut request = Vec::new();
    for series in timeseries {
        let mut fields = pb::TimeSeries { labels: series.labels.clone(), ..Default::default() }.encode_to_vec();
        series.samples.iter().for_each(|sample| put_sample(&mut fields, Sample::new(sample.timestamp, sample.value)));
        request.extend(header(TIMESERIES_KEY, fields.len() as u64));
        request.extend(fields);
    }
    request
}

fn known_lines() -> Vec<serde_json::Value> {
    let mut text = String::new();
    GzDecoder::new(&golden("known-data.txt.gz")[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A database with the known data set, native histograms included.
fn known_db() -> (Db, TempDir) {
    let (db, dir) = db_with(known_data());
    let mut labels = None;
    for line in known_lines() {
        if let Some(pairs) = line["labels"].as_object() {
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            labels = Some(LabelsBuilder::from_iter(pairs).build().unwrap());
        } else if line["h"].is_object() {
            let mut appender = db.appender().unwrap();
            let point = Point::new(line["t"].as_i64().unwrap(), known_histogram(&line["h"]));
            let refuse = |point, why| panic!("{point:?} is refused: {why:?}");
            appender.append(labels.as_ref().unwrap(), std::iter::once(point), refuse).unwrap();
            appender.commit().unwrap();
        }
    }
    (db, dir)
}

fn known_histogram(h: &serde_json::Value) -> Value {
    let list = |name: &str| h[name].as_array().unwrap().clone();
    let bits = |value: &serde_json::Value| f64::from_bits(u64::from_str_radix(value.as_str().unwrap(), 16).unwrap());
    let spans = |name: &str| -> Vec<Span> {
        let span = |span: &serde_json::Value| Span {
            offset: span[0].as_i64().unwrap() as i32,
            length: span[1].as_u64().unwrap() as u32,
        };
        list(name).iter().map(span).collect()
    };
    let frame = FloatHistogram {
        reset_hint: if h["reset_hint"] == "gauge" { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
        schema: h["schema"].as_i64().unwrap() as i32,
        zero_threshold: bits(&h["zero_threshold"]),
        sum: bits(&h["sum"]),
        positive_spans: spans("positive_spans"),
        negative_spans: spans("negative_spans"),
        custom_values: list("custom_values").iter().map(bits).collect(),
        ..FloatHistogram::default()
    };
    if h["float"] == true {
        let floats = |name: &str| list(name).iter().map(bits).collect();
        return Value::FloatHistogram(Box::new(FloatHistogram {
            zero_count: bits(&h["zero_count"]),
            count: bits(&h["count"]),
            positive_buckets: floats("positive_buckets"),
            negative_buckets: floats("negative_buckets"),
            ..frame
        }));
    }
    let deltas = |name: &str| {
        let counts: Vec<i64> = list(name).iter().map(|count| count.as_i64().unwrap()).collect();
        counts.iter().scan(0, |before, count| Some(count - std::mem::replace(before, *count))).collect()
    };
    Value::Histogram(Box::new(Histogram {
        reset_hint: frame.reset_hint,
        schema: frame.schema,
        zero_threshold: frame.zero_threshold,
        zero_count: h["zero_count"].as_u64().unwrap(),
        count: h["count"].as_u64().unwrap(),
        sum: frame.sum,
        positive_spans: frame.positive_spans,
        negative_spans: frame.negative_spans,
        positive_buckets: deltas("positive_buckets"),
        negative_buckets: deltas("negative_buckets"),
        custom_values: frame.custom_values,
    }))
}

/// The float samples of the known data set.
fn known_data() -> Vec<pb::TimeSeries> {
    let mut all: Vec<pb::TimeSeries> = Vec::new();
    for line in known_lines() {
        if let Some(labels) = line["labels"].as_object() {
            let label = |(name, value): (&String, &serde_json::Value)| pb::Label {
                name: name.clone(),
                value: value.as_str().unwrap().to_owned(),
            };
            all.push(pb::TimeSeries { labels: labels.iter().map(label).collect(), ..Default::default() });
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

fn unpack(pieces: &[u8]) -> pb::ReadResponse {
    pb::ReadResponse::decode(&snap::raw::Decoder::new().decompress_vec(pieces).unwrap()[..]).unwrap()
}

fn asked(db: &Db, request: &pb::ReadRequest, limits: ReadLimits) -> Result<pb::ReadResponse, ReadError> {
    answer(db, request, limits, &mut |_| Ok(())).map(|answer| unpack(&answer.pieces.concat()))
}

/// What a histogram says: its buckets that are not empty, each in a span of its own, and no more of counter resets than whether it is a
/// gauge. Where chunks begin decides on the rest.
fn said(histogram: &pb::Histogram) -> pb::Histogram {
    let mut said = histogram.clone();
    if histogram.reset_hint != 3 {
        said.reset_hint = 0;
    }
    let filled = |spans: &[pb::BucketSpan], deltas: &[i64], counts: &[f64]| {
        let indices = spans.iter().scan(0, |next, span| {
            let first = *next + span.offset;
            *next = first + span.length as i32;
            Some(first..*next)
        });
        let absolute = deltas.iter().scan(0, |count, delta| {
            *count += delta;
            Some(*count as f64)
        });
        let counts: Vec<f64> = absolute.chain(counts.iter().copied()).collect();
        indices.flatten().zip(counts).filter(|(_, count)| *count != 0.0).unzip::<i32, f64, Vec<_>, Vec<_>>()
    };
    let spans = |indices: Vec<i32>| indices.into_iter().map(|offset| pb::BucketSpan { offset, length: 1 }).collect();
    let (indices, counts) = filled(&said.positive_spans, &said.positive_deltas, &said.positive_counts);
    (said.positive_spans, said.positive_deltas, said.positive_counts) = (spans(indices), Vec::new(), counts);
    let (indices, counts) = filled(&said.negative_spans, &said.negative_deltas, &said.negative_counts);
    (said.negative_spans, said.negative_deltas, said.negative_counts) = (spans(indices), Vec::new(), counts);
    said
}

/// The series of each result, sorted, as Prometheus need not do; -0 as 0, as its encoder drops the sign.
fn sorted(response: &pb::ReadResponse) -> Vec<Vec<pb::TimeSeries>> {
    let series = |result: &pb::QueryResult| {
        let mut all = result.timeseries.clone();
        all.sort_by_key(|series| series.labels.iter().map(|l| (l.name.clone(), l.value.clone())).collect::<Vec<_>>());
        all.iter_mut().flat_map(|series| &mut series.samples).for_each(|sample| sample.value += 0.0);
        all.iter_mut().flat_map(|series| &mut series.histograms).for_each(|histogram| *histogram = said(histogram));
        all
    };
    response.results.iter().map(series).collect()
}

fn everything() -> pb::ReadRequest {
    let matcher = pb::LabelMatcher { r#type: 2, name: "__name__".into(), value: ".+".into() };
    let query =
        pb::Query { start_timestamp_ms: i64::MIN, end_timestamp_ms: i64::MAX, matchers: vec![matcher], hints: None };
    pb::ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

#[test]
fn answers_are_those_of_prometheus() {
    let (db, _dir) = known_db();
    let mut histograms = 0;
    for number in ["10", "12", "14", "16"] {
        let request = decode_request(&golden(&format!("{number}.request.body"))).unwrap();
        let ours = sorted(&asked(&db, &request, UNLIMITED).unwrap());
        let theirs = sorted(&unpack(&golden(&format!("{number}.response.body"))));
        // By their text, in which a NaN is equal to itself.
        for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert_eq!(format!("{:?}", ours.labels), format!("{:?}", theirs.labels), "{number}");
            assert_eq!(format!("{:?}", ours.samples), format!("{:?}", theirs.samples), "{number}: {:?}", ours.labels);
            assert_eq!(ours.histograms.len(), theirs.histograms.len(), "{number}: {:?}", ours.labels);
            for (ours, theirs) in ours.histograms.iter().zip(&theirs.histograms) {
                assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{number}");
            }
        }
        assert_eq!(ours.iter().map(Vec::len).collect::<Vec<_>>(), theirs.iter().map(Vec::len).collect::<Vec<_>>());
        histograms += ours.iter().flatten().map(|series| series.histograms.len()).sum::<usize>();
    }
    assert!(histograms >= 240, "{histograms}");
}

#[test]
fn histograms_count_as_samples_where_they_are_limited() {
    let (db, _dir) = known_db();
    let all = answer(&db, &everything(), UNLIMITED, &mut |_| Ok(())).unwrap().samples;
    assert_eq!(all as usize, known_lines().iter().filter(|line| line["labels"].is_null()).count());
    let limit = |samples| ReadLimits { samples: Some(samples), ..UNLIMITED };
    assert!(asked(&db, &everything(), limit(all)).is_ok());
    assert!(matches!(asked(&db, &everything(), limit(all - 1)), Err(ReadError::SampleLimit(_))));
}

#[test]
fn the_answer_keeps_the_bits_of_every_value() {
    let known = known_data();
    let (db, _dir) = db_with(known.clone());
    let response = asked(&db, &everything(), UNLIMITED).unwrap();
    let bits =
        |series: &pb::TimeSeries| series.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect::<Vec<_>>();
    let ours = &response.results[0].timeseries;
    assert_eq!(ours.iter().map(bits).collect::<Vec<_>>(), known.iter().map(bits).collect::<Vec<_>>());
    assert!(ours.iter().flat_map(bits).any(|(_, bits)| bits == (-0.0f64).to_bits()), "the data has a -0");
}

#[test]
fn a_client_that_prefers_streams_gets_samples_and_one_that_takes_nothing_else_an_error() {
    let request = decode_request(&golden("00.request.body")).unwrap();
    assert!(request.accepted_response_types.contains(&1));
    assert!(matches!(decode_request(&golden("17.request.body")), Err(ReadError::ResponseType(_))));
}

#[test]
fn a_long_series_is_answered_in_parts_and_reads_as_one() {
    let samples = |count: i64| -> Vec<_> {
        (0..count).map(|i| pb::Sample { timestamp: i * 1000, value: i as f64 * 0.1 }).collect()
    };
    let label = |value: &str| vec![pb::Label { name: "__name__".into(), value: value.into() }];
    let long = SERIES_BYTES as i64 / 8;
    let all: Vec<_> = [("a", 3), ("b", long), ("c", 3)]
        .map(|(name, count)| pb::TimeSeries { labels: label(name), samples: samples(count), ..Default::default() })
        .into();
    let (db, _dir) = db_with(all.clone());
    let response = asked(&db, &everything(), UNLIMITED).unwrap();
    assert_eq!(response.results[0].timeseries, all);

    let few = ReadLimits { samples: Some(long as u64), ..UNLIMITED };
    assert!(matches!(asked(&db, &everything(), few), Err(ReadError::SampleLimit(_))));
    let small = ReadLimits { answer_bytes: 10_000, ..UNLIMITED };
    assert!(matches!(asked(&db, &everything(), small), Err(ReadError::AnswerLimit(10_000))));
    let mut left = 2;
    let stopped = answer(&db, &everything(), UNLIMITED, &mut |_| {
        left -= 1;
        if left == 0 { Err(Stop::Gone) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(ReadError::Stopped(Stop::Gone))));
}

#[test]
fn the_memory_of_an_answer_is_told() {
    let (db, _dir) = db_with(known_data());
    let mut told = 0;
    let answer = answer(&db, &everything(), UNLIMITED, &mut |bytes| {
        told += bytes;
        Ok(())
    })
    .unwrap();
    // The last piece is not flushed yet when the last series is.
    assert!(told <= answer.pieces.concat().len());
}

#[test]
fn bad_requests_are_told_apart() {
    let (db, _dir) = db_with(Vec::new());
    let with_matcher = |kind: i32, value: &str| {
        let mut request = everything();
        request.queries[0].matchers[0] = pb::LabelMatcher { r#type: kind, name: "a".into(), value: value.into() };
        asked(&db, &request, UNLIMITED)
    };
    assert!(matches!(with_matcher(2, "("), Err(ReadError::Matcher(_))));
    assert!(matches!(with_matcher(9, "x"), Err(ReadError::MatcherType(9))));
    let bomb = "((((a{1,100}){1,100}){1,100}){1,100})";
    assert!(matches!(with_matcher(2, bomb), Err(ReadError::Matcher(_))));
    assert!(matches!(decode_request(b""), Err(ReadError::NotSnappy(_))));
    assert!(matches!(decode_request(b"\x05\x00"), Err(ReadError::NotSnappy(_))));
    assert!(matches!(decode_request(b"\xff\xff\xff\xff\x0f"), Err(ReadError::TooLarge { .. })));
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    assert!(matches!(decode_request(&packed(b"\xff")), Err(ReadError::Malformed(_))));
    let many = pb::ReadRequest { queries: vec![pb::Query::default(); 1001], accepted_response_types: Vec::new() };
    assert!(matches!(decode_request(&packed(&many.encode_to_vec())), Err(ReadError::TooMany { .. })));
}
