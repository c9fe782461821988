//! Response contract of writes: responses to invalid data, stored samples, and a valid write after
//! each.
//!
//! This file covers the data of a request, `contract_http.rs` covers HTTP, `grpc.rs` covers gRPC.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use tempfile::TempDir;

use crate::support::data::{BEGIN, HOUR, STALE};
use crate::support::dir;
use crate::support::good::GoodWrites;
use crate::support::launch::{Launch, Server};
use crate::support::remote::{MAX_TIME, MIN_TIME, WRITE, WRITE_HEADERS};
use crate::support::samples::Samples;
use crate::support::wire::{Label, Matcher, Sample, TimeSeries, WriteRequest, snappy};

/// Body of a write, and the expected response.
struct Row {
    context: &'static str,
    body: Vec<u8>,
    status: u16,
    /// Parts of the error message.
    message_parts: Vec<&'static str>,
}

/// Returns a row with any error message.
fn bytes(context: &'static str, body: Vec<u8>, status: u16) -> Row {
    Row { context, body, status, message_parts: Vec::new() }
}

/// Returns a row with series that are rejected with these parts of the error message.
fn rejected(context: &'static str, parts: &[&'static str], timeseries: Vec<TimeSeries>) -> Row {
    Row {
        context,
        body: WriteRequest { timeseries, ..WriteRequest::default() }.body(),
        status: 400,
        message_parts: parts.to_vec(),
    }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries::new(labels, samples)
}

/// Running server with its directory.
struct TestServer {
    server: Server,
    _temp_dir: TempDir,
}

impl std::ops::Deref for TestServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Sends every row to a new server, and a valid write after each. Returns the server.
fn run(rows: Vec<Row>) -> TestServer {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    let good = GoodWrites::default();
    good.one_more(&server, "the start");
    for row in rows {
        let response = server.http.post(WRITE, &WRITE_HEADERS, &row.body);
        let text = response.text();
        assert_eq!(response.status, row.status, "{}: {text}", row.context);
        for part in &row.message_parts {
            assert!(text.contains(part), "{}: {part:?} is not in {text:?}", row.context);
        }
        good.one_more(&server, row.context);
    }
    TestServer { server, _temp_dir: temp_dir }
}

/// Returns the stored samples except those of the valid writes after each row.
fn stored(server: &Server) -> Samples {
    server.remote().read(
        &[Matcher { kind: 1, name: "__name__".into(), value: "good".into() }],
        MIN_TIME,
        MAX_TIME,
    )
}

fn assert_stored(server: &Server, expected: &[TimeSeries], context: &str) {
    let mut samples = Samples::new();
    samples.add_request(&WriteRequest { timeseries: expected.to_vec(), ..WriteRequest::default() });
    stored(server).assert_equals(&samples, context);
}

fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    i64::try_from(elapsed.as_millis()).expect("a time in the range of i64")
}

#[test]
fn malformed_request_is_rejected_completely() {
    let valid =
        WriteRequest::one(&[("__name__", "valid"), ("a", &"b".repeat(500))], &[(BEGIN, 1.0)]);
    let raw = valid.encode_to_vec();
    let compressed = valid.body();
    let mut bad_utf8 = raw.clone();
    *bad_utf8.iter_mut().find(|byte| **byte == b'b').expect("a label value") = 0xff;
    let mut truncated_series = raw.clone();
    truncated_series.extend(&raw[..raw.len() - 1]);

    let server = run(vec![
        bytes("an empty body", Vec::new(), 400),
        bytes("truncated snappy", compressed[..compressed.len() - 3].to_vec(), 400),
        bytes("bytes after the end of snappy", [compressed.as_slice(), &[1, 2, 3]].concat(), 400),
        bytes("snappy with an offset before its start", vec![10, 0x05, 0xff, 0x05, 0xff], 400),
        bytes(
            "a declared length just under 4 GiB",
            vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'],
            413,
        ),
        bytes(
            "a declared length of 65 MiB",
            [&[0x80, 0x80, 0xc0, 0x20][..], &compressed[2..]].concat(),
            413,
        ),
        bytes("a declared length without end", vec![0xff; 20], 400),
        bytes("uncompressed", raw.clone(), 400),
        bytes("truncated protobuf", snappy(&raw[..raw.len() - 1]), 400),
        bytes("a complete series before a truncated one", snappy(&truncated_series), 400),
        bytes("bad UTF-8", snappy(&bad_utf8), 400),
        bytes("a field with number 0", snappy(&[0, 0]), 400),
        bytes("a length beyond the body", snappy(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]), 400),
    ]);
    assert_stored(&server, &[], "after malformed requests");
    let empty =
        server.remote().write(&WriteRequest { timeseries: Vec::new(), ..WriteRequest::default() });
    assert_eq!(empty.status, 204, "a request without series");
}

