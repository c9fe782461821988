//! Retention: selects blocks that are too old or exceed the size limit. A pure function of their
//! times and sizes.
//!
//! Blocks are examined by descending maximum time:
//! - **Time**: a block expires if its maximum time is at least the retention time before the newest
//!   one, and so do all older blocks. The newest *block* counts, not the clock, so a directory that
//!   is opened after a year loses nothing. Unlike in Prometheus, out-of-order blocks and partial
//!   blocks do not count as the newest: they can end hours after all other data.
//! - **Size**: WAL, WBL, head chunks and temporary files count first, then block by block. The
//!   first block with which the sum exceeds the limit expires, even if it is the newest, and so do
//!   all older ones.
//!
//! Source: `tsdb/db.go` of Prometheus.

use crate::tsdb::block::ulid::BlockUlid;

/// Block as seen by retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionCandidate {
    /// ULID of the block.
    pub ulid: BlockUlid,
    /// Maximum time, ms, exclusive.
    pub maxt: i64,
    /// Size on disk, bytes.
    pub bytes: u64,
    /// Whether the block is complete; see
    /// [`crate::tsdb::compact::block_summary::BlockSummary::covers_head`].
    pub is_whole_head: bool,
}

/// Limits of a retention run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetentionPolicy {
    /// Retention time, ms; `None` or 0 means unlimited.
    pub time: Option<i64>,
    /// Maximum total size, bytes; `None` or 0 means unlimited.
    pub bytes: Option<u64>,
    /// Maximum total size in percent of the file system; overrides `bytes`. `None` or 0 means that
    /// `bytes` applies.
    pub percentage: Option<f64>,
}

/// Space used by other files, and size of the file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Size of WAL, WBL, head chunks and temporary files, bytes.
    pub non_block_bytes: u64,
    /// Size of the file system, bytes; `None` if unknown.
    pub file_system: Option<u64>,
}

/// Block that exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredBlock {
    /// ULID of the block.
    pub ulid: BlockUlid,
    /// Limit that the block exceeds.
    pub cause: ExpiryReason,
}

/// Limit that a block exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// The retention time. Wins if the block exceeds both limits.
    Time,
    /// The maximum total size.
    Size,
}

impl RetentionPolicy {
    /// Returns the size limit in bytes, if any. If the size of the file system is unknown, `bytes`
    /// applies instead of the percentage.
    #[must_use]
    pub fn limit(&self, space: DiskUsage) -> Option<u64> {
        let bytes = match (self.percentage, space.file_system) {
            (Some(percentage), Some(size)) if percentage > 0.0 && size > 0 => {
                // As in Prometheus: multiplied before the division, and rounded down.
                Some((size as f64 * percentage / 100.0) as u64)
            }
            _ => self.bytes,
        };
        bytes.filter(|limit| *limit > 0)
    }
}

