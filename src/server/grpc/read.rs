//! `narthex.v1.Read`: remote read over gRPC. `Read` returns samples in one message, `ReadChunks`
//! chunks in many.
//!
//! The accepted response types of a request are ignored: the method selects the type. A response
//! without status OK is incomplete: an error or a slow client ends it with another status.

use crate::remote::pb::prometheus as pb;
use crate::remote::read;
use crate::remote::read::read_request;
use crate::server::contract::grpc;
use crate::server::requests::MAX_READ_BODY;
use crate::server::requests::acceptance;
use crate::server::requests::read_permit::{ReadPermit, run_read};
use crate::server::requests::read_state::ReadState;
use crate::server::requests::samples_read::{BufferedRead, run_samples_read};
use crate::server::requests::streamed_read;
use crate::server::requests::streamed_read::Framing;
use crate::server::transport::body::{BodyLimits, ResponseBody};
use crate::server::transport::framing;
use crate::server::transport::framing::messages;
use crate::server::transport::framing::status_body::StatusBody;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use std::sync::Arc;
use tonic::Status;

/// Name of the service, for health and reflection.
pub(crate) const SERVICE: &str = "narthex.v1.Read";
/// Paths of the methods.
pub(crate) const READ: &str = "/narthex.v1.Read/Read";
pub(crate) const READ_CHUNKS: &str = "/narthex.v1.Read/ReadChunks";

pub(crate) async fn read(State(reads): State<Arc<ReadState>>, request: Request) -> Response {
    respond_samples(&reads, request).await.unwrap_or_else(grpc::error_response)
}

pub(crate) async fn read_chunks(State(reads): State<Arc<ReadState>>, request: Request) -> Response {
    respond_chunks(&reads, request).await.unwrap_or_else(grpc::error_response)
}

async fn respond_samples(reads: &Arc<ReadState>, request: Request) -> Result<Response, Status> {
    let AdmittedRead { request, permit } = AdmittedRead::admit(reads, request.into_body()).await?;
    let read = run_samples_read(reads, request, permit, read::read_samples_plain).await;
    let BufferedRead { response, reservation } = read.map_err(grpc::read_status)?;
    let len = response.pieces.iter().map(Bytes::len).sum();
    let header = Bytes::copy_from_slice(&messages::frame_header(len));
    let pieces = std::iter::once(header).chain(response.pieces).collect();
    Ok(framing::grpc_response(StatusBody::new(ResponseBody::new(
        pieces,
        reservation,
        reads.responses.time,
    ))))
}

async fn respond_chunks(reads: &Arc<ReadState>, request: Request) -> Result<Response, Status> {
    let AdmittedRead { request, permit } = AdmittedRead::admit(reads, request.into_body()).await?;
    let mut frames = streamed_read::frames(reads, request, permit, Framing::Grpc)?;
    frames.wait_first().await?;
    Ok(framing::grpc_response(StatusBody::new(frames)))
}

/// Request with a read permit.
struct AdmittedRead {
    request: pb::ReadRequest,
    permit: ReadPermit,
}

impl AdmittedRead {
    async fn admit(reads: &ReadState, body: Body) -> Result<Self, Status> {
        acceptance::check_accepting(&reads.lifecycle, &reads.db)?;
        let message = messages::read_single_message(
            body,
            BodyLimits { size: MAX_READ_BODY, ..reads.bodies.clone() },
        )
        .await?;
        let permit = ReadPermit::acquire(reads).await?;
        let request = run_read((), move |_| read_request::parse_request(&message.bytes))
            .await
            .map_err(grpc::read_status)?;
        Ok(Self { request, permit })
    }
}
