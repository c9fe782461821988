//! `narthex.v1.Read`: remote read over gRPC, answered with samples in one message or with chunks in many.
//!
//! Who wants which calls the one or the other; the types that a request accepts are not looked at. An answer that does not end with OK is
//! not whole: a fault or a client that is too slow ends it with another status behind what was sent.

use crate::remote::pb::prometheus as pb;
use crate::remote::read;
use crate::remote::read_request;
use crate::remote::read_request::ReadError;
use crate::server::body::{BodyLimits, NotTaken, Pieces};
use crate::server::context::SharedContext;
use crate::server::grpc;
use crate::server::grpc::messages;
use crate::server::grpc::status_body::StatusBody;
use crate::server::ingest;
use crate::server::read::{MAX_BODY, blocking, make};
use crate::server::read_turn::ReadTurn;
use crate::server::refused::Refused;
use crate::server::streamed_read;
use crate::server::streamed_read::{CutOff, Framing};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use tonic::{Code, Status};

/// The service's name, for health and reflection.
pub(crate) const SERVICE: &str = "narthex.v1.Read";
/// The paths of its methods.
pub(crate) const READ: &str = "/narthex.v1.Read/Read";
pub(crate) const READ_CHUNKS: &str = "/narthex.v1.Read/ReadChunks";

/// Answers `Read`.
pub(crate) async fn read(State(context): State<SharedContext>, request: Request) -> Response {
    samples(context, request).await.unwrap_or_else(grpc::refuse)
}

/// Answers `ReadChunks`.
pub(crate) async fn read_chunks(State(context): State<SharedContext>, request: Request) -> Response {
    chunks(context, request).await.unwrap_or_else(grpc::refuse)
}

async fn samples(context: SharedContext, request: Request) -> Result<Response, Status> {
    let Asked { request, turn } = Asked::of(&context, request.into_body()).await?;
    let (answer, reservation) = make(&context, request, turn, read::answer_plain).await.map_err(status)?;
    let len = answer.pieces.iter().map(Bytes::len).sum();
    let header = Bytes::copy_from_slice(&messages::header(len));
    let pieces = std::iter::once(header).chain(answer.pieces).collect();
    Ok(grpc::answer(StatusBody::new(Pieces::new(pieces, reservation, context.answer_limits.time))))
}

async fn chunks(context: SharedContext, request: Request) -> Result<Response, Status> {
    let Asked { request, turn } = Asked::of(&context, request.into_body()).await?;
    let frames = streamed_read::frames(&context, request, turn, Framing::Grpc);
    let mut frames = frames.map_err(Refused::into_grpc)?;
    frames.begun().await?;
    Ok(grpc::answer(StatusBody::new(frames)))
}

/// A request that has its turn.
struct Asked {
    request: pb::ReadRequest,
    turn: ReadTurn,
}

impl Asked {
    async fn of(context: &SharedContext, body: Body) -> Result<Self, Status> {
        ingest::admit(context).map_err(Refused::into_grpc)?;
        let message = messages::only(body, BodyLimits { size: MAX_BODY, ..context.body_limits.clone() }).await?;
        let turn = ReadTurn::take(context).await.map_err(Refused::into_grpc)?;
        let request = blocking(move || read_request::parse_request(&message.bytes)).await.map_err(status)?;
        Ok(Self { request, turn })
    }
}

/// As over HTTP, except that an answer over its limit has a code of its own.
fn status(error: ReadError) -> Status {
    match error {
        ReadError::AnswerLimit(_) | ReadError::TooLong(_) => Status::new(Code::ResourceExhausted, error.to_string()),
        _ => Refused::from(error).into_grpc(),
    }
}

impl From<CutOff> for Status {
    fn from(error: CutOff) -> Self {
        Refused::from(error).into_grpc()
    }
}

impl From<NotTaken> for Status {
    fn from(error: NotTaken) -> Self {
        Refused::Unavailable(error.to_string()).into_grpc()
    }
}
