//! Client of write streams of `narthex.v1.Write`: tonic with messages declared by hand.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::data::BEGIN;
use super::http::Http;
use super::points::made;
use super::wire::{Exemplar, Label, TimeSeries, WriteRequest};

/// Maximum number of unacknowledged requests of a [`Resuming`].
const WINDOW: usize = 24;
/// Interval between requests, ms of data. Short, so that a fast test reaches no head compaction,
/// after which a restart has no older exemplars.
const ROUND: i64 = 1_000;

/// Message `narthex.v1.WriteStreamRequest`. A 2.0 request is bytes, with the same wire format.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StreamRequest {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    /// Remote write 1.0 request.
    #[prost(message, optional, tag = "2")]
    pub(crate) v1: Option<WriteRequest>,
    /// Remote write 2.0 request, encoded.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) v2: Option<Vec<u8>>,
}

/// Message `narthex.v1.WriteStreamResponse`, declared by hand.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Ack {
    /// Sequence of the request.
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    /// Counts of what is stored.
    #[prost(message, optional, tag = "2")]
    pub(crate) stored: Option<Stored>,
    /// Permanent rejections, if any.
    #[prost(message, optional, tag = "3")]
    pub(crate) rejection: Option<RejectionData>,
}

/// Message `narthex.v1.WriteResponse`, declared by hand.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Stored {
    #[prost(uint64, tag = "1")]
    pub(crate) samples: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) histograms: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) exemplars: u64,
}

/// Message `narthex.v1.Rejection` without the counts.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RejectionData {
    /// gRPC code of the unary methods.
    #[prost(uint32, tag = "1")]
    pub(crate) code: u32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

pub(crate) struct WriteStream {
    /// Sender of requests. Dropping it closes the client side.
    pub(crate) requests: mpsc::Sender<StreamRequest>,
    pub(crate) acks: Streaming<Ack>,
}

/// HTTP/2 window for the acks of a stream, bytes. The default of tonic is about 2 MiB.
pub(crate) struct AckWindow(pub(crate) u32);

impl WriteStream {
    /// Opens a stream on a new connection.
    pub(crate) async fn open(http: &Http, window: AckWindow) -> Result<WriteStream, Status> {
        let endpoint = Endpoint::from_shared(http.url(""))
            .expect("an address")
            .initial_stream_window_size(window.0);
        let channel =
            endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
        WriteStream::open_on(channel).await
    }

    /// Opens a stream on a connection.
    pub(crate) async fn open_on(channel: Channel) -> Result<WriteStream, Status> {
        let (requests, receiver) = mpsc::channel(1);
        let mut client = Grpc::new(channel).max_encoding_message_size(usize::MAX);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static("/narthex.v1.Write/WriteStream");
        let codec: ProstCodec<StreamRequest, Ack> = ProstCodec::new();
        let answer =
            client.streaming(Request::new(ReceiverStream::new(receiver)), path, codec).await?;
        Ok(WriteStream { requests, acks: answer.into_inner() })
    }

    /// Sends a remote write 1.0 request.
    pub(crate) async fn send(&self, sequence: u64, request: WriteRequest) {
        let message = StreamRequest { sequence, v1: Some(request), v2: None };
        self.requests.send(message).await.expect("the stream is open");
    }
}

