//! Which blocks are too old, or too many for the space: a pure function of their times and sizes.
//!
//! The comparisons are those of `tsdb/db.go` of Prometheus. Blocks are looked at from the newest end (`maxt`) back:
//!
//! - **Time**: the first block that ends at least the retention time before the newest one goes, and all behind it. The newest
//!   *block* counts, not the clock: a directory that is opened after a year loses nothing by that. Blocks of late samples, or of some series,
//!   do not count as the newest, other than in Prometheus: they can end hours after everything that is stored.
//! - **Size**: log, late log, head chunks and scratch first, then block by block; the first with which the sum is above the limit
//!   goes, and all behind it, be it the newest.

use crate::tsdb::block::ulid::BlockUlid;

/// What retention knows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionCandidate {
    /// Its name.
    pub ulid: BlockUlid,
    /// Time before which its samples end, ms; not included.
    pub maxt: i64,
    /// What it takes of the disk, bytes.
    pub bytes: u64,
    /// Whether the head's times up to its end are all in blocks; see [`crate::tsdb::compact::block_summary::BlockSummary::covers_head`].
    pub is_whole_head: bool,
}

/// How much may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetentionPolicy {
    /// For how long, ms; `None` or 0 without end.
    pub time: Option<i64>,
    /// In how many bytes; `None` or 0 without limit.
    pub bytes: Option<u64>,
    /// In how much of the file system, per cent of its size; wins over `bytes`. `None` or 0 without limit.
    pub percentage: Option<f64>,
}

/// What else takes space, and how much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// What log, late log, head chunks and half-done compactions take, bytes.
    pub non_block_bytes: u64,
    /// Size of the file system, bytes, where it is known.
    pub file_system: Option<u64>,
}

/// A block that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredBlock {
    /// Its name.
    pub ulid: BlockUlid,
    /// Why.
    pub cause: ExpiryReason,
}

/// Why a block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// It ends too long before the newest one.
    Time,
    /// It is young enough, but there is no room for it.
    Size,
}

impl RetentionPolicy {
    /// The limit in bytes, if any. A percentage of a file system whose size is not known falls back to the bytes.
    #[must_use]
    pub fn limit(&self, space: DiskUsage) -> Option<u64> {
        let of_disk = match (self.percentage, space.file_system) {
            (Some(percentage), Some(size)) if percentage > 0.0 && size > 0 => {
                // Prometheus multiplies before it divides, and cuts the fraction off.
                Some((size as f64 * percentage / 100.0) as u64)
            }
            _ => self.bytes,
        };
        of_disk.filter(|limit| *limit > 0)
    }
}

/// The blocks that go, newest first. The order of `blocks` has no meaning.
#[must_use]
pub fn expired_blocks(
    blocks: &[RetentionCandidate],
    policy: &RetentionPolicy,
    space: DiskUsage,
) -> Vec<ExpiredBlock> {
    let mut blocks = blocks.to_vec();
    blocks.sort_by(|a, b| b.maxt.cmp(&a.maxt).then(b.ulid.cmp(&a.ulid)));
    let old = first_too_old(&blocks, policy);
    let over = first_over(&blocks, policy, space);
    let cause = |at: usize| if at >= old { ExpiryReason::Time } else { ExpiryReason::Size };
    let going = blocks.iter().enumerate().skip(old.min(over));
    going.map(|(at, block)| ExpiredBlock { ulid: block.ulid, cause: cause(at) }).collect()
}

fn first_too_old(blocks: &[RetentionCandidate], policy: &RetentionPolicy) -> usize {
    let newest = blocks.iter().find(|block| block.is_whole_head).or(blocks.first());
    let (Some(newest), Some(time)) = (newest, policy.time.filter(|time| *time > 0)) else {
        return blocks.len();
    };
    let is_old = |block: &RetentionCandidate| {
        i128::from(newest.maxt) - i128::from(block.maxt) >= i128::from(time)
    };
    blocks.iter().position(is_old).unwrap_or(blocks.len())
}

fn first_over(blocks: &[RetentionCandidate], policy: &RetentionPolicy, space: DiskUsage) -> usize {
    let Some(limit) = policy.limit(space) else {
        return blocks.len();
    };
    let mut sum = space.non_block_bytes;
    let is_over = |block: &RetentionCandidate| {
        sum = sum.saturating_add(block.bytes);
        sum > limit
    };
    blocks.iter().position(is_over).unwrap_or(blocks.len())
}

#[cfg(test)]
mod tests {
    use super::{
        DiskUsage, ExpiredBlock, ExpiryReason, RetentionCandidate, RetentionPolicy, expired_blocks,
    };
    use crate::tsdb::block::ulid::BlockUlid;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn blocks(maxt_and_bytes: &[(i64, u64)]) -> Vec<RetentionCandidate> {
        let block = |((maxt, bytes), n): (&(i64, u64), u128)| RetentionCandidate {
            ulid: BlockUlid::from_parts(0, n),
            maxt: *maxt,
            bytes: *bytes,
            is_whole_head: true,
        };
        maxt_and_bytes.iter().zip(1..).map(block).collect()
    }

    fn number(name: BlockUlid) -> u128 {
        (0..50).find(|&n| BlockUlid::from_parts(0, n) == name).unwrap()
    }

    fn gone(
        blocks: &[RetentionCandidate],
        policy: RetentionPolicy,
        space: DiskUsage,
    ) -> Vec<(u128, ExpiryReason)> {
        expired_blocks(blocks, &policy, space)
            .into_iter()
            .map(|ExpiredBlock { ulid, cause }| (number(ulid), cause))
            .collect()
    }

