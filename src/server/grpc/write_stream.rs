//! `narthex.v1.Write/WriteStream`: a stream of write requests, each acknowledged when it is stored.
//!
//! ```text
//!            ┌─ wait for a slot and for room for the ack ─┐
//! client ──▶ read: sequence, request ──▶ slot ──▶ store: permit, thread, log ──▶ acks ──▶ client
//! ```
//!
//! # Ordering
//! Sequences increase strictly, from any start and with any gaps; otherwise the stream ends with
//! INVALID_ARGUMENT. A request is stored after the previous one is logged, and acks have the order
//! of the requests. The next request is read while one is stored. An ack has the guarantees of a
//! 2xx response over HTTP, which depend on the sync mode.
//!
//! # Backpressure
//! A stream holds at most two requests: one being stored, one being read or waiting. Their memory
//! comes from the budget of request bodies. The stream waits for memory up to [`MAX_WAIT`], and for
//! a write permit up to the maximum wait of the limiter. A request is read only if there is room
//! for its ack, so a client that takes no acks holds no requests. While the stream waits, HTTP/2
//! flow control stops the client.
//!
//! # Failure
//! - Permanent rejection (bad data, unsupported, over a limit): the ack reports it, the stream goes
//!   on.
//! - Temporary failure (read-only, draining, no memory or permit in time): stored requests are
//!   acknowledged, then the stream ends with UNAVAILABLE and a retry delay. A storage error ends it
//!   with INTERNAL in the same way.
//! - End of the client's side: everything is stored and acknowledged, then the stream ends with OK.
//! - Draining: requests that were read are stored and acknowledged, then the stream ends with
//!   UNAVAILABLE.
//! - Broken connection: requests that were read are stored without an ack.
//!
//! There is no state across streams. After a reconnect the client sends unacknowledged requests
//! again, and their stored samples are duplicates. An idle stream holds a task and no memory of
//! requests; it may stay silent until an HTTP/2 ping fails.
//!
//! Source: `proto/narthex/v1/write.proto`.

use crate::ingest::rejection_log::entry::RequestOrigin;
use crate::remote::pb::narthex::v1::WriteStreamResponse;
use crate::remote::write::stream_request::{ENVELOPE_BYTES, StreamRequest};
use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::contract::write_response;
use crate::server::management::lifecycle::Phase;
use crate::server::requests::acceptance;
use crate::server::requests::write_protocol::WriteProtocol;
use crate::server::requests::write_requests;
use crate::server::requests::write_requests::WriteState;
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::admission::Reservation;
use crate::server::transport::body::SizeLimit;
use crate::server::transport::client_limit::ClientLimit;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::framing;
use crate::server::transport::framing::messages::{MessageLimits, MessageReader};
use crate::server::transport::framing::status_body::StatusBody;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Maximum time that a request waits for memory. Unary requests do not wait.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Maximum number of requests that were read and wait for the one being stored.
const MAX_PENDING_WRITES: usize = 1;
/// Maximum number of acks that a client has not taken. Each has a few kilobytes at most.
const MAX_PENDING_ACKS: usize = 16;

/// State of write streams.
#[derive(Debug)]
pub struct StreamState {
    /// State of writes.
    pub writes: Arc<WriteState>,
    /// Limit of open streams, without a queue.
    pub gate: ConcurrencyLimiter,
    /// Limit of streams per client.
    pub clients: ClientLimit,
}

pub(crate) async fn write_stream(
    State(streams): State<Arc<StreamState>>,
    request: Request,
) -> Response {
    if let Err(error) = acceptance::check_accepting(&streams.writes.lifecycle, &streams.writes.db) {
        return grpc::error_response(error);
    }
    let Some(client_permit) =
        streams.clients.acquire(request.extensions().get::<PeerAddress>().copied())
    else {
        return grpc::error_response(too_many_of_client(streams.clients.max()));
    };
    let Ok(permit) = streams.gate.acquire().await else {
        return grpc::error_response(RequestError::Unavailable(
            "too many write streams (--grpc.max-streams)".to_owned(),
        ));
    };
    let origin = write_requests::origin(WriteProtocol::GrpcStream, &request);
    let limits = MessageLimits {
        size: with_envelope(streams.writes.max_decoded_size()),
        time: streams.writes.bodies.time,
        max_wait: MAX_WAIT,
        budget: streams.writes.bodies.budget.clone(),
    };
    let messages = MessageReader::new(request.into_body(), limits);
    let (acks, responses) = mpsc::channel(MAX_PENDING_ACKS);
    let writes = streams.writes.clone();
    tokio::spawn(async move {
        let _held = (permit, client_permit);
        let status = WriteStream { writes, origin, acks: acks.clone() }.run(messages).await;
        if let Err(status) = status {
            // Ignore the error: the client may have disconnected.
            let _ = acks.send(Err(status)).await;
        }
    });
    channel_response(responses)
}

