//! Waiting for something to become true, within a deadline.
//!
//! The deadline only bounds a hanging test; no test's outcome depends on how fast something happened.

use std::time::{Duration, Instant};

/// Longer than anything awaited here takes on a slow, busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` again and again until it gives a value; panics, naming `what`, after two minutes.
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

/// Waits until `probe` says yes.
pub(crate) fn wait_until(what: &str, mut probe: impl FnMut() -> bool) {
    wait_for(what, || probe().then_some(()));
}
