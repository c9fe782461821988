//! `POST /api/v1/read`: remote read over HTTP, answered with SAMPLES.

use crate::remote::read;
use crate::remote::read::{Answer, ReadError, Stop};
use crate::server::admission::{GateFull, Reservation};
use crate::server::body;
use crate::server::body::{BodyLimits, Pieces};
use crate::server::context::SharedContext;
use crate::server::ingest;
use crate::server::refused::Refused;
use crate::tsdb::query::source::QueryError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Largest body of a request.
const MAX_BODY: usize = 1 << 20;

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
    let under_way = context.read_metrics.begin();
    let answered = match context.read_gate.enter().await {
        Ok(permit) => answer(&context, collected.bytes, permit).await,
        Err(GateFull) => Err(Refused::Unavailable("too many reads at once".to_owned())),
    };
    drop(under_way);
    match answered {
        Ok((answer, reservation)) => {
            context.read_metrics.samples.inc_by(answer.samples);
            let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
            (headers, Body::new(Pieces::new(answer.pieces, reservation, context.answer_limits.time))).into_response()
        }
        Err(refused) => refused.into_http(),
    }
}

/// Makes the answer on a blocking thread, which stops soon after the client has gone.
async fn answer(
    context: &SharedContext,
    body: Bytes,
    permit: OwnedSemaphorePermit,
) -> Result<(Answer, Reservation), Refused> {
    let shared = context.clone();
    // Closed when this future is dropped, which is what happens when the client goes away.
    let (alive, waiting) = oneshot::channel::<()>();
    let answering = tokio::task::spawn_blocking(move || {
        let _held = permit;
        let mut reservation = shared.answer_limits.budget.reserve();
        let request = read::decode_request(&body)?;
        let answer = read::answer(&shared.db, &request, shared.read_limits, &mut |bytes| {
            if alive.is_closed() {
                return Err(Stop::Gone);
            }
            reservation.extend(bytes).map_err(|_| Stop::Busy)
        })?;
        Ok::<_, ReadError>((answer, reservation))
    });
    let answered = answering.await;
    drop(waiting);
    match answered {
        Ok(answered) => Ok(answered?),
        Err(error) => {
            tracing::error!(%error, "answering a read failed");
            Err(Refused::Fault("answering the read failed".to_owned()))
        }
    }
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
