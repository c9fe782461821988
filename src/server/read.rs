//! `POST /api/v1/read`: remote read over HTTP. Responses with samples are built here, those with
//! chunks in [`crate::server::streamed_read`].

use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus::read_request::ResponseType;
use crate::remote::read;
use crate::remote::read::{ReadSource, SamplesResponse};
use crate::remote::read_request;
use crate::remote::read_request::{ReadAbort, RemoteReadError};
use crate::server::admission::Reservation;
use crate::server::body;
use crate::server::body::{BodyLimits, ResponseBody};
use crate::server::ingest;
use crate::server::read_permit::ReadPermit;
use crate::server::request_error::RequestError;
use crate::server::state::SharedState;
use crate::server::streamed_read;
use crate::tsdb::query::source::QueryError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::time::Instant;
use tokio::sync::oneshot;

/// Maximum size of the body of a read request, bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Handles a read request.
pub(crate) async fn read(State(context): State<SharedState>, request: Request) -> Response {
    if let Err(error) = ingest::check_accepting(&context) {
        return error.into_http_and_close();
    }
    let limits = BodyLimits { size: MAX_BODY, ..context.body_limits.clone() };
    let collected = match body::collect(request.into_body(), limits).await {
        Ok(collected) => collected,
        Err(error) => return RequestError::from(error).into_http_and_close(),
    };
    respond(context, collected.bytes).await.unwrap_or_else(RequestError::into_http)
}

async fn respond(context: SharedState, body: Bytes) -> Result<Response, RequestError> {
    let permit = ReadPermit::acquire(&context).await?;
    let request = run_blocking(move || read_request::decode_request(&body)).await?;
    match read_request::response_type(&request)? {
        ResponseType::Samples => respond_samples(context, request, permit).await,
        ResponseType::StreamedXorChunks => streamed_read::respond(context, request, permit).await,
    }
}

async fn respond_samples(
    context: SharedState,
    request: pb::ReadRequest,
    permit: ReadPermit,
) -> Result<Response, RequestError> {
    let (response, reservation) =
        run_samples_read(&context, request, permit, read::read_samples).await?;
    let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
    let body =
        Body::new(ResponseBody::new(response.pieces, reservation, context.answer_limits.time));
    Ok((headers, body).into_response())
}

/// Function that builds a response with samples.
pub(crate) type SamplesReadFn = fn(
    ReadSource<'_>,
    &pb::ReadRequest,
    &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError>;

/// Builds a response with samples on a blocking thread, which stops soon after a disconnect.
pub(crate) async fn run_samples_read(
    context: &SharedState,
    request: pb::ReadRequest,
    permit: ReadPermit,
    read_fn: SamplesReadFn,
) -> Result<(SamplesResponse, Reservation), RemoteReadError> {
    let shared = context.clone();
    let deadline = Instant::now() + context.query_timeout;
    // Dropping this future, as happens on a disconnect, drops the receiver and closes `alive`.
    let (alive, waiting) = oneshot::channel::<()>();
    let result: Result<(SamplesResponse, Reservation), RemoteReadError> = run_blocking(move || {
        let _held = permit;
        let mut reservation = shared.answer_limits.budget.reserve();
        let response = read_fn(shared.read_source(), &request, &mut |bytes| {
            if alive.is_closed() {
                return Err(ReadAbort::ClientGone);
            }
            if Instant::now() > deadline {
                return Err(ReadAbort::TimedOut);
            }
            reservation.extend(bytes).map_err(|_| ReadAbort::Busy)
        })?;
        Ok((response, reservation))
    })
    .await;
    drop(waiting);
    let (response, reservation) = result?;
    context.read_metrics.samples.inc_by(response.samples);
    Ok((response, reservation))
}

/// Runs `work` on a blocking thread. A panic becomes [`RemoteReadError::Panicked`].
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RemoteReadError> + Send + 'static,
) -> Result<T, RemoteReadError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "read panicked");
        Err(RemoteReadError::Panicked)
    })
}

impl From<RemoteReadError> for RequestError {
    fn from(error: RemoteReadError) -> Self {
        let message = error.to_string();
        match error {
            RemoteReadError::TooLarge { .. } => Self::TooLarge(message),
            RemoteReadError::Stopped(_) => Self::Unavailable(message),
            RemoteReadError::Query(QueryError::Corrupted(_)) => {
                tracing::error!(error = message, "read failed");
                Self::Internal(message)
            }
            RemoteReadError::Panicked => Self::Internal(message),
            RemoteReadError::NotSnappy(_)
            | RemoteReadError::Malformed(_)
            | RemoteReadError::TooMany { .. }
            | RemoteReadError::ResponseType(_)
            | RemoteReadError::MatcherType(_)
            | RemoteReadError::Matcher(_)
            | RemoteReadError::SampleLimit(_)
            | RemoteReadError::AnswerLimit(_)
            | RemoteReadError::TooLong(_) => Self::BadData(message),
        }
    }
}
