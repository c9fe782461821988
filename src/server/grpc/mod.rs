//! gRPC on the port of HTTP. The content type of a request identifies gRPC.
//!
//! | file               | content                                                         |
//! |--------------------|-----------------------------------------------------------------|
//! | `deadline`         | middleware: content type check and client deadline              |
//! | `compression`      | middleware: decompression of requests, compression of responses |
//! | `services`         | list of the services                                            |
//! | [`health`]         | health service                                                  |
//! | `reflection`       | reflection service                                              |
//! | `write`            | `narthex.v1.Write`: unary methods                               |
//! | `write_stream`     | `narthex.v1.Write`: stream of acknowledged requests             |
//! | `read`             | `narthex.v1.Read`                                               |
//! | `thanos_write`     | `thanos.WriteableStore`                                         |
//! | `thanos_store`     | `thanos.Store`                                                  |
//! | `thanos_info`      | `thanos.info.Info`                                              |
//! | `thanos_exemplars` | `thanos.Exemplars`, `thanos.Metadata`                           |
//! | `thanos_read`      | shared parts of the Thanos read services                        |
//! | `message_writer`   | streamed responses of several messages                          |
//! | `write_response`   | write outcomes as messages and statuses                         |
//! | `details`          | error details                                                   |
//! | `encoding`         | encodings of messages                                           |
//! | [`decompress_body`] | request body with decompressed messages                        |
//! | `compress_body`    | response body with compressed messages                          |
//! | `unfold_body`      | body from a function that computes the next frame               |
//! | `raw_codec`        | codec that passes message bytes through                         |
//! | `messages`         | reader of messages, with byte budget and backpressure           |
//! | `status_body`      | body that ends with a status                                    |
//! | `early_end_body`   | body that a future can end early                                |

pub(crate) mod compress_body;
pub(crate) mod compression;
pub(crate) mod deadline;
pub mod decompress_body;
pub(crate) mod details;
mod early_end_body;
pub(crate) mod encoding;
pub mod health;
pub(crate) mod message_writer;
pub(crate) mod messages;
pub(crate) mod raw_codec;
pub(crate) mod read;
pub(crate) mod reflection;
pub(crate) mod services;
mod status_body;
pub(crate) mod thanos_exemplars;
pub(crate) mod thanos_info;
mod thanos_read;
pub(crate) mod thanos_store;
pub(crate) mod thanos_write;
mod unfold_body;
pub(crate) mod write;
mod write_response;
pub(crate) mod write_stream;

use crate::server::grpc::raw_codec::ProstEncoder;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use http_body::Body as HttpBody;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::codec::EncodeBody;

/// Returns `true` if the content type of a request is gRPC.
pub(crate) fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        value
            .strip_prefix("application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    })
}

/// Returns a response with an error status only.
pub(crate) fn error_response(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new)
}

/// Returns a response with the messages of a channel. An error ends it.
pub(crate) fn channel_response<T: Message + 'static>(
    messages: mpsc::Receiver<Result<T, Status>>,
) -> Response {
    let messages = ReceiverStream::new(messages);
    let body = EncodeBody::new_server(
        ProstEncoder::default(),
        messages,
        None,
        Default::default(),
        Some(usize::MAX),
    );
    grpc_response(body)
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
