//! `narthex.v1.Write`: remote write over gRPC, unary methods. For streams see
//! [`crate::server::grpc::write_stream`].

use crate::remote::body_compression::BodyCompression;
use crate::remote::write::{RemoteWriteVersion, WireFormat};
use crate::server::contract::grpc;
use crate::server::contract::write_response;
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
pub(crate) const SERVICE: &str = "narthex.v1.Write";
/// Paths of the methods.
pub(crate) const WRITE_V1: &str = "/narthex.v1.Write/WriteV1";
pub(crate) const WRITE_V2: &str = "/narthex.v1.Write/WriteV2";
pub(crate) const WRITE_STREAM: &str = "/narthex.v1.Write/WriteStream";

pub(crate) async fn write_v1(State(writes): State<Arc<WriteState>>, request: Request) -> Response {
    write(&writes, request, RemoteWriteVersion::V1).await
}

pub(crate) async fn write_v2(State(writes): State<Arc<WriteState>>, request: Request) -> Response {
    write(&writes, request, RemoteWriteVersion::V2).await
}

async fn write(
    writes: &Arc<WriteState>,
    request: Request,
    version: RemoteWriteVersion,
) -> Response {
    store(writes, request, version).await.unwrap_or_else(grpc::error_response)
}

async fn store(
    writes: &Arc<WriteState>,
    request: Request,
    version: RemoteWriteVersion,
) -> Result<Response, Status> {
    acceptance::check_accepting(&writes.lifecycle, &writes.db)?;
    let protocol = match version {
        RemoteWriteVersion::V1 => WriteProtocol::GrpcV1,
        RemoteWriteVersion::V2 => WriteProtocol::GrpcV2,
    };
    let origin = write_requests::origin(protocol, &request);
    let limits = BodyLimits { size: writes.max_decoded_size(), ..writes.bodies.clone() };
    let message = messages::read_single_message(request.into_body(), limits).await;
    let GrpcMessage { bytes: body, reservation, .. } = message.map_err(|error| {
        write_requests::record_unreadable(writes, &origin, &error);
        grpc::unary_message_status(error)
    })?;
    let form = WireFormat { version, packing: BodyCompression::Plain };
    let request = ReadWrite { origin: &origin, body, reservation };
    let outcome = write_requests::store(writes, request, form).await?;
    if outcome.rejections.is_empty() {
        Ok(framing::message_response(&write_response::response(&outcome)))
    } else {
        Err(write_response::partial_write_status(&outcome))
    }
}
