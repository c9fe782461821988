//! Compaction planning: examples, then properties of plans for arbitrary blocks.

use super::{CompactionPlan, CompactionReason, PlanExclusions, plan};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::block_summary::{BlockSummary, CompactionHints};
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::ranges::BlockRanges;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeSet;

pub(in crate::tsdb::compact) fn ulid(n: u128) -> BlockUlid {
    BlockUlid::from_parts(0, n)
}

/// Number from which [`ulid`] made a ULID.
fn number(block: BlockUlid) -> u128 {
    (0..2000).find(|&n| ulid(n) == block).unwrap()
}

/// Head block with the range `[mint, maxt)`.
pub(in crate::tsdb::compact) fn block(n: u128, mint: i64, maxt: i64) -> BlockSummary {
    BlockSummary {
        ulid: ulid(n),
        mint,
        maxt,
        level: 1,
        series: 0,
        tombstones: 0,
        failed: false,
        deletable: false,
        hints: CompactionHints::default(),
        sources: vec![ulid(n)],
    }
}

/// Blocks numbered from 1.
fn blocks(ranges: &[(i64, i64)]) -> Vec<BlockSummary> {
    ranges.iter().zip(1..).map(|(&(mint, maxt), n)| block(n, mint, maxt)).collect()
}

/// Block ranges 20, 60, 180, 540 and 1620.
fn ranges() -> BlockRanges {
    BlockRanges::exponential(20, 1620)
}

fn planned(blocks: &[BlockSummary]) -> Vec<u128> {
    let plan = plan(blocks, &ranges(), &PlanExclusions::default());
    plan.map_or(Vec::new(), |plan| plan.blocks.into_iter().map(number).collect())
}

#[test]
fn range_is_compacted_once_a_later_block_exists() {
    assert!(planned(&[]).is_empty());
    assert!(planned(&blocks(&[(0, 20)])).is_empty());
    assert!(planned(&blocks(&[(0, 20), (20, 40), (40, 60)])).is_empty());
    assert_eq!(planned(&blocks(&[(0, 20), (20, 40), (40, 60), (60, 80)])), [1, 2, 3]);
    assert_eq!(planned(&blocks(&[(0, 20), (20, 40), (40, 60), (60, 120), (120, 180)])), [1, 2, 3]);
}

#[test]
fn range_with_gap_is_compacted() {
    assert!(planned(&blocks(&[(0, 20), (20, 40), (60, 80)])).is_empty());
    assert_eq!(planned(&blocks(&[(0, 20), (20, 40), (60, 80), (80, 100)])), [1, 2]);
    assert_eq!(
        planned(&blocks(&[(20, 40), (60, 120), (960, 980), (120, 180), (720, 960)])),
        [1, 2, 4]
    );
}

#[test]
fn newest_block_is_determined_by_time_not_by_ulid() {
    assert_eq!(planned(&blocks(&[(0, 360), (540, 560), (360, 420), (420, 540)])), [3, 4]);
}

#[test]
fn overlaps_come_first_and_include_newest_block() {
    assert_eq!(planned(&blocks(&[(0, 20), (19, 40), (40, 60)])), [1, 2]);
    assert_eq!(planned(&blocks(&[(0, 20), (20, 40), (30, 50)])), [2, 3]);
    assert_eq!(planned(&blocks(&[(0, 20), (10, 40), (30, 50)])), [1, 2, 3]);
    assert_eq!(planned(&blocks(&[(0, 360), (340, 560), (360, 420), (420, 540)])), [1, 2, 3, 4]);
    assert_eq!(planned(&blocks(&[(0, 10), (9, 20), (30, 40), (39, 50)])), [1, 2]);
    let late = CompactionHints { out_of_order: true, ..CompactionHints::default() };
    assert_eq!(
        planned(&[
            block(1, 0, 20),
            BlockSummary { hints: late, ..block(2, 0, 20) },
            block(3, 20, 40)
        ]),
        [1, 2]
    );
}

