//! Hold of the default retention for a data directory with older data.
//!
//! A directory that is taken over may contain years of data. While no retention is configured, the
//! default of 15 days deletes nothing from a directory that had clearly older data at startup, even
//! if a retention was configured in between. The decision is pure; [`RetentionHold`] stores it.
//!
//! # Clock
//! The age of the data is compared with the clock. While the clock is behind the newest data, the
//! decision is deferred and nothing is deleted. Otherwise, all blocks could expire at once when the
//! clock is corrected.

use crate::tsdb::db::settings::{DEFAULT_RETENTION_MS, RetentionOrigin};
use parking_lot::Mutex;

/// Minimum leeway, ms. Retention runs periodically, so blocks that are only this much too old are
/// not older data.
const TOLERANCE_MS: i64 = 24 * 3_600_000;

/// Returns `true` if retention must delete nothing: it is not configured, and a block is older than
/// the retention by more than a tenth of it and more than a day.
///
/// `max_times` are the maximum times of all blocks, ms. `newest` is the maximum time of the data
/// including the head, or the current time if that is later, ms.
#[must_use]
pub fn retention_is_held(
    max_times: impl IntoIterator<Item = i64>,
    newest: i64,
    retention_ms: i64,
    origin: RetentionOrigin,
) -> bool {
    if origin == RetentionOrigin::Configured || retention_ms <= 0 {
        return false;
    }
    let leeway = TOLERANCE_MS.max(retention_ms / 10);
    let kept_from = newest.saturating_sub(retention_ms).saturating_sub(leeway);
    max_times.into_iter().any(|max_time| max_time < kept_from)
}

/// Decision of the startup, or the data for a deferred decision.
#[derive(Debug, Default)]
pub struct RetentionHold {
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Decided {
        has_older_data: bool,
    },
    /// The clock was behind the newest data. Maximum times of the blocks and of all data at
    /// startup, ms.
    ClockBehind {
        max_times: Vec<i64>,
        newest: i64,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Decided { has_older_data: false }
    }
}

impl RetentionHold {
    /// Records the maximum times of the blocks and of all data. Call it once per startup, before
    /// anything is deleted. `now_ms` is the clock.
    pub fn record_startup(
        &self,
        max_times: impl IntoIterator<Item = i64>,
        newest: i64,
        now_ms: i64,
    ) {
        *self.state.lock() =
            State::ClockBehind { max_times: max_times.into_iter().collect(), newest };
        self.decide(now_ms);
    }

    /// Returns `true` while the decision is deferred, because the clock is behind the newest data.
    /// Decides otherwise.
    pub fn waits_for_clock(&self, origin: RetentionOrigin, now_ms: i64) -> bool {
        self.decide(now_ms);
        origin == RetentionOrigin::Default
            && matches!(&*self.state.lock(), State::ClockBehind { .. })
    }

    /// Returns `true` if a retention of this origin must delete nothing.
    #[must_use]
    pub fn is_active(&self, origin: RetentionOrigin) -> bool {
        origin == RetentionOrigin::Default
            && matches!(&*self.state.lock(), State::Decided { has_older_data: true })
    }

    fn decide(&self, now_ms: i64) {
        let mut state = self.state.lock();
        let State::ClockBehind { max_times, newest } = &*state else { return };
        let (newest, origin) = (*newest, RetentionOrigin::Default);
        if now_ms.saturating_add(TOLERANCE_MS) < newest {
            return;
        }
        // Compared with the clock as well: if all data is old, the first new samples must not
        // expire it.
        let max_times = max_times.iter().copied();
        let has_older_data =
            retention_is_held(max_times, newest.max(now_ms), DEFAULT_RETENTION_MS, origin);
        *state = State::Decided { has_older_data };
    }
}

#[cfg(test)]
mod tests {
    use super::{RetentionHold, retention_is_held};
    use crate::tsdb::db::settings::RetentionOrigin::{Configured, Default};
    use proptest::prelude::{any, proptest};

    const DAY: i64 = 24 * 3_600_000;

    #[test]
    fn older_data_holds_only_the_default_retention() {
        let newest = 400 * DAY;
        let held =
            |age: i64, origin| retention_is_held([newest, newest - age], newest, 15 * DAY, origin);
        assert!(held(300 * DAY, Default));
        assert!(!held(300 * DAY, Configured));
        assert!(!held(14 * DAY, Default), "nothing has expired");
        assert!(!held(16 * DAY, Default), "within the leeway of a day");
        assert!(!held(33 * DAY / 2, Default), "exactly the leeway of a tenth");
        assert!(held(33 * DAY / 2 + 1, Default));
    }

    #[test]
    fn short_retention_has_leeway_of_a_day() {
        assert!(!retention_is_held([0], 3 * DAY, 2 * DAY, Default));
        assert!(retention_is_held([0], 3 * DAY + 1, 2 * DAY, Default));
        assert!(!retention_is_held([], i64::MIN, 15 * DAY, Default));
        assert!(
            !retention_is_held([i64::MIN], i64::MAX, 0, Default),
            "no time limit deletes nothing"
        );
    }

    #[test]
    fn startup_decision_applies_while_nothing_is_configured() {
        let hold = RetentionHold::default();
        assert!(!hold.is_active(Default));
        hold.record_startup([0, 100 * DAY], 100 * DAY, 0);
        assert!(hold.waits_for_clock(Default, 0));
        hold.record_startup([0, 100 * DAY], 100 * DAY, 100 * DAY);
        assert!(hold.is_active(Default) && !hold.is_active(Configured) && hold.is_active(Default));
    }

    #[test]
    fn clock_behind_defers_retention_until_it_is_right() {
        let hold = RetentionHold::default();
        // All data is from ten days. The correct time is day 100, but the clock says day 1.
        hold.record_startup([5 * DAY, 10 * DAY], 10 * DAY, DAY);
        assert!(!hold.is_active(Default) && hold.waits_for_clock(Default, 8 * DAY));
        assert!(!hold.waits_for_clock(Configured, 8 * DAY), "a configured retention never waits");
        assert!(!hold.waits_for_clock(Default, 100 * DAY));
        assert!(hold.is_active(Default), "all data is old by the correct clock");
        hold.record_startup([5 * DAY, 10 * DAY], 10 * DAY, DAY);
        assert!(
            !hold.waits_for_clock(Default, 9 * DAY) && !hold.is_active(Default),
            "nothing is old"
        );
    }

    proptest! {
        #[test]
        fn extreme_times_do_not_overflow(times: Vec<i64>, newest: i64, retention: i64) {
            let held = retention_is_held(times.iter().copied(), newest, retention, Default);
            assert!(!held || times.iter().any(|&time| time < newest));
        }

        #[test]
        fn additional_block_never_ends_hold(times: Vec<i64>, more: i64, newest in any::<i64>()) {
            let before = retention_is_held(times.iter().copied(), newest, 15 * DAY, Default);
            let times = times.iter().copied().chain([more]);
            let after = retention_is_held(times, newest, 15 * DAY, Default);
            assert!(after || !before);
        }
    }
}
