//! gRPC messages and the bodies that carry them.
//!
//! | file                | content                                                |
//! |---------------------|--------------------------------------------------------|
//! | `messages`          | reader of messages, with byte budget and backpressure  |
//! | `encoding`          | encodings of messages                                  |
//! | [`decompress_body`] | request body with decompressed messages                |
//! | `compress_body`     | response body with compressed messages                 |
//! | `unfold_body`       | body from a function that computes the next frame      |
//! | `status_body`       | body that ends with a status                           |
//! | `early_end_body`    | body that a future can end early                       |
//! | `deadline`          | deadline of a client                                   |

pub(crate) mod compress_body;
pub(crate) mod deadline;
pub mod decompress_body;
pub(crate) mod early_end_body;
pub(crate) mod encoding;
pub(crate) mod messages;
pub(crate) mod status_body;
pub(crate) mod unfold_body;

use crate::server::transport::framing::status_body::StatusBody;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Full};
use prost::Message;
use std::convert::Infallible;
use tonic::Status;

/// Returns `true` if the content type of a request is gRPC.
pub(crate) fn is_grpc(request: &Request) -> bool {
    has_grpc_type(request.headers())
}

/// Returns `true` if the content type of a request or response is gRPC.
pub(crate) fn has_grpc_type(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        value
            .strip_prefix("application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    })
}

/// Returns a gRPC response with this body, which contains messages and ends with a status.
pub(crate) fn grpc_response<B>(body: B) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// Returns a message with its header.
pub(crate) fn encode_message(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::from(&messages::frame_header(message.encoded_len())[..]);
    // The buffer grows, so encoding cannot fail.
    let _ = message.encode(&mut bytes);
    bytes.freeze()
}

/// Returns a response of one message.
pub(crate) fn message_response(message: &impl Message) -> Response {
    let never = |impossible: Infallible| -> Status { match impossible {} };
    grpc_response(StatusBody::new(Full::new(encode_message(message)).map_err(never)))
}
