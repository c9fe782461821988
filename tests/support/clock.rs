//! Clock of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time, ms since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(now.as_millis()).expect("a time in ms")
}
