//! Remote reads answered with chunks, over the real port: the answers are those that Prometheus
//! 3.14.0 gives, whatever is stored and however; they take little memory however large they are,
//! and no client holds the server.

use crate::support::admin::Admin;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::points::{PointValue, Points};
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

/// The folder of the recorded reads.
const RECORDED: &str = "wire/read";
/// The most memory that one request may take over an idle server.
const MEMORY: u64 = 64 << 20;

/// What the log has goes to chunks of the newer encodings too.
const NEWER: &str = "--enable-feature=xor2-encoding,st-storage,histograms-st-encoding";

fn recorded(file: &str) -> Vec<u8> {
    std::fs::read(golden::folder(RECORDED).join(file)).expect("a recorded message can be read")
}

/// Writes points, a series a request.
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
    let raw = snap::raw::Decoder::new()
        .decompress_vec(body)
        .expect("the answer is snappy's block format");
    let response = ReadResponse::decode(raw.as_slice()).expect("the answer is a ReadResponse");
    let points = |series: &[TimeSeries]| {
        let mut points = Points::new();
        series.iter().for_each(|series| points.add_series(series));
        points
    };
    response.results.iter().map(|result| points(&result.timeseries)).collect()
}

/// Prometheus's answers with samples have 0 for -0.
fn without_negative_zero(points: &Points) -> Points {
    let mut changed = Points::new();
    for (labels, t, value) in points.iter() {
        let is_zero = *value == PointValue::Float((-0.0f64).to_bits());
        changed.add(labels, t, if is_zero { PointValue::Float(0) } else { value.clone() });
    }
    changed
}

#[test]
fn recorded_requests_are_answered_as_by_prometheus() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data"))
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
                // Frames, chunks and all: what is stored has Prometheus's chunks.
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

/// Of `golden_ooo_same_time` some samples were sent twice, late with 1000 more; either is right.
/// The late one for both.
fn with_late_values(returned: &Points, expected: &Points) -> Points {
    let mut changed = Points::new();
    for (labels, t, value) in returned.iter() {
        let late = match value {
            PointValue::Float(bits) if labels[0].1 == "golden_ooo_same_time" => {
                Some(PointValue::Float((f64::from_bits(*bits) + 1000.0).to_bits()))
            }
            _ => None,
        };
        let late = late.filter(|late| expected.get(labels, t) == Some(late));
        changed.add(labels, t, late.unwrap_or_else(|| value.clone()));
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

/// Reads a case, by a server with these flags, with and without newer encodings; which encodings
/// came each time.
fn is_streamed_as_by_prometheus(case: &str, flags: &[&str]) -> [Vec<i32>; 2] {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let expected = golden::expected(case);
    let starts = golden::expected_starts_of_every_kind(case);
    [None, Some("--storage.remote.read-raw-encodings")].map(|raw| {
        // Small frames, so that series are split.
        let launch = Launch::narthex(&data).flag("--storage.remote.read-max-bytes-in-frame=2000");
        let server = flags.iter().copied().chain(raw).fold(launch, Launch::flag).start();
        let answer = ask(&server.http, &everything(i64::MIN, i64::MAX, 1));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(STREAMED)));
        let frames = messages(&answer.body);
        let (points, found_starts) = contents(&frames);
        with_late_values(&points, &expected).assert_equals(&expected, &format!("{case}, {raw:?}"));
        assert_eq!(points.count(), server.remote().read_all_points().count());
        match raw {
            Some(_) => found_starts.assert_equals(&starts, &format!("{case}: start times")),
            None => assert_eq!(found_starts.count(), 0),
        }
        server.stop();
        encodings(&frames)
    })
}

#[test]
fn blocks_and_head_of_every_kind() {
    assert_eq!(
        is_streamed_as_by_prometheus("blocks-killed-after-compaction", &[]),
        [vec![1, 2, 3], vec![1, 2, 3]]
    );
}

#[test]
fn deletions_in_block_and_head() {
    is_streamed_as_by_prometheus("deletes", &[]);
}

#[test]
fn late_samples_in_the_head() {
    is_streamed_as_by_prometheus("ooo-killed", &[]);
}

#[test]
fn blocks_that_overlap() {
    is_streamed_as_by_prometheus("ooo-compacted-overlapping", &[]);
}

#[test]
fn xor2_chunks_are_sent_as_xor_unless_accepted() {
    let floats = &["--enable-feature=xor2-encoding"][..];
    assert_eq!(is_streamed_as_by_prometheus("xor2", floats), [vec![1, 2, 3], vec![2, 3, 4]]);
    assert_eq!(
        is_streamed_as_by_prometheus("xor2-switched", floats),
        [vec![1, 2, 3], vec![1, 2, 3, 4]]
    );
}

#[test]
fn start_times_are_dropped_unless_newer_encodings_are_asked_for() {
    let [older, newer] = is_streamed_as_by_prometheus("start-timestamps", &[NEWER]);
    assert!(older.iter().all(|encoding| *encoding <= 3), "{older:?}");
    assert!([4, 5, 6].iter().all(|encoding| newer.contains(encoding)), "{newer:?}");
}

