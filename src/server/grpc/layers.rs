//! Middleware in front of every method: deadline and compression.
//!
//! Methods read and write plain messages, and tonic's own compression is off.
//!
//! | `grpc-encoding` of the request | its messages with the compressed flag                      |
//! |--------------------------------|------------------------------------------------------------|
//! | none, `identity`               | an error of the method that reads them                     |
//! | `zstd`, `snappy`, `gzip`       | decompressed within the size limit of the method           |
//! | any other                      | UNIMPLEMENTED, with `grpc-accept-encoding` in the response |
//!
//! Responses are compressed if the `grpc-accept-encoding` of the client has a supported encoding.

use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::grpc::write_stream::with_envelope;
use crate::server::grpc::{thanos_write, write};
use crate::server::requests::write_protocol::WriteProtocol;
use crate::server::requests::write_requests;
use crate::server::requests::write_requests::WriteState;
use crate::server::transport::admission::ByteBudget;
use crate::server::transport::body::{BodyLimits, SizeLimit};
use crate::server::transport::framing;
use crate::server::transport::framing::compress_body::compress_body;
use crate::server::transport::framing::deadline;
use crate::server::transport::framing::decompress_body::{MessageDecompressor, decompress_body};
use crate::server::transport::framing::encoding::{ACCEPT_ENCODING, ENCODING, GrpcEncoding};
use crate::server::transport::framing::messages::MessageLimits;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;

/// Maximum size of a message of methods that do not write.
const MAX_REQUEST_SIZE: SizeLimit = SizeLimit::fixed(4 << 20);
/// Path prefixes of methods whose messages are write requests.
const WRITE_METHOD_PREFIXES: [&str; 2] = ["/narthex.v1.Write/", "/thanos.WriteableStore/"];
/// Maximum time that a message of a write stream waits for memory. Other messages do not wait.
const STREAM_MAX_WAIT: Duration = Duration::from_secs(10);

/// State of the compression of messages.
#[derive(Debug)]
pub struct GrpcState {
    /// Decompressor of messages.
    pub decompressor: MessageDecompressor,
    /// Maximum size of a write request.
    pub max_write_size: SizeLimit,
    /// Time and memory limits of request bodies. `size` is a default that is replaced.
    pub bodies: BodyLimits,
    /// Budget for the memory of compressed responses.
    pub response_budget: ByteBudget,
    /// State of writes, for the record of rejected ones.
    pub writes: Arc<WriteState>,
}

/// Middleware that passes gRPC requests on until their deadline.
pub(crate) async fn deadline_layer(request: Request, next: Next) -> Response {
    if !framing::is_grpc(&request) {
        return RequestError::Unsupported("this path serves gRPC only".to_owned()).into_response();
    }
    let result = match deadline::parse_deadline(request.headers()) {
        Ok(None) => return next.run(request).await,
        Ok(Some(deadline)) => {
            deadline::respond_before(deadline, next.run(request), grpc::deadline_trailers).await
        }
        Err(error) => Err(error),
    };
    result.unwrap_or_else(grpc::error_response)
}

/// Middleware that decompresses requests and compresses responses.
pub(crate) async fn compression_layer(
    State(grpc_state): State<Arc<GrpcState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let own_encoding = request.headers_mut().remove(ENCODING);
    let own_encoding = match own_encoding.as_ref().map(GrpcEncoding::for_request).transpose() {
        Ok(own_encoding) => own_encoding.flatten(),
        Err(error) => {
            if let Some(protocol) = write_protocol(request.uri().path()) {
                let origin = write_requests::origin(protocol, &request);
                let rejected = RequestError::Unsupported(error.to_string());
                write_requests::record_error(&grpc_state.writes, &origin, &rejected);
            }
            return grpc::unsupported_encoding(&error);
        }
    };
    let response_encoding = GrpcEncoding::for_response(request.headers(), own_encoding);
    request.headers_mut().remove(ACCEPT_ENCODING);
    if let Some(encoding) = own_encoding {
        let limits = limits(&grpc_state, request.uri().path());
        request = request.map(|body| {
            let plain = decompress_body(body, grpc_state.decompressor.clone(), encoding, limits);
            Body::new(plain.map_err(Status::from))
        });
    }
    let mut response = next.run(request).await;
    if let Some(status) = response.headers_mut().get_mut(Status::GRPC_STATUS) {
        // The response has a status and no messages.
        grpc::replace_out_of_range(status);
    } else if let Some(encoding) = response_encoding {
        response.headers_mut().insert(ENCODING, HeaderValue::from_static(encoding.name()));
        let budget = grpc_state.response_budget.clone();
        response = response.map(|body| compress_body(body, budget, encoding));
    }
    response
}

/// Returns the protocol of a method that writes.
fn write_protocol(path: &str) -> Option<WriteProtocol> {
    match path {
        write::WRITE_V1 => Some(WriteProtocol::GrpcV1),
        write::WRITE_V2 => Some(WriteProtocol::GrpcV2),
        write::WRITE_STREAM => Some(WriteProtocol::GrpcStream),
        thanos_write::REMOTE_WRITE => Some(WriteProtocol::Thanos),
        _ => None,
    }
}

/// Returns the limits of the messages of a method.
pub(crate) fn limits(grpc_state: &GrpcState, path: &str) -> MessageLimits {
    let is_write = WRITE_METHOD_PREFIXES.iter().any(|prefix| path.starts_with(prefix));
    MessageLimits {
        size: if is_write { with_envelope(grpc_state.max_write_size) } else { MAX_REQUEST_SIZE },
        time: grpc_state.bodies.time,
        max_wait: if path == write::WRITE_STREAM { STREAM_MAX_WAIT } else { Duration::ZERO },
        budget: grpc_state.bodies.budget.clone(),
    }
}
