//! Requests to the process: reload the configuration, shut down.
//!
//! Handlers send them through [`ControlHandle`]; the application receives them from
//! [`ControlReceiver`].

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Maximum number of queued reloads.
const RELOADS_AHEAD: usize = 16;

/// Availability of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiAccess {
    /// The API is enabled.
    On,
    /// The API is disabled and its requests are rejected.
    Off,
}

/// Reload request; the receiver sends the result of the reload.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Sending side of the channel, for handlers.
#[derive(Debug)]
pub struct ControlHandle {
    /// Availability of the admin API.
    pub admin: ApiAccess,
    /// Availability of the lifecycle API.
    pub lifecycle: ApiAccess,
    stopping: AtomicBool,
    reload: mpsc::Sender<ReloadRequest>,
    stop: mpsc::Sender<()>,
}

/// Receiving side of the channel, for the application.
#[derive(Debug)]
pub struct ControlReceiver {
    /// Reload requests, in order of arrival.
    pub reload: mpsc::Receiver<ReloadRequest>,
    /// Receives one item when the process is to shut down.
    pub stop: mpsc::Receiver<()>,
}

/// Both sides of the channel.
#[derive(Debug)]
pub struct ControlChannel {
    /// Side of the handlers.
    pub control: ControlHandle,
    /// Side of the application.
    pub receiver: ControlReceiver,
}

/// Creates both sides of the channel.
#[must_use]
pub fn control_channel(admin: ApiAccess, lifecycle: ApiAccess) -> ControlChannel {
    let (reload, reloads) = mpsc::channel(RELOADS_AHEAD);
    let (stop, stops) = mpsc::channel(1);
    ControlChannel {
        control: ControlHandle { admin, lifecycle, stopping: AtomicBool::new(false), reload, stop },
        receiver: ControlReceiver { reload: reloads, stop: stops },
    }
}

/// Outcome of a shutdown request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopOutcome {
    /// The shutdown starts now.
    Started,
    /// The shutdown was requested before.
    AlreadyStarted,
}

impl ControlHandle {
    /// Requests a reload and waits for its result.
    ///
    /// # Errors
    /// Reason why the configuration was not reloaded.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        let gone = || "narthex is shutting down".to_owned();
        let (sender, outcome) = oneshot::channel();
        self.reload.send(sender).await.map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Requests a shutdown of the process.
    pub(crate) fn stop(&self) -> StopOutcome {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return StopOutcome::AlreadyStarted;
        }
        // The receiver is gone if the process shuts down already.
        let _ = self.stop.try_send(());
        StopOutcome::Started
    }
}
