//! Comparison of SAMPLES responses with those of Prometheus 3.14 for the same requests and data.

use super::{ReadLimits, ReadSource, SERIES_BYTES, read_samples, read_samples_plain};
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::prometheus as pb;
use crate::remote::read::read_request::{
    ReadAbort, RemoteReadError, decode_request, parse_request,
};
use crate::testing::golden_read::{db_with, golden, golden_db, golden_series, known_lines};
use crate::tsdb::db::{Db, SupportedEncodings};
use prost::Message;

const UNLIMITED: ReadLimits = ReadLimits {
    samples: None,
    response_bytes: usize::MAX,
    frame_bytes: 1 << 20,
    readable: SupportedEncodings::Baseline,
};

fn decode_response(pieces: &[u8]) -> pb::ReadResponse {
    pb::ReadResponse::decode(&snap::raw::Decoder::new().decompress_vec(pieces).unwrap()[..])
        .unwrap()
}

fn read(
    db: &Db,
    request: &pb::ReadRequest,
    limits: ReadLimits,
) -> Result<pb::ReadResponse, RemoteReadError> {
    read_samples(
        ReadSource { db, external: ExternalLabels::default(), limits },
        request,
        &mut |_| Ok(()),
    )
    .map(|answer| decode_response(&answer.pieces.concat()))
}

/// Normalizes a histogram: non-empty buckets, each in its own span, and only the gauge hint.
///
/// The rest depends on chunk boundaries.
fn normalized(histogram: &pb::Histogram) -> pb::Histogram {
    let mut normalized = histogram.clone();
    if histogram.reset_hint != 3 {
        normalized.reset_hint = 0;
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
        indices
            .flatten()
            .zip(counts)
            .filter(|(_, count)| *count != 0.0)
            .unzip::<i32, f64, Vec<_>, Vec<_>>()
    };
    let spans = |indices: Vec<i32>| {
        indices.into_iter().map(|offset| pb::BucketSpan { offset, length: 1 }).collect()
    };
    let (indices, counts) = filled(
        &normalized.positive_spans,
        &normalized.positive_deltas,
        &normalized.positive_counts,
    );
    (normalized.positive_spans, normalized.positive_deltas, normalized.positive_counts) =
        (spans(indices), Vec::new(), counts);
    let (indices, counts) = filled(
        &normalized.negative_spans,
        &normalized.negative_deltas,
        &normalized.negative_counts,
    );
    (normalized.negative_spans, normalized.negative_deltas, normalized.negative_counts) =
        (spans(indices), Vec::new(), counts);
    normalized
}

/// Sorts the series of each result, which Prometheus need not do, and turns -0 into 0, as its
/// encoder drops the sign.
fn sorted(response: &pb::ReadResponse) -> Vec<Vec<pb::TimeSeries>> {
    let series = |result: &pb::QueryResult| {
        let mut all = result.timeseries.clone();
        all.sort_by_key(|series| {
            series.labels.iter().map(|l| (l.name.clone(), l.value.clone())).collect::<Vec<_>>()
        });
        all.iter_mut()
            .flat_map(|series| &mut series.samples)
            .for_each(|sample| sample.value += 0.0);
        all.iter_mut()
            .flat_map(|series| &mut series.histograms)
            .for_each(|histogram| *histogram = normalized(histogram));
        all
    };
    response.results.iter().map(series).collect()
}

