//! What HTTP itself may get wrong: methods, types, encodings, sizes, connections; and what a read
//! may ask for.

use prost::Message;

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::good::GoodWrites;
use crate::support::launch::{Launch, Server};
use crate::support::remote::{MAX_TIME, READ, WRITE, WRITE_HEADERS};
use crate::support::wait::wait_until;
use crate::support::wire::{Matcher, Query, ReadRequest, WriteRequest};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const SNAPPY: (&str, &str) = ("Content-Encoding", "snappy");

/// A narthex whose limits are small enough to be passed.
fn start() -> (tempfile::TempDir, Server) {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data"))
        .flag("--storage.remote.write-max-body-size=1MB")
        .flag("--storage.remote.write-max-decoded-size=2MB")
        .flag("--storage.remote.read-sample-limit=1000")
        .start();
    (place, server)
}

fn small_request() -> WriteRequest {
    WriteRequest::one(&[("__name__", "small")], &[(BEGIN, 1.0)])
}

#[test]
fn a_wrong_method_type_or_encoding_is_refused() {
    let (_place, server) = start();
    let good = GoodWrites::default();
    let body = small_request().body();
    let v1 = ("Content-Type", "application/x-protobuf; proto=prometheus.WriteRequest");
    let table = [
        ("JSON", "POST", vec![("Content-Type", "application/json"), SNAPPY], 415),
        (
            "an unknown message",
            "POST",
            vec![("Content-Type", "application/x-protobuf;proto=x.Y"), SNAPPY],
            415,
        ),
        ("gzip", "POST", vec![PROTOBUF, ("Content-Encoding", "gzip")], 415),
        ("two encodings", "POST", vec![PROTOBUF, ("Content-Encoding", "snappy, gzip")], 415),
        ("GET", "GET", vec![PROTOBUF, SNAPPY], 405),
        ("PUT", "PUT", vec![PROTOBUF, SNAPPY], 405),
        ("neither type nor encoding, as Prometheus takes it", "POST", vec![], 204),
        ("the message's full name", "POST", vec![v1, SNAPPY], 204),
        (
            "names in other letters",
            "POST",
            vec![("content-type", "Application/X-Protobuf"), ("content-encoding", "SNAPPY")],
            204,
        ),
    ];
    for (what, method, headers, status) in table {
        let body = (method != "GET").then_some(body.as_slice());
        let answer = server.http.send(method, WRITE, &headers, body).expect("an answer comes");
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        good.one_more(&server, what);
    }
    assert_eq!(server.http.get("/api/v1/nothing").status, 404);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let (_place, server) = start();
    let good = GoodWrites::default();
    let head = |length: &str| {
        format!(
            "POST {WRITE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n{length}\r\n\r\n"
        )
    };

    for length in ["1048577", "4294967296", "9223372036854775807"] {
        let mut connection = server.http.connect();
        connection.write(head(&format!("Content-Length: {length}")).as_bytes());
        connection.write(&[0; 100]);
        assert_eq!(connection.read_first_status(), Some(413), "a length of {length}");
        good.one_more(&server, length);
    }

    let mut connection = server.http.connect();
    connection.write(head("Transfer-Encoding: chunked").as_bytes());
    for _ in 0..20 {
        connection.write(b"10000\r\n");
        connection.write(&[0; 0x10000]);
        connection.write(b"\r\n");
    }
    let status = connection.read_first_status();
    assert!(status.is_none_or(|status| status == 413), "a long body in pieces: {status:?}");
    good.one_more(&server, "a long body in pieces");

    let bomb =
        WriteRequest::one(&[("__name__", "bomb"), ("a", &"x".repeat(3 << 20))], &[(BEGIN, 1.0)])
            .body();
    assert!(bomb.len() < 1 << 20);
    let answer = server.http.post(WRITE, &WRITE_HEADERS, &bomb);
    assert_eq!(answer.status, 413, "much out of little: {}", answer.text());
    good.one_more(&server, "a bomb");
}

