//! Compression of messages, in front of every method: they get plain messages and give plain ones; tonic's own compression stays off.
//!
//! | `grpc-encoding` of the request | its messages with the flag set are                          |
//! |--------------------------------|-------------------------------------------------------------|
//! | none, `identity`               | an error of the method that reads them                      |
//! | `zstd`, `snappy`, `gzip`       | inflated within the method's bound                          |
//! | another one                    | UNIMPLEMENTED, and what is known in `grpc-accept-encoding`  |
//!
//! Answers are compressed where the client's `grpc-accept-encoding` names an encoding that is known.
//!
//! This is also the one place that says RESOURCE_EXHAUSTED of a message over its limit, for which tonic has another code.

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

/// Largest message of methods that write nothing: what they are asked for is small.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// Methods below these take whole write requests.
const WRITE_METHOD_PREFIXES: [&str; 2] = ["/narthex.v1.Write/", "/thanos.WriteableStore/"];
/// What a stream is held back for; others are told at once that there is no memory.
const STREAM_MAX_WAIT: Duration = Duration::from_secs(10);

/// Calls a method with plain messages.
pub(crate) async fn compression_layer(
    State(context): State<SharedState>,
    mut request: Request,
    next: Next,
) -> Response {
    let own = match request.headers_mut().remove(ENCODING).as_ref().map(request_encoding) {
        None => None,
        Some(Ok(own)) => own,
        Some(Err(status)) => return unsupported_encoding(status),
    };
    let for_answers = GrpcEncoding::for_response(request.headers(), own);
    request.headers_mut().remove(ACCEPT_ENCODING);
    if let Some(encoding) = own {
        let limits = limits(&context, request.uri().path());
        request =
            request.map(|body| decompress_body(body, context.inflater.clone(), encoding, limits));
    }
    let mut response = next.run(request).await;
    let status = response.headers().get(Status::GRPC_STATUS).cloned();
    match (status, for_answers) {
        // tonic says of a message over its limit that it is out of range.
        (Some(status), _) if status == "11" => {
            let exhausted = HeaderValue::from(Code::ResourceExhausted as i32);
            response.headers_mut().insert(Status::GRPC_STATUS, exhausted);
        }
        (None, Some(encoding)) => {
            response.headers_mut().insert(ENCODING, HeaderValue::from_static(encoding.name()));
            response = response.map(|body| compress_body(body, context, encoding));
        }
        // Nothing but a status.
        _ => {}
    }
    response
}

/// The encoding that a request names; `None` where its messages are plain.
fn request_encoding(name: &HeaderValue) -> Result<Option<GrpcEncoding>, Status> {
    let name = name.to_str().unwrap_or("?");
    if name == IDENTITY {
        return Ok(None);
    }
    let unknown =
        || Status::unimplemented(format!("the encoding {name} is not known, only {ACCEPTED}"));
    GrpcEncoding::from_name(name).map(Some).ok_or_else(unknown)
}

fn unsupported_encoding(status: Status) -> Response {
    let mut response = grpc::error_response(status);
    response
        .headers_mut()
        .extend(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED))]));
    response
}

/// The bounds of a method's messages.
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
