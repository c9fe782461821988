//! HTTP/2 connections without streams, or with a response that the client does not take.

use crate::server::transport::listener::ConnectionLimits;
use crate::server::transport::listener::tests::{HEAD_TIMEOUT, Running, run_within};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer than any test, if nothing hangs.
const LONG: Duration = Duration::from_secs(60);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// SETTINGS_INITIAL_WINDOW_SIZE = 0.
const CLOSED_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0payload!";
/// HEADERS of stream 1 with END_STREAM and END_HEADERS: GET, http, host `x`, path `/now`.
const REQUEST: &[u8] = b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x41\x01x\x04\x04/now";

async fn run(idle_timeout: Duration, head_timeout: Duration) -> Running {
    run_within(ConnectionLimits {
        max_connections: 10,
        idle_timeout,
        head_timeout,
        lingering_timeout: Duration::from_secs(5),
        max_concurrent_streams: 10,
        drain_timeout: Duration::from_secs(5),
    })
    .await
}

/// Starts a connection with these frames and sends pings until the server closes it. Returns what
/// the server sent.
async fn ping_until_close(server: &Running, frames: &[&[u8]]) -> Vec<u8> {
    let mut client = server.connect().await;
    client.write_all(&frames.concat()).await.unwrap();
    let (mut reading, mut writing) = client.into_split();
    let pinging = tokio::spawn(async move {
        while writing.write_all(PING).await.is_ok() {
            tokio::time::sleep(HEAD_TIMEOUT / 10).await;
        }
    });
    let mut heard = Vec::new();
    // A reset also ends the read.
    let ended = tokio::time::timeout(LONG, reading.read_to_end(&mut heard)).await;
    assert!(ended.is_ok(), "the connection is still open");
    pinging.abort();
    heard
}

fn contains(heard: &[u8], text: &[u8]) -> bool {
    heard.windows(text.len()).any(|window| window == text)
}

#[tokio::test]
async fn http_2_connection_without_a_request_is_closed() {
    let server = run(10 * LONG, HEAD_TIMEOUT).await;
    let heard = ping_until_close(&server, &[PREFACE, EMPTY_SETTINGS]).await;
    assert!(contains(&heard, b"payload!"), "no ping was acknowledged");
}

#[tokio::test]
async fn http_2_connection_is_closed_after_its_last_stream() {
    let server = run(HEAD_TIMEOUT, HEAD_TIMEOUT).await;
    let heard = ping_until_close(&server, &[PREFACE, EMPTY_SETTINGS, REQUEST]).await;
    assert!(contains(&heard, b"now") && contains(&heard, b"payload!"), "{heard:?}");
}

#[tokio::test]
async fn http_2_response_that_is_not_taken_ends_the_connection() {
    let server = run(HEAD_TIMEOUT, HEAD_TIMEOUT).await;
    let heard = ping_until_close(&server, &[PREFACE, CLOSED_WINDOW, REQUEST]).await;
    assert!(contains(&heard, b"payload!") && !contains(&heard, b"now"), "{heard:?}");
}

#[tokio::test]
async fn http_2_connection_outlives_the_head_timeout_after_a_request() {
    let server = run(10 * LONG, HEAD_TIMEOUT).await;
    let mut client = server.connect().await;
    client.write_all(&[PREFACE, EMPTY_SETTINGS, REQUEST].concat()).await.unwrap();
    for _ in 0..2 {
        tokio::time::sleep(HEAD_TIMEOUT * 3 / 2).await;
        client.write_all(PING).await.unwrap();
        // The acknowledgement has the same payload.
        let mut heard = Vec::new();
        while !contains(&heard, b"payload!") {
            assert_ne!(client.read_buf(&mut heard).await.unwrap(), 0, "closed");
        }
    }
}
