//! What a write is answered: every kind of bad data, what of it is stored, and that a good write
//! works right after.
//!
//! The rows here are about the data in a request; those about HTTP itself are in
//! `contract_http.rs`, those over gRPC in `grpc.rs`.

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

/// Bytes that are sent as a write, and what they are answered.
struct Row {
    what: &'static str,
    body: Vec<u8>,
    status: u16,
    says: Vec<&'static str>,
}

/// A row whose answer says nothing in particular.
fn bytes(what: &'static str, body: Vec<u8>, status: u16) -> Row {
    Row { what, body, status, says: Vec::new() }
}

/// A row with series, refused for the reason given; the answer names the first of them.
fn refused(what: &'static str, says: &[&'static str], timeseries: Vec<TimeSeries>) -> Row {
    Row {
        what,
        body: WriteRequest { timeseries, ..WriteRequest::default() }.body(),
        status: 400,
        says: says.to_vec(),
    }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries::new(labels, samples)
}

/// A narthex with its directory.
struct Bench {
    server: Server,
    _place: TempDir,
}

impl std::ops::Deref for Bench {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Sends every row to a narthex of its own, a good write after each; gives the server for more.
fn run(rows: Vec<Row>) -> Bench {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data")).start();
    let good = GoodWrites::default();
    good.one_more(&server, "nothing");
    for row in rows {
        let answer = server.http.post(WRITE, &WRITE_HEADERS, &row.body);
        let text = answer.text();
        assert_eq!(answer.status, row.status, "{}: {text}", row.what);
        for part in &row.says {
            assert!(text.contains(part), "{}: {part:?} is not in {text:?}", row.what);
        }
        good.one_more(&server, row.what);
    }
    Bench { server, _place: place }
}

/// What is stored besides the good writes.
fn stored(server: &Server) -> Samples {
    server.remote().read(
        &[Matcher { kind: 1, name: "__name__".into(), value: "good".into() }],
        MIN_TIME,
        MAX_TIME,
    )
}

fn stored_is(server: &Server, expected: &[TimeSeries], what: &str) {
    let mut samples = Samples::new();
    samples.add_request(&WriteRequest { timeseries: expected.to_vec(), ..WriteRequest::default() });
    stored(server).assert_equals(&samples, what);
}

fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    i64::try_from(elapsed.as_millis()).expect("the clock is before the end of time")
}

#[test]
fn bytes_that_are_no_request_are_refused_whole() {
    let whole =
        WriteRequest::one(&[("__name__", "whole"), ("a", &"b".repeat(500))], &[(BEGIN, 1.0)]);
    let raw = whole.encode_to_vec();
    let packed = whole.body();
    let mut bad_utf8 = raw.clone();
    *bad_utf8.iter_mut().find(|byte| **byte == b'b').expect("there is a b") = 0xff;
    let mut half_a_request = raw.clone();
    half_a_request.extend(&raw[..raw.len() - 1]);

    let server = run(vec![
        bytes("an empty body", Vec::new(), 400),
        bytes("snappy cut off", packed[..packed.len() - 3].to_vec(), 400),
        bytes("bytes after the end of snappy", [packed.as_slice(), &[1, 2, 3]].concat(), 400),
        bytes("snappy that points before its beginning", vec![10, 0x05, 0xff, 0x05, 0xff], 400),
        bytes(
            "a declared length just under 4 GiB",
            vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'],
            413,
        ),
        bytes(
            "a declared length of 65 MiB",
            [&[0x80, 0x80, 0xc0, 0x20][..], &packed[2..]].concat(),
            413,
        ),
        bytes("a declared length without end", vec![0xff; 20], 400),
        bytes("no snappy at all", raw.clone(), 400),
        bytes("protobuf cut off", snappy(&raw[..raw.len() - 1]), 400),
        bytes("a whole series before one that is cut off", snappy(&half_a_request), 400),
        bytes("bad UTF-8", snappy(&bad_utf8), 400),
        bytes("a field with number 0", snappy(&[0, 0]), 400),
        bytes("a length beyond the body", snappy(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]), 400),
    ]);
    stored_is(&server, &[], "after bytes that are no request");
    let empty =
        server.remote().write(&WriteRequest { timeseries: Vec::new(), ..WriteRequest::default() });
    assert_eq!(empty.status, 204, "a request without series");
}

