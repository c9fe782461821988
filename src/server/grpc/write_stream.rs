//! `narthex.v1.Write/WriteStream`: requests one after another, each acknowledged when it is stored.
//!
//! ```text
//!              ┌── room for a request? room for its ack? ──┐
//! client ──▶ reading: number, request ──▶ (one place) ──▶ storing: gate, blocking thread, log ──▶ acks ──▶ client
//! ```
//!
//! What holds of every stream:
//!
//! - **Numbers rise strictly**, with any gaps, from any number on. A number that does not ends the stream with INVALID_ARGUMENT.
//! - **Order**: a request is stored when the one before it is in the log, and acks come in the order of the requests. While one is stored the
//!   next one is read. What is acknowledged is in the log as the sync mode promises, like a 2xx answer over HTTP.
//! - **Nothing is dropped, and little is held**: at most two requests, one that is stored and one that is read or waits for it. Their memory
//!   comes out of the bytes in flight of all requests; the stream waits for it up to [`MAX_WAIT`], then for its turn to store up to the patience
//!   of that gate. A request is only read when there is room for its ack, so a client that takes no acks holds no requests. In all these cases
//!   the body is left alone, and HTTP/2's flow control stops the client.
//! - **Refused for good** (bad data, no request of its version, over a limit of counts): the ack says so, and the stream goes on.
//! - **Not now** (read-only, draining, no memory or no turn in time): everything that was stored is acknowledged, then the stream ends with
//!   UNAVAILABLE and the time to come back. A storage fault ends it with INTERNAL in the same way.
//! - **The end**: when the client has ended its side all is stored, acknowledged, and the stream ends with OK. When the server drains it stores
//!   what it has read, acknowledges it and ends with UNAVAILABLE. What breaks off is stored as far as it was read; nobody hears of it.
//!
//! There is no state from stream to stream: a client that comes back sends again what was not acknowledged, and what was stored without an ack
//! is found to be a repeat, sample by sample, as over HTTP. An idle stream holds a task and no memory of requests; it may be silent for as
//! long as its connection lives, which HTTP/2's pings find out.
//!
//! Source: `proto/narthex/v1/write.proto`.

use crate::remote::pb::narthex::v1::WriteStreamResponse;
use crate::remote::stream_request::{DecodeStreamRequestError, ENVELOPE_BYTES, StreamRequest};
use crate::server::admission::Reservation;
use crate::server::client_limit::PeerAddress;
use crate::server::grpc;
use crate::server::grpc::details;
use crate::server::grpc::messages::{MessageLimits, MessageReader};
use crate::server::grpc::write_response;
use crate::server::ingest;
use crate::server::lifecycle::Phase;
use crate::server::request_error::RequestError;
use crate::server::state::SharedState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Status};

/// How long a request waits for memory, while it holds back its sender; a unary request would be refused at once.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Requests that were read and wait for the one that is stored.
const MAX_PENDING_WRITES: usize = 1;
/// Acks that wait for a client that takes them slowly; each has at most a few kilobytes.
const MAX_PENDING_ACKS: usize = 16;

/// Answers `WriteStream`.
pub(crate) async fn write_stream(State(context): State<SharedState>, request: Request) -> Response {
    if let Err(refused) = ingest::check_accepting(&context) {
        return grpc::error_response(refused.into_grpc());
    }
    let Some(share) =
        context.client_streams.acquire(request.extensions().get::<PeerAddress>().copied())
    else {
        return grpc::error_response(too_many_of_client(context.client_streams.max()));
    };
    let Ok(permit) = context.stream_gate.acquire().await else {
        return grpc::error_response(
            RequestError::Unavailable("too many streams at once".to_owned()).into_grpc(),
        );
    };
    let limits = MessageLimits {
        size: context.writer.limits().decoded_bytes.saturating_add(ENVELOPE_BYTES),
        time: context.body_limits.time,
        max_wait: MAX_WAIT,
        budget: context.body_limits.budget.clone(),
    };
    let messages = MessageReader::new(request.into_body(), limits);
    let (acks, answers) = mpsc::channel(MAX_PENDING_ACKS);
    tokio::spawn(async move {
        let _held = (permit, share);
        let status = WriteStream { context, acks: acks.clone() }.run(messages).await;
        if let Err(status) = status {
            // The client may have gone.
            let _ = acks.send(Err(status)).await;
        }
    });
    grpc::channel_response(answers)
}

fn too_many_of_client(max: usize) -> Status {
    let message = format!("the client has {max} write streams (--grpc.max-streams-per-client)");
    RequestError::Unavailable(message).into_grpc()
}

/// One stream.
struct WriteStream {
    context: SharedState,
    acks: mpsc::Sender<Result<WriteStreamResponse, Status>>,
}

/// A request on its way from reading to storing.
struct PendingWrite {
    request: StreamRequest,
    reservation: Reservation,
    ack: mpsc::OwnedPermit<Result<WriteStreamResponse, Status>>,
}

impl WriteStream {
    /// Reads and stores until one of them ends; the status is an error unless all is done.
    async fn run(self, messages: MessageReader<Body>) -> Result<(), Status> {
        let (to_store, read) = mpsc::channel(MAX_PENDING_WRITES);
        let mut storing = pin!(self.store(read));
        let ended = tokio::select! {
            stopped = &mut storing => return stopped,
            ended = self.read(messages, to_store) => ended,
        };
        // What was read before the end is stored and acknowledged first.
        storing.await?;
        ended
    }

    /// Reads requests as long as there is room for them.
    async fn read(
        &self,
        mut messages: MessageReader<Body>,
        to_store: mpsc::Sender<PendingWrite>,
    ) -> Result<(), Status> {
        let mut last = None;
        loop {
            let Ok(place) = to_store.reserve().await else { return Ok(()) };
            // An error means that the client has gone.
            let Ok(ack) = self.acks.clone().reserve_owned().await else { return Ok(()) };
            let message = tokio::select! {
                biased;
                () = self.context.lifecycle.reached(Phase::Draining) => {
                    return Err(RequestError::Unavailable("narthex is stopping".to_owned()).into_grpc());
                }
                message = messages.next() => message?,
            };
            let Some(message) = message else { return Ok(()) };
            let request = StreamRequest::decode(&message.bytes)?;
            if last.is_some_and(|last| request.sequence <= last) {
                return Err(sequence_error(last.unwrap_or_default(), request.sequence));
            }
            last = Some(request.sequence);
            place.send(PendingWrite { request, reservation: message.reservation, ack });
        }
    }

    /// Stores what was read and acknowledges it.
    async fn store(&self, mut read: mpsc::Receiver<PendingWrite>) -> Result<(), Status> {
        while let Some(PendingWrite { request, reservation, ack }) = read.recv().await {
            let sequence = request.sequence;
            let answer = match ingest::store_streamed(&self.context, request, reservation).await {
                Ok(outcome) => write_response::ack(sequence, &outcome),
                Err(refused) if refused.is_permanent() => {
                    write_response::rejection_ack(sequence, refused)
                }
                Err(refused) => return Err(refused.into_grpc()),
            };
            ack.send(Ok(answer));
        }
        Ok(())
    }
}

fn sequence_error(last: u64, sequence: u64) -> Status {
    protocol_error(&format!("sequence {sequence} came after {last}: they must rise"))
}

fn protocol_error(message: &str) -> Status {
    details::with_reason(Code::InvalidArgument, message, details::PROTOCOL_ERROR)
}

impl From<DecodeStreamRequestError> for Status {
    fn from(error: DecodeStreamRequestError) -> Self {
        protocol_error(&error.to_string())
    }
}
