//! Comparison of streamed responses with those of Prometheus 3.14 for the same requests and data.

use crate::model::float_sample::FloatSample;
use crate::model::labels::LabelsBuilder;
use crate::model::sample::Sample;
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::prometheus as pb;
use crate::remote::read::chunked::{CHECKSUM_LEN, FrameCounts, FrameSink, ReadFrame, read_chunks};
use crate::remote::read::read_request::{
    ReadAbort, RemoteReadError, decode_request, response_type,
};
use crate::remote::read::{ReadLimits, ReadSource};
use crate::testing::golden_read::{db_with, golden, golden_db};
use crate::tsdb::db::{Db, SupportedEncodings, crc32c};
use prost::Message;

const LIMITS: ReadLimits = ReadLimits {
    samples: Some(1),
    response_bytes: 1,
    frame_bytes: 1 << 20,
    readable: SupportedEncodings::Baseline,
};

/// Collects frames up to a number.
struct Kept {
    body: Vec<u8>,
    left: usize,
}

impl FrameSink for Kept {
    fn check(&mut self) -> Result<(), ReadAbort> {
        if self.left == 0 { Err(ReadAbort::ClientGone) } else { Ok(()) }
    }

    fn frame(&mut self, frame: &ReadFrame<'_>) -> Result<(), ReadAbort> {
        self.check()?;
        self.left -= 1;
        let before = self.body.len();
        frame.encode_delimited(&mut self.body);
        let mut message = Vec::new();
        frame.encode(&mut message);
        assert!(self.body[before..].ends_with(&message));
        assert_eq!(message.len(), frame.encoded_len());
        Ok(())
    }
}

fn read(
    db: &Db,
    request: &pb::ReadRequest,
    limits: ReadLimits,
) -> (Result<FrameCounts, RemoteReadError>, Vec<u8>) {
    let mut kept = Kept { body: Vec::new(), left: usize::MAX };
    let sent = read_chunks(
        ReadSource { db, external: ExternalLabels::default(), limits },
        request,
        &mut kept,
    );
    (sent, kept.body)
}

/// Decodes the messages of a body and checks their checksums.
fn messages(mut body: &[u8]) -> Vec<pb::ChunkedReadResponse> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let len = prost::encoding::decode_varint(&mut body).unwrap() as usize;
        let (checksum, rest) = body.split_at(CHECKSUM_LEN);
        let (message, rest) = rest.split_at(len);
        assert_eq!(crc32c(message).to_be_bytes(), checksum);
        messages.push(pb::ChunkedReadResponse::decode(message).unwrap());
        body = rest;
    }
    messages
}

