//! Write streams to the real server over a socket. Acknowledged requests are stored once across
//! kills, a sender that is too fast or reads no acks gets backpressure, and a shutdown ends streams
//! cleanly.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::Code;

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::export::export_points;
use crate::support::good::GoodWrites;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::metrics::Metrics;
use crate::support::points::Points;
use crate::support::seed::seeded;
use crate::support::stream::{AckWindow, Resuming, WriteStream, numbered};
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

const EXPORT_ALL: &str = "/api/v1/export?match[]=%7B__name__%3D~%22stream.%2B%22%7D";
const EXEMPLARS: &str = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// Number of values in an export, duplicates included.
fn exported_values(http: &Http) -> usize {
    let text = http.get(EXPORT_ALL).text();
    let lines =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines
        .map(|line| {
            ["values", "histograms"]
                .map(|kind| line[kind].as_array().map_or(0, Vec::len))
                .iter()
                .sum::<usize>()
        })
        .sum()
}

/// Returns the request numbers of all stored exemplars, duplicates included.
fn exemplars(http: &Http) -> Vec<u64> {
    let answer = http.get(EXEMPLARS).json();
    let series = answer["data"].as_array().expect("a list of series").iter();
    let each =
        series.flat_map(|series| series["exemplars"].as_array().expect("a list of exemplars"));
    let id =
        |exemplar: &Value| exemplar["labels"]["trace_id"].as_str().and_then(|id| id.parse().ok());
    each.map(|exemplar| id(exemplar).expect("the number of a request")).collect()
}

/// Asserts that exactly the first `count` requests are stored, once.
fn assert_holds(server: &Server, count: usize, when: &str) {
    let mut expected = Points::new();
    (0..count as u64).for_each(|number| expected.add_request(&numbered(number)));
    export_points(&server.http).assert_equals(&expected, when);
    assert_eq!(exported_values(&server.http), expected.count(), "values, {when}");
    let found = exemplars(&server.http);
    assert_eq!(found, (0..count as u64).collect::<Vec<_>>(), "exemplars, {when}");
}

fn launch(data: &Path, port: u16, sync: &str) -> Launch {
    Launch::narthex(data)
        .port(port)
        .flag("--storage.tsdb.wal-segment-size=64KB")
        .flag(format!("--storage.tsdb.wal-sync={sync}"))
}

/// Kills and restarts a server under a stream. Returns the number of acknowledged requests.
fn survive_kills(sync: &str, kills: usize) -> usize {
    let mut rng = seeded(sync);
    let temp_dir = dir::temp();
    let (data, port) = (temp_dir.path().join("data"), free_port());
    let sender = Resuming::default();
    let http = Http::new(port);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| runtime().block_on(sender.run(&http)));
        for _ in 0..kills {
            let server = launch(&data, port, sync).start();
            let end = sender.acknowledged() + rng.random_range(40..160);
            wait_until("acks", || sender.acknowledged() >= end || sending.is_finished());
            server.kill();
            assert!(sender.in_flight() > 0, "no request was in flight");
        }
        let server = launch(&data, port, sync).start();
        sender.finish();
        wait_until("the end of the sender", || sending.is_finished());
        assert_holds(&server, sender.acknowledged(), &format!("after {kills} kills"));
        server.kill();
    });
    assert!(sender.streams() > kills, "{} streams", sender.streams());
    let server = launch(&data, port, sync).start();
    assert_holds(&server, sender.acknowledged(), "after a restart");
    server.stop();
    sender.acknowledged()
}

#[test]
fn resumed_stream_stores_acknowledged_messages_once_over_kills() {
    let acknowledged: usize =
        ["os", "interval", "always"].into_iter().map(|sync| survive_kills(sync, 12)).sum();
    println!("{acknowledged} acknowledged requests");
}

#[test]
fn shutdown_acknowledges_read_requests_and_ends_stream() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let port = free_port();
    let sender = Resuming::default();
    let http = Http::new(port);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| runtime().block_on(sender.run(&http)));
        for _ in 0..3 {
            let server = launch(&data, port, "interval").start();
            let end = sender.acknowledged() + 50;
            wait_until("acks", || sender.acknowledged() >= end || sending.is_finished());
            let log = server.stop();
            assert!(!log.contains("aborting requests"), "{log}");
        }
        let server = launch(&data, port, "interval").start();
        sender.finish();
        wait_until("the end of the sender", || sending.is_finished());
        assert_holds(&server, sender.acknowledged(), "after three shutdowns");
    });
}

#[test]
fn shutdown_ends_idle_stream_with_unavailable() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    runtime().block_on(async {
        let mut stream =
            WriteStream::open(&server.http, AckWindow(1 << 20)).await.expect("a stream");
        stream.send(1, numbered(0)).await;
        assert_eq!(stream.acks.message().await.expect("an ack").expect("an ack").sequence, 1);
        let stopping = tokio::task::spawn_blocking(move || server.stop());
        let status = stream.acks.message().await.expect_err("the stream ends");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        let log = stopping.await.expect("a clean shutdown");
        assert!(!log.contains("aborting requests"), "{log}");
    });
}

#[test]
fn sender_without_ack_reads_gets_backpressure() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    let good = GoodWrites::default();
    let large = "x".repeat(32 << 10);
    let request = |number: u64| {
        let labels = [("__name__", "stream_large"), ("filler", large.as_str())];
        WriteRequest::one(&labels, &[(BEGIN + number as i64, 1.0)])
    };
    runtime().block_on(async {
        // A window of about twenty acks.
        let mut stream = WriteStream::open(&server.http, AckWindow(256)).await.expect("a stream");
        let mut sent = 0;
        while let Ok(Ok(slot)) =
            tokio::time::timeout(Duration::from_secs(2), stream.requests.reserve()).await
        {
            let v1 = Some(request(sent));
            slot.send(crate::support::stream::StreamRequest { sequence: sent, v1, v2: None });
            sent += 1;
            assert!(sent < 1000, "no backpressure");
        }
        let bytes =
            Metrics::of(&server.http).sum("narthex_request_bytes_in_flight").expect("a gauge");
        assert!(bytes < 3.0 * 33_000.0, "{bytes} bytes for a client that reads no acks");
        good.one_more(&server, "a stalled stream");
        let mut acknowledged = BTreeSet::new();
        drop(stream.requests);
        while let Some(ack) = stream.acks.message().await.expect("an open stream") {
            assert!(
                acknowledged.last().is_none_or(|last| *last < ack.sequence),
                "acks are not in order"
            );
            acknowledged.insert(ack.sequence);
        }
        assert_eq!(acknowledged.len() as u64, sent);
        assert_eq!(exported_values(&server.http) as u64, sent);
    });
}

#[test]
fn streams_on_one_connection_do_not_block_each_other() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    runtime().block_on(async {
        let endpoint =
            tonic::transport::Endpoint::from_shared(server.http.url("")).expect("an address");
        let channel = endpoint.connect().await.expect("a connection");
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(WriteStream::open_on(channel.clone()).await.expect("a stream"));
        }
        for round in 0..5 {
            for (id, stream) in streams.iter_mut().enumerate().rev() {
                let labels = [("__name__", "stream_many"), ("id", &id.to_string())];
                stream
                    .send(round, WriteRequest::one(&labels, &[(BEGIN + round as i64, id as f64)]))
                    .await;
                let ack = stream.acks.message().await.expect("an ack").expect("an ack");
                assert_eq!(ack.sequence, round);
            }
        }
    });
    assert_eq!(exported_values(&server.http), 100);
}