#[test]
fn range_with_failed_block_is_skipped() {
    let cases: [&[(i64, i64)]; 3] = [
        &[(0, 20), (20, 40), (40, 60), (60, 80)],
        &[(0, 20), (20, 40), (60, 80), (80, 100)],
        &[(0, 20), (20, 40), (40, 60), (60, 120), (120, 180), (180, 200)],
    ];
    for times in cases {
        let mut blocks = blocks(times);
        assert!(!planned(&blocks).is_empty());
        blocks[1].failed = true;
        assert!(planned(&blocks).is_empty(), "{times:?}");
    }
}

#[test]
fn long_block_with_many_tombstones_is_rewritten() {
    let deleted = |n, mint, maxt, tombstones, series| BlockSummary {
        tombstones,
        series,
        ..block(n, mint, maxt)
    };
    assert!(planned(&[deleted(1, 0, 540, 3, 10)]).is_empty(), "newest block");
    assert_eq!(planned(&[deleted(1, 0, 540, 3, 10), block(2, 540, 560)]), [1]);
    assert!(planned(&[deleted(1, 0, 540, 5, 99), block(2, 540, 560)]).is_empty(), "exactly 5 %");
    assert!(planned(&[deleted(1, 0, 60, 3, 10), block(2, 60, 80)]).is_empty(), "too short");
    assert_eq!(
        planned(&[deleted(1, 0, 60, 10, 10), block(2, 60, 80)]),
        [1],
        "short and completely deleted"
    );
    assert!(planned(&[deleted(1, 0, 540, 0, 0), block(2, 540, 560)]).is_empty(), "no tombstones");
    let small_between =
        [deleted(1, 0, 540, 9, 10), deleted(2, 540, 600, 1, 10), block(3, 600, 620)];
    assert!(planned(&small_between).is_empty(), "a short block ends the search");
    let both = [deleted(1, 0, 540, 9, 10), deleted(2, 540, 1080, 9, 10), block(3, 1080, 1100)];
    assert_eq!(planned(&both), [2], "newest first");
}

#[test]
fn partial_blocks_are_merged_only_within_their_scope() {
    let stale = |n, mint, maxt| {
        let hints = CompactionHints { stale_series: true, ..CompactionHints::default() };
        BlockSummary { hints, ..block(n, mint, maxt) }
    };
    let selected = |n, mint, maxt| {
        let hints = CompactionHints { selected_series: true, ..CompactionHints::default() };
        BlockSummary { hints, ..block(n, mint, maxt) }
    };
    let whole_first = [
        block(1, 0, 20),
        stale(2, 0, 20),
        block(3, 20, 40),
        block(4, 40, 60),
        block(5, 60, 80),
        selected(6, 0, 80),
    ];
    assert_eq!(planned(&whole_first), [1, 3, 4]);
    let then_stale = [
        block(1, 0, 20),
        stale(2, 0, 20),
        stale(3, 20, 40),
        stale(4, 40, 60),
        stale(5, 60, 80),
        selected(6, 0, 20),
        selected(7, 10, 20),
    ];
    assert_eq!(planned(&then_stale), [2, 3, 4]);
    assert_eq!(
        planned(&[block(1, 0, 20), stale(2, 0, 20), selected(3, 0, 20), selected(4, 10, 20)]),
        [3, 4]
    );
}

