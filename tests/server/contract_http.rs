//! Response contract of HTTP: methods, content types, encodings, sizes, connections, and invalid
//! reads.

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

/// Starts a server with low limits.
fn start() -> (tempfile::TempDir, Server) {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.remote.write-max-body-size=1MB")
        .flag("--storage.remote.write-max-decoded-size=2MB")
        .flag("--storage.remote.read-sample-limit=1000")
        .start();
    (temp_dir, server)
}

fn small_request() -> WriteRequest {
    WriteRequest::one(&[("__name__", "small")], &[(BEGIN, 1.0)])
}

#[test]
fn unsupported_method_type_or_encoding_is_rejected() {
    let (_temp_dir, server) = start();
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
        ("neither type nor encoding, as in Prometheus", "POST", vec![], 204),
        ("the full message name", "POST", vec![v1, SNAPPY], 204),
        (
            "upper and lower case",
            "POST",
            vec![("content-type", "Application/X-Protobuf"), ("content-encoding", "SNAPPY")],
            204,
        ),
    ];
    for (context, method, headers, status) in table {
        let body = (method != "GET").then_some(body.as_slice());
        let response = server.http.send(method, WRITE, &headers, body).expect("a response");
        assert_eq!(response.status, status, "{context}: {}", response.text());
        good.one_more(&server, context);
    }
    assert_eq!(server.http.get("/api/v1/nothing").status, 404);
}

#[test]
fn body_over_limit_is_rejected_before_it_is_read() {
    let (_temp_dir, server) = start();
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
        assert_eq!(connection.read_first_status(), Some(413), "length {length}");
        good.one_more(&server, length);
    }

    let mut connection = server.http.connect();
    connection.write(head("Transfer-Encoding: chunked").as_bytes());
    for _ in 0..20 {
        connection.write(b"10000\r\n");
        connection.write(&[0; 0x10000]);
        connection.write(b"\r\n");
    }
    assert_eq!(connection.read_first_status(), Some(413), "a large chunked body");
    good.one_more(&server, "a large chunked body");

    let bomb =
        WriteRequest::one(&[("__name__", "bomb"), ("a", &"x".repeat(3 << 20))], &[(BEGIN, 1.0)])
            .body();
    assert!(bomb.len() < 1 << 20);
    let response = server.http.post(WRITE, &WRITE_HEADERS, &bomb);
    assert_eq!(response.status, 413, "decompression bomb: {}", response.text());
    good.one_more(&server, "a bomb");
}

#[test]
fn concurrent_writes_over_limit_get_retry_after() {
    let temp_dir = dir::temp();
    let marker = temp_dir.path().join("marker");
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.remote.write-concurrent-limit=1")
        .flag("--storage.remote.write-queue-limit=1")
        .env("NARTHEX_FAULT_POINTS", format!("wal.before_write=pause:{}", marker.display()))
        .start();
    let remote = server.remote();
    std::thread::scope(|scope| {
        // One write is paused while it is stored, another one waits in the queue. A third one is
        // rejected.
        let held = scope.spawn(|| remote.write(&small_request()).status);
        wait_until("a paused write", || marker.exists());
        let others: Vec<_> =
            (0..2).map(|_| scope.spawn(|| remote.write(&small_request()))).collect();
        wait_until("a rejected write", || {
            others.iter().any(std::thread::ScopedJoinHandle::is_finished)
        });
        std::fs::remove_file(&marker).expect("the marker can be removed");
        let others: Vec<_> =
            others.into_iter().map(|other| other.join().expect("no panic")).collect();
        let rejected =
            others.iter().find(|response| response.status == 503).expect("a rejected write");
        let seconds: u32 =
            rejected.header("retry-after").expect("a Retry-After").parse().expect("seconds");
        assert!((1..=5).contains(&seconds), "Retry-After is {seconds}");
        assert!(others.iter().any(|response| response.status == 204), "the queued write is stored");
        assert_eq!(held.join().expect("no panic"), 204);
    });
    GoodWrites::default().one_more(&server, "overload");
}

#[test]
fn slow_and_broken_connections_do_not_affect_others() {
    let (_temp_dir, server) = start();
    let good = GoodWrites::default();
    let body = small_request().body();
    let head = format!(
        "POST {WRITE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let message = [head.as_bytes(), &body].concat();

    let broken: [(&str, &[u8]); 5] = [
        ("half a body", &message[..message.len() - body.len() / 2]),
        ("half a head", &message[..head.len() / 2]),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n"),
        ("half a preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\n"),
        ("nothing", b""),
    ];
    for (context, bytes) in broken {
        let mut connection = server.http.connect();
        connection.write(bytes);
        let status = connection.finish();
        assert!(
            status.is_none_or(|status| status == 400 || status == 408),
            "{context}: {status:?}"
        );
        good.one_more(&server, context);
    }

    // Many idle connections do not block others.
    let idle: Vec<_> = (0..100).map(|_| server.http.connect()).collect();
    good.one_more(&server, "idle connections");
    drop(idle);

    let mut connection = server.http.connect();
    for byte in &message {
        connection.write(std::slice::from_ref(byte));
    }
    assert_eq!(connection.read_status(), Some(204), "byte by byte");
    good.one_more(&server, "a slow sender");
    let stored = server.remote().read(&[Matcher::equal("__name__", "small")], 0, MAX_TIME);
    assert_eq!(stored.count(), 1, "only the complete request is stored");
}

#[test]
fn invalid_read_is_rejected_and_next_write_works() {
    let (_temp_dir, server) = start();
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
            "a repetition bomb",
            ask(vec![Matcher::regex("__name__", &"(x{500}|y{500}){500}".repeat(20))]),
        ),
        ("a backreference", ask(vec![Matcher::regex("__name__", r"(a)\1")])),
        (
            "an unknown matcher type",
            ask(vec![Matcher { kind: 9, name: "a".into(), value: "b".into() }]),
        ),
        ("more samples than the limit", ask(vec![Matcher::equal("__name__", "many")])),
    ];
    for (context, request) in table {
        let response = server.remote().ask(&request);
        assert_eq!(response.status, 400, "{context}: {}", response.text());
        good.one_more(&server, context);
    }
    let long = format!("({})+", "a?".repeat(2000));
    let response = server.remote().ask(&ask(vec![Matcher::regex("__name__", &long)]));
    assert!(
        matches!(response.status, 200 | 400),
        "a long regex: {} {}",
        response.status,
        response.text()
    );
    good.one_more(&server, "a long regex");

    let raw = ask(vec![Matcher::equal("__name__", "good")]).encode_to_vec();
    let broken: [(&str, &[u8]); 3] = [
        ("no snappy", &raw),
        ("an empty body", b""),
        ("a huge length", &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (context, body) in broken {
        let response = server.http.post(READ, &crate::support::remote::READ_HEADERS, body);
        assert!(
            matches!(response.status, 400 | 413),
            "{context}: {} {}",
            response.status,
            response.text()
        );
        good.one_more(&server, context);
    }
    assert_eq!(server.http.get(READ).status, 405, "a read by GET");
}
