//! Fail points: named places at which tests pause or end the process.
//!
//! A fail point is a call like `fail_point::hit("wal.segment_roll")`. Without the feature `testing`
//! the call is empty, and the program contains neither the call nor the name. With the feature it
//! costs one atomic load until a test arms fail points (`testing::fail_points`).

#[cfg(any(test, feature = "testing"))]
use std::sync::OnceLock;

/// Function that handles the hits of all fail points; unset until a test arms one.
#[cfg(any(test, feature = "testing"))]
static HANDLER: OnceLock<fn(&'static str)> = OnceLock::new();

/// Marks a fail point. `name` is one of `testing::fail_points::ALL`; another name has no effect.
#[inline]
pub fn hit(name: &'static str) {
    #[cfg(any(test, feature = "testing"))]
    if let Some(handle) = HANDLER.get() {
        handle(name);
    }
    #[cfg(not(any(test, feature = "testing")))]
    let _ = name;
}

/// Passes all later hits to `handler`. A handler that was set before stays.
#[cfg(any(test, feature = "testing"))]
pub fn set_handler(handler: fn(&'static str)) {
    HANDLER.get_or_init(|| handler);
}
