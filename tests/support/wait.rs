//! Waits for a condition within a deadline.
//!
//! The deadline is for hanging tests only. No result depends on speed.

use std::time::{Duration, Instant};

/// Maximum wait, long enough for a slow machine.
const DEADLINE: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(10);

/// Polls `probe` until it returns a value. Panics with `what` after two minutes.
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "still waiting for {what} after {DEADLINE:?}");
        std::thread::sleep(PAUSE);
    }
}

/// Polls `probe` until it returns `true`.
pub(crate) fn wait_until(what: &str, mut probe: impl FnMut() -> bool) {
    wait_for(what, || probe().then_some(()));
}
