//! `thanos.WriteableStore`: writes that a Thanos Receive router forwards. For the codes see
//! [`crate::server::contract::thanos`].

use crate::remote::pb::thanos::WriteResponse;
use crate::server::contract::{grpc, thanos, write_response};
use crate::server::requests::acceptance;
use crate::server::requests::write_protocol::WriteProtocol;
use crate::server::requests::write_requests;
use crate::server::requests::write_requests::{ReadWrite, WriteState};
use crate::server::transport::body::BodyLimits;
use crate::server::transport::framing;
use crate::server::transport::framing::messages;
use crate::server::transport::framing::messages::GrpcMessage;
use axum::extract::{Request, State};
use axum::response::Response;
use std::sync::Arc;
use tonic::Status;

/// Name of the service, for health and reflection.
pub(crate) const SERVICE: &str = "thanos.WriteableStore";
/// Path of the method.
pub(crate) const REMOTE_WRITE: &str = "/thanos.WriteableStore/RemoteWrite";

pub(crate) async fn remote_write(
    State(writes): State<Arc<WriteState>>,
    request: Request,
) -> Response {
    store(&writes, request).await.unwrap_or_else(grpc::error_response)
}

async fn store(writes: &Arc<WriteState>, request: Request) -> Result<Response, Status> {
    acceptance::check_accepting(&writes.lifecycle, &writes.db).map_err(thanos::status)?;
    let origin = write_requests::origin(WriteProtocol::Thanos, &request);
    let limits = BodyLimits { size: writes.max_decoded_size(), ..writes.bodies.clone() };
    let message = messages::read_single_message(request.into_body(), limits).await;
    let GrpcMessage { bytes: body, reservation, .. } = message.map_err(|error| {
        write_requests::record_unreadable(writes, &origin, &error);
        thanos::message_status(error)
    })?;
    let request = ReadWrite { origin: &origin, body, reservation };
    let stored = write_requests::store_forwarded(writes, request).await;
    let outcome = stored.map_err(thanos::status)?;
    if outcome.rejections.is_empty() {
        Ok(framing::message_response(&WriteResponse {}))
    } else {
        Err(thanos::status(write_response::partial_write_error(&outcome)))
    }
}