#[test]
fn labels_that_make_no_series_are_refused() {
    let sample = [(BEGIN, 1.0)];
    let megabyte = "m".repeat(1 << 20);
    run(vec![
        refused("no labels", &["label"], vec![series(&[], &sample)]),
        refused("no metric name", &["nameless"], vec![series(&[("a", "nameless")], &sample)]),
        refused(
            "an empty label name",
            &["unnamed"],
            vec![series(&[("", "x"), ("__name__", "unnamed")], &sample)],
        ),
        refused(
            "an empty metric name",
            &["hollow"],
            vec![series(&[("__name__", ""), ("a", "hollow")], &sample)],
        ),
        refused(
            "a name twice",
            &["twice"],
            vec![series(&[("__name__", "twice"), ("a", "x"), ("a", "x")], &sample)],
        ),
        refused(
            "a name twice, apart",
            &["apart"],
            vec![series(&[("__name__", "apart"), ("a", "x"), ("b", "x"), ("a", "y")], &sample)],
        ),
        refused(
            "a label value of 1 MiB",
            &["vast"],
            vec![series(&[("__name__", "vast"), ("a", &megabyte)], &sample)],
        ),
        refused(
            "a label name of 1 MiB",
            &["wide"],
            vec![series(&[("__name__", "wide"), (&megabyte, "x")], &sample)],
        ),
    ]);
}

#[test]
fn labels_in_any_order_and_empty_values_lead_to_one_series() {
    let server = run(Vec::new());
    let ways: [&[(&str, &str)]; 5] = [
        &[("__name__", "one"), ("a", "1"), ("z", "é")],
        &[("z", "é"), ("a", "1"), ("__name__", "one")],
        &[("a", "1"), ("__name__", "one"), ("empty", ""), ("z", "é")],
        &[("__name__", "one"), ("a", "1"), ("b", ""), ("z", "é"), ("zz", "")],
        &[("", ""), ("__name__", "one"), ("a", "1"), ("z", "é")],
    ];
    for (number, labels) in (0..).zip(&ways[..4]) {
        server.remote().write_ok(&WriteRequest::one(labels, &[(BEGIN + number, 1.0)]));
    }
    let all: Vec<(i64, f64)> = (0..4).map(|number| (BEGIN + number, 1.0)).collect();
    stored_is(&server, &[series(ways[0], &all)], "four ways to write one series");
    let answer = server.remote().write(&WriteRequest::one(ways[4], &[(BEGIN + 9, 1.0)]));
    assert_eq!(answer.status, 400, "an empty name stays an error also with an empty value");

    // Several entries of equal labels in one request are one series as well.
    let parts = vec![series(ways[0], &[(BEGIN + 10, 1.0)]), series(ways[2], &[(BEGIN + 11, 2.0)])];
    server.remote().write_ok(&WriteRequest { timeseries: parts, ..WriteRequest::default() });
    let longer = [all.as_slice(), &[(BEGIN + 10, 1.0), (BEGIN + 11, 2.0)]].concat();
    stored_is(&server, &[series(ways[0], &longer)], "two entries of one series");
}

#[test]
fn every_float_is_stored_with_its_bits() {
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
    stored_is(&server, &[odd], "odd floats");
}