#[test]
fn groups_with_excluded_or_deletable_blocks_are_skipped() {
    let without = |blocks: &[BlockSummary], backed_off: &[u128]| {
        let exclusions = PlanExclusions {
            backed_off: backed_off.iter().map(|&n| ulid(n)).collect(),
            awaiting_upload: BTreeSet::new(),
        };
        plan(blocks, &ranges(), &exclusions)
    };
    let two_runs = blocks(&[(0, 10), (9, 20), (30, 40), (39, 50)]);
    assert_eq!(
        without(&two_runs, &[2]),
        Some(CompactionPlan { reason: CompactionReason::Overlap, blocks: vec![ulid(3), ulid(4)] })
    );
    let levels =
        blocks(&[(0, 20), (20, 40), (40, 60), (60, 80), (80, 100), (100, 120), (120, 140)]);
    let second =
        CompactionPlan { reason: CompactionReason::Level, blocks: vec![ulid(4), ulid(5), ulid(6)] };
    assert_eq!(without(&levels, &[1]), Some(second));
    assert_eq!(without(&levels, &[1, 6]), None);
    let large = [BlockSummary { tombstones: 9, series: 9, ..block(1, 0, 540) }, block(2, 540, 560)];
    assert_eq!(without(&large, &[]).unwrap().reason, CompactionReason::Tombstones);
    assert_eq!(without(&large, &[1]), None);
    let going = [block(1, 0, 20), BlockSummary { deletable: true, ..block(2, 10, 20) }];
    assert_eq!(without(&going, &[]), None);
}

#[test]
fn blocks_from_first_awaiting_upload_are_excluded() {
    let blocks = blocks(&[(0, 20), (20, 40), (40, 60), (60, 80), (80, 100)]);
    let with = |waiting: &[u128]| {
        let exclusions = PlanExclusions {
            backed_off: BTreeSet::new(),
            awaiting_upload: waiting.iter().map(|&n| ulid(n)).collect(),
        };
        plan(&blocks, &ranges(), &exclusions).map_or(0, |plan| plan.blocks.len())
    };
    assert_eq!((with(&[]), with(&[5]), with(&[4]), with(&[1]), with(&[2, 5])), (3, 3, 0, 0, 0));
}

#[test]
fn single_range_allows_only_overlap_compactions() {
    let single = BlockRanges::exponential(20, 20);
    let apart = blocks(&[(0, 20), (20, 40), (40, 60), (60, 80)]);
    assert_eq!(plan(&apart, &single, &PlanExclusions::default()), None);
    assert!(plan(&blocks(&[(0, 20), (10, 20)]), &single, &PlanExclusions::default()).is_some());
}

fn arb_hints() -> impl Strategy<Value = CompactionHints> {
    let ooo = CompactionHints { out_of_order: true, ..CompactionHints::default() };
    let stale = CompactionHints { stale_series: true, ..CompactionHints::default() };
    let selected = CompactionHints { selected_series: true, ..CompactionHints::default() };
    prop_oneof![
        6 => Just(CompactionHints::default()),
        1 => Just(ooo),
        1 => Just(stale),
        1 => Just(selected),
    ]
}

fn arb_block() -> impl Strategy<Value = BlockSummary> {
    let times = prop_oneof![
        4 => (-30i64..90).prop_map(|n| (20 * n, 20)),
        2 => (-10i64..30).prop_map(|n| (60 * n, 60)),
        1 => (-600i64..1800, 1i64..700),
        1 => prop_oneof![
            Just((i64::MIN, 10)),
            Just((i64::MAX - 10, 10)),
            Just((i64::MIN, i64::MAX)),
        ],
    ];
    (times, arb_hints(), 0u64..20, 0u64..4, 0..10, 0..20).prop_map(
        |((mint, span), hints, series, tombstones, f, d)| {
            let facts = block(0, mint, mint.saturating_add(span));
            BlockSummary { hints, series, tombstones, failed: f == 0, deletable: d == 0, ..facts }
        },
    )
}

fn arb_blocks() -> impl Strategy<Value = Vec<BlockSummary>> {
    proptest::collection::vec(arb_block(), 0..24).prop_map(|mut blocks| {
        blocks.iter_mut().zip(1..).for_each(|(block, n)| block.ulid = ulid(n));
        blocks
    })
}

/// Replaces the blocks of a plan by a new one without tombstones.
fn execute(blocks: &mut Vec<BlockSummary>, plan: &CompactionPlan, number: u128) {
    let (merged, mut remaining): (Vec<_>, Vec<_>) =
        blocks.drain(..).partition(|block| plan.blocks.contains(&block.ulid));
    let lineage = Lineage::for_merge(&merged).unwrap();
    let facts = block(number, lineage.mint, lineage.maxt);
    let series = merged.iter().map(|block| block.series).max().unwrap();
    remaining.push(BlockSummary {
        level: lineage.level,
        hints: lineage.hints,
        sources: lineage.sources,
        series,
        ..facts
    });
    *blocks = remaining;
}

