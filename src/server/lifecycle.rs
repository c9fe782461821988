//! In which phase of its life the server is: starting, ready, draining. It never goes back.

use std::sync::atomic::{AtomicU8, Ordering};

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
pub struct Lifecycle(AtomicU8);

impl Lifecycle {
    /// A server that starts.
    #[must_use]
    pub fn starting() -> Self {
        Self(AtomicU8::new(Phase::Starting as u8))
    }

    /// The phase of this moment.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// Moves on to `phase`, unless the server is already beyond it.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::{Lifecycle, Phase};

    #[test]
    fn a_draining_server_never_becomes_ready() {
        let lifecycle = Lifecycle::starting();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        lifecycle.advance(Phase::Draining);
        lifecycle.advance(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
}
