//! What the services have in common by which Thanos reads: a request that has its turn, and errors as its querier takes them.
//!
//! A querier treats every status but OK alike: it warns, or fails the query, as it was told to. The codes are those of Thanos's own stores
//! where these have one.

use crate::remote::read_request::ReadError;
use crate::server::body::BodyLimits;
use crate::server::context::SharedContext;
use crate::server::grpc;
use crate::server::grpc::messages;
use crate::server::grpc::status_body::StatusBody;
use crate::server::ingest;
use crate::server::read::MAX_BODY;
use crate::server::read_turn::ReadTurn;
use crate::server::refused::Refused;
use axum::body::Body;
use axum::response::Response;
use bytes::BytesMut;
use http_body_util::{BodyExt, Full};
use prost::Message;
use std::convert::Infallible;
use tonic::{Code, Status};

/// A request that has its turn.
pub(crate) struct Asked<T> {
    pub(crate) request: T,
    pub(crate) turn: ReadTurn,
}

impl<T: Message + Default> Asked<T> {
    /// Reads the only message of a body and waits for the turn.
    pub(crate) async fn of(context: &SharedContext, body: Body) -> Result<Self, Status> {
        let request = request(context, body).await?;
        let turn = ReadTurn::take(context).await.map_err(Refused::into_grpc)?;
        Ok(Self { request, turn })
    }
}

/// The only message of a body.
pub(crate) async fn request<T: Message + Default>(context: &SharedContext, body: Body) -> Result<T, Status> {
    ingest::admit(context).map_err(Refused::into_grpc)?;
    let message = messages::only(body, BodyLimits { size: MAX_BODY, ..context.body_limits.clone() }).await?;
    let decoded = T::decode(message.bytes);
    decoded.map_err(|error| Refused::BadData(format!("not the message of this method: {error}")).into_grpc())
}

/// An answer of one message.
pub(crate) fn only(message: &impl Message) -> Response {
    let mut bytes = BytesMut::from(&messages::header(message.encoded_len())[..]);
    // A buffer that grows, so that encoding can't fail.
    let _ = message.encode(&mut bytes);
    let never = |impossible: Infallible| -> Status { match impossible {} };
    grpc::answer(StatusBody::new(Full::new(bytes.freeze()).map_err(never)))
}

/// As remote read's over gRPC.
pub(crate) fn status(error: ReadError) -> Status {
    match error {
        ReadError::AnswerLimit(_) | ReadError::TooLong(_) => Status::new(Code::ResourceExhausted, error.to_string()),
        _ => Refused::from(error).into_grpc(),
    }
}