#[test]
fn invalid_labels_are_rejected() {
    let sample = [(BEGIN, 1.0)];
    let megabyte = "m".repeat(1 << 20);
    run(vec![
        rejected("no labels", &["label"], vec![series(&[], &sample)]),
        rejected("no metric name", &["nameless"], vec![series(&[("a", "nameless")], &sample)]),
        rejected(
            "an empty label name",
            &["unnamed"],
            vec![series(&[("", "x"), ("__name__", "unnamed")], &sample)],
        ),
        rejected(
            "an empty metric name",
            &["hollow"],
            vec![series(&[("__name__", ""), ("a", "hollow")], &sample)],
        ),
        rejected(
            "a duplicate name",
            &["twice"],
            vec![series(&[("__name__", "twice"), ("a", "x"), ("a", "x")], &sample)],
        ),
        rejected(
            "a duplicate name that is not adjacent",
            &["apart"],
            vec![series(&[("__name__", "apart"), ("a", "x"), ("b", "x"), ("a", "y")], &sample)],
        ),
        rejected(
            "a label value of 1 MiB",
            &["vast"],
            vec![series(&[("__name__", "vast"), ("a", &megabyte)], &sample)],
        ),
        rejected(
            "a label name of 1 MiB",
            &["wide"],
            vec![series(&[("__name__", "wide"), (&megabyte, "x")], &sample)],
        ),
    ]);
}

#[test]
fn label_order_and_empty_values_do_not_change_series() {
    let server = run(Vec::new());
    let variants: [&[(&str, &str)]; 5] = [
        &[("__name__", "one"), ("a", "1"), ("z", "é")],
        &[("z", "é"), ("a", "1"), ("__name__", "one")],
        &[("a", "1"), ("__name__", "one"), ("empty", ""), ("z", "é")],
        &[("__name__", "one"), ("a", "1"), ("b", ""), ("z", "é"), ("zz", "")],
        &[("", ""), ("__name__", "one"), ("a", "1"), ("z", "é")],
    ];
    for (number, labels) in (0..).zip(&variants[..4]) {
        server.remote().write_ok(&WriteRequest::one(labels, &[(BEGIN + number, 1.0)]));
    }
    let all: Vec<(i64, f64)> = (0..4).map(|number| (BEGIN + number, 1.0)).collect();
    assert_stored(&server, &[series(variants[0], &all)], "four variants of one series");
    let response = server.remote().write(&WriteRequest::one(variants[4], &[(BEGIN + 9, 1.0)]));
    assert_eq!(response.status, 400, "an empty name is an error, also with an empty value");

    // Several entries with equal labels in one request are one series.
    let parts =
        vec![series(variants[0], &[(BEGIN + 10, 1.0)]), series(variants[2], &[(BEGIN + 11, 2.0)])];
    server.remote().write_ok(&WriteRequest { timeseries: parts, ..WriteRequest::default() });
    let longer = [all.as_slice(), &[(BEGIN + 10, 1.0), (BEGIN + 11, 2.0)]].concat();
    assert_stored(&server, &[series(variants[0], &longer)], "two entries of one series");
}

#[test]
fn floats_are_stored_bit_for_bit() {
    let server = run(Vec::new());
    let payloads = [
        STALE,
        0x7ff8_0000_0000_0001,
        0x7ff8_0000_0000_0000,
        0xfff8_0000_0000_1234,
        0x7ff0_0000_0000_0001,
    ];
    let plain =
        [0.0, 1.5, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE / 4.0, -1e-300];
    let bits: Vec<u64> = plain.iter().map(|value| value.to_bits()).chain(payloads).collect();
    let samples = (0..)
        .zip(&bits)
        .map(|(number, &bits)| Sample { bits: Some(bits), timestamp: BEGIN + number });
    let labels = vec![Label { name: "__name__".into(), value: "floats".into() }];
    let odd = TimeSeries { labels, samples: samples.collect(), ..TimeSeries::default() };
    server
        .remote()
        .write_ok(&WriteRequest { timeseries: vec![odd.clone()], ..WriteRequest::default() });
    assert_stored(&server, &[odd], "odd floats");
}

#[test]
fn samples_outside_time_bounds_are_rejected_with_reason() {
    let later = now() + HOUR;
    let server = run(vec![
        rejected(
            "an hour ahead",
            &["ahead", "future"],
            vec![series(&[("__name__", "ahead")], &[(later, 1.0)])],
        ),
        rejected(
            "the maximum timestamp",
            &["end", "future"],
            vec![series(&[("__name__", "end")], &[(i64::MAX, 1.0)])],
        ),
        rejected(
            "decades before",
            &["ages", "too old"],
            vec![series(&[("__name__", "ages")], &[(0, 1.0)])],
        ),
        rejected(
            "the minimum timestamp",
            &["lowest", "timestamp out of range"],
            vec![series(&[("__name__", "lowest")], &[(i64::MIN, 1.0)])],
        ),
        rejected(
            "hours before stored samples",
            &["before", "too old"],
            vec![series(&[("__name__", "before")], &[(BEGIN - 3 * HOUR, 1.0)])],
        ),
    ]);
    assert_stored(&server, &[], "after samples outside time bounds");
    let soon = now() + HOUR / 12;
    let near = series(&[("__name__", "near")], &[(soon, 1.0)]);
    server.remote().write_ok(&WriteRequest { timeseries: vec![near], ..WriteRequest::default() });
}

