//! gRPC write streams without sockets: order, acks, end of a stream, and backpressure.

use crate::app::tests::edge::{
    TestResponse, TestServer, now_ms, partially_invalid_request, request, series, valid_request,
};
use crate::remote::pb::narthex::v1::{
    WriteResponse, WriteStreamRequest, WriteStreamResponse, write_stream_request,
};
use crate::remote::pb::prometheus as pb;
use crate::server::management::lifecycle::Phase;
use crate::server::transport::client_limit::PeerAddress;
use crate::testing::channel_body::ChannelBody;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use prost::Message;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const PATH: &str = "/narthex.v1.Write/WriteStream";
const EXPORT_ALL: &str = "/api/v1/export?match[]={__name__!=%22%22}";

fn frame(message: &[u8]) -> Bytes {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat().into()
}

/// Encodes a message with a remote write 1.0 request, given as bytes.
fn v1(sequence: u64, request: &[u8]) -> Bytes {
    let mut message = WriteStreamRequest { sequence, request: None }.encode_to_vec();
    prost::encoding::encode_key(2, prost::encoding::WireType::LengthDelimited, &mut message);
    prost::encoding::encode_varint(request.len() as u64, &mut message);
    message.extend(request);
    frame(&message)
}

fn one(sequence: u64) -> Bytes {
    v1(sequence, &request(vec![series("one", &[(now_ms(), sequence as f64)])]))
}

fn call(body: Body) -> Request<Body> {
    Request::post(PATH)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

async fn stream(edge: &TestServer, frames: &[Bytes]) -> TestResponse {
    edge.send(call(frames.concat().into())).await
}

fn acks(mut body: &[u8]) -> Vec<WriteStreamResponse> {
    let mut acks = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        acks.push(WriteStreamResponse::decode(&rest[..len]).unwrap());
        body = &rest[len..];
    }
    acks
}

fn sequences(got: &TestResponse) -> Vec<u64> {
    acks(&got.body).iter().map(|ack| ack.sequence).collect()
}

#[tokio::test]
async fn requests_are_acknowledged_in_order_with_counts() {
    let edge = TestServer::ready(&[]).await;
    let now = now_ms();
    let two = request(vec![series("a", &[(now, 1.0)]), series("b", &[(now, 2.0)])]);
    let none = frame(&{
        let request = Some(write_stream_request::Request::V1(pb::WriteRequest::default()));
        WriteStreamRequest { sequence: 7, request }.encode_to_vec()
    });
    let got =
        stream(&edge, &[v1(0, &two), v1(5, &valid_request()), none, v1(u64::MAX, &two)]).await;
    assert_eq!(got.grpc_status(), "0");
    let stored: Vec<_> =
        acks(&got.body).into_iter().map(|ack| (ack.sequence, ack.stored, ack.rejection)).collect();
    let samples = |samples| Some(WriteResponse { samples, ..Default::default() });
    assert_eq!(
        stored,
        [
            (0, samples(2), None),
            (5, samples(1), None),
            (7, samples(0), None),
            (u64::MAX, samples(2), None)
        ]
    );
    assert_eq!(edge.get(EXPORT_ALL).await.text().lines().count(), 3);
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}

#[tokio::test]
async fn permanent_rejection_is_in_ack_and_stream_continues() {
    let edge = TestServer::ready(&["--storage.remote.write-max-series=2"]).await;
    let now = now_ms();
    let three = request(["a", "b", "c"].map(|name| series(name, &[(now, 1.0)])).to_vec());
    let got = stream(
        &edge,
        &[
            v1(1, &partially_invalid_request()),
            v1(2, b"\x0a\xff"),
            v1(3, &three),
            v1(4, &valid_request()),
        ],
    )
    .await;
    assert_eq!(got.grpc_status(), "0");
    let acks = acks(&got.body);
    let codes: Vec<_> =
        acks.iter().map(|ack| ack.rejection.as_ref().map(|rejection| rejection.code)).collect();
    assert_eq!(codes, [Some(3), Some(3), Some(8), None]);
    assert_eq!(acks[0].stored.unwrap().samples, 2);
    let rejection = acks[0].rejection.as_ref().unwrap();
    assert!(rejection.message.contains("mixed"), "{}", rejection.message);
    let counts: Vec<_> =
        rejection.counts.iter().map(|c| (c.kind.as_str(), c.reason.as_str(), c.count)).collect();
    assert_eq!(
        counts,
        [
            ("sample", "duplicate_timestamp", 1),
            ("sample", "too_far_in_future", 1),
            ("sample", "invalid_labels", 1)
        ]
    );
    assert_eq!(edge.get("/api/v1/export?match[]=good").await.text().lines().count(), 1);
}

