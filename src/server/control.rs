//! What requests may order of the process: reload its configuration, stop. The handlers only pass it on; who carries it out holds the
//! other end, [`Orders`].

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Reloads that wait; more than one tells nothing new.
const RELOADS_AHEAD: usize = 16;

/// Whether an interface is open to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Requests are carried out.
    On,
    /// They are refused.
    Off,
}

/// Who asked for a reload, to be told what became of it.
pub type Reload = oneshot::Sender<Result<(), String>>;

/// The handlers' end.
#[derive(Debug)]
pub struct Control {
    /// Whether the database may be administered.
    pub admin: Access,
    /// Whether the process may be ordered about.
    pub lifecycle: Access,
    stopping: AtomicBool,
    reload: mpsc::Sender<Reload>,
    stop: mpsc::Sender<()>,
}

/// The other end.
#[derive(Debug)]
pub struct Orders {
    /// Reloads that are asked for.
    pub reload: mpsc::Receiver<Reload>,
    /// Gives something, once, when the process is to stop.
    pub stop: mpsc::Receiver<()>,
}

/// Both ends.
#[derive(Debug)]
pub struct ControlPair {
    /// For the handlers.
    pub control: Control,
    /// For who carries it out.
    pub orders: Orders,
}

/// Makes both ends.
#[must_use]
pub fn pair(admin: Access, lifecycle: Access) -> ControlPair {
    let (reload, reloads) = mpsc::channel(RELOADS_AHEAD);
    let (stop, stops) = mpsc::channel(1);
    ControlPair {
        control: Control { admin, lifecycle, stopping: AtomicBool::new(false), reload, stop },
        orders: Orders { reload: reloads, stop: stops },
    }
}

/// What an order to stop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The process begins to stop.
    Begins,
    /// It was ordered before.
    HasBegun,
}

impl Control {
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
    pub(crate) fn stop(&self) -> Stop {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return Stop::HasBegun;
        }
        // Nobody takes it where the process stops already.
        let _ = self.stop.try_send(());
        Stop::Begins
    }
}
