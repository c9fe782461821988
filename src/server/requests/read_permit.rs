//! Permit of a read, for all protocols.

use crate::remote::read::metrics::ActiveRead;
use crate::remote::read::read_request::RemoteReadError;
use crate::server::contract::request_error::RequestError;
use crate::server::requests::read_state::ReadState;
use crate::server::transport::blocking::{ClientWatch, run_with_permit};
use tokio::sync::OwnedSemaphorePermit;

/// Permit of a read. Dropping it lets the next read run.
#[derive(Debug)]
pub(crate) struct ReadPermit {
    _permit: OwnedSemaphorePermit,
    _active: ActiveRead,
}

impl ReadPermit {
    /// Waits in the queue for a permit. A waiting read counts as active in the metrics.
    pub(crate) async fn acquire(reads: &ReadState) -> Result<Self, RequestError> {
        let active = reads.metrics.start_read();
        let permit = reads.gate.acquire().await?;
        Ok(Self { _permit: permit, _active: active })
    }
}

/// Runs a part of a read on a blocking thread, which holds `permit` until the part ends.
///
/// # Errors
/// Error of `work`, or [`RemoteReadError::Panicked`].
pub(crate) async fn run_read<P: Send + 'static, T: Send + 'static>(
    permit: P,
    work: impl FnOnce(ClientWatch) -> Result<T, RemoteReadError> + Send + 'static,
) -> Result<T, RemoteReadError> {
    let result = run_with_permit(permit, "reading", work).await;
    result.unwrap_or(Err(RemoteReadError::Panicked))
}
