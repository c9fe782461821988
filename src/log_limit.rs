//! Rate limit of a log line that clients can cause.
//!
//! At most [`MAX_LINES`] lines are logged in an interval of [`INTERVAL`]. Further ones are counted,
//! and the next line reports their number in its field `suppressed`. If there is no next line,
//! [`report_overdue`] does, or [`report_all`] when the last requests have ended.
//!
//! # Locking
//! Each limit has a mutex for its state, held for a comparison and an addition. A global mutex
//! guards the list of limits. It is held to create a limit and to report.

use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Maximum number of lines in an interval.
const MAX_LINES: u32 = 5;
/// Length of an interval.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// All limits that exist.
static LIMITS: Mutex<Vec<Weak<Limit>>> = Mutex::new(Vec::new());

/// Rate limit of one log line.
#[derive(Debug)]
pub(crate) struct LogLimit(Arc<Limit>);

#[derive(Debug)]
struct Limit {
    /// Message of the line.
    line: &'static str,
    state: Mutex<State>,
}

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
    /// Creates a limit for lines with this message.
    pub(crate) fn new(line: &'static str) -> Self {
        let state = Mutex::new(State { started: None, lines: 0, suppressed: 0 });
        let limit = Arc::new(Limit { line, state });
        let mut limits = LIMITS.lock();
        limits.retain(|limit| limit.strong_count() > 0);
        limits.push(Arc::downgrade(&limit));
        Self(limit)
    }

    /// Returns the number of lines suppressed since the last one if a line may be logged at `now`.
    /// Otherwise counts the line as suppressed.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.state.lock();
        if state.is_interval_over(now) {
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

impl State {
    fn is_interval_over(&self, now: Instant) -> bool {
        // Threads may pass their times out of order; an earlier one belongs to the interval.
        self.started.is_none_or(|started| now.saturating_duration_since(started) >= INTERVAL)
    }
}

/// Reports the suppressed lines of intervals that are over at `now`.
pub(crate) fn report_overdue(now: Instant) {
    report(|state| state.is_interval_over(now));
}

/// Reports all suppressed lines.
pub(crate) fn report_all() {
    report(|_| true);
}

fn report(is_due: impl Fn(&State) -> bool) {
    let limits: Vec<_> = LIMITS.lock().iter().filter_map(Weak::upgrade).collect();
    for limit in limits {
        let suppressed = limit.take_suppressed(&is_due);
        if suppressed > 0 {
            tracing::warn!(line = limit.line, suppressed, "suppressed log lines");
        }
    }
}

impl Limit {
    /// Returns the number of suppressed lines that no line has reported, if it is due.
    fn take_suppressed(&self, is_due: impl Fn(&State) -> bool) -> u64 {
        let mut state = self.state.lock();
        if is_due(&state) { std::mem::take(&mut state.suppressed) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, LogLimit, MAX_LINES};
    use std::time::{Duration, Instant};

    #[test]
    fn lines_beyond_the_limit_are_counted_and_reported() {
        let (limit, start) = (LogLimit::new("test"), Instant::now());
        let admitted = (0..1000).filter_map(|_| limit.admit(start)).collect::<Vec<_>>();
        assert_eq!(admitted, [0; MAX_LINES as usize]);
        let last = start + INTERVAL - Duration::from_millis(1);
        assert_eq!(limit.admit(last), None);
        assert_eq!(limit.admit(start + INTERVAL), Some(1000 - u64::from(MAX_LINES) + 1));
        assert_eq!(limit.admit(start + INTERVAL), Some(0));
    }

    #[test]
    fn lines_after_the_last_one_are_reported_once() {
        let (limit, start) = (LogLimit::new("test"), Instant::now());
        let admitted = (0..100).filter_map(|_| limit.admit(start)).count() as u64;
        let overdue = |now| limit.0.take_suppressed(|state| state.is_interval_over(now));
        assert_eq!(overdue(start + INTERVAL - Duration::from_millis(1)), 0);
        assert_eq!(overdue(start + INTERVAL), 100 - admitted);
        assert_eq!(overdue(start + INTERVAL), 0);
        assert_eq!(limit.admit(start + INTERVAL), Some(0));
    }

    #[test]
    fn earlier_time_does_not_start_an_interval() {
        let (limit, start) = (LogLimit::new("test"), Instant::now());
        let later = start + Duration::from_secs(5);
        for _ in 0..MAX_LINES {
            assert_eq!(limit.admit(later), Some(0));
        }
        assert_eq!(limit.admit(start), None);
        assert_eq!(limit.admit(start + INTERVAL), None);
        assert_eq!(limit.admit(later + INTERVAL), Some(2));
    }
}
