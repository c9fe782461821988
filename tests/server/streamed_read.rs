//! Streamed remote reads over the real port. Responses equal those of Prometheus 3.14.0 for all
//! stored data, memory does not depend on their size, and no client blocks the server.

use crate::support::admin::Admin;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::points::{PointValue, Points};
use crate::support::program::anonymous_memory;
use crate::support::remote::{READ, READ_HEADERS};
use crate::support::samples::wire_labels;
use crate::support::streamed::{
    ChunkedReadResponse, STREAMED, SlowRead, ask, contents, everything, messages,
};
use crate::support::wait::wait_until;
use crate::support::wire::{
    Matcher, Query, ReadRequest, ReadResponse, Sample, TimeSeries, WriteRequest, snappy,
};
use crate::support::{dir, golden};
use prost::Message;

/// Directory of the recorded reads.
const RECORDED: &str = "wire/read";
/// Maximum memory of one request above that of an idle server, bytes.
const MEMORY: u64 = 64 << 20;

/// Flag for chunk encodings with start timestamps and for XOR2.
const NEWER: &str = "--enable-feature=xor2-encoding,st-storage,histograms-st-encoding";

fn recorded(file: &str) -> Vec<u8> {
    std::fs::read(golden::folder(RECORDED).join(file)).expect("a recorded message can be read")
}

/// Writes samples, one request per series.
fn write(server: &Server, points: &Points) {
    for labels in points.label_sets() {
        let mut series = TimeSeries { labels: wire_labels(labels), ..TimeSeries::default() };
        for (_, t, value) in points.filter(|other, _| other == labels).iter() {
            match value {
                PointValue::Float(bits) => {
                    series.samples.push(Sample { bits: Some(*bits), timestamp: t })
                }
                PointValue::Histogram(histogram) => series.histograms.push(histogram.to_wire(t)),
            }
        }
        server
            .remote()
            .write_ok(&WriteRequest { timeseries: vec![series], ..WriteRequest::default() });
    }
}

fn of_samples(body: &[u8]) -> Vec<Points> {
    let raw = snap::raw::Decoder::new().decompress_vec(body).expect("snappy block format");
    let response = ReadResponse::decode(raw.as_slice()).expect("a ReadResponse");
    let points = |series: &[TimeSeries]| {
        let mut points = Points::new();
        series.iter().for_each(|series| points.add_series(series));
        points
    };
    response.results.iter().map(|result| points(&result.timeseries)).collect()
}

/// Replaces -0 by 0, as in SAMPLES responses of Prometheus.
fn without_negative_zero(points: &Points) -> Points {
    let mut changed = Points::new();
    for (labels, t, value) in points.iter() {
        let is_zero = *value == PointValue::Float((-0.0f64).to_bits());
        changed.add(labels, t, if is_zero { PointValue::Float(0) } else { value.clone() });
    }
    changed
}

#[test]
fn responses_to_recorded_requests_match_prometheus() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.remote.read-max-bytes-in-frame=4096")
        .start();
    write(&server, &golden::expected_in(RECORDED, "known-data.txt.gz"));
    let (mut streamed, mut samples) = (0, 0);
    for number in 0..18 {
        let request = recorded(&format!("{number:02}.request.body"));
        let theirs = recorded(&format!("{number:02}.response.body"));
        let recorded: serde_json::Value =
            serde_json::from_str(&golden::text(RECORDED, &format!("{number:02}.response.json")))
                .expect("JSON");
        let ours = server.http.post(READ, &READ_HEADERS, &request);
        assert_eq!(
            u64::from(ours.status),
            recorded["status"].as_u64().expect("a status"),
            "{number}"
        );
        for header in ["content-type", "content-encoding"] {
            assert_eq!(
                ours.header(header),
                recorded["headers"][header].as_str(),
                "{number}: {header}"
            );
        }
        match ours.header("content-type") {
            Some(STREAMED) => {
                streamed += 1;
                // Stored chunks equal those of Prometheus, and so do the frames.
                assert_eq!(messages(&ours.body), messages(&theirs), "{number}");
                assert_eq!(ours.body, theirs, "{number}");
            }
            Some("application/x-protobuf") => {
                samples += 1;
                for (ours, theirs) in of_samples(&ours.body).iter().zip(of_samples(&theirs)) {
                    without_negative_zero(ours).assert_equals(&theirs, &format!("{number}"));
                }
            }
            _ => assert_eq!(ours.body, theirs, "{number}"),
        }
    }
    assert_eq!((streamed, samples), (13, 4));
}

/// Replaces samples of `golden_ooo_same_time` by those that were sent out of order with 1000 added.
/// Both values are valid.
fn with_ooo_values(returned: &Points, expected: &Points) -> Points {
    let mut changed = Points::new();
    for (labels, t, value) in returned.iter() {
        let ooo = match value {
            PointValue::Float(bits) if labels[0].1 == "golden_ooo_same_time" => {
                Some(PointValue::Float((f64::from_bits(*bits) + 1000.0).to_bits()))
            }
            _ => None,
        };
        let ooo = ooo.filter(|ooo| expected.get(labels, t) == Some(ooo));
        changed.add(labels, t, ooo.unwrap_or_else(|| value.clone()));
    }
    changed
}

