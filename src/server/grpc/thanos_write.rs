//! `thanos.WriteableStore`: what a Thanos Receive router forwards.
//!
//! The router tells its sender one of three things, by the code that it gets here (`pkg/receive/handler.go` of Thanos): OK; from ALREADY_EXISTS
//! a 409, on which nothing is repeated; from any other code a 5xx, on which everything is repeated until it works. So data that will never
//! be taken is ALREADY_EXISTS here, also where a message is over a limit: a repeat would come with the same bytes, and hold up
//! all that its sender has behind it. See [`RequestError::into_thanos_status`].

use crate::remote::pb::thanos::WriteResponse;
use crate::server::body::{BodyError, BodyLimits, LimitedBody};
use crate::server::grpc;
use crate::server::grpc::messages::FRAME_HEADER;
use crate::server::grpc::raw_codec::RawCodec;
use crate::server::ingest;
use crate::server::request_error::RequestError;
use crate::server::state::SharedState;
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

/// The service's name, for health.
pub(crate) const SERVICE: &str = "thanos.WriteableStore";
/// The path of its method.
pub(crate) const REMOTE_WRITE: &str = "/thanos.WriteableStore/RemoteWrite";

/// Codes by which others say, before a message is seen here, that it is over a limit or none; a router would repeat it.
const RETRIED_PERMANENT_CODES: [Code; 3] =
    [Code::InvalidArgument, Code::ResourceExhausted, Code::OutOfRange];

/// Answers `ThanosWriteCall`.
pub(crate) async fn remote_write(State(context): State<SharedState>, request: Request) -> Response {
    if let Err(refused) = ingest::check_accepting(&context) {
        return grpc::error_response(refused.into_thanos_status());
    }
    let size = context.writer.limits().decoded_bytes;
    let limits =
        BodyLimits { size: size.saturating_add(FRAME_HEADER), ..context.body_limits.clone() };
    let request = request.map(|body| LimitedBody::new(body, limits).map_err(body_status));
    let mut grpc = Grpc::new(RawCodec::<WriteResponse>::default()).max_decoding_message_size(size);
    to_permanent_code(grpc.unary(ThanosWriteCall(context), request).await.map(Body::new))
}

/// Makes a code that a router would repeat in vain the one that it takes as final.
pub(crate) fn to_permanent_code(mut response: Response) -> Response {
    let code = response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    if code.is_some_and(|code| RETRIED_PERMANENT_CODES.contains(&code)) {
        response.headers_mut().insert("grpc-status", HeaderValue::from(Code::AlreadyExists as i32));
        // They would say the other code.
        response.headers_mut().remove("grpc-status-details-bin");
    }
    response
}

fn body_status(error: BodyError) -> Status {
    match error {
        BodyError::Broken(cause) => match Status::try_from_error(cause) {
            // What inflates messages in front of this says it with a status of its own.
            Ok(status) => status,
            // Bytes that did not arrive are not wrong ones.
            Err(cause) => {
                RequestError::Unavailable(BodyError::Broken(cause).to_string()).into_thanos_status()
            }
        },
        error => RequestError::from(error).into_thanos_status(),
    }
}

/// One call.
struct ThanosWriteCall(SharedState);

impl UnaryService<Bytes> for ThanosWriteCall {
    type Response = WriteResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<WriteResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let context = self.0.clone();
        let message = request.into_inner();
        // The body, with the memory that was reserved while it arrived, is gone by now; the message needs as much until it is stored.
        let mut reservation = context.body_limits.budget.reserve();
        let reserved = reservation.extend(message.len());
        Box::pin(async move {
            reserved.map_err(|error| RequestError::from(error).into_thanos_status())?;
            let stored = ingest::store_forwarded(&context, message, reservation).await;
            let stored = stored.map_err(RequestError::into_thanos_status)?;
            if stored.rejections.is_empty() {
                Ok(tonic::Response::new(WriteResponse {}))
            } else {
                Err(ingest::partial_write_error(&stored).into_thanos_status())
            }
        })
    }
}
