//! Time by which samples are ahead of the server clock, and the warning for rejected ones.
//!
//! If the server clock is behind, samples of correct senders are too far in the future. They get
//! 400, and their senders drop them. [`ClockSkew::max_ahead_ms`] is a metric, and
//! [`ClockSkew::observe`] returns a warning at most once a minute. The time is an argument; one
//! mutex guards the state.

use parking_lot::Mutex;
use std::fmt;

/// Length of an interval, ms. The largest skew covers the current and the previous interval.
const INTERVAL_MS: i64 = 60_000;
/// Maximum age of the newest sample of a live sender, ms. An older one may be a backlog.
const MAX_DELAY_MS: i64 = 120_000;

/// Skew of recent write requests against the server clock.
#[derive(Debug, Default)]
pub struct ClockSkew {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Interval>,
    previous: Option<Interval>,
    /// Samples rejected since the last warning.
    rejected: u64,
    /// Number of the interval of the last warning.
    warned_in: Option<i64>,
}

/// An interval of the server clock in which requests arrived.
#[derive(Clone, Copy, Debug)]
struct Interval {
    number: i64,
    max_ahead_ms: i64,
    /// `true` if the newest sample of a request was near the server clock, so that a live sender
    /// agrees with it.
    has_timely: bool,
}

/// Samples and histograms of one request.
#[derive(Clone, Copy, Debug)]
pub struct ObservedRequest {
    /// Server clock when it arrived, ms since the Unix epoch.
    pub now_ms: i64,
    /// Newest timestamp, accepted or rejected, ms.
    pub newest_ms: i64,
    /// Number of samples that were rejected because they are too far ahead.
    pub rejected: u64,
}

/// Warning about samples rejected as too far ahead of the server clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkewWarning {
    /// Number of samples since the last warning.
    pub rejected: u64,
    /// Largest skew of the last one to two minutes, ms.
    pub max_ahead_ms: i64,
    /// Likely cause of the skew.
    pub cause: SkewCause,
}

/// Likely cause of samples that are ahead of the server clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkewCause {
    /// All requests of the last minutes are ahead.
    ServerBehind,
    /// Other requests are not ahead.
    SenderAhead,
}

impl fmt::Display for SkewCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerBehind => "the server clock is behind: all senders are ahead of it",
            Self::SenderAhead => "the clock of a sender is ahead: others are not",
        })
    }
}

impl ClockSkew {
    /// Takes a request into account. Returns a warning if it is due.
    pub fn observe(&self, request: ObservedRequest) -> Option<SkewWarning> {
        let ahead_ms = request.newest_ms.saturating_sub(request.now_ms);
        let number = request.now_ms.div_euclid(INTERVAL_MS);
        let mut state = self.state.lock();
        if state.current.is_none_or(|current| current.number != number) {
            state.previous = state.current.take();
        }
        let current = state.current.get_or_insert(Interval {
            number,
            max_ahead_ms: i64::MIN,
            has_timely: false,
        });
        current.max_ahead_ms = current.max_ahead_ms.max(ahead_ms);
        current.has_timely |= request.rejected == 0 && ahead_ms >= -MAX_DELAY_MS;
        state.rejected = state.rejected.saturating_add(request.rejected);
        if request.rejected == 0 || state.warned_in == Some(number) {
            return None;
        }
        state.warned_in = Some(number);
        let has_timely = state.intervals().any(|interval| interval.has_timely);
        Some(SkewWarning {
            rejected: std::mem::take(&mut state.rejected),
            max_ahead_ms: state.max_ahead_ms().unwrap_or(ahead_ms),
            cause: if has_timely { SkewCause::SenderAhead } else { SkewCause::ServerBehind },
        })
    }

    /// Returns the largest skew of the last one to two minutes with requests, ms; negative if all
    /// samples were behind the server clock, `None` before the first request.
    #[must_use]
    pub fn max_ahead_ms(&self) -> Option<i64> {
        self.state.lock().max_ahead_ms()
    }
}

impl State {
    fn intervals(&self) -> impl Iterator<Item = Interval> {
        self.current.into_iter().chain(self.previous)
    }

    fn max_ahead_ms(&self) -> Option<i64> {
        self.intervals().map(|interval| interval.max_ahead_ms).max()
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockSkew, ObservedRequest, SkewCause, SkewWarning};

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    fn request(now_ms: i64, ahead_ms: i64, rejected: u64) -> ObservedRequest {
        ObservedRequest { now_ms, newest_ms: now_ms + ahead_ms, rejected }
    }

    #[test]
    fn server_is_behind_if_all_requests_are_ahead() {
        let skew = ClockSkew::default();
        assert_eq!(skew.max_ahead_ms(), None);
        let warning =
            SkewWarning { rejected: 5, max_ahead_ms: HOUR, cause: SkewCause::ServerBehind };
        assert_eq!(skew.observe(request(0, HOUR, 5)), Some(warning));
        assert_eq!(skew.observe(request(1000, 2 * HOUR, 7)), None, "one warning a minute");
        let warning =
            SkewWarning { rejected: 8, max_ahead_ms: 2 * HOUR, cause: SkewCause::ServerBehind };
        assert_eq!(
            skew.observe(request(MINUTE, HOUR, 1)),
            Some(warning),
            "with all since the last one"
        );
        assert_eq!(skew.max_ahead_ms(), Some(2 * HOUR));
        assert_eq!(skew.observe(request(2 * MINUTE, -1000, 0)), None);
        assert_eq!(skew.max_ahead_ms(), Some(HOUR));
        assert_eq!(skew.observe(request(9 * MINUTE, -2000, 0)), None);
        assert_eq!(skew.observe(request(10 * MINUTE, -3000, 0)), None);
        assert_eq!(skew.max_ahead_ms(), Some(-2000));
    }

    #[test]
    fn sender_is_ahead_if_others_are_timely() {
        let skew = ClockSkew::default();
        assert_eq!(skew.observe(request(0, -100, 0)), None);
        let warning =
            SkewWarning { rejected: 1, max_ahead_ms: HOUR, cause: SkewCause::SenderAhead };
        assert_eq!(skew.observe(request(MINUTE, HOUR, 1)), Some(warning));
    }

    #[test]
    fn backlog_is_not_evidence_for_server_clock() {
        let skew = ClockSkew::default();
        assert_eq!(skew.observe(request(0, -HOUR, 0)), None);
        assert_eq!(
            skew.observe(request(1, HOUR, 1)).map(|warning| warning.cause),
            Some(SkewCause::ServerBehind)
        );
    }

    #[test]
    fn backward_clock_step_warns_again() {
        let skew = ClockSkew::default();
        assert!(skew.observe(request(100 * HOUR, HOUR, 1)).is_some());
        assert!(skew.observe(request(0, 100 * HOUR, 1)).is_some());
        let extremes = [i64::MIN, i64::MAX].map(|now_ms| ObservedRequest {
            now_ms,
            newest_ms: !now_ms,
            rejected: 1,
        });
        assert!(extremes.into_iter().all(|extreme| skew.observe(extreme).is_some()), "no overflow");
    }
}
