//! Remote reads whose response with samples is complete in memory before it is sent.

use crate::remote::pb::prometheus as pb;
use crate::remote::read::{ReadSource, SamplesResponse};
use crate::remote::read_request::{ReadAbort, RemoteReadError};
use crate::server::requests::read_permit::ReadPermit;
use crate::server::state::SharedState;
use crate::server::transport::admission::Reservation;
use std::time::Instant;
use tokio::sync::oneshot;

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
