//! `narthex.v1.Write`: remote write over gRPC, unary methods. For streams see
//! [`crate::server::grpc::write_stream`].

use crate::remote::body_compression::BodyCompression;
use crate::remote::pb::narthex::v1::WriteResponse;
use crate::remote::write::{RemoteWriteVersion, WireFormat};
use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::contract::write_response;
use crate::server::grpc::raw_codec::RawCodec;
use crate::server::requests::acceptance;
use crate::server::requests::write_requests;
use crate::server::state::SharedState;
use crate::server::transport::body::{BodyError, BodyLimits, LimitedBody};
use crate::server::transport::framing::messages::FRAME_HEADER;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::future::Future;
use std::pin::Pin;
use tonic::Status;
use tonic::server::{Grpc, UnaryService};

/// Name of the service, for health and reflection.
pub(crate) const SERVICE: &str = "narthex.v1.Write";
/// Paths of the methods.
pub(crate) const WRITE_V1: &str = "/narthex.v1.Write/WriteV1";
pub(crate) const WRITE_V2: &str = "/narthex.v1.Write/WriteV2";
pub(crate) const WRITE_STREAM: &str = "/narthex.v1.Write/WriteStream";

pub(crate) async fn write_v1(State(context): State<SharedState>, request: Request) -> Response {
    write(context, request, RemoteWriteVersion::V1).await
}

pub(crate) async fn write_v2(State(context): State<SharedState>, request: Request) -> Response {
    write(context, request, RemoteWriteVersion::V2).await
}

async fn write(context: SharedState, request: Request, version: RemoteWriteVersion) -> Response {
    if let Err(error) = acceptance::check_accepting(&context) {
        return grpc::error_response(error.into_grpc());
    }
    let size = context.writer.limits().decoded_bytes;
    let limits =
        BodyLimits { size: size.saturating_add(FRAME_HEADER), ..context.body_limits.clone() };
    let request = request.map(|body| LimitedBody::new(body, limits).map_err(body_status));
    let mut grpc = Grpc::new(RawCodec::<WriteResponse>::default()).max_decoding_message_size(size);
    grpc.unary(WriteCall { context, version }, request).await.map(Body::new)
}

fn body_status(error: BodyError) -> Status {
    match error {
        // The decompression in front of this body fails with a status of its own.
        BodyError::Broken(cause) => match Status::try_from_error(cause) {
            Ok(status) => status,
            Err(cause) => RequestError::from(BodyError::Broken(cause)).into_grpc(),
        },
        error => RequestError::from(error).into_grpc(),
    }
}

struct WriteCall {
    context: SharedState,
    version: RemoteWriteVersion,
}

impl UnaryService<Bytes> for WriteCall {
    type Response = WriteResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<WriteResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (context, version) = (self.context.clone(), self.version);
        let message = request.into_inner();
        // The body has released its reservation. Reserve the message until it is stored.
        let mut reservation = context.body_limits.budget.reserve();
        let reserved = reservation.extend(message.len());
        Box::pin(async move {
            reserved.map_err(|error| RequestError::from(error).into_grpc())?;
            let form = WireFormat { version, packing: BodyCompression::Plain };
            let stored = write_requests::store(&context, message, form, reservation).await;
            let stored = stored.map_err(RequestError::into_grpc)?;
            if stored.rejections.is_empty() {
                Ok(tonic::Response::new(write_response::response(&stored)))
            } else {
                Err(write_response::partial_write_status(&stored))
            }
        })
    }
}