#[tokio::test]
async fn invalid_message_ends_stream_after_earlier_acks() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=2KB"]).await;
    let neither = frame(&WriteStreamRequest { sequence: 4, request: None }.encode_to_vec());
    let both = frame(b"\x08\x04\x12\x00\x1a\x00");
    let large = frame(&[0; 2100]);
    let cut = Bytes::from_static(b"\0\0\0\x07\xd0abc");
    for (case, bad, code, expected) in [
        ("a repeated sequence", one(3), "3", "3%20came%20after%203"),
        ("a lower sequence", one(2), "3", "2%20came%20after%203"),
        ("no request", neither, "3", "neither"),
        ("two requests", both, "3", "more%20than%20one"),
        ("no message", frame(b"\xff"), "3", "not%20a"),
        ("a truncated message", cut, "3", "ends%20within"),
        ("another protocol", Bytes::from_static(b"GET / HTTP/1.1\r\n"), "3", "begins"),
        ("an unannounced encoding", Bytes::from_static(b"\x01\0\0\0\x01x"), "12", "compressed"),
        ("a large message", large, "8", "limit"),
    ] {
        let got = stream(&edge, &[one(1), one(3), bad, one(9)]).await;
        assert_eq!((sequences(&got), got.grpc_status()), (vec![1, 3], code), "{case}");
        let message = got.trailers["grpc-message"].to_str().unwrap();
        assert!(message.contains(expected), "{case}: {message}");
        assert_eq!(got.trailers.contains_key("grpc-status-details-bin"), code == "3", "{case}");
        assert_eq!(stream(&edge, &[one(1)]).await.grpc_status(), "0", "after {case}");
    }
}

#[tokio::test]
async fn rejected_stream_has_retry_info() {
    let edge = TestServer::starting(&[]).await;
    stream(&edge, &[one(1)]).await.assert_grpc_retry_later();
    edge.recover();
    edge.context.process.lifecycle.advance(Phase::Ready);
    assert_eq!(sequences(&stream(&edge, &[one(1)]).await), [1]);
    edge.context.process.db.close().unwrap();
    stream(&edge, &[one(1)]).await.assert_grpc_retry_later();
    edge.context.process.lifecycle.advance(Phase::Draining);
    stream(&edge, &[one(1)]).await.assert_grpc_retry_later();
}

#[tokio::test]
async fn number_of_streams_is_limited() {
    let edge = TestServer::ready(&["--grpc.max-streams=1"]).await;
    let open = OpenStream::on(&edge).await;
    let metrics = edge.get("/metrics").await;
    assert!(metrics.text().contains("narthex_grpc_write_streams 1.0\n"), "{}", metrics.text());
    assert!(
        metrics.text().contains("narthex_grpc_write_streams_limit 1.0\n"),
        "{}",
        metrics.text()
    );
    stream(&edge, &[one(1)]).await.assert_grpc_retry_later();
    assert_eq!(open.end().await.grpc_status(), "0");
    assert_eq!(sequences(&stream(&edge, &[one(1)]).await), [1]);
}

#[tokio::test]
async fn one_client_cannot_hold_all_write_streams() {
    let edge = TestServer::ready(&["--grpc.max-streams=4"]).await;
    let from = |address: &str| Some(PeerAddress(address.parse().unwrap()));
    let (greedy, other) = (from("192.0.2.1"), from("192.0.2.2"));
    let open = [OpenStream::of(&edge, greedy).await, OpenStream::of(&edge, greedy).await];
    let mut request = call(one(1).into());
    request.extensions_mut().insert(greedy.unwrap());
    edge.send(request).await.assert_grpc_retry_later();
    let mut others = OpenStream::of(&edge, other).await;
    others.put(one(1)).await;
    assert_eq!(others.ack().await, 1);
    let metrics = edge.get("/metrics").await;
    for line in [
        "narthex_grpc_write_streams_per_client_limit 2.0\n",
        "narthex_grpc_write_streams_per_client_rejected_total 1",
    ] {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
    for stream in open {
        assert_eq!(stream.end().await.grpc_status(), "0");
    }
}

/// Stream to which a test sends frames one by one.
struct OpenStream {
    frames: mpsc::Sender<Result<Bytes, std::io::Error>>,
    answer: axum::response::Response,
}

impl OpenStream {
    async fn on(edge: &TestServer) -> Self {
        Self::of(edge, None).await
    }

    async fn of(edge: &TestServer, peer: Option<PeerAddress>) -> Self {
        let (frames, receiver) = mpsc::channel(1);
        let mut request = call(Body::new(ChannelBody::from(receiver)));
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let answer = edge.respond(request).await;
        Self { frames, answer }
    }

    async fn put(&self, frame: Bytes) {
        self.frames.send(Ok(frame)).await.unwrap();
    }

    async fn ack(&mut self) -> u64 {
        let data = self.answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        acks(&data)[0].sequence
    }

    /// Ends the client side and returns the rest of the response.
    async fn end(self) -> TestResponse {
        drop(self.frames);
        let (head, body) = self.answer.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        TestResponse {
            status: head.status,
            headers: head.headers,
            body: collected.to_bytes(),
            trailers,
        }
    }
}

#[tokio::test]
async fn drain_acknowledges_received_requests_and_ends_stream() {
    let edge = TestServer::ready(&["--storage.remote.write-concurrent-limit=1"]).await;
    let (mut idle, busy) = (OpenStream::on(&edge).await, OpenStream::on(&edge).await);
    idle.put(one(1)).await;
    assert_eq!(idle.ack().await, 1);
    let at_work = edge.context.writes.gate.acquire().await.unwrap();
    busy.put(one(1)).await;
    busy.put(one(2)).await;
    // The channel has capacity again only after both frames were received.
    busy.frames.reserve().await.map(drop).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    edge.context.process.lifecycle.advance(Phase::Draining);
    let (head, body) = idle.answer.into_parts();
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "14", "{head:?}");
    drop(at_work);
    let got = OpenStream { frames: mpsc::channel(1).0, answer: busy.answer }.end().await;
    assert_eq!((sequences(&got), got.grpc_status()), (vec![1, 2], "14"));
    drop((idle.frames, busy.frames));
}

