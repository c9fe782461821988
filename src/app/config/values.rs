//! Conversions of flag values.

use std::time::Duration;

/// Converts a limit: 0 means unlimited.
pub(super) fn limit(flag: u64) -> usize {
    match flag {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
