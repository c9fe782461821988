//! Storing a request that came over HTTP or gRPC: in through the gate, over to a blocking thread, and back with what became of it.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::OutOfBudget;
use crate::remote::stream_request::StreamRequest;
use crate::remote::write::{ReceivedRequest, RemoteWriteError, WireFormat};
use crate::remote::write_outcome::WriteOutcome;
use crate::server::admission::Reservation;
use crate::server::lifecycle::Phase;
use crate::server::request_error::RequestError;
use crate::server::state::{ServerState, SharedState};
use crate::tsdb::db::clock::now_ms;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Whether requests are taken at all; to be asked before a body is read.
///
/// # Errors
/// [`RequestError::Unavailable`] while the server starts or stops.
pub(crate) fn check_accepting(context: &SharedState) -> Result<(), RequestError> {
    match context.lifecycle.phase() {
        Phase::Ready => Ok(()),
        Phase::Starting => {
            Err(RequestError::Unavailable("narthex is starting: it replays its log".to_owned()))
        }
        Phase::Draining => Err(RequestError::Unavailable("narthex is stopping".to_owned())),
    }
}

/// Stores a write request.
///
/// # Errors
/// [`RequestError`] where it was not done; what was refused of a request that was done is in the outcome.
pub(crate) async fn store(
    context: &SharedState,
    body: Bytes,
    form: WireFormat,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    context.writer.precheck(&body, form.packing)?;
    let permit = context.write_gate.acquire().await?;
    store_admitted(context, AdmittedRequest { _permit: permit, reservation }, store_fn(body, form))
        .await
}

/// Stores a request of a stream, which waits for its turn without a place in the queue: streams are few, and hold back their senders.
///
/// # Errors
/// As [`store`].
pub(crate) async fn store_streamed(
    context: &SharedState,
    request: StreamRequest,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    let form = WireFormat { version: request.version, packing: BodyCompression::Plain };
    context.writer.precheck(&request.request, form.packing)?;
    let permit = context.write_gate.acquire_unqueued().await?;
    store_admitted(
        context,
        AdmittedRequest { _permit: permit, reservation },
        store_fn(request.request, form),
    )
    .await
}

/// Stores what a Thanos Receive router forwards.
///
/// # Errors
/// As [`store`].
pub(crate) async fn store_forwarded(
    context: &SharedState,
    message: Bytes,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    context.writer.precheck(&message, BodyCompression::Plain)?;
    let permit = context.write_gate.acquire().await?;
    let inside = AdmittedRequest { _permit: permit, reservation };
    let work = move |context: &ServerState, _: &mut Reservation| {
        context.writer.store_thanos(&context.db, &message, now_ms())
    };
    store_admitted(context, inside, work).await
}

/// What a request holds until it is stored.
struct AdmittedRequest {
    _permit: OwnedSemaphorePermit,
    reservation: Reservation,
}

/// How a request of remote write is stored. What it takes when it is unpacked is added to what is reserved for it.
fn store_fn(
    body: Bytes,
    form: WireFormat,
) -> impl FnOnce(&ServerState, &mut Reservation) -> Result<WriteOutcome, RemoteWriteError> + Send {
    move |context, reservation| {
        let mut grant = |bytes| reservation.extend(bytes).map_err(|_| OutOfBudget);
        context.writer.store_with_budget(
            &context.db,
            ReceivedRequest { body: &body, form, now_ms: now_ms() },
            &mut grant,
        )
    }
}

/// Stores a request that is through the gate.
async fn store_admitted(
    context: &SharedState,
    mut inside: AdmittedRequest,
    work: impl FnOnce(&ServerState, &mut Reservation) -> Result<WriteOutcome, RemoteWriteError>
    + Send
    + 'static,
) -> Result<WriteOutcome, RequestError> {
    let shared = context.clone();
    // The permit and the memory are held until the work is done, also where the client has gone.
    let storing = tokio::task::spawn_blocking(move || work(&shared, &mut inside.reservation));
    match storing.await {
        Ok(result) => Ok(result?),
        Err(error) => {
            tracing::error!(%error, "storing a request failed");
            Err(RequestError::Internal("storing the request failed".to_owned()))
        }
    }
}

/// The answer to a request of which not all was stored.
pub(crate) fn partial_write_error(outcome: &WriteOutcome) -> RequestError {
    let mut text = format!("{} samples", outcome.samples);
    for (count, what) in [(outcome.histograms, "histograms"), (outcome.exemplars, "exemplars")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    RequestError::BadData(format!("{text} stored; refused: {}", outcome.rejections))
}
