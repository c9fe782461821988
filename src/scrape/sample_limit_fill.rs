//! Share of its `sample_limit` that each target uses, for a metric and a warning before a scrape
//! fails.

use crate::metrics::registry::LabelPairs;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Share of the limit from which on there is a warning.
const HIGH: f64 = 0.8;
/// Number of scrapes below [`HIGH`] after which another warning may follow. It keeps a target that
/// varies from filling the log.
const QUIET_SCRAPES: u32 = 10;

/// Shares by job and target.
type Shares = BTreeMap<Arc<str>, BTreeMap<u64, f64>>;

/// Shares of all targets with a limit. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct SampleLimitFills {
    shares: Arc<Mutex<Shares>>,
    next_target: Arc<AtomicU64>,
}

/// Share of one target. It is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct TargetFill {
    fills: SampleLimitFills,
    job: Arc<str>,
    /// Number of this value among those of all targets.
    target: u64,
    /// Whether the share is high, with a warning.
    is_high: bool,
    /// Scrapes since the share was high.
    quiet: u32,
}

impl SampleLimitFills {
    /// Returns the share of a new target, which is not known yet.
    pub(super) fn target(&self, job: &Arc<str>) -> TargetFill {
        let target = self.next_target.fetch_add(1, Ordering::Relaxed);
        TargetFill { fills: self.clone(), job: Arc::clone(job), target, is_high: false, quiet: 0 }
    }

    /// Returns the largest share of each job.
    pub(super) fn largest(&self) -> Vec<(LabelPairs, f64)> {
        let shares = self.shares.lock();
        let largest = shares.iter().map(|(job, targets)| {
            let share = targets.values().copied().fold(0.0, f64::max);
            (vec![("scrape_job", job.to_string())], share)
        });
        largest.collect()
    }
}

impl TargetFill {
    /// Sets the number of samples of a scrape and the limit of the target. Returns `true` if a
    /// warning is due: the share has become high.
    pub(super) fn set(&mut self, samples: u64, limit: u64) -> bool {
        if limit == 0 {
            self.clear();
            return false;
        }
        let share = samples as f64 / limit as f64;
        let mut shares = self.fills.shares.lock();
        shares.entry(Arc::clone(&self.job)).or_default().insert(self.target, share);
        drop(shares);
        if share >= HIGH {
            self.quiet = 0;
            return !std::mem::replace(&mut self.is_high, true);
        }
        self.quiet = self.quiet.saturating_add(1);
        self.is_high &= self.quiet < QUIET_SCRAPES;
        false
    }

    /// Removes the share: the target has no limit, or is no longer scraped.
    pub(super) fn clear(&mut self) {
        self.is_high = false;
        let mut shares = self.fills.shares.lock();
        let Some(targets) = shares.get_mut(&self.job) else { return };
        targets.remove(&self.target);
        if targets.is_empty() {
            shares.remove(&self.job);
        }
    }
}

impl Drop for TargetFill {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{QUIET_SCRAPES, SampleLimitFills};
    use std::sync::Arc;

    fn largest(fills: &SampleLimitFills) -> Vec<(String, f64)> {
        let largest = fills.largest().into_iter();
        largest.map(|(labels, share)| (labels[0].1.clone(), share)).collect()
    }

    #[test]
    fn largest_share_of_each_job_is_kept_while_its_target_is() {
        let fills = SampleLimitFills::default();
        let (job, other): (Arc<str>, Arc<str>) = ("j".into(), "k".into());
        let (mut one, mut two) = (fills.target(&job), fills.target(&job));
        let mut third = fills.target(&other);
        assert_eq!(largest(&fills), []);
        one.set(1, 4);
        two.set(3, 4);
        third.set(5, 4);
        let expected = [("j".to_owned(), 0.75), ("k".to_owned(), 1.25)];
        assert_eq!(largest(&fills), expected);
        drop(two);
        third.set(5, 0);
        assert_eq!(largest(&fills), [("j".to_owned(), 0.25)]);
        one.clear();
        assert_eq!(largest(&fills), []);
    }

    #[test]
    fn warning_is_due_once_per_crossing() {
        let mut fill = SampleLimitFills::default().target(&"j".into());
        assert!(!fill.set(79, 100));
        assert!(fill.set(80, 100));
        assert!(!fill.set(80, 100));
        assert!(!fill.set(200, 100));
        for _ in 1..QUIET_SCRAPES {
            assert!(!fill.set(10, 100));
        }
        assert!(!fill.set(90, 100), "it was not low for long");
        for _ in 0..QUIET_SCRAPES {
            assert!(!fill.set(79, 100));
        }
        assert!(fill.set(90, 100));
        assert!(!fill.set(90, 0));
        assert!(fill.set(90, 100), "the limit is new");
    }
}
