//! In which phase of its life the server is: starting, ready, draining. It never goes back.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// A phase of the server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// The log is being replayed; neither reads nor writes are answered.
    Starting = 0,
    /// Reads and writes are answered.
    Ready = 1,
    /// Requests under way are finished, new ones are refused.
    Draining = 2,
}

/// A latch with three positions that only moves forward.
#[derive(Debug)]
pub struct Lifecycle {
    phase: AtomicU8,
    moved: Notify,
}

impl Lifecycle {
    /// A server that starts.
    #[must_use]
    pub fn starting() -> Self {
        Self { phase: AtomicU8::new(Phase::Starting as u8), moved: Notify::new() }
    }

    /// The phase of this moment.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// Moves on to `phase`, unless the server is already beyond it.
    pub fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.moved.notify_waiters();
    }

    /// Waits until the server is in `phase` or beyond it.
    pub async fn reached(&self, phase: Phase) {
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on a move is heard of, so that none is missed after the look at the phase.
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
    fn a_draining_server_never_becomes_ready() {
        let lifecycle = Lifecycle::starting();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        lifecycle.advance(Phase::Draining);
        lifecycle.advance(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }

    #[tokio::test]
    async fn who_waits_for_a_phase_hears_of_it() {
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