/// Returns the blocks to delete, newest first. The order of `blocks` does not matter.
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
    let cause = |index: usize| if index >= old { ExpiryReason::Time } else { ExpiryReason::Size };
    let expired = blocks.iter().enumerate().skip(old.min(over));
    expired.map(|(index, block)| ExpiredBlock { ulid: block.ulid, cause: cause(index) }).collect()
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

    fn number(ulid: BlockUlid) -> u128 {
        (0..50).find(|&n| BlockUlid::from_parts(0, n) == ulid).unwrap()
    }

    fn expired(
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
    fn block_older_than_retention_time_and_all_older_expire() {
        let blocks = blocks(&[(100, 1), (60, 1), (61, 1), (10, 1)]);
        let time = |time| RetentionPolicy { time, ..RetentionPolicy::default() };
        assert_eq!(
            expired(&blocks, time(Some(40)), DiskUsage::default()),
            [(2, ExpiryReason::Time), (4, ExpiryReason::Time)]
        );
        assert_eq!(expired(&blocks, time(Some(91)), DiskUsage::default()), []);
        assert_eq!(expired(&blocks, time(Some(0)), DiskUsage::default()), []);
        assert_eq!(expired(&blocks, time(None), DiskUsage::default()), []);
        assert_eq!(expired(&blocks[..1], time(Some(1)), DiskUsage::default()), []);
        assert_eq!(expired(&[], time(Some(1)), DiskUsage::default()), []);
    }

    #[test]
    fn out_of_order_block_does_not_count_as_newest() {
        let mut blocks = blocks(&[(100, 1), (61, 1), (120, 1), (60, 1)]);
        blocks[2].is_whole_head = false;
        let policy = RetentionPolicy { time: Some(40), ..RetentionPolicy::default() };
        assert_eq!(expired(&blocks, policy, DiskUsage::default()), [(4, ExpiryReason::Time)]);
        blocks.iter_mut().for_each(|block| block.is_whole_head = false);
        assert_eq!(
            expired(&blocks, policy, DiskUsage::default()),
            [(2, ExpiryReason::Time), (4, ExpiryReason::Time)]
        );
    }

    #[test]
    fn first_block_above_size_limit_and_all_older_expire() {
        let blocks = blocks(&[(10, 5), (20, 50), (30, 20)]);
        let bytes = |bytes| RetentionPolicy { bytes, ..RetentionPolicy::default() };
        let other = |non_block_bytes| DiskUsage { non_block_bytes, file_system: None };
        assert_eq!(expired(&blocks, bytes(Some(75)), other(0)), []);
        assert_eq!(expired(&blocks, bytes(Some(74)), other(0)), [(1, ExpiryReason::Size)]);
        assert_eq!(expired(&blocks, bytes(Some(80)), other(6)), [(1, ExpiryReason::Size)]);
        assert_eq!(
            expired(&blocks, bytes(Some(60)), other(0)),
            [(2, ExpiryReason::Size), (1, ExpiryReason::Size)]
        );
        assert_eq!(expired(&blocks, bytes(Some(60)), other(50)).len(), 3);
        assert_eq!(expired(&blocks, bytes(Some(0)), other(50)), []);
    }

    #[test]
    fn percentage_overrides_bytes_if_disk_size_is_known() {
        let blocks = blocks(&[(10, 30), (20, 30), (30, 30)]);
        let policy = RetentionPolicy { time: Some(20), bytes: Some(30), percentage: Some(33.4) };
        let disk = |file_system| DiskUsage { non_block_bytes: 0, file_system };
        assert_eq!(expired(&blocks, policy, disk(Some(200))), [(1, ExpiryReason::Time)]);
        assert_eq!(
            expired(&blocks, policy, disk(None)),
            [(2, ExpiryReason::Size), (1, ExpiryReason::Time)]
        );
        assert_eq!(
            expired(&blocks, policy, disk(Some(0))),
            [(2, ExpiryReason::Size), (1, ExpiryReason::Time)]
        );
        let none = RetentionPolicy { percentage: Some(0.0), ..policy };
        assert_eq!(none.limit(disk(Some(200))), Some(30));
    }

    proptest! {
        #[test]
        fn kept_blocks_fit_and_are_newer_than_expired_ones(
            stored in proptest::collection::vec((any::<i64>(), 0u64..100), 0..12),
            time in 0i64.., bytes in 0u64..600, non_block_bytes in 0u64..100,
        ) {
            let stored = blocks(&stored);
            let policy = RetentionPolicy { time: Some(time), bytes: Some(bytes), percentage: None };
            let usage = DiskUsage { non_block_bytes, file_system: None };
            let expired = expired_blocks(&stored, &policy, usage);
            let is_expired = |block: &&RetentionCandidate| {
                expired.iter().any(|expired| expired.ulid == block.ulid)
            };
            let (lost, kept): (Vec<&RetentionCandidate>, Vec<&RetentionCandidate>) =
                stored.iter().partition(is_expired);
            prop_assert_eq!(lost.len(), expired.len());
            let newest = stored.iter().map(|block| block.maxt).max().unwrap_or(0);
            let age = |block: &RetentionCandidate| i128::from(newest) - i128::from(block.maxt);
            prop_assert!(kept.iter().all(|kept| lost.iter().all(|lost| lost.maxt <= kept.maxt)));
            prop_assert!(time == 0 || kept.iter().all(|block| age(block) < i128::from(time)));
            let kept_bytes = kept.iter().map(|block| block.bytes).sum::<u64>() + non_block_bytes;
            prop_assert!(bytes == 0 || kept.is_empty() || kept_bytes <= bytes);
            for ExpiredBlock { ulid, cause } in &expired {
                let block = stored.iter().find(|block| block.ulid == *ulid).unwrap();
                let is_too_old = time > 0 && age(block) >= i128::from(time);
                prop_assert_eq!(*cause == ExpiryReason::Time, is_too_old);
                let newer = stored.iter().filter(|other| other.maxt >= block.maxt);
                let used = newer.map(|block| block.bytes).sum::<u64>() + non_block_bytes;
                prop_assert!(*cause == ExpiryReason::Time || (bytes > 0 && used > bytes));
            }
        }
    }
}
