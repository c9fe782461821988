//! Compression middleware in front of every method: methods read and write plain messages, and
//! tonic's own compression is off.
//!
//! | `grpc-encoding` of the request | its messages with the compressed flag                      |
//! |--------------------------------|------------------------------------------------------------|
//! | none, `identity`               | an error of the method that reads them                     |
//! | `zstd`, `snappy`, `gzip`       | decompressed within the size limit of the method           |
//! | any other                      | UNIMPLEMENTED, with `grpc-accept-encoding` in the response |
//!
//! Responses are compressed if the `grpc-accept-encoding` of the client has a supported encoding.
//!
//! The middleware also replaces tonic's status for a message over the limit by RESOURCE_EXHAUSTED.

use crate::remote::stream_request::ENVELOPE_BYTES;
use crate::server::grpc;
use crate::server::grpc::compress_body::compress_body;
use crate::server::grpc::decompress_body::decompress_body;
use crate::server::grpc::encoding::{ACCEPT_ENCODING, ACCEPTED, ENCODING, GrpcEncoding, IDENTITY};
use crate::server::grpc::messages::MessageLimits;
use crate::server::state::SharedState;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Duration;
use tonic::{Code, Status};

/// Maximum size of a message of methods that do not write, bytes.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// Path prefixes of methods whose messages are write requests.
const WRITE_METHOD_PREFIXES: [&str; 2] = ["/narthex.v1.Write/", "/thanos.WriteableStore/"];
/// Maximum time that a message of a write stream waits for memory. Other messages do not wait.
const STREAM_MAX_WAIT: Duration = Duration::from_secs(10);

/// Middleware that decompresses requests and compresses responses.
pub(crate) async fn compression_layer(
    State(context): State<SharedState>,
    mut request: Request,
    next: Next,
) -> Response {
    let own_encoding = match request.headers_mut().remove(ENCODING).as_ref().map(request_encoding) {
        None => None,
        Some(Ok(own_encoding)) => own_encoding,
        Some(Err(status)) => return unsupported_encoding(status),
    };
    let response_encoding = GrpcEncoding::for_response(request.headers(), own_encoding);
    request.headers_mut().remove(ACCEPT_ENCODING);
    if let Some(encoding) = own_encoding {
        let limits = limits(&context, request.uri().path());
        request =
            request.map(|body| decompress_body(body, context.inflater.clone(), encoding, limits));
    }
    let mut response = next.run(request).await;
    let status = response.headers().get(Status::GRPC_STATUS).cloned();
    match (status, response_encoding) {
        // tonic reports a message over the limit as OUT_OF_RANGE.
        (Some(status), _) if status == "11" => {
            let exhausted = HeaderValue::from(Code::ResourceExhausted as i32);
            response.headers_mut().insert(Status::GRPC_STATUS, exhausted);
        }
        (None, Some(encoding)) => {
            response.headers_mut().insert(ENCODING, HeaderValue::from_static(encoding.name()));
            response = response.map(|body| compress_body(body, context, encoding));
        }
        // The response has a status and no messages.
        _ => {}
    }
    response
}

/// Returns the encoding of a request, or `None` if its messages are plain.
fn request_encoding(name: &HeaderValue) -> Result<Option<GrpcEncoding>, Status> {
    let name = name.to_str().unwrap_or("?");
    if name == IDENTITY {
        return Ok(None);
    }
    let unknown =
        || Status::unimplemented(format!("unsupported grpc-encoding {name}: use {ACCEPTED}"));
    GrpcEncoding::from_name(name).map(Some).ok_or_else(unknown)
}

fn unsupported_encoding(status: Status) -> Response {
    let mut response = grpc::error_response(status);
    response
        .headers_mut()
        .extend(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED))]));
    response
}

/// Returns the limits of the messages of a method.
pub(crate) fn limits(context: &SharedState, path: &str) -> MessageLimits {
    let is_write = WRITE_METHOD_PREFIXES.iter().any(|prefix| path.starts_with(prefix));
    MessageLimits {
        size: if is_write {
            context.writer.limits().decoded_bytes.saturating_add(ENVELOPE_BYTES)
        } else {
            MAX_REQUEST_BYTES
        },
        time: context.body_limits.time,
        max_wait: if path == grpc::write::WRITE_STREAM { STREAM_MAX_WAIT } else { Duration::ZERO },
        budget: context.body_limits.budget.clone(),
    }
}