/// Returns the maximum size of a message of a stream, whose request has this limit.
pub(crate) fn with_envelope(request: SizeLimit) -> SizeLimit {
    SizeLimit { bytes: request.bytes.saturating_add(ENVELOPE_BYTES), ..request }
}

/// Returns a response with the messages of a channel. An error ends it.
fn channel_response(messages: mpsc::Receiver<Result<WriteStreamResponse, Status>>) -> Response {
    let frames = ReceiverStream::new(messages)
        .map(|message| message.map(|message| Frame::data(framing::encode_message(&message))));
    let body = StatusBody::new(StreamBody::new(frames));
    framing::grpc_response(body)
}

fn too_many_of_client(max: usize) -> Status {
    let message = format!("client has {max} write streams (--grpc.max-streams-per-client)");
    RequestError::Unavailable(message).into()
}

struct WriteStream {
    writes: Arc<WriteState>,
    origin: RequestOrigin,
    acks: mpsc::Sender<Result<WriteStreamResponse, Status>>,
}

/// Request between reading and storing.
struct PendingWrite {
    request: StreamRequest,
    reservation: Reservation,
    ack: mpsc::OwnedPermit<Result<WriteStreamResponse, Status>>,
}

impl WriteStream {
    /// Reads and stores until either ends. Returns an error unless all requests were stored.
    async fn run(self, messages: MessageReader<Body>) -> Result<(), Status> {
        let (to_store, read) = mpsc::channel(MAX_PENDING_WRITES);
        let mut storing = pin!(self.store(read));
        let ended = tokio::select! {
            stopped = &mut storing => return stopped,
            ended = self.read(messages, to_store) => ended,
        };
        // Store and acknowledge what was read before the end, also if reading failed.
        storing.await?;
        ended
    }

    /// Reads requests while there is room for them and their acks.
    async fn read(
        &self,
        mut messages: MessageReader<Body>,
        to_store: mpsc::Sender<PendingWrite>,
    ) -> Result<(), Status> {
        let mut last = None;
        loop {
            let Ok(slot) = to_store.reserve().await else { return Ok(()) };
            // Reserve the ack before reading: a client that takes no acks must not hold requests.
            // An error means that the client disconnected.
            let Ok(ack) = self.acks.clone().reserve_owned().await else { return Ok(()) };
            let message = tokio::select! {
                // Check for draining first, so that a busy stream ends as well.
                biased;
                () = self.writes.lifecycle.reached(Phase::Draining) => {
                    let error = RequestError::from(WriteUnavailable::Closing);
                    return Err(error.into());
                }
                message = messages.next() => message.inspect_err(|error| {
                    write_requests::record_unreadable(&self.writes, &self.origin, error);
                })?,
            };
            let Some(message) = message else { return Ok(()) };
            let request = decode(&message.bytes, last).inspect_err(|status| {
                write_requests::record_malformed(&self.writes, &self.origin, status.message());
            })?;
            last = Some(request.sequence);
            slot.send(PendingWrite { request, reservation: message.reservation, ack });
        }
    }

    /// Stores and acknowledges requests in order.
    async fn store(&self, mut read: mpsc::Receiver<PendingWrite>) -> Result<(), Status> {
        while let Some(PendingWrite { request, reservation, ack }) = read.recv().await {
            let sequence = request.sequence;
            let stored =
                write_requests::store_streamed(&self.writes, &self.origin, request, reservation);
            let response = match stored.await {
                Ok(outcome) => write_response::ack(sequence, &outcome),
                Err(error) if error.is_permanent() => {
                    write_response::rejection_ack(sequence, error)
                }
                Err(error) => return Err(error.into()),
            };
            ack.send(Ok(response));
        }
        Ok(())
    }
}

/// Decodes a message. Its sequence must exceed `last`.
fn decode(message: &Bytes, last: Option<u64>) -> Result<StreamRequest, Status> {
    let request = StreamRequest::decode(message)?;
    match last {
        Some(last) if request.sequence <= last => Err(sequence_error(last, request.sequence)),
        _ => Ok(request),
    }
}

fn sequence_error(last: u64, sequence: u64) -> Status {
    grpc::protocol_error(&format!("sequence {sequence} came after {last}: sequences must increase"))
}