fn everything() -> pb::ReadRequest {
    let matcher = pb::LabelMatcher { r#type: 2, name: "__name__".into(), value: ".+".into() };
    let query = pb::Query {
        start_timestamp_ms: i64::MIN,
        end_timestamp_ms: i64::MAX,
        matchers: vec![matcher],
        hints: None,
    };
    pb::ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

#[test]
fn responses_equal_prometheus() {
    let (db, _dir) = golden_db();
    let mut histograms = 0;
    for number in ["10", "12", "14", "16"] {
        let request = decode_request(&golden(&format!("{number}.request.body"))).unwrap();
        let ours = sorted(&read(&db, &request, UNLIMITED).unwrap());
        let theirs = sorted(&decode_response(&golden(&format!("{number}.response.body"))));
        // Compared as text, in which a NaN is equal to itself.
        for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert_eq!(format!("{:?}", ours.labels), format!("{:?}", theirs.labels), "{number}");
            assert_eq!(
                format!("{:?}", ours.samples),
                format!("{:?}", theirs.samples),
                "{number}: {:?}",
                ours.labels
            );
            assert_eq!(
                ours.histograms.len(),
                theirs.histograms.len(),
                "{number}: {:?}",
                ours.labels
            );
            for (ours, theirs) in ours.histograms.iter().zip(&theirs.histograms) {
                assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{number}");
            }
        }
        assert_eq!(
            ours.iter().map(Vec::len).collect::<Vec<_>>(),
            theirs.iter().map(Vec::len).collect::<Vec<_>>()
        );
        histograms += ours.iter().flatten().map(|series| series.histograms.len()).sum::<usize>();
    }
    assert!(histograms >= 240, "{histograms}");
}

#[test]
fn sample_limit_counts_histograms() {
    let (db, _dir) = golden_db();
    let all = read_samples(
        ReadSource { db: &db, external: ExternalLabels::default(), limits: UNLIMITED },
        &everything(),
        &mut |_| Ok(()),
    )
    .unwrap()
    .samples;
    assert_eq!(all as usize, known_lines().iter().filter(|line| line["labels"].is_null()).count());
    let limit = |samples| ReadLimits { samples: Some(samples), ..UNLIMITED };
    assert!(read(&db, &everything(), limit(all)).is_ok());
    assert!(matches!(
        read(&db, &everything(), limit(all - 1)),
        Err(RemoteReadError::SampleLimit(_))
    ));
}

#[test]
fn response_keeps_value_bits() {
    let known = golden_series();
    let (db, _dir) = db_with(known.clone());
    let response = read(&db, &everything(), UNLIMITED).unwrap();
    let bits = |series: &pb::TimeSeries| {
        series.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect::<Vec<_>>()
    };
    let ours = &response.results[0].timeseries;
    assert_eq!(
        ours.iter().map(bits).collect::<Vec<_>>(),
        known.iter().map(bits).collect::<Vec<_>>()
    );
    assert!(
        ours.iter().flat_map(bits).any(|(_, bits)| bits == (-0.0f64).to_bits()),
        "the data has a -0"
    );
}

#[test]
fn uncompressed_response_is_equal() {
    let (db, _dir) = golden_db();
    let source = ReadSource { db: &db, external: ExternalLabels::default(), limits: UNLIMITED };
    let block = read_samples(source.clone(), &everything(), &mut |_| Ok(())).unwrap();
    let plain = read_samples_plain(source.clone(), &everything(), &mut |_| Ok(())).unwrap();
    assert_eq!(plain.samples, block.samples);
    assert_eq!(
        plain.pieces.concat(),
        snap::raw::Decoder::new().decompress_vec(&block.pieces.concat()).unwrap()
    );
    let small = ReadSource { limits: ReadLimits { response_bytes: 1000, ..UNLIMITED }, ..source };
    assert!(matches!(
        read_samples_plain(small, &everything(), &mut |_| Ok(())),
        Err(RemoteReadError::ResponseLimit(1000))
    ));
}

#[test]
fn long_series_is_written_in_parts() {
    let samples = |count: i64| -> Vec<_> {
        (0..count).map(|i| pb::Sample { timestamp: i * 1000, value: i as f64 * 0.1 }).collect()
    };
    let label = |value: &str| vec![pb::Label { name: "__name__".into(), value: value.into() }];
    let long = SERIES_BYTES as i64 / 8;
    let all: Vec<_> = [("a", 3), ("b", long), ("c", 3)]
        .map(|(name, count)| pb::TimeSeries {
            labels: label(name),
            samples: samples(count),
            ..Default::default()
        })
        .into();
    let (db, _dir) = db_with(all.clone());
    let response = read(&db, &everything(), UNLIMITED).unwrap();
    assert_eq!(response.results[0].timeseries, all);

    let few = ReadLimits { samples: Some(long as u64), ..UNLIMITED };
    assert!(matches!(read(&db, &everything(), few), Err(RemoteReadError::SampleLimit(_))));
    let small = ReadLimits { response_bytes: 10_000, ..UNLIMITED };
    assert!(matches!(read(&db, &everything(), small), Err(RemoteReadError::ResponseLimit(10_000))));
    let mut left = 2;
    let stopped = read_samples(
        ReadSource { db: &db, external: ExternalLabels::default(), limits: UNLIMITED },
        &everything(),
        &mut |_| {
            left -= 1;
            if left == 0 { Err(ReadAbort::ClientGone) } else { Ok(()) }
        },
    );
    assert!(matches!(stopped, Err(RemoteReadError::Stopped(ReadAbort::ClientGone))));
}

#[test]
fn response_memory_is_reserved() {
    let (db, _dir) = db_with(golden_series());
    let mut told = 0;
    let answer = read_samples(
        ReadSource { db: &db, external: ExternalLabels::default(), limits: UNLIMITED },
        &everything(),
        &mut |bytes| {
            told += bytes;
            Ok(())
        },
    )
    .unwrap();
    // The last piece is not flushed yet when the last series is.
    assert!(told <= answer.pieces.concat().len());
}

#[test]
fn invalid_requests_have_distinct_errors() {
    let (db, _dir) = db_with(Vec::new());
    let with_matcher = |kind: i32, value: &str| {
        let mut request = everything();
        request.queries[0].matchers[0] =
            pb::LabelMatcher { r#type: kind, name: "a".into(), value: value.into() };
        read(&db, &request, UNLIMITED)
    };
    assert!(matches!(with_matcher(2, "("), Err(RemoteReadError::Matcher(_))));
    assert!(matches!(with_matcher(9, "x"), Err(RemoteReadError::MatcherType(9))));
    let bomb = "((((a{1,100}){1,100}){1,100}){1,100})";
    assert!(matches!(with_matcher(2, bomb), Err(RemoteReadError::Matcher(_))));
    assert!(matches!(decode_request(b""), Err(RemoteReadError::NotSnappy(_))));
    assert!(matches!(decode_request(b"\x05\x00"), Err(RemoteReadError::NotSnappy(_))));
    assert!(matches!(
        decode_request(b"\xff\xff\xff\xff\x0f"),
        Err(RemoteReadError::TooLarge { .. })
    ));
    let compressed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    assert!(matches!(decode_request(&compressed(b"\xff")), Err(RemoteReadError::Malformed(_))));
    let many = pb::ReadRequest {
        queries: vec![pb::Query::default(); 1001],
        accepted_response_types: Vec::new(),
    };
    assert!(matches!(
        decode_request(&compressed(&many.encode_to_vec())),
        Err(RemoteReadError::TooMany { .. })
    ));
    assert!(matches!(
        parse_request(&vec![0; (1 << 20) + 1]),
        Err(RemoteReadError::TooLarge { .. })
    ));
}