#[test]
fn duplicates_are_detected_by_timestamp_and_bits() {
    let labels = [("__name__", "checked")];
    let nan = f64::from_bits(STALE);
    let stored: Vec<(i64, f64)> =
        (0..300).map(|number| (BEGIN + number * 1000, number as f64)).collect();
    let one = |sample: (i64, f64)| WriteRequest::one(&labels, &[sample]);
    let server = run(Vec::new());
    server.remote().write_ok(&WriteRequest::one(&labels, &stored));
    server.remote().write_ok(&WriteRequest::one(&labels, &[(BEGIN + 400_000, nan)]));

    let table = [
        ("the newest sample again", one((BEGIN + 400_000, nan)), 204, ""),
        ("the newest timestamp with another value", one((BEGIN + 400_000, 7.0)), 400, "duplicate"),
        (
            "the newest timestamp with another NaN",
            one((BEGIN + 400_000, f64::NAN)),
            400,
            "duplicate",
        ),
        ("an older sample again", one(stored[299]), 204, ""),
        ("a sample of a sealed chunk again", one(stored[5]), 204, ""),
        ("an older timestamp with another value", one((stored[5].0, -1.0)), 400, "duplicate"),
        ("between two older samples", one((stored[5].0 + 1, -1.0)), 204, ""),
        ("the sample between them again", one((stored[5].0 + 1, -1.0)), 204, ""),
        ("its timestamp with another value", one((stored[5].0 + 1, -2.0)), 400, "duplicate"),
        ("older than the window", one((BEGIN - 2 * HOUR, -1.0)), 400, "too old"),
        ("all samples again", WriteRequest::one(&labels, &stored), 204, ""),
    ];
    for (context, request, status, part) in table {
        let response = server.remote().write(&request);
        assert_eq!(response.status, status, "{context}: {}", response.text());
        assert!(response.text().contains(part), "{context}: {:?}", response.text());
    }
    let all = [stored.as_slice(), &[(stored[5].0 + 1, -1.0), (BEGIN + 400_000, nan)]].concat();
    assert_stored(&server, &[series(&labels, &all)], "after duplicates");
}

#[test]
fn partially_invalid_request_stores_valid_and_counts_rejected() {
    let server = run(Vec::new());
    let known = series(&[("__name__", "known")], &[(BEGIN, 1.0), (BEGIN + 10, 2.0)]);
    server.remote().write_ok(&WriteRequest { timeseries: vec![known], ..WriteRequest::default() });

    let mixed = vec![
        series(
            &[("__name__", "known")],
            &[(BEGIN, 9.0), (BEGIN - 3 * HOUR, 9.0), (BEGIN + 5, 9.0), (BEGIN + 20, 3.0)],
        ),
        series(&[("a", "nameless")], &[(BEGIN, 1.0), (BEGIN + 1, 1.0)]),
        series(
            &[("__name__", "new")],
            &[(BEGIN, 1.0), (BEGIN, 1.0), (BEGIN, 2.0), (BEGIN + 1, 3.0)],
        ),
    ];
    let response =
        server.remote().write(&WriteRequest { timeseries: mixed, ..WriteRequest::default() });
    let text = response.text();
    assert_eq!(response.status, 400, "{text}");
    for part in ["duplicate", "too old", "known", "nameless", "new"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let expected = [
        series(
            &[("__name__", "known")],
            &[(BEGIN, 1.0), (BEGIN + 5, 9.0), (BEGIN + 10, 2.0), (BEGIN + 20, 3.0)],
        ),
        series(&[("__name__", "new")], &[(BEGIN, 1.0), (BEGIN + 1, 3.0)]),
    ];
    assert_stored(&server, &expected, "after a partially invalid request");
}

#[test]
fn series_over_limit_are_rejected_and_known_ones_accepted() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.tsdb.max-active-series=3")
        .start();
    let good = GoodWrites::default();
    good.one_more(&server, "the start");
    let many: Vec<String> = (0..5).map(|number| format!("s{number}")).collect();
    let many = many.iter().map(|name| series(&[("__name__", name)], &[(BEGIN, 1.0)])).collect();
    let response =
        server.remote().write(&WriteRequest { timeseries: many, ..WriteRequest::default() });
    assert_eq!(response.status, 400, "{}", response.text());
    assert!(
        response.text().contains("s2") && response.text().contains("limit"),
        "{}",
        response.text()
    );
    good.one_more(&server, "too many series");
    let first = [
        series(&[("__name__", "s0")], &[(BEGIN, 1.0)]),
        series(&[("__name__", "s1")], &[(BEGIN, 1.0)]),
    ];
    assert_stored(&server, &first, "after too many series");
}
