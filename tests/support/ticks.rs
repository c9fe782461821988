//! Ticks of a scrape loop, found from the timestamps of its scrapes, and runs that a busy machine
//! disturbs.

/// Runs of which one must be undisturbed.
const RUNS: usize = 4;

/// Scrapes of a loop and its ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Number of ticks without a scrape between the first scrape and the last one.
    pub(crate) gaps: i64,
    /// Maximum time from a tick to its scrape, ms, if the most punctual scrape was on time.
    pub(crate) max_delay: i64,
}

impl Ticks {
    /// Finds the ticks of scrapes, which are in ascending order, `interval` ms apart.
    pub(crate) fn of(times: &[i64], interval: i64) -> Ticks {
        let max_delay = |base: i64| {
            let delays = times.iter().map(|t| (t - base).rem_euclid(interval));
            delays.max().unwrap_or(0)
        };
        let base = times.iter().copied().min_by_key(|base| max_delay(*base));
        let (Some(base), Some(first), Some(last)) = (base, times.first(), times.last()) else {
            return Ticks { gaps: 0, max_delay: 0 };
        };
        let tick = |t: &i64| (t - base).div_euclid(interval);
        let gaps = tick(last) - tick(first) + 1 - times.len() as i64;
        Ticks { gaps, max_delay: max_delay(base) }
    }
}

/// Repeats a run until the machine does not disturb it. A run returns `false` if it was disturbed.
pub(crate) fn repeat_undisturbed(mut run: impl FnMut() -> bool) {
    for _ in 0..RUNS {
        if run() {
            return;
        }
        println!("disturbed by a late scrape");
    }
    panic!("each of {RUNS} runs was disturbed by late scrapes");
}
