//! Whether retention waits for the operator's word.
//!
//! Who takes a directory over may have kept years in it. As long as nobody has chosen a retention, the default of 15 days deletes nothing
//! from a directory that had clearly more at the start: also not where a retention was chosen for a while and is no longer.
//! The decision is pure; [`RetentionHold`] keeps what the start has found.
//!
//! The age of the data is measured against the clock. While the clock is behind the newest data,
//! nothing is decided and nothing is deleted: else a clock that is set right later would make all
//! blocks too old at once.

use crate::tsdb::db::settings::{DEFAULT_RETENTION_MS, RetentionOrigin};
use parking_lot::Mutex;

/// What lies at most that far behind the retention is what the program itself leaves until the next look: no sign of older data.
const TOLERANCE_MS: i64 = 24 * 3_600_000;

/// Whether nothing is to be deleted: nobody has chosen the retention, and a block ends more than a tenth of it, and more than a day,
/// before what it would keep.
///
/// `max_times` are the ends of all blocks; `newest` is the end of the newest data (the head's included), or the present where that is later; ms.
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

/// What the start found.
#[derive(Debug, Default)]
pub struct RetentionHold {
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Decided {
        has_older_data: bool,
    },
    /// The clock was behind the newest data; ends of the blocks and of the newest data at the
    /// start, ms.
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
    /// To be called once per start, when the ends of the blocks and of the newest data are known and before anything is deleted.
    /// `now_ms` is the clock.
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

    /// Returns `true` if it is not decided yet whether retention waits, as the clock is still
    /// behind. Decides it otherwise.
    pub fn waits_for_clock(&self, origin: RetentionOrigin, now_ms: i64) -> bool {
        self.decide(now_ms);
        origin == RetentionOrigin::Default
            && matches!(&*self.state.lock(), State::ClockBehind { .. })
    }

    /// Whether nothing is to be deleted as long as the retention comes from there.
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
        // Against the clock as well: where everything is old, the first new samples must not cost
        // all of it.
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
    fn older_data_holds_the_default_retention_and_not_a_chosen_one() {
        let newest = 400 * DAY;
        let held =
            |age: i64, origin| retention_is_held([newest, newest - age], newest, 15 * DAY, origin);
        assert!(held(300 * DAY, Default));
        assert!(!held(300 * DAY, Configured));
        assert!(!held(14 * DAY, Default), "nothing would be deleted");
        assert!(!held(16 * DAY, Default), "a run of our own leaves that much");
        assert!(!held(33 * DAY / 2, Default), "exactly the leeway of a tenth");
        assert!(held(33 * DAY / 2 + 1, Default));
    }

    #[test]
    fn a_short_retention_has_a_leeway_of_a_day_and_an_empty_directory_holds_nothing() {
        assert!(!retention_is_held([0], 3 * DAY, 2 * DAY, Default));
        assert!(retention_is_held([0], 3 * DAY + 1, 2 * DAY, Default));
        assert!(!retention_is_held([], i64::MIN, 15 * DAY, Default));
        assert!(
            !retention_is_held([i64::MIN], i64::MAX, 0, Default),
            "no limit of time deletes nothing"
        );
    }

    #[test]
    fn what_the_start_found_holds_whenever_nobody_has_chosen() {
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
        // All data is from ten days; the true time is day 100, the clock says day 1.
        hold.record_startup([5 * DAY, 10 * DAY], 10 * DAY, DAY);
        assert!(!hold.is_active(Default) && hold.waits_for_clock(Default, 8 * DAY));
        assert!(!hold.waits_for_clock(Configured, 8 * DAY), "a chosen retention waits for nothing");
        assert!(!hold.waits_for_clock(Default, 100 * DAY));
        assert!(hold.is_active(Default), "with the true time all of it is old");
        hold.record_startup([5 * DAY, 10 * DAY], 10 * DAY, DAY);
        assert!(
            !hold.waits_for_clock(Default, 9 * DAY) && !hold.is_active(Default),
            "nothing is old"
        );
    }

    proptest! {
        #[test]
        fn no_times_overflow(times: Vec<i64>, newest: i64, retention: i64) {
            let held = retention_is_held(times.iter().copied(), newest, retention, Default);
            assert!(!held || times.iter().any(|&time| time < newest));
        }

        #[test]
        fn one_more_block_never_frees(times: Vec<i64>, more: i64, newest in any::<i64>()) {
            let before = retention_is_held(times.iter().copied(), newest, 15 * DAY, Default);
            let after = retention_is_held(times.iter().copied().chain([more]), newest, 15 * DAY, Default);
            assert!(after || !before);
        }
    }
}
