//! Items of a request that limits in a dry run would have rejected: counts by limit, each with the
//! first series.

use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::ingest::named_series::describe;
use std::fmt;

/// Items over limits in a dry run. Unlike rejected ones, they are judged further, and stored unless
/// something else rejects them.
#[derive(Debug, Default, Clone)]
pub struct DryRunRejections {
    counts: [u64; DataLimit::ALL.len()],
    /// First series over each limit, in no order.
    examples: Vec<DryRunExample>,
}

/// Series over a limit.
#[derive(Debug, Clone)]
pub struct DryRunExample {
    /// Value and limit.
    pub over: OverLimit,
    /// Labels as they were sent, truncated; empty if the request as a whole exceeds the limit.
    pub series: String,
}

impl DryRunRejections {
    /// Returns `true` if nothing exceeded a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Returns the number of items of any kind over this limit.
    #[must_use]
    pub fn count(&self, limit: DataLimit) -> u64 {
        self.counts[limit as usize]
    }

    /// Returns the first series over each exceeded limit.
    #[must_use]
    pub fn examples(&self) -> &[DryRunExample] {
        &self.examples
    }

    /// Counts items of one series.
    #[cold]
    pub(crate) fn add<'a>(
        &mut self,
        over: OverLimit,
        count: u64,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        self.add_with(over, count, || describe(labels));
    }

    /// Counts the items of a request that exceeds a limit as a whole.
    #[cold]
    pub(crate) fn add_request(&mut self, over: OverLimit, count: u64) {
        self.add_with(over, count, String::new);
    }

    fn add_with(&mut self, over: OverLimit, count: u64, series: impl FnOnce() -> String) {
        self.counts[over.limit as usize] += count;
        if self.examples.iter().all(|example| example.over.limit != over.limit) {
            self.examples.push(DryRunExample { over, series: series() });
        }
    }
}

/// Formats the counts with their flags and first series:
/// `3 over --storage.remote.write-max-labels ({…}: 5 labels, the limit is 4)`.
impl fmt::Display for DryRunRejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for DryRunExample { over, series } in &self.examples {
            let (count, flag) = (self.count(over.limit), over.limit.flag());
            let colon = if series.is_empty() { "" } else { ": " };
            write!(f, "{separator}{count} over --{flag} ({series}{colon}{over})")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::DryRunRejections;
    use crate::ingest::data_limit::{DataLimit, OverLimit};

    #[test]
    fn items_are_counted_by_limit_with_the_first_series() {
        let mut dry_run = DryRunRejections::default();
        assert!(dry_run.is_empty());
        let over = OverLimit { limit: DataLimit::Labels, value: 5, max: 4 };
        dry_run.add(over, 3, [("__name__", "up")].into_iter());
        dry_run.add(OverLimit { value: 9, ..over }, 2, [("__name__", "other")].into_iter());
        dry_run.add_request(OverLimit { limit: DataLimit::RequestSeries, value: 2, max: 1 }, 7);
        assert_eq!(DataLimit::ALL.map(|limit| dry_run.count(limit)), [0, 5, 0, 0, 0, 7, 0, 0]);
        assert_eq!(
            dry_run.to_string(),
            "5 over --storage.remote.write-max-labels \
             ({__name__=\"up\"}: 5 labels, the limit is 4), \
             7 over --storage.remote.write-max-series (request of 2 series, the limit is 1)"
        );
    }
}
