//! Ticks of a target: instants at which it is scraped, and the timestamps of its samples.
//!
//! Ticks follow the monotonic clock, timestamps the wall clock. A tick has a position on both. The
//! first one is the next time at which the wall clock, modulo the interval, equals the offset of
//! the target.
//!
//! # Lateness
//! A scrape that starts within the tolerance of its tick has the tick's timestamp, so that
//! timestamps are regular and compress well. Otherwise it has the time of its start. Ticks that
//! pass during a scrape are missed, except the newest one: its scrape starts immediately, late.
//! Gaps are not filled.
//!
//! # Steps of the wall clock
//! A difference between the clocks moves the wall times of all ticks. The scrapes continue at the
//! pace of the monotonic clock.

use std::time::Duration;

const NANOS_PER_MS: i64 = 1_000_000;
/// Difference between the clocks that counts as a step and not as a late reading, ns.
const MIN_STEP_NS: u64 = 1_000_000;

/// Reading of both clocks at the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time on the monotonic clock since an arbitrary instant of this process.
    pub monotonic: Duration,
    /// Time on the wall clock, ns since the Unix epoch.
    pub wall_ns: i64,
}

/// Ticks of one target.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    tolerance: Duration,
    /// First tick.
    first: Moment,
    /// Number of the next tick, counted from the first one.
    next: u64,
}

/// Time of a scrape that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrapeTime {
    /// Timestamp of the samples, ms since the Unix epoch.
    pub timestamp_ms: i64,
    /// Step of the wall clock since the previous scrape, ns; 0 if there was none.
    pub clock_step_ns: i64,
}

/// Times of the stale markers that follow the end of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarkers {
    /// Instant at which they are due.
    pub due: Duration,
    /// Their timestamp, ms since the Unix epoch.
    pub timestamp_ms: i64,
}

/// Returns the tolerance of timestamps: at most `limit` and one hundredth of `interval`.
#[must_use]
pub fn tolerance(interval: Duration, limit: Duration) -> Duration {
    limit.min(interval / 100)
}

impl Schedule {
    /// Creates a schedule that begins at the first tick at or after `now`. `offset` is the position
    /// of the target in its interval; an interval below 1 ms counts as 1 ms.
    #[must_use]
    pub fn new(now: Moment, interval: Duration, offset: Duration, tolerance: Duration) -> Self {
        let interval = interval.max(Duration::from_millis(1));
        let interval_ns = nanos(interval);
        let position = now.wall_ns.rem_euclid(interval_ns);
        let delay = (nanos(offset) - position).rem_euclid(interval_ns);
        let first = Moment {
            monotonic: now.monotonic + Duration::from_nanos(delay.unsigned_abs()),
            wall_ns: now.wall_ns.saturating_add(delay),
        };
        Self { interval, tolerance, first, next: 0 }
    }

    /// Returns the instant of the next tick. It may have passed.
    #[must_use]
    pub fn next_tick(&self) -> Duration {
        self.tick(self.next)
    }

    /// Starts the scrape of the next tick.
    pub fn start(&mut self, now: Moment) -> ScrapeTime {
        let clock_step_ns = self.adopt_step(now);
        let planned = self.tick_wall_ns(self.next);
        let lateness = now.wall_ns.abs_diff(planned);
        let is_punctual = u128::from(lateness) <= self.tolerance.as_nanos();
        let wall_ns = if is_punctual { planned } else { now.wall_ns };
        ScrapeTime { timestamp_ms: wall_ns.div_euclid(NANOS_PER_MS), clock_step_ns }
    }

    /// Ends the scrape of the next tick, and selects the tick after it. Returns the number of
    /// missed ticks.
    pub fn finish(&mut self, now: Duration) -> u64 {
        let elapsed = now.saturating_sub(self.first.monotonic).as_nanos();
        let newest = u64::try_from(elapsed / self.interval.as_nanos()).unwrap_or(u64::MAX);
        let following = self.next.saturating_add(1);
        self.next = following.max(newest);
        self.next - following
    }

    /// Returns the times of the stale markers of a target that ends at `now`, after at least one
    /// scrape. The timestamp is that of the tick that would have followed. The markers are due
    /// after another tick and a tenth of the interval, when a target that came back has been
    /// scraped.
    #[must_use]
    pub fn end_markers(&self, now: Moment) -> EndMarkers {
        let tick = self.tick(self.next);
        let late = now.monotonic.saturating_sub(tick);
        let wall_ns = self.tick_wall_ns(self.next).saturating_add(nanos(late));
        EndMarkers {
            due: tick.max(now.monotonic) + self.interval + self.interval / 10,
            timestamp_ms: wall_ns.div_euclid(NANOS_PER_MS),
        }
    }