fn encodings(messages: &[ChunkedReadResponse]) -> Vec<i32> {
    let mut all: Vec<i32> = messages
        .iter()
        .flat_map(|message| &message.chunked_series[0].chunks)
        .map(|chunk| chunk.encoding)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Reads a case from a server with these flags, without and with raw encodings. Returns the
/// encodings of both responses.
fn check_streamed_case(case: &str, flags: &[&str]) -> [Vec<i32>; 2] {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    let expected = golden::expected(case);
    let starts = golden::expected_starts_of_every_kind(case);
    [None, Some("--storage.remote.read-raw-encodings")].map(|raw| {
        // Small frames, so that series are split.
        let launch = Launch::narthex(&data).flag("--storage.remote.read-max-bytes-in-frame=2000");
        let server = flags.iter().copied().chain(raw).fold(launch, Launch::flag).start();
        let response = ask(&server.http, &everything(i64::MIN, i64::MAX, 1));
        assert_eq!((response.status, response.header("content-type")), (200, Some(STREAMED)));
        let frames = messages(&response.body);
        let (points, found_starts) = contents(&frames);
        with_ooo_values(&points, &expected).assert_equals(&expected, &format!("{case}, {raw:?}"));
        assert_eq!(points.count(), server.remote().read_all_points().count());
        match raw {
            Some(_) => found_starts.assert_equals(&starts, &format!("{case}: start timestamps")),
            None => assert_eq!(found_starts.count(), 0),
        }
        server.stop();
        encodings(&frames)
    })
}

#[test]
fn blocks_and_head_of_all_types_are_streamed() {
    assert_eq!(
        check_streamed_case("blocks-killed-after-compaction", &[]),
        [vec![1, 2, 3], vec![1, 2, 3]]
    );
}

#[test]
fn deleted_samples_are_not_streamed() {
    check_streamed_case("deletes", &[]);
}

#[test]
fn ooo_samples_in_head_are_streamed() {
    check_streamed_case("ooo-killed", &[]);
}

#[test]
fn overlapping_blocks_are_streamed() {
    check_streamed_case("ooo-compacted-overlapping", &[]);
}

#[test]
fn xor2_chunks_are_sent_as_xor_unless_accepted() {
    let floats = &["--enable-feature=xor2-encoding"][..];
    assert_eq!(check_streamed_case("xor2", floats), [vec![1, 2, 3], vec![2, 3, 4]]);
    assert_eq!(check_streamed_case("xor2-switched", floats), [vec![1, 2, 3], vec![1, 2, 3, 4]]);
}

#[test]
fn start_timestamps_are_sent_in_raw_encodings_only() {
    let [older, newer] = check_streamed_case("start-timestamps", &[NEWER]);
    assert!(older.iter().all(|encoding| *encoding <= 3), "{older:?}");
    assert!([4, 5, 6].iter().all(|encoding| newer.contains(encoding)), "{newer:?}");
}

#[test]
fn deletion_at_runtime_is_applied_to_stream() {
    let temp_dir = dir::temp();
    let server =
        Launch::narthex(&temp_dir.path().join("data")).flag("--web.enable-admin-api").start();
    let base = 1_762_300_800_000;
    let points: Vec<(i64, f64)> = (0..300).map(|i| (base + i * 1000, i as f64)).collect();
    server.remote().write_ok(&WriteRequest::one(&[("__name__", "up")], &points));
    Admin::of(&server.http).delete("up", base + 50_000, base + 59_999);
    let (found, _) =
        contents(&messages(&ask(&server.http, &everything(i64::MIN, i64::MAX, 1)).body));
    let times: Vec<i64> = found.iter().map(|(_, t, _)| (t - base) / 1000).collect();
    assert_eq!(times, (0..50).chain(60..300).collect::<Vec<_>>());
}

/// Starts a server and stores about a megabyte of incompressible samples.
fn start_with_megabyte(launch: Launch) -> Server {
    let server = launch.start();
    let base = 1_762_300_800_000;
    for series in 0..100 {
        // Values that do not compress.
        let value = |i: i64| {
            f64::from_bits(
                ((i + series * 1_000_003) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2,
            )
        };
        let points: Vec<(i64, f64)> = (0..1000).map(|i| (base + i * 1000, value(i))).collect();
        let labels = [("__name__", "big"), ("series", &*series.to_string())];
        server.remote().write_ok(&WriteRequest::one(&labels, &points));
    }
    server
}

fn running_reads(server: &Server) -> f64 {
    Metrics::of(&server.http)
        .sum("prometheus_remote_read_handler_queries")
        .expect("the gauge of reads")
}

#[test]
fn memory_does_not_depend_on_response_size() {
    let temp_dir = dir::temp();
    let server = start_with_megabyte(Launch::narthex(&temp_dir.path().join("data")));
    let one = ask(&server.http, &everything(i64::MIN, i64::MAX, 1));
    assert!(one.body.len() > 500_000, "{} bytes", one.body.len());
    let pid = server.program.pid();
    let idle = anonymous_memory(pid);
    let mut read = SlowRead::begin(&server.http, &everything(i64::MIN, i64::MAX, 300));
    let (mut max_memory, mut received) = (0, 0);
    loop {
        let bytes = read.take(4 << 20);
        received += bytes;
        max_memory = max_memory.max(anonymous_memory(pid));
        if bytes < 4 << 20 || received > 290 * one.body.len() {
            break;
        }
    }
    assert!(read.ends_whole(), "the response is incomplete");
    assert!(received > 200 << 20, "{received} bytes");
    assert!(max_memory < idle + MEMORY, "{max_memory} bytes, {idle} when idle");
}

#[test]
fn disconnected_client_ends_the_read() {
    let temp_dir = dir::temp();
    let server = start_with_megabyte(Launch::narthex(&temp_dir.path().join("data")));
    let mut read = SlowRead::begin(&server.http, &everything(i64::MIN, i64::MAX, 1000));
    assert!(read.take(3 << 20) >= 3 << 20);
    assert_eq!(running_reads(&server), 1.0);
    drop(read);
    wait_until("the end of the read", || running_reads(&server) == 0.0);
    let metrics = Metrics::of(&server.http);
    assert_eq!(
        metrics.sum("narthex_remote_read_frames_total"),
        Some(0.0),
        "the response is complete"
    );
    assert_eq!(metrics.sum("narthex_response_bytes_in_flight"), Some(0.0));
}

#[test]
fn stalled_client_is_disconnected_and_holds_no_memory() {
    let temp_dir = dir::temp();
    let server = start_with_megabyte(
        Launch::narthex(&temp_dir.path().join("data")).flag("--web.read-timeout=2s"),
    );
    let mut read = SlowRead::begin(&server.http, &everything(i64::MIN, i64::MAX, 1000));
    assert!(read.take(1) >= 1);
    wait_until("the end of the read", || running_reads(&server) == 0.0);
    wait_until("the release of its memory", || {
        Metrics::of(&server.http).sum("narthex_response_bytes_in_flight") == Some(0.0)
    });
    assert!(!read.ends_whole(), "the truncated response looks complete");
}

#[test]
fn error_before_response_is_status_and_during_it_aborts() {
    let temp_dir = dir::temp();
    let data = golden::unpack("blocks-clean", temp_dir.path());
    let block = std::fs::read_dir(&data)
        .expect("the directory can be listed")
        .map(|entry| entry.expect("an entry").path());
    let mut blocks: Vec<_> = block.filter(|path| path.join("chunks/000001").exists()).collect();
    blocks.sort();
    // Not the newest block, which the start verifies. The end of the file has the chunks of the
    // last series.
    let segment = blocks[0].join("chunks/000001");
    let mut bytes = std::fs::read(&segment).expect("a segment can be read");
    let at = bytes.len() - 20;
    bytes[at] ^= 0x10;
    std::fs::write(&segment, bytes).expect("a segment can be written");
    let server = Launch::narthex(&data).start();
    let response = ask(&server.http, &everything(i64::MIN, i64::MAX, 1));
    assert_eq!(response.status, 500, "{}", response.text());
    // The same after many valid chunks.
    let one = |name: &str| Query {
        start: i64::MIN,
        end: i64::MAX,
        matchers: vec![Matcher::equal("__name__", name)],
        hints: None,
    };
    let names: Vec<String> =
        golden::expected("blocks-clean").label_sets().map(|labels| labels[0].1.clone()).collect();
    let first = names.iter().min().expect("a name");
    let mut queries = vec![one(first); 500];
    queries.extend(everything(i64::MIN, i64::MAX, 1).queries);
    let mut read =
        SlowRead::begin(&server.http, &ReadRequest { queries, accepted_response_types: vec![1] });
    assert!(read.take(64 << 10) > 0);
    assert!(!read.ends_whole(), "the truncated response looks complete");
}

#[test]
fn invalid_matcher_of_last_query_is_a_status() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    server
        .remote()
        .write_ok(&WriteRequest::one(&[("__name__", "up")], &[(1_762_300_800_000, 1.0)]));
    let mut request = everything(i64::MIN, i64::MAX, 1);
    request
        .queries
        .push(Query { matchers: vec![Matcher::regex("a", "(")], ..request.queries[0].clone() });
    let response = server.http.post(READ, &READ_HEADERS, &snappy(&request.encode_to_vec()));
    assert_eq!(response.status, 400, "{}", response.text());
    let none = ReadRequest { queries: Vec::new(), accepted_response_types: vec![1] };
    let response = ask(&server.http, &none);
    assert_eq!(
        (response.status, response.header("content-type"), response.body.len()),
        (200, Some(STREAMED), 0)
    );
}
