//! Block ranges: time spans to which blocks grow. Pure.
//!
//! The first range is that of the head. Each further one is three times as long, with at most ten
//! in total and none above the maximum block range. The default maximum is the smaller of a tenth
//! of the retention time and 31 days, but at least the first range.
//!
//! Source: `tsdb/db.go` and `cmd/prometheus/main.go` of Prometheus.

/// Ratio of consecutive ranges.
const STEP: i64 = 3;
/// Maximum number of ranges.
const MAX_LEVELS: usize = 10;
/// Maximum block range unless configured: 31 days, in ms.
const MAX_DEFAULT_RANGE: i64 = 31 * 24 * 60 * 60 * 1000;

/// Block ranges in ms, ascending. At least one, all positive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRanges(Vec<i64>);

impl BlockRanges {
    /// Returns the ranges from `shortest` to at most `longest`, ms. Values below 1 count as 1.
    #[must_use]
    pub fn exponential(shortest: i64, longest: i64) -> Self {
        let shortest = shortest.max(1);
        let rest =
            std::iter::successors(Some(shortest), |range| range.checked_mul(STEP)).take(MAX_LEVELS);
        Self(rest.take_while(|range| *range <= longest.max(shortest)).collect())
    }

    /// Longest range, ms. Level compaction creates no longer block.
    #[cfg(test)]
    #[must_use]
    pub fn longest(&self) -> i64 {
        self.0.last().copied().unwrap_or(1)
    }

    /// Ranges for level compaction, ascending. The first range, that of the head, is excluded.
    pub fn levels(&self) -> impl Iterator<Item = i64> {
        self.0.iter().skip(1).copied()
    }

    /// Minimum time span of a block that is rewritten because of its tombstones alone, ms.
    #[must_use]
    pub fn min_rewrite_range(&self) -> i64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(1)
    }
}

/// Returns the default maximum block range, ms, for a retention time in ms. `None` and 0 mean
/// unlimited retention.
#[must_use]
pub fn default_max_block_range(retention: Option<i64>) -> i64 {
    match retention {
        Some(retention) if retention > 0 => MAX_DEFAULT_RANGE.min(retention / 10),
        _ => MAX_DEFAULT_RANGE,
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockRanges, default_max_block_range};
    use proptest::prelude::{any, prop_assert, proptest};

    const HOUR: i64 = 3_600_000;

    #[test]
    fn retention_of_15_days_limits_ranges_to_18_hours() {
        let ranges =
            BlockRanges::exponential(2 * HOUR, default_max_block_range(Some(15 * 24 * HOUR)));
        assert_eq!(ranges, BlockRanges(vec![2 * HOUR, 6 * HOUR, 18 * HOUR]));
        assert_eq!((ranges.min_rewrite_range(), ranges.longest()), (6 * HOUR, 18 * HOUR));
        assert_eq!(ranges.levels().collect::<Vec<_>>(), [6 * HOUR, 18 * HOUR]);
    }

    #[test]
    fn unlimited_retention_limits_ranges_to_31_days() {
        for retention in [None, Some(0), Some(100 * 365 * 24 * HOUR)] {
            let ranges = BlockRanges::exponential(2 * HOUR, default_max_block_range(retention));
            assert_eq!(
                ranges.0.iter().map(|range| range / HOUR).collect::<Vec<_>>(),
                [2, 6, 18, 54, 162, 486]
            );
        }
    }

    #[test]
    fn longest_below_shortest_leaves_one_range() {
        assert_eq!(
            BlockRanges::exponential(2 * HOUR, default_max_block_range(Some(HOUR))),
            BlockRanges(vec![2 * HOUR])
        );
        assert_eq!(BlockRanges::exponential(0, i64::MIN), BlockRanges(vec![1]));
        assert_eq!(BlockRanges::exponential(i64::MAX, i64::MAX).longest(), i64::MAX);
        assert_eq!(BlockRanges::exponential(1, i64::MAX).0.len(), 10);
    }

    proptest! {
        #[test]
        fn ranges_triple_within_bounds(shortest in any::<i64>(), longest in any::<i64>()) {
            let BlockRanges(ranges) = BlockRanges::exponential(shortest, longest);
            prop_assert!(!ranges.is_empty() && ranges.len() <= 10 && ranges[0] == shortest.max(1));
            let is_next = |pair: &[i64]| pair[1] == pair[0] * 3 && pair[1] <= longest;
            prop_assert!(ranges.windows(2).all(is_next));
        }
    }
}
