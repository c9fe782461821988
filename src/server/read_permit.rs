//! A read's place among those at work, whichever way it came.

use crate::remote::metrics::ActiveRead;
use crate::server::admission::Overloaded;
use crate::server::request_error::RequestError;
use crate::server::state::ServerState;
use tokio::sync::OwnedSemaphorePermit;

/// The place; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ReadPermit {
    _permit: OwnedSemaphorePermit,
    _active: ActiveRead,
}

impl ReadPermit {
    /// Waits for a place, not for ever; the wait counts as a read under way.
    pub(crate) async fn acquire(context: &ServerState) -> Result<Self, RequestError> {
        let under_way = context.read_metrics.start_read();
        match context.read_gate.acquire().await {
            Ok(permit) => Ok(Self { _permit: permit, _active: under_way }),
            Err(Overloaded) => Err(RequestError::Unavailable("too many reads at once".to_owned())),
        }
    }
}
