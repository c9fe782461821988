//! Clocks of the scraper, and the report of steps of the wall clock.
//!
//! Loops sleep on tokio's clock, which tests can pause. The wall clock is for timestamps only.

use crate::scrape::plan::schedule::Moment;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Smallest step of the wall clock that is logged, ns.
const MIN_LOGGED_STEP_NS: u64 = 1_000_000_000;

/// Both clocks. All loops share it.
#[derive(Debug)]
pub struct ScrapeClock {
    origin: Instant,
    wall: WallClock,
    /// Difference between the clocks when a step was last logged, ns.
    offset_ns: AtomicI64,
}

/// Source of the wall clock.
#[derive(Debug)]
enum WallClock {
    System,
    /// Starts at this time, ns since the Unix epoch, and follows tokio's clock.
    #[cfg(test)]
    FromOrigin(AtomicI64),
}

impl ScrapeClock {
    /// Creates the clock of the program.
    #[must_use]
    pub fn system() -> Self {
        Self::with(WallClock::System)
    }

    /// Creates a clock whose wall clock follows tokio's, from `wall_ns` on.
    #[cfg(test)]
    pub(crate) fn paused(wall_ns: i64) -> Self {
        Self::with(WallClock::FromOrigin(AtomicI64::new(wall_ns)))
    }

    fn with(wall: WallClock) -> Self {
        let clock = Self { origin: Instant::now(), wall, offset_ns: AtomicI64::new(0) };
        clock.offset_ns.store(clock.now().offset_ns(), Ordering::Relaxed);
        clock
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Moment {
        let monotonic = self.origin.elapsed();
        let wall_ns = match &self.wall {
            WallClock::System => unix_nanos(SystemTime::now()),
            #[cfg(test)]
            WallClock::FromOrigin(wall_ns) => {
                wall_ns.load(Ordering::Relaxed).saturating_add(nanos(monotonic))
            }
        };
        Moment { monotonic, wall_ns }
    }

    /// Returns the instant of a monotonic time.
    #[must_use]
    pub fn instant(&self, monotonic: Duration) -> Instant {
        self.origin + monotonic
    }

    /// Logs a step of the wall clock that a loop noticed, unless another one has done so.
    pub fn report_step(&self, now: Moment) {
        let offset_ns = now.offset_ns();
        let known = self.offset_ns.load(Ordering::Relaxed);
        let step_ns = offset_ns.saturating_sub(known);
        if step_ns.unsigned_abs() < MIN_LOGGED_STEP_NS {
            return;
        }
        let swapped =
            self.offset_ns.compare_exchange(known, offset_ns, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_ok() {
            let step_seconds = step_ns as f64 / 1e9;
            tracing::warn!(step_seconds, "wall clock was set; scrapes continue at their pace");
        }
    }
}

impl Moment {
    /// Difference between the clocks, ns.
    fn offset_ns(self) -> i64 {
        self.wall_ns.saturating_sub(nanos(self.monotonic))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn unix_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use crate::scrape::clock::ScrapeClock;
    use crate::scrape::plan::schedule::Moment;
    use crate::scrape::tests::log::CapturedLog;
    use std::sync::Barrier;

    /// Lets two loops notice at the same time that the wall clock is off by `offset_ns`.
    fn report_twice(clock: &ScrapeClock, log: &CapturedLog, offset_ns: i64) {
        let (dispatch, together) = (log.dispatch(), Barrier::new(2));
        let report = || {
            let now = clock.now();
            let now = Moment { wall_ns: now.wall_ns + offset_ns, ..now };
            together.wait();
            tracing::dispatcher::with_default(&dispatch, || clock.report_step(now));
        };
        std::thread::scope(|scope| {
            scope.spawn(report);
            scope.spawn(report);
        });
    }

    #[test]
    fn step_that_two_loops_notice_is_logged_once() {
        let clock = ScrapeClock::paused(1_762_300_800_000_000_000);
        let mut expected: Vec<&str> = Vec::new();
        let log = CapturedLog::default();
        for _ in 0..20 {
            for (offset_ns, step) in [
                (999_999_999, None),
                (3_600_000_000_000, Some("step_seconds=3600.0")),
                (3_600_400_000_000, None),
                (-1_000_000_000, Some("step_seconds=-3601.0")),
                (0, Some("step_seconds=1.0")),
            ] {
                report_twice(&clock, &log, offset_ns);
                expected.extend(step);
                let lines = log.lines("WARN");
                assert_eq!(lines.len(), expected.len(), "{offset_ns}: {lines:?}");
                for (line, step) in lines.iter().zip(&expected) {
                    assert!(line.contains("wall clock was set") && line.ends_with(step), "{line}");
                }
            }
        }
    }
}