#[test]
fn a_deletion_while_the_server_runs_is_not_sent() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data")).flag("--web.enable-admin-api").start();
    let base = 1_762_300_800_000;
    let points: Vec<(i64, f64)> = (0..300).map(|i| (base + i * 1000, i as f64)).collect();
    server.remote().write_ok(&WriteRequest::one(&[("__name__", "up")], &points));
    Admin::of(&server.http).delete("up", base + 50_000, base + 59_999);
    let (found, _) =
        contents(&messages(&ask(&server.http, &everything(i64::MIN, i64::MAX, 1)).body));
    let times: Vec<i64> = found.iter().map(|(_, t, _)| (t - base) / 1000).collect();
    assert_eq!(times, (0..50).chain(60..300).collect::<Vec<_>>());
}

/// A server that has about a megabyte, and a request whose answer has many times that.
fn with_a_megabyte(launch: Launch) -> Server {
    let server = launch.start();
    let base = 1_762_300_800_000;
    for series in 0..100 {
        // Values whose bits have no pattern.
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

/// Anonymous memory of a process, bytes.
fn anonymous_memory(pid: u32) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status of a process");
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .expect("a line of anonymous memory");
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number of KiB");
    kib << 10
}

fn reads_under_way(server: &Server) -> f64 {
    Metrics::of(&server.http)
        .sum("prometheus_remote_read_handler_queries")
        .expect("the gauge of reads")
}

#[test]
fn memory_stays_small_however_large_the_answer() {
    let place = dir::temp();
    let server = with_a_megabyte(Launch::narthex(&place.path().join("data")));
    let one = ask(&server.http, &everything(i64::MIN, i64::MAX, 1));
    assert!(one.body.len() > 500_000, "{} bytes", one.body.len());
    let pid = server.program.pid();
    let idle = anonymous_memory(pid);
    let mut read = SlowRead::begin(&server.http, &everything(i64::MIN, i64::MAX, 300));
    let (mut most, mut taken) = (0, 0);
    loop {
        let now = read.take(4 << 20);
        taken += now;
        most = most.max(anonymous_memory(pid));
        if now < 4 << 20 || taken > 290 * one.body.len() {
            break;
        }
    }
    assert!(read.ends_whole(), "the answer came to its end");
    assert!(taken > 200 << 20, "{taken} bytes");
    assert!(most < idle + MEMORY, "{most} bytes, {idle} when idle");
}

#[test]
fn a_client_that_goes_away_ends_the_read() {
    let place = dir::temp();
    let server = with_a_megabyte(Launch::narthex(&place.path().join("data")));
    let mut read = SlowRead::begin(&server.http, &everything(i64::MIN, i64::MAX, 1000));
    assert!(read.take(3 << 20) >= 3 << 20);
    assert_eq!(reads_under_way(&server), 1.0);
    drop(read);
    wait_until("the read to end", || reads_under_way(&server) == 0.0);
    let metrics = Metrics::of(&server.http);
    assert_eq!(
        metrics.sum("narthex_remote_read_frames_total"),
        Some(0.0),
        "it was not answered to its end"
    );
    assert_eq!(metrics.sum("narthex_response_bytes_in_flight"), Some(0.0));
}

#[test]
fn stalled_client_is_disconnected_and_holds_no_memory() {
    let place = dir::temp();
    let server =
        with_a_megabyte(Launch::narthex(&place.path().join("data")).flag("--web.read-timeout=2s"));
    let mut read = SlowRead::begin(&server.http, &everything(i64::MIN, i64::MAX, 1000));
    assert!(read.take(1) >= 1);
    wait_until("the read to end", || reads_under_way(&server) == 0.0);
    wait_until("its memory to be given back", || {
        Metrics::of(&server.http).sum("narthex_response_bytes_in_flight") == Some(0.0)
    });
    assert!(!read.ends_whole(), "what was cut off does not look whole");
}

#[test]
fn error_before_response_is_status_and_during_it_aborts() {
    let place = dir::temp();
    let data = golden::unpack("blocks-clean", place.path());
    let block = std::fs::read_dir(&data)
        .expect("the directory can be listed")
        .map(|entry| entry.expect("an entry").path());
    let mut blocks: Vec<_> = block.filter(|path| path.join("chunks/000001").exists()).collect();
    blocks.sort();
    // Not the newest, which is looked through at the start; its end, where the last series' chunks
    // are.
    let segment = blocks[0].join("chunks/000001");
    let mut bytes = std::fs::read(&segment).expect("a segment can be read");
    let at = bytes.len() - 20;
    bytes[at] ^= 0x10;
    std::fs::write(&segment, bytes).expect("a segment can be written");
    let server = Launch::narthex(&data).start();
    let answer = ask(&server.http, &everything(i64::MIN, i64::MAX, 1));
    assert_eq!(answer.status, 500, "{}", answer.text());
    // The same behind enough that is whole.
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
    assert!(!read.ends_whole(), "what was cut off does not look whole");
}

#[test]
fn a_bad_matcher_is_a_status_also_where_it_stands_last() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data")).start();
    server
        .remote()
        .write_ok(&WriteRequest::one(&[("__name__", "up")], &[(1_762_300_800_000, 1.0)]));
    let mut request = everything(i64::MIN, i64::MAX, 1);
    request
        .queries
        .push(Query { matchers: vec![Matcher::regex("a", "(")], ..request.queries[0].clone() });
    let answer = server.http.post(READ, &READ_HEADERS, &snappy(&request.encode_to_vec()));
    assert_eq!(answer.status, 400, "{}", answer.text());
    let none = ReadRequest { queries: Vec::new(), accepted_response_types: vec![1] };
    let answer = ask(&server.http, &none);
    assert_eq!(
        (answer.status, answer.header("content-type"), answer.body.len()),
        (200, Some(STREAMED), 0)
    );
}
