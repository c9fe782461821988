//! Phases of the server: starting, ready, draining. The phase never goes back.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// Phase of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// The WAL is replayed; reads and writes are rejected.
    Starting = 0,
    /// Reads and writes are served.
    Ready = 1,
    /// Requests in flight are finished; new requests are rejected.
    Draining = 2,
}

/// Current phase, which only advances.
#[derive(Debug)]
pub struct Lifecycle {
    phase: AtomicU8,
    moved: Notify,
}

impl Lifecycle {
    /// Creates a lifecycle in [`Phase::Starting`].
    #[must_use]
    pub fn starting() -> Self {
        Self { phase: AtomicU8::new(Phase::Starting as u8), moved: Notify::new() }
    }

    /// Returns the current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// Advances to `phase`, unless the current phase is later.
    pub fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.moved.notify_waiters();
    }

    /// Waits until the server is in `phase` or beyond it.
    pub async fn reached(&self, phase: Phase) {
        loop {
            let mut moved = pin!(self.moved.notified());
            // Register before the check: an advance between the two must not be missed.
            moved.as_mut().enable();
            if self.phase() >= phase {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lifecycle, Phase};
    use std::sync::Arc;

    #[test]
    fn draining_server_never_becomes_ready() {
        let lifecycle = Lifecycle::starting();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        lifecycle.advance(Phase::Draining);
        lifecycle.advance(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }

    #[tokio::test]
    async fn waiter_is_notified_when_its_phase_is_reached() {
        let lifecycle = Arc::new(Lifecycle::starting());
        lifecycle.reached(Phase::Starting).await;
        let waiting = tokio::spawn({
            let lifecycle = lifecycle.clone();
            async move { lifecycle.reached(Phase::Draining).await }
        });
        tokio::task::yield_now().await;
        lifecycle.advance(Phase::Ready);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        lifecycle.advance(Phase::Draining);
        waiting.await.unwrap();
    }
}
