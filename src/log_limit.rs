//! Rate limit of a log line that clients can cause.
//!
//! At most [`MAX_LINES`] lines are logged in an interval of [`INTERVAL`]. Further ones are counted,
//! and the next line reports their number in its field `suppressed`. The time is an argument. One
//! mutex guards the state; it is held for a comparison and an addition.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Maximum number of lines in an interval.
const MAX_LINES: u32 = 5;
/// Length of an interval.
const INTERVAL: Duration = Duration::from_secs(10);

/// Rate limit of one log line.
#[derive(Debug)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Start of the current interval; `None` before the first line.
    started: Option<Instant>,
    /// Lines logged in the current interval.
    lines: u32,
    /// Lines suppressed since the last one that was logged.
    suppressed: u64,
}

impl LogLimit {
    /// Creates a limit that has logged nothing.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State { started: None, lines: 0, suppressed: 0 }))
    }

    /// Returns the number of lines suppressed since the last one if a line may be logged at `now`.
    /// Otherwise counts the line as suppressed.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        // Threads may pass their times out of order; an earlier one belongs to the interval.
        let is_over =
            state.started.is_none_or(|started| now.saturating_duration_since(started) >= INTERVAL);
        if is_over {
            state.started = Some(now);
            state.lines = 0;
        }
        if state.lines == MAX_LINES {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, LogLimit, MAX_LINES};
    use std::time::{Duration, Instant};

    #[test]
    fn lines_beyond_the_limit_are_counted_and_reported() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        let admitted = (0..1000).filter_map(|_| limit.admit(start)).collect::<Vec<_>>();
        assert_eq!(admitted, [0; MAX_LINES as usize]);
        let last = start + INTERVAL - Duration::from_millis(1);
        assert_eq!(limit.admit(last), None);
        assert_eq!(limit.admit(start + INTERVAL), Some(1000 - u64::from(MAX_LINES) + 1));
        assert_eq!(limit.admit(start + INTERVAL), Some(0));
    }

    #[test]
    fn earlier_time_does_not_start_an_interval() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        let later = start + Duration::from_secs(5);
        for _ in 0..MAX_LINES {
            assert_eq!(limit.admit(later), Some(0));
        }
        assert_eq!(limit.admit(start), None);
        assert_eq!(limit.admit(start + INTERVAL), None);
        assert_eq!(limit.admit(later + INTERVAL), Some(2));
    }
}
