//! The lengths of time through which blocks grow: the head's range, three times that, nine times, … Pure.
//!
//! As Prometheus has it (`tsdb/db.go`, `cmd/prometheus/main.go`): each range is three times the one before, ten at most, none
//! longer than the longest block allowed. That is what the user says, else the smaller of a tenth of the retention
//! time and 31 days; it is never less than the shortest block.

/// A range is this many times the one before it.
const STEP: i64 = 3;
/// There are at most so many.
const MAX_LEVELS: usize = 10;
/// No block spans more unless the user says so: 31 days, in ms.
const MAX_DEFAULT_RANGE: i64 = 31 * 24 * 60 * 60 * 1000;

/// Lengths of blocks in ms, rising; at least one, all above 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRanges(Vec<i64>);

impl BlockRanges {
    /// The ranges from the shortest block to the longest, both in ms. Lengths below 1 count as 1.
    #[must_use]
    pub fn exponential(shortest: i64, longest: i64) -> Self {
        let shortest = shortest.max(1);
        let rest =
            std::iter::successors(Some(shortest), |range| range.checked_mul(STEP)).take(MAX_LEVELS);
        Self(rest.take_while(|range| *range <= longest.max(shortest)).collect())
    }

    /// The length above which no block grows by level, ms.
    #[cfg(test)]
    #[must_use]
    pub fn longest(&self) -> i64 {
        self.0.last().copied().unwrap_or(1)
    }

    /// The lengths to grow to, rising; the head's own is not among them.
    pub fn levels(&self) -> impl Iterator<Item = i64> {
        self.0.iter().skip(1).copied()
    }

    /// The length from which a block is large enough to be written anew for its tombstones alone, ms.
    #[must_use]
    pub fn min_rewrite_range(&self) -> i64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(1)
    }
}

/// How long the longest block may be, ms, where the user does not say: by the retention time in ms, `None` or 0 for no end.
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
    fn fifteen_days_of_retention_give_blocks_of_2_6_and_18_hours() {
        let ranges =
            BlockRanges::exponential(2 * HOUR, default_max_block_range(Some(15 * 24 * HOUR)));
        assert_eq!(ranges, BlockRanges(vec![2 * HOUR, 6 * HOUR, 18 * HOUR]));
        assert_eq!((ranges.min_rewrite_range(), ranges.longest()), (6 * HOUR, 18 * HOUR));
        assert_eq!(ranges.levels().collect::<Vec<_>>(), [6 * HOUR, 18 * HOUR]);
    }

    #[test]
    fn without_an_end_of_retention_blocks_grow_to_31_days_at_most() {
        for retention in [None, Some(0), Some(100 * 365 * 24 * HOUR)] {
            let ranges = BlockRanges::exponential(2 * HOUR, default_max_block_range(retention));
            assert_eq!(
                ranges.0.iter().map(|range| range / HOUR).collect::<Vec<_>>(),
                [2, 6, 18, 54, 162, 486]
            );
        }
    }

    #[test]
    fn a_longest_block_below_the_shortest_leaves_one_range() {
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
        fn ranges_rise_threefold_within_their_bounds(shortest in any::<i64>(), longest in any::<i64>()) {
            let BlockRanges(ranges) = BlockRanges::exponential(shortest, longest);
            prop_assert!(!ranges.is_empty() && ranges.len() <= 10 && ranges[0] == shortest.max(1));
            prop_assert!(ranges.windows(2).all(|pair| pair[1] == pair[0] * 3 && pair[1] <= longest));
        }
    }
}