fn everything(name: &str) -> pb::ReadRequest {
    let matcher = pb::LabelMatcher { r#type: 2, name: "__name__".into(), value: name.into() };
    let query = pb::Query {
        start_timestamp_ms: i64::MIN,
        end_timestamp_ms: i64::MAX,
        matchers: vec![matcher],
        hints: None,
    };
    pb::ReadRequest { queries: vec![query], accepted_response_types: vec![1] }
}

#[test]
fn responses_equal_prometheus_byte_for_byte() {
    let (db, _dir) = golden_db();
    let limits = ReadLimits { frame_bytes: 4096, ..LIMITS };
    let mut streamed = 0;
    for number in 0..17 {
        let request = decode_request(&golden(&format!("{number:02}.request.body"))).unwrap();
        if response_type(&request).unwrap() as i32 != 1 {
            continue;
        }
        streamed += 1;
        let (sent, body) = read(&db, &request, limits);
        let theirs = golden(&format!("{number:02}.response.body"));
        let (ours, expected) = (messages(&body), messages(&theirs));
        assert_eq!(sent.unwrap().frames as usize, expected.len(), "{number}");
        for (ours, theirs) in ours.iter().zip(&expected) {
            assert_eq!(ours, theirs, "{number}");
        }
        assert_eq!(body, theirs, "{number}");
    }
    assert_eq!(streamed, 13);
}

#[test]
fn series_is_split_at_the_frame_limit() {
    let samples = |count: i64| -> Vec<_> {
        (0..count).map(|i| pb::Sample { timestamp: 1 + i * 1000, value: i as f64 * 0.1 }).collect()
    };
    let label = |name: &str, value: &str| pb::Label { name: name.into(), value: value.into() };
    let labels = vec![label("__name__", "long"), label("a", &"x".repeat(300))];
    let (db, _dir) = db_with(vec![pb::TimeSeries {
        labels: labels.clone(),
        samples: samples(3000),
        ..Default::default()
    }]);
    let whole =
        messages(&read(&db, &everything("long"), LIMITS).1).remove(0).chunked_series.remove(0);
    assert_eq!(whole.labels, labels);
    assert!(whole.chunks.len() > 20);
    let labels_len: usize = labels.iter().map(Message::encoded_len).sum();
    for frame_bytes in [1, labels_len, labels_len + 1, 1000, 3000, 10_000] {
        let split =
            messages(&read(&db, &everything("long"), ReadLimits { frame_bytes, ..LIMITS }).1);
        let most = frame_bytes as i64 - labels_len as i64;
        for (at, frame) in split.iter().enumerate() {
            assert_eq!(
                (frame.query_index, frame.chunked_series.len(), &frame.chunked_series[0].labels),
                (0, 1, &labels)
            );
            let sizes: Vec<i64> = frame.chunked_series[0]
                .chunks
                .iter()
                .map(|chunk| chunk.encoded_len() as i64)
                .collect();
            let before_last: i64 = sizes.iter().rev().skip(1).sum();
            assert!(
                sizes.len() == 1 || before_last < most,
                "a frame of {sizes:?} is too long for {most}"
            );
            let is_last = at + 1 == split.len();
            assert!(
                is_last || sizes.iter().sum::<i64>() >= most,
                "a frame of {sizes:?} is too short for {most}"
            );
        }
        let chunks: Vec<_> =
            split.into_iter().flat_map(|mut frame| frame.chunked_series.remove(0).chunks).collect();
        assert_eq!(chunks, whole.chunks);
    }
}

#[test]
fn invalid_later_query_sends_nothing() {
    let (db, _dir) = golden_db();
    let mut request = everything(".+");
    request.queries.push(pb::Query { ..everything("(").queries.remove(0) });
    let (sent, body) = read(&db, &request, LIMITS);
    assert!(matches!(sent, Err(RemoteReadError::Matcher(_))));
    assert!(body.is_empty());
}

#[test]
fn queries_are_indexed_and_disconnect_ends_response() {
    let (db, _dir) = golden_db();
    let mut request = everything("golden_gauge");
    request.queries.extend(everything("golden_counter_total").queries);
    let (sent, body) = read(&db, &request, LIMITS);
    let found: Vec<_> = messages(&body).iter().map(|frame| frame.query_index).collect();
    assert_eq!(found, [0, 1]);
    assert_eq!(sent.unwrap(), FrameCounts { frames: 2, chunks: 2 });
    let mut few = Kept { body: Vec::new(), left: 3 };
    let stopped = read_chunks(
        ReadSource { db: &db, external: ExternalLabels::default(), limits: LIMITS },
        &everything(".+"),
        &mut few,
    );
    assert!(matches!(stopped, Err(RemoteReadError::Stopped(ReadAbort::ClientGone))));
    assert_eq!(messages(&few.body).len(), 3);
}

#[test]
fn empty_series_is_skipped_and_negative_times_kept() {
    let (db, _dir) = db_with(Vec::new());
    let labels = LabelsBuilder::from_iter([("__name__", "x")]).build().unwrap();
    let mut appender = db.appender().unwrap();
    let points = [-5, 0, 5_000].map(|t| Sample::from(FloatSample::new(t, 1.5)));
    appender
        .append_or_create(&labels, points.into_iter(), |_, why| panic!("rejected: {why:?}"))
        .unwrap();
    appender.commit().unwrap();
    let mut request = everything("x");
    let chunks = |request: &pb::ReadRequest| -> Vec<(i64, i64)> {
        let frames = messages(&read(&db, request, LIMITS).1);
        let chunks = frames.iter().flat_map(|frame| &frame.chunked_series[0].chunks);
        chunks.map(|chunk| (chunk.min_time_ms, chunk.max_time_ms)).collect()
    };
    assert_eq!(chunks(&request), [(-5, 5_000)]);
    (request.queries[0].start_timestamp_ms, request.queries[0].end_timestamp_ms) = (1, 4_999);
    assert!(chunks(&request).is_empty());
    (request.queries[0].start_timestamp_ms, request.queries[0].end_timestamp_ms) = (-5, 0);
    assert_eq!(chunks(&request), [(-5, 0)]);
}