/// Returns a deterministic request: floats, histograms, an exemplar, and sometimes a new series.
pub(crate) fn numbered(number: u64) -> WriteRequest {
    let begin = BEGIN + i64::try_from(number).expect("a small number") * ROUND;
    let bits = |t: i64| f64::from_bits((t as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2 | 1);
    let floats = |name: &str, which: u64| {
        let samples: Vec<(i64, f64)> =
            (0..4).map(|k| begin + k * ROUND / 4).map(|t| (t, bits(t))).collect();
        TimeSeries::new(&[("__name__", name), ("which", &which.to_string())], &samples)
    };
    let mut timeseries: Vec<TimeSeries> =
        (0..6).map(|which| floats("stream_float", which)).collect();
    let label = Label { name: "trace_id".to_owned(), value: number.to_string() };
    timeseries[0].exemplars =
        vec![Exemplar { labels: vec![label], bits: Some(bits(begin).to_bits()), timestamp: begin }];
    for which in 0..2 {
        let labels =
            [("__name__", "stream_histogram"), ("which", if which == 0 { "a" } else { "b" })];
        let histograms = vec![made(which, begin).to_wire(begin)];
        timeseries.push(TimeSeries { histograms, ..TimeSeries::new(&labels, &[]) });
    }
    if number.is_multiple_of(7) {
        timeseries.push(floats("stream_new", number));
    }
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// Sender that keeps unacknowledged requests and resends them on the next stream.
#[derive(Default)]
pub(crate) struct Resuming {
    state: Mutex<State>,
    acknowledged: AtomicUsize,
    is_last: AtomicBool,
}

#[derive(Default)]
struct State {
    next: u64,
    unacknowledged: VecDeque<u64>,
    streams: usize,
}

impl Resuming {
    /// Number of acknowledged requests.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Number of opened streams.
    pub(crate) fn streams(&self) -> usize {
        self.state.lock().expect("no sender panicked").streams
    }

    /// Number of unacknowledged requests.
    pub(crate) fn in_flight(&self) -> usize {
        self.state.lock().expect("no sender panicked").unacknowledged.len()
    }

    /// Stops new requests. The sender ends when all requests are acknowledged.
    pub(crate) fn finish(&self) {
        self.is_last.store(true, Ordering::SeqCst);
    }

    /// Sends until [`Resuming::finish`], over as many streams as necessary.
    pub(crate) async fn run(&self, http: &Http) {
        loop {
            if let Ok(stream) = WriteStream::open(http, AckWindow(1 << 20)).await {
                self.state.lock().expect("no sender panicked").streams += 1;
                match self.on(stream).await {
                    None => return,
                    Some(status) => assert_ne!(status.code(), Code::InvalidArgument, "{status}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends over one stream. Returns its error, or `None` when finished.
    async fn on(&self, mut stream: WriteStream) -> Option<Status> {
        let mut sent = 0;
        loop {
            let number = self.to_send(sent);
            if number.is_none() && self.in_flight() == 0 {
                return None;
            }
            tokio::select! {
                permit = stream.requests.reserve(), if number.is_some() => {
                    let Ok(permit) = permit else {
                        return Some(Status::unavailable("the stream ended"));
                    };
                    let number = number.expect("the branch requires a number");
                    let v1 = Some(numbered(number));
                    permit.send(StreamRequest { sequence: number, v1, v2: None });
                    sent += 1;
                }
                ack = stream.acks.message() => match ack {
                    Ok(Some(ack)) => {
                        self.acknowledge(&ack);
                        sent -= 1;
                    }
                    Ok(None) => return Some(Status::unavailable("the stream ended")),
                    Err(status) => return Some(status),
                },
            }
        }
    }

    /// Returns the next number to send; `sent` requests of this stream are in flight.
    fn to_send(&self, sent: usize) -> Option<u64> {
        let mut state = self.state.lock().expect("no sender panicked");
        if sent == state.unacknowledged.len()
            && sent < WINDOW
            && !self.is_last.load(Ordering::SeqCst)
        {
            let next = state.next;
            state.unacknowledged.push_back(next);
            state.next += 1;
        }
        state.unacknowledged.get(sent).copied()
    }

    fn acknowledge(&self, ack: &Ack) {
        let first = self.state.lock().expect("no sender panicked").unacknowledged.pop_front();
        assert_eq!(
            Some(ack.sequence),
            first,
            "acks come in the order of the requests, one for each"
        );
        assert_eq!(ack.rejection, None, "request {}", ack.sequence);
        let expected = if ack.sequence.is_multiple_of(7) { 28 } else { 24 };
        assert_eq!(ack.stored, Some(Stored { samples: expected, histograms: 2, exemplars: 1 }));
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}
