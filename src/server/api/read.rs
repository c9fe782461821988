//! `POST /api/v1/read`: remote read over HTTP.

use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus::read_request::ResponseType;
use crate::remote::read;
use crate::remote::read::read_request;
use crate::server::contract::request_error::RequestError;
use crate::server::requests::MAX_READ_BODY;
use crate::server::requests::acceptance::check_accepting;
use crate::server::requests::read_permit::{ReadPermit, run_read};
use crate::server::requests::read_state::ReadState;
use crate::server::requests::samples_read::{BufferedRead, run_samples_read};
use crate::server::requests::streamed_read;
use crate::server::requests::streamed_read::Framing;
use crate::server::transport::body;
use crate::server::transport::body::{BodyLimits, BufferedRequest, ResponseBody};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Content type of Prometheus for the frames of a response with chunks. There is no
/// Content-Encoding.
const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Handles a read request.
pub(crate) async fn read(State(reads): State<Arc<ReadState>>, request: Request) -> Response {
    respond(&reads, request).await.unwrap_or_else(RequestError::into_response)
}

async fn respond(reads: &Arc<ReadState>, request: Request) -> Result<Response, RequestError> {
    check_accepting(&reads.lifecycle, &reads.db)?;
    let limits = BodyLimits { size: MAX_READ_BODY, ..reads.bodies.clone() };
    let BufferedRequest { bytes, reservation: _reservation } =
        body::collect(request.into_body(), limits).await?;
    let permit = ReadPermit::acquire(reads).await?;
    let request = run_read((), move |_| read_request::decode_request(&bytes)).await?;
    match read_request::response_type(&request)? {
        ResponseType::Samples => respond_samples(reads, request, permit).await,
        ResponseType::StreamedXorChunks => respond_chunks(reads, request, permit).await,
    }
}

async fn respond_samples(
    reads: &Arc<ReadState>,
    request: pb::ReadRequest,
    permit: ReadPermit,
) -> Result<Response, RequestError> {
    let BufferedRead { response, reservation } =
        run_samples_read(reads, request, permit, read::read_samples).await?;
    let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
    let body = Body::new(ResponseBody::new(response.pieces, reservation, reads.responses.time));
    Ok((headers, body).into_response())
}

/// Responds as soon as the first piece is ready.
async fn respond_chunks(
    reads: &Arc<ReadState>,
    request: pb::ReadRequest,
    permit: ReadPermit,
) -> Result<Response, RequestError> {
    let mut frames = streamed_read::frames(reads, request, permit, Framing::Delimited)?;
    frames.wait_first().await?;
    Ok(([(CONTENT_TYPE, STREAMED)], Body::new(frames)).into_response())
}
