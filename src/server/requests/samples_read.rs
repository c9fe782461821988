//! Remote reads whose response with samples is complete in memory before it is sent.

use crate::remote::pb::prometheus as pb;
use crate::remote::read::read_request::{ReadAbort, RemoteReadError};
use crate::remote::read::{ReadSource, SamplesResponse};
use crate::server::requests::read_permit::{ReadPermit, run_read};
use crate::server::requests::read_state::ReadState;
use crate::server::transport::admission::Reservation;
use std::sync::Arc;

/// Complete response and its memory reservation.
#[derive(Debug)]
pub(crate) struct BufferedRead {
    pub(crate) response: SamplesResponse,
    pub(crate) reservation: Reservation,
}

/// Function that builds a response with samples.
pub(crate) type SamplesReadFn = fn(
    ReadSource<'_>,
    &pb::ReadRequest,
    &mut dyn FnMut(usize) -> Result<(), ReadAbort>,
) -> Result<SamplesResponse, RemoteReadError>;

/// Builds a response with samples on a blocking thread, which stops soon after a disconnect.
/// A passed time limit counts as one.
pub(crate) async fn run_samples_read(
    reads: &Arc<ReadState>,
    request: pb::ReadRequest,
    permit: ReadPermit,
    read_fn: SamplesReadFn,
) -> Result<BufferedRead, RemoteReadError> {
    let shared = reads.clone();
    let read = run_read(permit, move |client| {
        let mut reservation = shared.responses.budget.reserve();
        let response = read_fn(shared.source()?, &request, &mut |bytes| {
            if client.is_disconnected() {
                return Err(ReadAbort::ClientGone);
            }
            reservation.extend(bytes).map_err(|_| ReadAbort::Busy)
        })?;
        Ok(BufferedRead { response, reservation })
    })
    .await?;
    reads.metrics.samples.inc_by(read.response.samples);
    Ok(read)
}
