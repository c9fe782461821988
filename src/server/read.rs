//! `POST /api/v1/read`: remote read over HTTP, answered with SAMPLES or, in [`crate::server::streamed_read`], with chunks.

use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus::read_request::ResponseType;
use crate::remote::read;
use crate::remote::read::{Answer, ReadSource};
use crate::remote::read_request;
use crate::remote::read_request::{ReadError, Stop};
use crate::server::admission::Reservation;
use crate::server::body;
use crate::server::body::{BodyLimits, Pieces};
use crate::server::context::SharedContext;
use crate::server::ingest;
use crate::server::read_turn::ReadTurn;
use crate::server::refused::Refused;
use crate::server::streamed_read;
use crate::tsdb::query::source::QueryError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::time::Instant;
use tokio::sync::oneshot;

/// Largest body of a request.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Answers the request.
pub(crate) async fn read(State(context): State<SharedContext>, request: Request) -> Response {
    if let Err(refused) = ingest::admit(&context) {
        return refused.into_http_and_close();
    }
    let limits = BodyLimits { size: MAX_BODY, ..context.body_limits.clone() };
    let collected = match body::collect(request.into_body(), limits).await {
        Ok(collected) => collected,
        Err(error) => return Refused::from(error).into_http_and_close(),
    };
    answer(context, collected.bytes).await.unwrap_or_else(Refused::into_http)
}

async fn answer(context: SharedContext, body: Bytes) -> Result<Response, Refused> {
    let turn = ReadTurn::take(&context).await?;
    let request = blocking(move || read_request::decode_request(&body)).await?;
    match read_request::response_type(&request)? {
        ResponseType::Samples => samples(context, request, turn).await,
        ResponseType::StreamedXorChunks => streamed_read::answer(context, request, turn).await,
    }
}

async fn samples(context: SharedContext, request: pb::ReadRequest, turn: ReadTurn) -> Result<Response, Refused> {
    let (answer, reservation) = make(&context, request, turn, read::answer).await?;
    let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
    let body = Body::new(Pieces::new(answer.pieces, reservation, context.answer_limits.time));
    Ok((headers, body).into_response())
}

/// One of the ways to make an answer with samples.
pub(crate) type Maker =
    fn(ReadSource<'_>, &pb::ReadRequest, &mut dyn FnMut(usize) -> Result<(), Stop>) -> Result<Answer, ReadError>;

/// Makes an answer with samples on a blocking thread, which stops soon after the client has gone.
pub(crate) async fn make(
    context: &SharedContext,
    request: pb::ReadRequest,
    turn: ReadTurn,
    maker: Maker,
) -> Result<(Answer, Reservation), ReadError> {
    let shared = context.clone();
    let deadline = Instant::now() + context.query_timeout;
    // Closed when this future is dropped, which is what happens when the client goes away.
    let (alive, waiting) = oneshot::channel::<()>();
    let answered: Result<(Answer, Reservation), ReadError> = blocking(move || {
        let _held = turn;
        let mut reservation = shared.answer_limits.budget.reserve();
        let answer = maker(shared.read_source(), &request, &mut |bytes| {
            if alive.is_closed() {
                return Err(Stop::Gone);
            }
            if Instant::now() > deadline {
                return Err(Stop::TimeOver);
            }
            reservation.extend(bytes).map_err(|_| Stop::Busy)
        })?;
        Ok((answer, reservation))
    })
    .await;
    drop(waiting);
    let (answer, reservation) = answered?;
    context.read_metrics.samples.inc_by(answer.samples);
    Ok((answer, reservation))
}

/// Runs `work` on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "answering a read failed");
        Err(ReadError::Broken)
    })
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        let text = error.to_string();
        match error {
            ReadError::TooLarge { .. } => Self::TooLarge(text),
            ReadError::Stopped(_) => Self::Unavailable(text),
            ReadError::Query(QueryError::Damaged(_)) => {
                tracing::error!(error = text, "a read failed");
                Self::Fault(text)
            }
            ReadError::Broken => Self::Fault(text),
            ReadError::NotSnappy(_)
            | ReadError::Malformed(_)
            | ReadError::TooMany { .. }
            | ReadError::ResponseType(_)
            | ReadError::MatcherType(_)
            | ReadError::Matcher(_)
            | ReadError::SampleLimit(_)
            | ReadError::AnswerLimit(_)
            | ReadError::TooLong(_) => Self::BadData(text),
        }
    }
}