#[tokio::test]
async fn client_that_reads_no_acks_is_not_read_from() {
    let edge = TestServer::ready(&[]).await;
    let open = OpenStream::on(&edge).await;
    let mut taken = 0;
    while open.frames.send_timeout(Ok(one(taken)), Duration::from_millis(300)).await.is_ok() {
        taken += 1;
        assert!(taken < 100, "the stream must stop reading");
    }
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
    let got = open.end().await;
    assert_eq!(got.grpc_status(), "0");
    assert_eq!(sequences(&got), (0..taken).collect::<Vec<_>>());
}

#[tokio::test]
async fn stream_waits_for_memory() {
    let edge = Arc::new(TestServer::ready(&["--web.max-bytes-in-flight=2000"]).await);
    let mut others = edge.context.writes.bodies.budget.reserve();
    others.extend(900).unwrap();
    let streaming = tokio::spawn({
        let edge = edge.clone();
        async move { stream(&edge, &[one(1), one(2), one(3)]).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!streaming.is_finished());
    drop(others);
    let got = streaming.await.unwrap();
    assert_eq!((sequences(&got), got.grpc_status()), (vec![1, 2, 3], "0"));
}

#[tokio::test]
async fn disconnected_client_releases_permit_and_memory() {
    let edge = TestServer::ready(&["--grpc.max-streams=1"]).await;
    for broken in [true, false] {
        let mut open = OpenStream::on(&edge).await;
        open.put(one(1)).await;
        assert_eq!(open.ack().await, 1);
        open.put(one(2).slice(..9)).await;
        if broken {
            open.frames.send(Err(std::io::Error::other("reset"))).await.unwrap();
        }
        drop(open);
        let freed = async {
            while edge.context.streams.gate.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), freed)
            .await
            .expect("the permit must be released");
        assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
    }
}

#[tokio::test]
async fn stream_ends_at_client_deadline() {
    let edge = TestServer::ready(&[]).await;
    let (frames, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let mut request = call(Body::new(ChannelBody::from(receiver)));
    request.headers_mut().insert("grpc-timeout", "100m".parse().unwrap());
    frames.send(Ok(one(1))).await.unwrap();
    let got = edge.send(request).await;
    assert_eq!((sequences(&got), got.grpc_status()), (vec![1], "4"));
    drop(frames);
}

/// Compresses the message of a frame with gzip.
fn gzip_frame(frame: &Bytes) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&frame[5..]).unwrap();
    let message = encoder.finish().unwrap();
    [&[1][..], &(message.len() as u32).to_be_bytes(), &message].concat().into()
}

#[tokio::test]
async fn compressed_messages_are_accepted_up_to_the_limit() {
    let edge = TestServer::ready(&["--storage.remote.write-max-decoded-size=2KB"]).await;
    let bomb = v1(3, &vec![0; 1 << 20]);
    let frames = [one(1), gzip_frame(&one(2)), gzip_frame(&bomb), one(4)];
    let mut request = call(Body::from(frames.concat()));
    request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let got = edge.send(request).await;
    assert_eq!((sequences(&got), got.grpc_status()), (vec![1, 2], "8"), "{:?}", got.trailers);
    assert!(edge.get("/metrics").await.text().contains("narthex_request_bytes_in_flight 0"));
}
