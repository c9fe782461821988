//! Storing a request that came over HTTP or gRPC: in through the gate, over to a blocking thread, and back with what became of it.

use crate::remote::outcome::Outcome;
use crate::remote::packing::Packing;
use crate::remote::stream_request::StreamRequest;
use crate::remote::unpack::output::NoRoom;
use crate::remote::write::{Arrived, Form, WriteError};
use crate::server::admission::Reservation;
use crate::server::context::{Context, SharedContext};
use crate::server::lifecycle::Phase;
use crate::server::refused::Refused;
use crate::tsdb::db::clock::now_ms;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Whether requests are taken at all; to be asked before a body is read.
///
/// # Errors
/// [`Refused::Unavailable`] while the server starts or stops.
pub(crate) fn admit(context: &SharedContext) -> Result<(), Refused> {
    match context.lifecycle.phase() {
        Phase::Ready => Ok(()),
        Phase::Starting => Err(Refused::Unavailable("narthex is starting: it replays its log".to_owned())),
        Phase::Draining => Err(Refused::Unavailable("narthex is stopping".to_owned())),
    }
}

/// Stores a write request.
///
/// # Errors
/// [`Refused`] where it was not done; what was refused of a request that was done is in the outcome.
pub(crate) async fn store(
    context: &SharedContext,
    body: Bytes,
    form: Form,
    reservation: Reservation,
) -> Result<Outcome, Refused> {
    context.writer.judge(&body, form.packing)?;
    let permit = context.write_gate.enter().await?;
    store_inside(context, Inside { _permit: permit, reservation }, in_form(body, form)).await
}

/// Stores a request of a stream, which waits for its turn without a place in the queue: streams are few, and hold back their senders.
///
/// # Errors
/// As [`store`].
pub(crate) async fn store_streamed(
    context: &SharedContext,
    request: StreamRequest,
    reservation: Reservation,
) -> Result<Outcome, Refused> {
    let form = Form { version: request.version, packing: Packing::Plain };
    context.writer.judge(&request.request, form.packing)?;
    let permit = context.write_gate.enter_without_place().await?;
    store_inside(context, Inside { _permit: permit, reservation }, in_form(request.request, form)).await
}

/// Stores what a Thanos Receive router forwards.
///
/// # Errors
/// As [`store`].
pub(crate) async fn store_forwarded(
    context: &SharedContext,
    message: Bytes,
    reservation: Reservation,
) -> Result<Outcome, Refused> {
    context.writer.judge(&message, Packing::Plain)?;
    let permit = context.write_gate.enter().await?;
    let inside = Inside { _permit: permit, reservation };
    let work =
        move |context: &Context, _: &mut Reservation| context.writer.store_forwarded(&context.db, &message, now_ms());
    store_inside(context, inside, work).await
}

/// What a request holds until it is stored.
struct Inside {
    _permit: OwnedSemaphorePermit,
    reservation: Reservation,
}

/// How a request of remote write is stored. What it takes when it is unpacked is added to what is reserved for it.
fn in_form(body: Bytes, form: Form) -> impl FnOnce(&Context, &mut Reservation) -> Result<Outcome, WriteError> + Send {
    move |context, reservation| {
        let mut grant = |bytes| reservation.extend(bytes).map_err(|_| NoRoom);
        context.writer.store_within(&context.db, Arrived { body: &body, form, now_ms: now_ms() }, &mut grant)
    }
}

/// Stores a request that is through the gate.
async fn store_inside(
    context: &SharedContext,
    mut inside: Inside,
    work: impl FnOnce(&Context, &mut Reservation) -> Result<Outcome, WriteError> + Send + 'static,
) -> Result<Outcome, Refused> {
    let shared = context.clone();
    // The permit and the memory are held until the work is done, also where the client has gone.
    let storing = tokio::task::spawn_blocking(move || work(&shared, &mut inside.reservation));
    match storing.await {
        Ok(result) => Ok(result?),
        Err(error) => {
            tracing::error!(%error, "storing a request failed");
            Err(Refused::Fault("storing the request failed".to_owned()))
        }
    }
}

/// The answer to a request of which not all was stored.
pub(crate) fn partly(outcome: &Outcome) -> Refused {
    let mut text = format!("{} samples", outcome.samples);
    for (count, what) in [(outcome.histograms, "histograms"), (outcome.exemplars, "exemplars")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    Refused::BadData(format!("{text} stored; refused: {}", outcome.refusals))
}
