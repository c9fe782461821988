//! What requests may order of the process: reload its configuration, stop. The handlers only pass it on; who carries it out holds the
//! other end, [`ControlReceiver`].

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Reloads that wait; more than one tells nothing new.
const RELOADS_AHEAD: usize = 16;

/// Whether an interface is open to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiAccess {
    /// Requests are carried out.
    On,
    /// They are refused.
    Off,
}

/// Who asked for a reload, to be told what became of it.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// The handlers' end.
#[derive(Debug)]
pub struct ControlHandle {
    /// Whether the database may be administered.
    pub admin: ApiAccess,
    /// Whether the process may be ordered about.
    pub lifecycle: ApiAccess,
    stopping: AtomicBool,
    reload: mpsc::Sender<ReloadRequest>,
    stop: mpsc::Sender<()>,
}

/// The other end.
#[derive(Debug)]
pub struct ControlReceiver {
    /// Reloads that are asked for.
    pub reload: mpsc::Receiver<ReloadRequest>,
    /// Gives something, once, when the process is to stop.
    pub stop: mpsc::Receiver<()>,
}

/// Both ends.
#[derive(Debug)]
pub struct ControlChannel {
    /// For the handlers.
    pub control: ControlHandle,
    /// For who carries it out.
    pub orders: ControlReceiver,
}

/// Makes both ends.
#[must_use]
pub fn control_channel(admin: ApiAccess, lifecycle: ApiAccess) -> ControlChannel {
    let (reload, reloads) = mpsc::channel(RELOADS_AHEAD);
    let (stop, stops) = mpsc::channel(1);
    ControlChannel {
        control: ControlHandle { admin, lifecycle, stopping: AtomicBool::new(false), reload, stop },
        orders: ControlReceiver { reload: reloads, stop: stops },
    }
}

/// What an order to stop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopOutcome {
    /// The process begins to stop.
    Started,
    /// It was ordered before.
    AlreadyStarted,
}

impl ControlHandle {
    /// Orders a reload and waits for what becomes of it.
    ///
    /// # Errors
    /// Why the configuration was not reloaded.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        let gone = || "the server is stopping".to_owned();
        let (told, outcome) = oneshot::channel();
        self.reload.send(told).await.map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Orders the process to stop.
    pub(crate) fn stop(&self) -> StopOutcome {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return StopOutcome::AlreadyStarted;
        }
        // Nobody takes it where the process stops already.
        let _ = self.stop.try_send(());
        StopOutcome::Started
    }
}