#[test]
fn more_writes_at_once_than_the_limit_are_asked_to_come_back() {
    let place = dir::temp();
    let marker = place.path().join("marker");
    let server = Launch::narthex(&place.path().join("data"))
        .flag("--storage.remote.write-concurrent-limit=1")
        .flag("--storage.remote.write-queue-limit=1")
        .env("NARTHEX_FAULT_POINTS", format!("wal.before_write=pause:{}", marker.display()))
        .start();
    let remote = server.remote();
    std::thread::scope(|scope| {
        // One is being stored and held there, another one waits for its turn: there is no room for
        // a third.
        let held = scope.spawn(|| remote.write(&small_request()).status);
        wait_until("a write to be held", || marker.exists());
        let others: Vec<_> =
            (0..2).map(|_| scope.spawn(|| remote.write(&small_request()))).collect();
        wait_until("a write to be turned away", || {
            others.iter().any(std::thread::ScopedJoinHandle::is_finished)
        });
        std::fs::remove_file(&marker).expect("the marker can be removed");
        let others: Vec<_> =
            others.into_iter().map(|other| other.join().expect("no panic")).collect();
        let refused =
            others.iter().find(|answer| answer.status == 503).expect("one is turned away");
        let seconds: u32 =
            refused.header("retry-after").expect("a time to wait").parse().expect("whole seconds");
        assert!((1..=5).contains(&seconds), "Retry-After is {seconds}");
        assert!(others.iter().any(|answer| answer.status == 204), "the one that waited is stored");
        assert_eq!(held.join().expect("no panic"), 204);
    });
    GoodWrites::default().one_more(&server, "overload");
}

#[test]
fn slow_and_broken_connections_cost_only_themselves() {
    let (_place, server) = start();
    let good = GoodWrites::default();
    let body = small_request().body();
    let head = format!(
        "POST {WRITE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let whole = [head.as_bytes(), &body].concat();

    let broken: [(&str, &[u8]); 5] = [
        ("half a body", &whole[..whole.len() - body.len() / 2]),
        ("half a head", &whole[..head.len() / 2]),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n"),
        ("half a preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\n"),
        ("nothing", b""),
    ];
    for (what, bytes) in broken {
        let mut connection = server.http.connect();
        connection.write(bytes);
        let status = connection.finish();
        assert!(status.is_none_or(|status| status == 400 || status == 408), "{what}: {status:?}");
        good.one_more(&server, what);
    }

    // Many connections that never say what they want do not keep others out.
    let idle: Vec<_> = (0..100).map(|_| server.http.connect()).collect();
    good.one_more(&server, "idle connections");
    drop(idle);

    let mut connection = server.http.connect();
    for byte in &whole {
        connection.write(std::slice::from_ref(byte));
    }
    assert_eq!(connection.read_status(), Some(204), "byte by byte");
    good.one_more(&server, "a slow sender");
    let stored = server.remote().read(&[Matcher::equal("__name__", "small")], 0, MAX_TIME);
    assert_eq!(stored.count(), 1, "only the whole request was stored");
}

#[test]
fn a_bad_question_is_refused_and_the_next_one_answered() {
    let (_place, server) = start();
    let good = GoodWrites::default();
    let ask = |matchers: Vec<Matcher>| ReadRequest {
        queries: vec![Query { start: 0, end: MAX_TIME, matchers, hints: None }],
        accepted_response_types: Vec::new(),
    };
    let many: Vec<(i64, f64)> = (0..1001).map(|number| (BEGIN + number, 1.0)).collect();
    server.remote().write_ok(&WriteRequest::one(&[("__name__", "many")], &many));
    let table = [
        ("an invalid regex", ask(vec![Matcher::regex("__name__", "a(")])),
        (
            "a regex bomb",
            ask(vec![Matcher::regex("__name__", "((((a{1000}){1000}){1000}){1000})")]),
        ),
        (
            "a bomb of repetitions",
            ask(vec![Matcher::regex("__name__", &"(x{500}|y{500}){500}".repeat(20))]),
        ),
        ("a backreference", ask(vec![Matcher::regex("__name__", r"(a)\1")])),
        (
            "an unknown kind of matcher",
            ask(vec![Matcher { kind: 9, name: "a".into(), value: "b".into() }]),
        ),
        ("more samples than the limit", ask(vec![Matcher::equal("__name__", "many")])),
    ];
    for (what, request) in table {
        let answer = server.remote().ask(&request);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        good.one_more(&server, what);
    }
    let long = format!("({})+", "a?".repeat(2000));
    let answer = server.remote().ask(&ask(vec![Matcher::regex("__name__", &long)]));
    assert!(
        matches!(answer.status, 200 | 400),
        "a long regex: {} {}",
        answer.status,
        answer.text()
    );
    good.one_more(&server, "a long regex");

    let raw = ask(vec![Matcher::equal("__name__", "good")]).encode_to_vec();
    let broken: [(&str, &[u8]); 3] = [
        ("no snappy", &raw),
        ("nothing", b""),
        ("a great length", &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (what, body) in broken {
        let answer = server.http.post(READ, &crate::support::remote::READ_HEADERS, body);
        assert!(matches!(answer.status, 400 | 413), "{what}: {} {}", answer.status, answer.text());
        good.one_more(&server, what);
    }
    assert_eq!(server.http.get(READ).status, 405, "a read by GET");
}
