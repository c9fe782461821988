//! `thanos.WriteableStore`: writes that a Thanos Receive router forwards.
//!
//! The code determines what the router responds to its sender (`pkg/receive/handler.go` of Thanos):
//! success for OK; 409, on which the sender does not retry, for ALREADY_EXISTS; 5xx, on which it
//! retries until it succeeds, for any other code. Data that narthex will never store is
//! ALREADY_EXISTS, also if a message exceeds a limit: a retry has the same bytes and blocks the
//! data behind it. See [`RequestError::into_thanos_status`].

use crate::remote::pb::thanos::WriteResponse;
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
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::future::Future;
use std::pin::Pin;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

/// Name of the service, for health and reflection.
pub(crate) const SERVICE: &str = "thanos.WriteableStore";
/// Path of the method.
pub(crate) const REMOTE_WRITE: &str = "/thanos.WriteableStore/RemoteWrite";

/// Codes of other layers for messages that are invalid or too large. A router would retry them.
const RETRIED_PERMANENT_CODES: [Code; 3] =
    [Code::InvalidArgument, Code::ResourceExhausted, Code::OutOfRange];

pub(crate) async fn remote_write(State(context): State<SharedState>, request: Request) -> Response {
    if let Err(error) = acceptance::check_accepting(&context) {
        return grpc::error_response(error.into_thanos_status());
    }
    let size = context.writer.limits().decoded_bytes;
    let limits =
        BodyLimits { size: size.saturating_add(FRAME_HEADER), ..context.body_limits.clone() };
    let request = request.map(|body| LimitedBody::new(body, limits).map_err(body_status));
    let mut grpc = Grpc::new(RawCodec::<WriteResponse>::default()).max_decoding_message_size(size);
    to_permanent_code(grpc.unary(ThanosWriteCall(context), request).await.map(Body::new))
}

/// Replaces a code that a router would retry in vain by ALREADY_EXISTS.
pub(crate) fn to_permanent_code(mut response: Response) -> Response {
    let code = response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    if code.is_some_and(|code| RETRIED_PERMANENT_CODES.contains(&code)) {
        response.headers_mut().insert("grpc-status", HeaderValue::from(Code::AlreadyExists as i32));
        // The details contain the original code.
        response.headers_mut().remove("grpc-status-details-bin");
    }
    response
}

fn body_status(error: BodyError) -> Status {
    match error {
        BodyError::Broken(cause) => match Status::try_from_error(cause) {
            // The decompression in front of this body fails with a status of its own.
            Ok(status) => status,
            // The body did not arrive, which does not make it invalid.
            Err(cause) => {
                RequestError::Unavailable(BodyError::Broken(cause).to_string()).into_thanos_status()
            }
        },
        error => RequestError::from(error).into_thanos_status(),
    }
}

struct ThanosWriteCall(SharedState);

impl UnaryService<Bytes> for ThanosWriteCall {
    type Response = WriteResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<WriteResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let context = self.0.clone();
        let message = request.into_inner();
        // The body has released its reservation. Reserve the message until it is stored.
        let mut reservation = context.body_limits.budget.reserve();
        let reserved = reservation.extend(message.len());
        Box::pin(async move {
            reserved.map_err(|error| RequestError::from(error).into_thanos_status())?;
            let stored = write_requests::store_forwarded(&context, message, reservation).await;
            let stored = stored.map_err(RequestError::into_thanos_status)?;
            if stored.rejections.is_empty() {
                Ok(tonic::Response::new(WriteResponse {}))
            } else {
                Err(write_response::partial_write_error(&stored).into_thanos_status())
            }
        })
    }
}