    /// Returns the interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Moves the wall times of the ticks if the wall clock was set. Returns the step, ns.
    fn adopt_step(&mut self, now: Moment) -> i64 {
        let since_first = nanos(now.monotonic) - nanos(self.first.monotonic);
        let step = now.wall_ns.saturating_sub(self.first.wall_ns.saturating_add(since_first));
        let limit = u64::try_from(self.tolerance.as_nanos()).unwrap_or(u64::MAX).max(MIN_STEP_NS);
        if step.unsigned_abs() <= limit {
            return 0;
        }
        self.first.wall_ns = self.first.wall_ns.saturating_add(step);
        step
    }

    fn tick(&self, number: u64) -> Duration {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(number));
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        // The remainder is below 10^9.
        let since_first = Duration::new(seconds, (nanos % 1_000_000_000) as u32);
        self.first.monotonic.saturating_add(since_first)
    }

    fn tick_wall_ns(&self, number: u64) -> i64 {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.first.wall_ns.saturating_add(nanos(self.interval).saturating_mul(number))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{EndMarkers, Moment, Schedule, ScrapeTime, tolerance};
    use std::time::Duration;

    const SECOND_NS: i64 = 1_000_000_000;
    /// Wall clock at the start of the schedules: 3.4 s after a multiple of 10 s.
    const WALL_NS: i64 = 1_762_300_803_400_000_000;

    fn secs(seconds: f64) -> Duration {
        Duration::from_nanos((seconds * 1e9).round() as u64)
    }

    /// Reading of clocks that agree, `seconds` after the start.
    fn at(seconds: f64) -> Moment {
        stepped(seconds, 0)
    }

    /// Reading of clocks of which the wall clock was set ahead by `step_ns`.
    fn stepped(seconds: f64, step_ns: i64) -> Moment {
        let wall_ns = WALL_NS + (seconds * 1e9).round() as i64 + step_ns;
        Moment { monotonic: secs(100.0) + secs(seconds), wall_ns }
    }

    fn every_10s() -> Schedule {
        Schedule::new(at(0.0), secs(10.0), secs(5.0), secs(0.002))
    }

    fn on_time(timestamp_ms: i64) -> ScrapeTime {
        ScrapeTime { timestamp_ms, clock_step_ns: 0 }
    }

    #[test]
    fn tolerance_is_limited_by_interval() {
        let limit = Duration::from_millis(2);
        for (interval_ms, expected_us) in [(100, 1000), (199, 1990), (200, 2000), (60_000, 2000)] {
            let found = tolerance(Duration::from_millis(interval_ms), limit);
            assert_eq!(found.as_micros(), expected_us, "{interval_ms} ms");
        }
    }

    #[test]
    fn first_tick_has_the_offset_modulo_the_interval() {
        for (offset, delay) in
            [(5.0, 1.6), (3.4, 0.0), (3.3, 9.9), (0.0, 6.6), (9.999, 6.599), (3.401, 0.001)]
        {
            let schedule = Schedule::new(at(0.0), secs(10.0), secs(offset), secs(0.0));
            assert_eq!(schedule.next_tick(), secs(100.0 + delay), "{offset}");
        }
        let long_ago = Moment { monotonic: secs(1.0), wall_ns: -3 * SECOND_NS };
        let schedule = Schedule::new(long_ago, secs(10.0), secs(1.0), secs(0.0));
        assert_eq!(schedule.next_tick(), secs(5.0));
    }

    #[test]
    fn restart_keeps_the_timestamps_modulo_the_interval() {
        for start in [0.0, 0.123_456, 7.7, 1234.5] {
            let mut schedule = Schedule::new(at(start), secs(10.0), secs(5.0), secs(0.002));
            let tick = schedule.next_tick().as_secs_f64() - 100.0;
            let time = schedule.start(at(tick + 0.0015));
            assert_eq!(time.timestamp_ms % 10_000, 5000, "{start}");
        }
    }

    #[test]
    fn scrape_within_tolerance_has_the_time_of_its_tick() {
        for (late, expected) in [
            (0.0, 1_762_300_805_000),
            (0.0019, 1_762_300_805_000),
            (0.0021, 1_762_300_805_002),
            (0.25, 1_762_300_805_250),
            (-0.001, 1_762_300_805_000),
        ] {
            assert_eq!(every_10s().start(at(1.6 + late)), on_time(expected), "{late}");
        }
        let mut without = Schedule::new(at(0.0), secs(10.0), secs(5.0), secs(0.0));
        assert_eq!(without.start(at(1.6011)), on_time(1_762_300_805_001));
    }

    #[test]
    fn late_scrape_does_not_move_later_ticks() {
        let mut schedule = every_10s();
        assert_eq!(schedule.start(at(4.0)), on_time(1_762_300_807_400));
        assert_eq!(schedule.finish(secs(105.0)), 0);
        assert_eq!(schedule.next_tick(), secs(111.6));
        assert_eq!(schedule.start(at(11.601)), on_time(1_762_300_815_000));
    }

    #[test]
    fn missed_ticks_leave_gaps_but_the_newest_is_scraped() {
        let mut schedule = every_10s();
        schedule.start(at(1.6));
        assert_eq!(schedule.finish(secs(101.7)), 0);
        schedule.start(at(11.6));
        // The tick at 21.6 s passes during the scrape, which ends just after it.
        assert_eq!(schedule.finish(secs(121.601)), 0);
        assert_eq!(schedule.next_tick(), secs(121.6));
        assert_eq!(schedule.start(at(21.601)), on_time(1_762_300_825_000));
        // The ticks at 31.6 s and 41.6 s are missed, the one at 51.6 s is late.
        assert_eq!(schedule.finish(secs(155.0)), 2);
        assert_eq!(schedule.next_tick(), secs(151.6));
        assert_eq!(schedule.start(at(55.0)), on_time(1_762_300_858_400));
        assert_eq!(schedule.finish(secs(155.5)), 0);
        assert_eq!(schedule.next_tick(), secs(161.6));
    }

    #[test]
    fn step_of_the_wall_clock_is_reported_once() {
        for step in [3600 * SECOND_NS, -3600 * SECOND_NS, 3_000_000] {
            let mut schedule = every_10s();
            assert_eq!(schedule.start(at(1.6)), on_time(1_762_300_805_000));
            schedule.finish(secs(101.7));
            let time = schedule.start(stepped(11.6, step));
            assert_eq!(time.clock_step_ns, step);
            assert_eq!(time.timestamp_ms, 1_762_300_815_000 + step / 1_000_000);
            schedule.finish(secs(111.7));
            assert_eq!(schedule.next_tick(), secs(121.6), "the pace is monotonic");
            let time = schedule.start(stepped(21.601, step));
            assert_eq!(time, on_time(1_762_300_825_000 + step / 1_000_000));
        }
    }

    #[test]
    fn late_start_is_not_a_step() {
        let mut schedule = every_10s();
        assert_eq!(schedule.start(at(9.0)).clock_step_ns, 0);
        assert_eq!(schedule.start(stepped(9.0, 900_000)).clock_step_ns, 0);
    }

    #[test]
    fn end_markers_have_the_time_of_the_tick_that_would_follow() {
        let mut schedule = every_10s();
        schedule.start(at(1.6));
        schedule.finish(secs(101.7));
        let expected = EndMarkers { due: secs(122.6), timestamp_ms: 1_762_300_815_000 };
        assert_eq!(schedule.end_markers(at(5.0)), expected);
        assert_eq!(schedule.end_markers(at(11.6)), expected);
        // The tick passed before the target ended.
        let late = EndMarkers { due: secs(125.0), timestamp_ms: 1_762_300_817_400 };
        assert_eq!(schedule.end_markers(at(14.0)), late);
    }

    #[test]
    fn schedule_continues_after_years() {
        let mut schedule = Schedule::new(at(0.0), secs(0.001), secs(0.0), secs(0.0));
        let years = Duration::from_secs(20 * 365 * 86_400);
        schedule.finish(years);
        assert_eq!(schedule.next_tick(), years);
        schedule.finish(years);
        assert_eq!(schedule.next_tick(), years + Duration::from_millis(1));
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let far = Moment { monotonic: Duration::from_secs(1 << 33), wall_ns: i64::MAX - 5 };
        let mut schedule =
            Schedule::new(far, Duration::from_secs(1 << 40), secs(5.0), Duration::MAX);
        schedule.start(far);
        schedule.finish(Duration::from_secs(1 << 33));
        assert_eq!(schedule.end_markers(far).timestamp_ms, i64::MAX / 1_000_000);
        assert!(schedule.next_tick() > far.monotonic);
        assert_eq!(
            Schedule::new(at(0.0), Duration::ZERO, secs(1.0), Duration::ZERO).interval(),
            Duration::from_millis(1)
        );
    }
}
