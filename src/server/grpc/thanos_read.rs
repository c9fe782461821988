//! Shared parts of the Thanos read services: requests with a permit, and responses.

use crate::server::contract::request_error::RequestError;
use crate::server::requests::MAX_READ_BODY;
use crate::server::requests::acceptance;
use crate::server::requests::read_permit::ReadPermit;
use crate::server::state::SharedState;
use crate::server::transport::body::BodyLimits;
use crate::server::transport::framing;
use crate::server::transport::framing::messages;
use crate::server::transport::framing::status_body::StatusBody;
use axum::body::Body;
use axum::response::Response;
use bytes::BytesMut;
use http_body_util::{BodyExt, Full};
use prost::Message;
use std::convert::Infallible;
use tonic::Status;

/// Request with a read permit.
pub(crate) struct AdmittedThanosRead<T> {
    pub(crate) request: T,
    pub(crate) permit: ReadPermit,
}

impl<T: Message + Default> AdmittedThanosRead<T> {
    /// Reads the only message of a body and waits for a permit.
    pub(crate) async fn admit(context: &SharedState, body: Body) -> Result<Self, Status> {
        let request = request(context, body).await?;
        let permit = ReadPermit::acquire(context).await.map_err(RequestError::into_grpc)?;
        Ok(Self { request, permit })
    }
}

/// Reads the only message of a body.
pub(crate) async fn request<T: Message + Default>(
    context: &SharedState,
    body: Body,
) -> Result<T, Status> {
    acceptance::check_accepting(context).map_err(RequestError::into_grpc)?;
    let message = messages::read_single_message(
        body,
        BodyLimits { size: MAX_READ_BODY, ..context.body_limits.clone() },
    )
    .await?;
    let decoded = T::decode(message.bytes);
    decoded.map_err(|error| {
        RequestError::BadData(format!("cannot decode request: {error}")).into_grpc()
    })
}

/// Returns a response of one message.
pub(crate) fn single_message(message: &impl Message) -> Response {
    let mut bytes = BytesMut::from(&messages::frame_header(message.encoded_len())[..]);
    // The buffer grows, so encoding cannot fail.
    let _ = message.encode(&mut bytes);
    let never = |impossible: Infallible| -> Status { match impossible {} };
    framing::grpc_response(StatusBody::new(Full::new(bytes.freeze()).map_err(never)))
}
