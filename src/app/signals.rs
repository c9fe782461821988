//! Signals of the process, as events for the application.
//!
//! | signal | event |
//! |---|---|
//! | SIGTERM, SIGINT | stop |
//! | SIGHUP | reload |
//! | SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ | none |

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Requests from outside of the application. Dropped senders request nothing.
#[derive(Debug)]
pub(crate) struct Events {
    /// Requests to stop: the first drains requests, the second ends the run at once.
    pub(crate) stop: mpsc::Receiver<()>,
    /// Requests to reload the configuration file.
    pub(crate) reload: mpsc::Receiver<()>,
}

/// Installs the handlers and forwards the signals of the process.
pub(crate) fn events() -> io::Result<Events> {
    let (stop, stops) = mpsc::channel(1);
    let (reload, reloads) = mpsc::channel(1);
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    tokio::spawn(forward(terminate, stop.clone()));
    tokio::spawn(forward(interrupt, stop));
    tokio::spawn(forward(hangup, reload));
    Ok(Events { stop: stops, reload: reloads })
}

async fn forward(mut signal: Signal, events: mpsc::Sender<()>) {
    while signal.recv().await.is_some() {
        // If the channel is full, an earlier signal has not been handled yet: both are one event.
        if let Err(TrySendError::Closed(())) = events.try_send(()) {
            return;
        }
    }
}

/// Handles the signals that do not stop the process, as in Prometheus.
///
/// With a handler for SIGXFSZ, a write beyond a file size limit is an error (EFBIG).
pub(crate) fn survive_others() -> io::Result<()> {
    let file_too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    let kinds = [
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        file_too_large,
    ];
    // Dropping the stream does not remove the handler.
    kinds.into_iter().try_for_each(|kind| signal(kind).map(drop))
}