proptest! {
    #[test]
    fn plans_end_without_overlapping_blocks(mut blocks in arb_blocks()) {
        let max_steps = 2 * blocks.len();
        let mut steps = 0;
        while let Some(plan) = plan(&blocks, &ranges(), &PlanExclusions::default()) {
            steps += 1;
            prop_assert!(steps <= max_steps, "planning does not end");
            execute(&mut blocks, &plan, 1000 + steps as u128);
        }
        let is_complete = |block: &&BlockSummary| {
            !block.deletable && !block.hints.stale_series && !block.hints.selected_series
        };
        let mut complete: Vec<_> = blocks.iter().filter(is_complete).collect();
        complete.sort_by_key(|block| block.mint);
        prop_assert!(complete.windows(2).all(|pair| pair[0].maxt <= pair[1].mint));
    }

    #[test]
    fn plan_is_consecutive_within_one_scope(blocks in arb_blocks()) {
        let plan = plan(&blocks, &ranges(), &PlanExclusions::default());
        let Some(plan) = plan else { return Ok(()) };
        let find = |ulid: &BlockUlid| blocks.iter().find(|block| block.ulid == *ulid).unwrap();
        let planned: Vec<_> = plan.blocks.iter().map(find).collect();
        prop_assert!(planned.is_sorted_by_key(|block| block.mint));
        prop_assert!(planned.iter().all(|block| !block.deletable));
        let scope = |block: &BlockSummary| (block.hints.stale_series, block.hints.selected_series);
        prop_assert!(planned.iter().all(|block| scope(block) == scope(planned[0])));
        let (mint, maxt) = (planned[0].mint, planned.iter().map(|block| block.maxt).max().unwrap());
        // The plan has all blocks of the scope in its range.
        let is_in_scope =
            |block: &&BlockSummary| scope(block) == scope(planned[0]) && !block.deletable;
        let is_in_range = |block: &&BlockSummary| {
            mint <= block.mint && block.maxt <= maxt && block.mint < maxt
        };
        let within = blocks.iter().filter(is_in_scope).filter(is_in_range);
        prop_assert_eq!(within.count(), planned.len());
        let newest = blocks.iter().filter(is_in_scope).map(|block| block.mint).max().unwrap();
        match plan.reason {
            CompactionReason::Overlap => prop_assert!(planned.len() > 1),
            CompactionReason::Level => {
                prop_assert!(planned.len() > 1);
                prop_assert!(planned.iter().all(|block| !block.failed && block.mint < newest));
                prop_assert!(i128::from(maxt) - i128::from(mint) <= i128::from(ranges().longest()));
                let are_disjoint = planned.windows(2).all(|pair| pair[0].maxt <= pair[1].mint);
                prop_assert!(are_disjoint, "overlaps must come first");
            }
            CompactionReason::Tombstones => {
                prop_assert!(planned.len() == 1);
                prop_assert!(planned[0].tombstones > 0 && planned[0].mint < newest);
            }
        }
    }

    #[test]
    fn order_of_blocks_does_not_matter_and_excluded_are_absent(
        blocks in arb_blocks(),
        backed_off in proptest::collection::btree_set(1u128..25, 0..6),
    ) {
        let exclusions = PlanExclusions {
            backed_off: backed_off.into_iter().map(ulid).collect(),
            awaiting_upload: BTreeSet::new(),
        };
        let planned = plan(&blocks, &ranges(), &exclusions);
        let reversed: Vec<_> = blocks.iter().rev().cloned().collect();
        prop_assert_eq!(&planned, &plan(&reversed, &ranges(), &exclusions));
        let is_allowed = |block: &BlockUlid| !exclusions.backed_off.contains(block);
        prop_assert!(planned.is_none_or(|plan| plan.blocks.iter().all(is_allowed)));
    }
}
