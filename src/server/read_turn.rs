//! A read's place among those at work, whichever way it came.

use crate::remote::metrics::ReadUnderWay;
use crate::server::admission::GateFull;
use crate::server::context::Context;
use crate::server::refused::Refused;
use tokio::sync::OwnedSemaphorePermit;

/// The place; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ReadTurn {
    _permit: OwnedSemaphorePermit,
    _under_way: ReadUnderWay,
}

impl ReadTurn {
    /// Waits for a place, not for ever; the wait counts as a read under way.
    pub(crate) async fn take(context: &Context) -> Result<Self, Refused> {
        let under_way = context.read_metrics.begin();
        match context.read_gate.enter().await {
            Ok(permit) => Ok(Self { _permit: permit, _under_way: under_way }),
            Err(GateFull) => Err(Refused::Unavailable("too many reads at once".to_owned())),
        }
    }
}
