//! gRPC on the port of HTTP: a request is gRPC by its content type.
//!
//! | file             | what                                                              |
//! |------------------|-------------------------------------------------------------------|
//! | `deadline`          | in front of every method: the content type, the client's deadline |
//! | `services`       | which services there are                                          |
//! | [`health`]       | which of them serve                                               |
//! | `reflection`     | what they look like                                               |
//! | `write`          | `narthex.v1.Write`: one request, one answer                       |
//! | `write_stream`   | `narthex.v1.Write`: a stream of requests, each acknowledged       |
//! | `read`           | `narthex.v1.Read`                                                 |
//! | `thanos_write`   | `thanos.WriteableStore`                                           |
//! | `thanos_store`   | `thanos.Store`                                                    |
//! | `thanos_info`    | `thanos.info.Info`                                                |
//! | `thanos_exemplars` | `thanos.Exemplars`, `thanos.Metadata`                           |
//! | `thanos_read`    | what these have in common                                         |
//! | `message_writer`     | answers of several messages, made while they are taken            |
//! | `write_response`        | what became of a write, as messages and statuses                  |
//! | `details`        | the details of an error                                           |
//! | `compression`    | in front of every method: messages are plain behind it            |
//! | `encoding`       | the encodings of messages                                         |
//! | `decompress_body`        | the messages of a request, inflated                               |
//! | `compress_body`        | the messages of an answer, compressed                             |
//! | `unfold_body`          | a body that is made step by step                                  |
//! | `raw_codec`      | messages as bytes                                                 |
//! | `messages`       | messages out of a body, as fast as there is room for them         |
//! | `status_body`    | a body that ends with a status                                    |
//! | `early_end_body`         | a body that ends early                                            |

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

/// Whether a request came from a gRPC client.
pub(crate) fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        value
            .strip_prefix("application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    })
}

/// A refusal as an answer.
pub(crate) fn error_response(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new)
}

/// An answer of what a channel gives; an error is its last word.
pub(crate) fn channel_response<T: Message + 'static>(
    answers: mpsc::Receiver<Result<T, Status>>,
) -> Response {
    let messages = ReceiverStream::new(answers);
    let body = EncodeBody::new_server(
        ProstEncoder::default(),
        messages,
        None,
        Default::default(),
        Some(usize::MAX),
    );
    grpc_response(body)
}

/// An answer with this body, which has messages and ends with a status.
pub(crate) fn grpc_response<B>(body: B) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
