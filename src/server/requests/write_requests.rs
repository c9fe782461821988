//! Storage of write requests from HTTP and gRPC: admission, a blocking thread, the outcome.

use crate::ingest::outcome::WriteOutcome;
use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::OutOfBudget;
use crate::remote::write::stream_request::StreamRequest;
use crate::remote::write::{ReceivedRequest, RemoteWriteError, WireFormat};
use crate::server::contract::request_error::RequestError;
use crate::server::state::{ServerState, SharedState};
use crate::server::transport::admission::Reservation;
use crate::server::transport::blocking::run_with_permit;
use crate::tsdb::db::admission::WriteUnavailable;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::database::Db;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Stores a write request.
///
/// # Errors
/// [`RequestError`] if the request failed as a whole. Rejected samples of a successful request are
/// part of the outcome.
pub(crate) async fn store(
    context: &SharedState,
    body: Bytes,
    form: WireFormat,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    context.writer.precheck(&body, form.packing)?;
    let permit = context.write_gate.acquire().await?;
    store_with_permit(context, permit, reservation, store_fn(body, form)).await
}

/// Stores a request of a write stream. It waits for a permit outside the queue: the number of
/// streams is limited, and their senders wait.
///
/// # Errors
/// Same as [`store`].
pub(crate) async fn store_streamed(
    context: &SharedState,
    request: StreamRequest,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    let form = WireFormat { version: request.version, packing: BodyCompression::Plain };
    context.writer.precheck(&request.request, form.packing)?;
    let permit = context.write_gate.acquire_unqueued().await?;
    store_with_permit(context, permit, reservation, store_fn(request.request, form)).await
}

/// Stores a request that a Thanos Receive router forwards.
///
/// # Errors
/// Same as [`store`].
pub(crate) async fn store_forwarded(
    context: &SharedState,
    message: Bytes,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    context.writer.precheck(&message, BodyCompression::Plain)?;
    let permit = context.write_gate.acquire().await?;
    let work = move |context: &ServerState, _: &mut Reservation| {
        context.writer.store_thanos(ready(context)?, &message, now_ms())
    };
    store_with_permit(context, permit, reservation, work).await
}

/// Returns the function that stores a remote write request. It adds the decompressed size to the
/// reservation.
fn store_fn(
    body: Bytes,
    form: WireFormat,
) -> impl FnOnce(&ServerState, &mut Reservation) -> Result<WriteOutcome, RemoteWriteError> + Send {
    move |context, reservation| {
        let mut grant = |bytes| reservation.extend(bytes).map_err(|_| OutOfBudget);
        context.writer.store_with_budget(
            ready(context)?,
            ReceivedRequest { body: &body, form, now_ms: now_ms() },
            &mut grant,
        )
    }
}

/// Returns the database for a write.
fn ready(context: &ServerState) -> Result<&Db, WriteUnavailable> {
    context.db.ready().map_err(WriteUnavailable::from)
}

/// Stores a request on a blocking thread, which owns the permit and the memory: it finishes even if
/// the client disconnects.
async fn store_with_permit(
    context: &SharedState,
    permit: OwnedSemaphorePermit,
    mut reservation: Reservation,
    work: impl FnOnce(&ServerState, &mut Reservation) -> Result<WriteOutcome, RemoteWriteError>
    + Send
    + 'static,
) -> Result<WriteOutcome, RequestError> {
    let shared = context.clone();
    let stored =
        run_with_permit(permit, "storing the request", move |_| work(&shared, &mut reservation));
    Ok(stored.await??)
}