    #[test]
    fn a_block_that_ends_the_retention_time_before_the_newest_goes_and_all_behind_it() {
        let blocks = blocks(&[(100, 1), (60, 1), (61, 1), (10, 1)]);
        let time = |time| RetentionPolicy { time, ..RetentionPolicy::default() };
        assert_eq!(
            gone(&blocks, time(Some(40)), DiskUsage::default()),
            [(2, ExpiryReason::Time), (4, ExpiryReason::Time)]
        );
        assert_eq!(gone(&blocks, time(Some(91)), DiskUsage::default()), []);
        assert_eq!(gone(&blocks, time(Some(0)), DiskUsage::default()), []);
        assert_eq!(gone(&blocks, time(None), DiskUsage::default()), []);
        assert_eq!(gone(&blocks[..1], time(Some(1)), DiskUsage::default()), []);
        assert_eq!(gone(&[], time(Some(1)), DiskUsage::default()), []);
    }

    #[test]
    fn a_block_of_late_samples_that_ends_later_makes_no_other_one_old() {
        let mut blocks = blocks(&[(100, 1), (61, 1), (120, 1), (60, 1)]);
        blocks[2].is_whole_head = false;
        let policy = RetentionPolicy { time: Some(40), ..RetentionPolicy::default() };
        assert_eq!(gone(&blocks, policy, DiskUsage::default()), [(4, ExpiryReason::Time)]);
        blocks.iter_mut().for_each(|block| block.is_whole_head = false);
        assert_eq!(
            gone(&blocks, policy, DiskUsage::default()),
            [(2, ExpiryReason::Time), (4, ExpiryReason::Time)]
        );
    }

    #[test]
    fn the_first_block_above_the_limit_goes_and_all_behind_it_even_small_ones() {
        let blocks = blocks(&[(10, 5), (20, 50), (30, 20)]);
        let bytes = |bytes| RetentionPolicy { bytes, ..RetentionPolicy::default() };
        let beside =
            |beside_blocks| DiskUsage { non_block_bytes: beside_blocks, file_system: None };
        assert_eq!(gone(&blocks, bytes(Some(75)), beside(0)), []);
        assert_eq!(gone(&blocks, bytes(Some(74)), beside(0)), [(1, ExpiryReason::Size)]);
        assert_eq!(gone(&blocks, bytes(Some(80)), beside(6)), [(1, ExpiryReason::Size)]);
        assert_eq!(
            gone(&blocks, bytes(Some(60)), beside(0)),
            [(2, ExpiryReason::Size), (1, ExpiryReason::Size)]
        );
        assert_eq!(gone(&blocks, bytes(Some(60)), beside(50)).len(), 3);
        assert_eq!(gone(&blocks, bytes(Some(0)), beside(50)), []);
    }

    #[test]
    fn a_percentage_of_the_disk_wins_over_bytes_where_the_disk_is_known() {
        let blocks = blocks(&[(10, 30), (20, 30), (30, 30)]);
        let policy = RetentionPolicy { time: Some(20), bytes: Some(30), percentage: Some(33.4) };
        let disk = |file_system| DiskUsage { non_block_bytes: 0, file_system };
        assert_eq!(gone(&blocks, policy, disk(Some(200))), [(1, ExpiryReason::Time)]);
        assert_eq!(
            gone(&blocks, policy, disk(None)),
            [(2, ExpiryReason::Size), (1, ExpiryReason::Time)]
        );
        assert_eq!(
            gone(&blocks, policy, disk(Some(0))),
            [(2, ExpiryReason::Size), (1, ExpiryReason::Time)]
        );
        let none = RetentionPolicy { percentage: Some(0.0), ..policy };
        assert_eq!(none.limit(disk(Some(200))), Some(30));
    }

    proptest! {
        #[test]
        fn what_stays_fits_and_is_newer_than_what_goes(
            stored in proptest::collection::vec((any::<i64>(), 0u64..100), 0..12),
            time in 0i64.., bytes in 0u64..600, non_block_bytes in 0u64..100,
        ) {
            let stored = blocks(&stored);
            let policy = RetentionPolicy { time: Some(time), bytes: Some(bytes), percentage: None };
            let going = expired_blocks(&stored, &policy, DiskUsage { non_block_bytes, file_system: None });
            let goes = |block: &&RetentionCandidate| going.iter().any(|gone| gone.ulid == block.ulid);
            let (lost, kept): (Vec<&RetentionCandidate>, Vec<&RetentionCandidate>) = stored.iter().partition(goes);
            prop_assert_eq!(lost.len(), going.len());
            let newest = stored.iter().map(|block| block.maxt).max().unwrap_or(0);
            let age = |block: &RetentionCandidate| i128::from(newest) - i128::from(block.maxt);
            prop_assert!(kept.iter().all(|kept| lost.iter().all(|lost| lost.maxt <= kept.maxt)));
            prop_assert!(time == 0 || kept.iter().all(|block| age(block) < i128::from(time)));
            prop_assert!(bytes == 0 || kept.is_empty() || kept.iter().map(|block| block.bytes).sum::<u64>() + non_block_bytes <= bytes);
            for gone in &going {
                let block = stored.iter().find(|block| block.ulid == gone.ulid).unwrap();
                prop_assert_eq!(gone.cause == ExpiryReason::Time, time > 0 && age(block) >= i128::from(time));
                let newer: u64 = stored.iter().filter(|other| other.maxt >= block.maxt).map(|block| block.bytes).sum();
                prop_assert!(gone.cause == ExpiryReason::Time || (bytes > 0 && newer + non_block_bytes > bytes));
            }
        }
    }
}
