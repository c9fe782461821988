//! Permit of a read, for all protocols.

use crate::remote::metrics::ActiveRead;
use crate::server::contract::request_error::RequestError;
use crate::server::state::ServerState;
use crate::server::transport::admission::Overloaded;
use tokio::sync::OwnedSemaphorePermit;

/// Permit of a read. Dropping it lets the next read run.
#[derive(Debug)]
pub(crate) struct ReadPermit {
    _permit: OwnedSemaphorePermit,
    _active: ActiveRead,
}

impl ReadPermit {
    /// Waits in the queue for a permit. A waiting read counts as active in the metrics.
    pub(crate) async fn acquire(context: &ServerState) -> Result<Self, RequestError> {
        let active = context.read_metrics.start_read();
        match context.read_gate.acquire().await {
            Ok(permit) => Ok(Self { _permit: permit, _active: active }),
            Err(Overloaded) => Err(RequestError::Unavailable("too many reads at once".to_owned())),
        }
    }
}
