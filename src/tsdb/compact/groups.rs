//! Groups of blocks that overlap, and groups of blocks in one aligned range. Pure.
//!
//! Blocks are given in the order of their `mint`. A block covers `[mint, maxt)`, so adjacent blocks
//! do not overlap.
//!
//! Source: `tsdb/compact.go` of Prometheus.

use crate::tsdb::compact::block_summary::BlockSummary;

/// Returns groups of two or more blocks, oldest first, in which each block begins before an earlier
/// one ends.
#[must_use]
pub fn overlapping<'a>(blocks: &[&'a BlockSummary]) -> Vec<Vec<&'a BlockSummary>> {
    let mut runs: Vec<Vec<&BlockSummary>> = Vec::new();
    let mut end = i64::MIN;
    for &block in blocks {
        match runs.last_mut() {
            Some(run) if block.mint < end => run.push(block),
            _ => runs.push(vec![block]),
        }
        end = end.max(block.maxt);
    }
    runs.retain(|run| run.len() > 1);
    runs
}

/// Returns groups of blocks within the same aligned range of `length` ms. Blocks that are longer or
/// cross a boundary are skipped.
#[must_use]
pub fn aligned<'a>(blocks: &[&'a BlockSummary], length: i64) -> Vec<Vec<&'a BlockSummary>> {
    let mut groups: Vec<Vec<&BlockSummary>> = Vec::new();
    let mut open: Option<i128> = None;
    for &block in blocks {
        if let (Some(end), Some(group)) = (open, groups.last_mut())
            && i128::from(block.maxt) <= end
        {
            group.push(block);
            continue;
        }
        let end = end_of_range(block.mint, length);
        open = (i128::from(block.maxt) <= end).then_some(end);
        if open.is_some() {
            groups.push(vec![block]);
        }
    }
    groups
}

/// End of the aligned range of `length` that contains `t`. It exceeds `i64` for the last range.
fn end_of_range(t: i64, length: i64) -> i128 {
    let length = i128::from(length.max(1));
    i128::from(t).div_euclid(length) * length + length
}

#[cfg(test)]
mod tests {
    use super::{aligned, overlapping};
    use crate::tsdb::compact::block_summary::BlockSummary;
    use crate::tsdb::compact::plan::tests::block;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    type Range = (i64, i64);

    fn blocks(ranges: &[Range]) -> Vec<BlockSummary> {
        ranges.iter().zip(1..).map(|(&(mint, maxt), n)| block(n, mint, maxt)).collect()
    }

    fn times(groups: Vec<Vec<&BlockSummary>>) -> Vec<Vec<Range>> {
        groups
            .into_iter()
            .map(|group| group.into_iter().map(|block| (block.mint, block.maxt)).collect())
            .collect()
    }

    fn aligned_times(ranges: &[Range], length: i64) -> Vec<Vec<Range>> {
        times(aligned(&blocks(ranges).iter().collect::<Vec<_>>(), length))
    }

    #[test]
    fn blocks_are_grouped_by_range_before_and_after_0() {
        assert_eq!(aligned_times(&[(0, 60)], 60), [[(0, 60)]]);
        assert_eq!(
            aligned_times(&[(0, 10), (9, 15), (30, 60)], 60),
            [[(0, 10), (9, 15), (30, 60)]]
        );
        assert_eq!(
            aligned_times(&[(70, 90), (125, 130), (130, 180), (1000, 1001)], 60),
            [vec![(70, 90)], vec![(125, 130), (130, 180)], vec![(1000, 1001)]]
        );
        assert_eq!(
            aligned_times(&[(-60, -50), (-10, -5), (0, 15)], 60),
            [vec![(-60, -50), (-10, -5)], vec![(0, 15)]]
        );
        assert_eq!(
            aligned_times(&[(i64::MIN, i64::MIN + 1), (i64::MAX - 1, i64::MAX)], 60).len(),
            2
        );
    }

    #[test]
    fn blocks_across_a_boundary_are_in_no_group() {
        assert_eq!(aligned_times(&[(50, 70), (70, 80)], 60), [[(70, 80)]]);
        assert_eq!(
            aligned_times(&[(0, 144), (144, 216), (216, 288)], 72),
            [[(144, 216)], [(216, 288)]]
        );
        assert_eq!(aligned_times(&[(0, 10), (10, 90), (20, 30)], 60), [[(0, 10)], [(20, 30)]]);
    }

    #[test]
    fn adjacent_blocks_do_not_overlap() {
        let runs =
            |ranges: &[Range]| times(overlapping(&blocks(ranges).iter().collect::<Vec<_>>()));
        assert!(
            runs(&[]).is_empty()
                && runs(&[(0, 20)]).is_empty()
                && runs(&[(0, 20), (20, 40)]).is_empty()
        );
        assert_eq!(
            runs(&[(0, 10), (9, 20), (30, 40), (39, 50), (49, 50), (50, 60)]),
            [vec![(0, 10), (9, 20)], vec![(30, 40), (39, 50), (49, 50)]]
        );
        assert_eq!(runs(&[(0, 90), (10, 20), (30, 40)]), [[(0, 90), (10, 20), (30, 40)]]);
    }

    proptest! {
        #[test]
        fn groups_stay_within_their_range(
            ranges in proptest::collection::vec((-200i64..200, 1i64..90), 0..12),
            length in 1i64..100,
        ) {
            let with_end = |&(mint, span): &(i64, i64)| (mint, mint + span);
            let mut ranges: Vec<Range> = ranges.iter().map(with_end).collect();
            ranges.sort_unstable();
            let groups = aligned_times(&ranges, length);
            for group in &groups {
                let start = group[0].0.div_euclid(length) * length;
                let is_within = |&(mint, maxt): &Range| start <= mint && maxt <= start + length;
                prop_assert!(group.iter().all(is_within));
            }
            let fits = |&&(mint, maxt): &&Range| maxt <= mint.div_euclid(length) * length + length;
            prop_assert_eq!(groups.into_iter().flatten().collect::<Vec<_>>(),
                ranges.iter().filter(fits).copied().collect::<Vec<_>>());
        }
    }
}