#[test]
fn samples_far_away_in_time_are_refused_with_the_reason() {
    let later = now() + HOUR;
    let server = run(vec![
        refused(
            "an hour ahead",
            &["ahead", "future"],
            vec![series(&[("__name__", "ahead")], &[(later, 1.0)])],
        ),
        refused(
            "the last moment",
            &["end", "future"],
            vec![series(&[("__name__", "end")], &[(i64::MAX, 1.0)])],
        ),
        refused(
            "ages before",
            &["ages", "too old"],
            vec![series(&[("__name__", "ages")], &[(0, 1.0)])],
        ),
        refused(
            "before all storable times",
            &["lowest", "timestamp out of range"],
            vec![series(&[("__name__", "lowest")], &[(i64::MIN, 1.0)])],
        ),
        refused(
            "hours before what there is",
            &["before", "too old"],
            vec![series(&[("__name__", "before")], &[(BEGIN - 3 * HOUR, 1.0)])],
        ),
    ]);
    stored_is(&server, &[], "after times far away");
    let soon = now() + HOUR / 12;
    let near = series(&[("__name__", "near")], &[(soon, 1.0)]);
    server.remote().write_ok(&WriteRequest { timeseries: vec![near], ..WriteRequest::default() });
}

#[test]
fn a_sample_against_what_is_stored_is_judged_by_time_and_bits() {
    let labels = [("__name__", "judged")];
    let nan = f64::from_bits(STALE);
    let stored: Vec<(i64, f64)> =
        (0..300).map(|number| (BEGIN + number * 1000, number as f64)).collect();
    let one = |sample: (i64, f64)| WriteRequest::one(&labels, &[sample]);
    let server = run(Vec::new());
    server.remote().write_ok(&WriteRequest::one(&labels, &stored));
    server.remote().write_ok(&WriteRequest::one(&labels, &[(BEGIN + 400_000, nan)]));

    let table = [
        ("the newest once more", one((BEGIN + 400_000, nan)), 204, ""),
        ("the newest with another value", one((BEGIN + 400_000, 7.0)), 400, "duplicate"),
        (
            "the newest with another not-a-number",
            one((BEGIN + 400_000, f64::NAN)),
            400,
            "duplicate",
        ),
        ("an older one once more", one(stored[299]), 204, ""),
        ("one of a full chunk once more", one(stored[5]), 204, ""),
        ("an older one with another value", one((stored[5].0, -1.0)), 400, "duplicate"),
        ("between two older ones", one((stored[5].0 + 1, -1.0)), 204, ""),
        ("between them once more", one((stored[5].0 + 1, -1.0)), 204, ""),
        ("between them with another value", one((stored[5].0 + 1, -2.0)), 400, "duplicate"),
        ("older than the window", one((BEGIN - 2 * HOUR, -1.0)), 400, "too old"),
        ("all of it once more", WriteRequest::one(&labels, &stored), 204, ""),
    ];
    for (what, request, status, says) in table {
        let answer = server.remote().write(&request);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(answer.text().contains(says), "{what}: {:?}", answer.text());
    }
    let all = [stored.as_slice(), &[(stored[5].0 + 1, -1.0), (BEGIN + 400_000, nan)]].concat();
    stored_is(&server, &[series(&labels, &all)], "after repeats and conflicts");
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
    let answer =
        server.remote().write(&WriteRequest { timeseries: mixed, ..WriteRequest::default() });
    let text = answer.text();
    assert_eq!(answer.status, 400, "{text}");
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
    stored_is(&server, &expected, "after a partly bad request");
}

#[test]
fn new_series_over_the_limit_are_refused_and_known_ones_go_on() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data"))
        .flag("--storage.tsdb.max-active-series=3")
        .start();
    let good = GoodWrites::default();
    good.one_more(&server, "nothing");
    let many: Vec<String> = (0..5).map(|number| format!("s{number}")).collect();
    let many = many.iter().map(|name| series(&[("__name__", name)], &[(BEGIN, 1.0)])).collect();
    let answer =
        server.remote().write(&WriteRequest { timeseries: many, ..WriteRequest::default() });
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("s2") && answer.text().contains("limit"), "{}", answer.text());
    good.one_more(&server, "too many series");
    let first = [
        series(&[("__name__", "s0")], &[(BEGIN, 1.0)]),
        series(&[("__name__", "s1")], &[(BEGIN, 1.0)]),
    ];
    stored_is(&server, &first, "after too many series");
}
