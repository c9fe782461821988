//! Data directories after startups, crashes and changes by other programs.

use super::load::LoadReport;
use super::{BlockSet, dir};
use crate::model::float_sample::FloatSample;
use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::tsdb::block::delete::delete;
use crate::tsdb::block::error::BlockDefect;
use crate::tsdb::block::open::Block;
use crate::tsdb::compact::execute::mark_deletable;
use crate::tsdb::compact::plan::{PlanExclusions, plan};
use crate::tsdb::compact::ranges::BlockRanges;
use crate::tsdb::compact::write::tests::{merge_quietly, samples, source, ulid, write_head_block};
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::query::corruption::ChunkDefect;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

type Data = BTreeMap<Labels, Vec<FloatSample>>;

fn set(dir: &Path) -> BlockSet {
    BlockSet::new(Arc::new(OsDisk), dir, &dir.join("quarantine"))
}

fn data(set: &BlockSet) -> Data {
    samples(&set.list())
}

fn make(dir: &Path, n: u128, mint: i64, maxt: i64) -> Arc<Block> {
    write_head_block(dir, n, (mint, maxt), &source(&["x", "y"], mint..maxt, n as f64)).unwrap()
}

fn numbers(set: &BlockSet) -> Vec<u128> {
    let list = set.list();
    list.iter().map(|block| (0..100).find(|n| ulid(*n) == block.meta().ulid).unwrap()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes the index of a block unreadable.
fn corrupt_index(dir: &Path, n: u128) {
    fs::write(dir.join(ulid(n).to_string()).join("index"), "no index").unwrap();
}

#[test]
fn load_sorts_blocks_and_removes_leftovers() {
    let dir = tempfile::tempdir().unwrap();
    for (n, mint) in [(1, 200), (2, 0), (3, 100)] {
        make(dir.path(), n, mint, mint + 100);
    }
    for suffix in [".tmp-for-creation", ".tmp-for-deletion", ".tmp"] {
        fs::create_dir(dir.path().join(format!("{}{suffix}", ulid(9)))).unwrap();
    }
    let set = set(dir.path());
    assert_eq!(set.load().unwrap(), LoadReport { served: 3, ..LoadReport::default() });
    assert_eq!(numbers(&set), [2, 3, 1]);
    assert_eq!(names(dir.path()), [1, 2, 3].map(|n| ulid(n).to_string()));
    assert_eq!(set.overlapping(TimeRange::new(100, 199)).len(), 1, "the end is exclusive");
    assert_eq!(set.overlapping(TimeRange::new(99, 200)).len(), 3);
    assert!(set.overlapping(TimeRange::new(150, 120)).is_empty());
    assert_eq!(
        (set.summaries().len(), set.retention_candidates().len(), set.in_order_max_time()),
        (3, 3, Some(300))
    );
    assert_eq!(
        set.size_bytes(),
        set.retention_candidates().iter().map(|block| block.bytes).sum::<u64>()
    );
}

#[test]
fn every_step_of_a_compaction_keeps_all_samples() {
    for crash_after in 0..7 {
        let dir = tempfile::tempdir().unwrap();
        let parents = [make(dir.path(), 1, 0, 150), make(dir.path(), 2, 100, 200)];
        make(dir.path(), 3, 200, 300);
        let before = set(dir.path());
        before.load().unwrap();
        let before = data(&before);
        let unfinished = dir.path().join(format!("{}.tmp-for-creation", ulid(4)));
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("index"), "half").unwrap();
        let mut steps = vec![];
        let parent_files = |n: u128| dir.path().join(format!("{}.tmp-for-deletion/index", ulid(n)));
        let path = dir.path();
        steps.push(Box::new(|| {
            fs::remove_dir_all(&unfinished).unwrap();
            assert!(merge_quietly(path, 4, &parents).unwrap());
        }) as Box<dyn Fn()>);
        for n in [1, 2] {
            steps.push(Box::new(move || {
                assert!(dir::rename_for_deletion(&OsDisk, path, ulid(n)).unwrap().is_some())
            }));
            steps.push(Box::new(move || fs::remove_file(parent_files(n)).unwrap()));
        }
        steps.push(Box::new(|| {
            dir::remove_leftovers(&OsDisk, &dir::scan(path).unwrap().leftovers).unwrap()
        }));
        steps.iter().take(crash_after).for_each(|step| step());
        let after = set(path);
        after.load().unwrap();
        assert_eq!(data(&after), before, "after {crash_after} steps");
        let remaining: &[u128] = if crash_after == 0 { &[1, 2, 3] } else { &[4, 3] };
        assert_eq!(numbers(&after), remaining, "after {crash_after} steps");
        assert_eq!(names(path).len(), remaining.len(), "after {crash_after} steps");
    }
}

#[test]
fn child_replaces_parents_and_readers_keep_them() {
    let dir = tempfile::tempdir().unwrap();
    let parents = [make(dir.path(), 1, 0, 150), make(dir.path(), 2, 100, 200)];
    let set = set(dir.path());
    set.load().unwrap();
    let (held, before) = (set.list(), data(&set));
    assert!(merge_quietly(dir.path(), 4, &parents).unwrap());
    let child = Arc::new(Block::open(&dir::block_dir(dir.path(), ulid(4))).unwrap());
    set.replace(&[ulid(1), ulid(2)], Some(child)).unwrap();
    assert_eq!((numbers(&set), data(&set)), (vec![4], before.clone()));
    assert_eq!(names(dir.path()), [ulid(4).to_string()]);
    assert_eq!(samples(&held), before);
}

#[test]
fn empty_blocks_are_removed_now_or_at_startup() {
    let dir = tempfile::tempdir().unwrap();
    let empty = [make(dir.path(), 1, 0, 100), make(dir.path(), 2, 100, 200)];
    make(dir.path(), 3, 200, 300);
    let first = set(dir.path());
    first.load().unwrap();
    mark_deletable(&OsDisk, &empty).unwrap();
    assert_eq!(set(dir.path()).load().unwrap().removed, [ulid(1), ulid(2)]);
    first.replace(&[ulid(1), ulid(2)], None).unwrap();
    assert_eq!((numbers(&first), names(dir.path()).len()), (vec![3], 1));
}

#[test]
fn corrupted_block_is_quarantined_and_others_load() {
    let dir = tempfile::tempdir().unwrap();
    for n in [1, 2, 3] {
        make(dir.path(), n, 100 * n as i64, 100 * n as i64 + 100);
    }
    corrupt_index(dir.path(), 2);
    let set = set(dir.path());
    let report = set.load().unwrap();
    assert_eq!(report, LoadReport { served: 2, corrupt: vec![ulid(2)], ..LoadReport::default() });
    assert_eq!((numbers(&set), set.quarantined_total()), (vec![1, 3], 1));
    let kept = dir.path().join("quarantine").join(format!("block-{}", ulid(2)));
    assert_eq!(fs::read_to_string(kept.join("index")).unwrap(), "no index");
    assert_eq!(set.reload().unwrap(), LoadReport { served: 2, ..LoadReport::default() });
    let defect = BlockDefect::Chunk(ChunkDefect::Empty);
    let path = set.quarantine(ulid(3), &Corruption::of_file("found", defect)).unwrap();
    assert!(path.join("meta.json").exists());
    assert_eq!((numbers(&set), set.quarantined_total()), (vec![1], 2));
    fs::create_dir(dir.path().join(ulid(7).to_string())).unwrap();
    assert_eq!(
        super::tests::set(dir.path()).load().unwrap().corrupt,
        [ulid(7)],
        "directory without meta.json"
    );
}

#[test]
fn corrupted_parent_of_readable_block_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let parents = [make(dir.path(), 1, 0, 100), make(dir.path(), 2, 100, 200)];
    assert!(merge_quietly(dir.path(), 3, &parents).unwrap());
    corrupt_index(dir.path(), 1);
    let set = set(dir.path());
    let report = set.load().unwrap();
    assert_eq!(
        report,
        LoadReport { served: 1, removed: vec![ulid(1), ulid(2)], ..LoadReport::default() }
    );
    assert_eq!(names(dir.path()), [ulid(3).to_string()]);
}

#[test]
fn parents_of_corrupted_child_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let parents = [make(dir.path(), 1, 0, 100), make(dir.path(), 2, 100, 200)];
    assert!(merge_quietly(dir.path(), 3, &parents).unwrap());
    corrupt_index(dir.path(), 3);
    let set = set(dir.path());
    assert_eq!(set.load().unwrap().corrupt, [ulid(3)]);
    assert_eq!((numbers(&set), data(&set)), (vec![1, 2], samples(&parents)));
}

#[test]
fn reload_finds_new_blocks_and_keeps_unfinished_ones() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), 1, 0, 100);
    let set = set(dir.path());
    set.load().unwrap();
    let first = Arc::clone(&set.list()[0]);
    make(dir.path(), 2, 100, 200);
    make(dir.path(), 3, 200, 300);
    corrupt_index(dir.path(), 3);
    let unfinished = dir.path().join(format!("{}.tmp-for-creation", ulid(4)));
    fs::create_dir(&unfinished).unwrap();
    let report = set.reload().unwrap();
    assert_eq!(report, LoadReport { served: 2, corrupt: vec![ulid(3)], ..LoadReport::default() });
    assert_eq!((numbers(&set), set.quarantined_total()), (vec![1, 2], 0));
    assert!(Arc::ptr_eq(&first, &set.list()[0]), "open blocks stay open");
    assert!(unfinished.exists() && dir.path().join(ulid(3).to_string()).exists());
    fs::remove_dir_all(dir.path().join(ulid(1).to_string())).unwrap();
    assert_eq!(set.reload().unwrap().served, 1);
    assert_eq!(numbers(&set), [2]);
}

#[test]
fn removed_block_is_deleted_and_added_block_is_listed_once() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(dir.path());
    let block = make(dir.path(), 1, 0, 100);
    set.add(Arc::clone(&block));
    set.add(block);
    set.add(make(dir.path(), 2, 100, 200));
    assert_eq!(numbers(&set), [1, 2]);
    set.remove(&[ulid(1), ulid(8)]).unwrap();
    assert_eq!((numbers(&set), names(dir.path())), (vec![2], vec![ulid(2).to_string()]));
}

#[test]
fn partial_blocks_do_not_count_for_in_order_max_time() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), 1, 0, 100);
    let stale = make(dir.path(), 2, 100, 200);
    let mut meta = (*stale.meta()).clone();
    meta.compaction.hints.push("from-stale-series".to_owned());
    meta.write(&OsDisk, stale.dir()).unwrap();
    let set = set(dir.path());
    assert_eq!(set.in_order_max_time(), None);
    set.load().unwrap();
    assert_eq!((numbers(&set), set.in_order_max_time()), (vec![1, 2], Some(100)));
}

#[test]
fn executed_plans_keep_all_samples_and_survive_restart() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(dir.path());
    let every = Matcher::new(MatchType::Equal, "a", "y").unwrap();
    for (n, mint) in (1..).zip((0..1500).step_by(100)) {
        // Some overlap the next range, some have tombstones, one is deleted completely.
        let block = make(dir.path(), n, mint, mint + if n % 5 == 0 { 130 } else { 100 });
        if n % 3 == 0 {
            delete(&block, &OsDisk, std::slice::from_ref(&every), TimeRange::new(mint, mint + 40))
                .unwrap();
        }
        if n == 7 {
            delete(
                &block,
                &OsDisk,
                &[Matcher::new(MatchType::Regex, "a", ".+").unwrap()],
                TimeRange::ALL,
            )
            .unwrap();
        }
        set.add(block);
    }
    let (ranges, before) = (BlockRanges::exponential(100, 900), data(&set));
    let mut number = 20;
    while let Some(plan) = plan(&set.summaries(), &ranges, &PlanExclusions::default()) {
        let blocks = set.get_all(&plan.blocks);
        assert_eq!(blocks.len(), plan.blocks.len());
        let child = if merge_quietly(dir.path(), number, &blocks).unwrap() {
            Some(Arc::new(Block::open(&dir::block_dir(dir.path(), ulid(number))).unwrap()))
        } else {
            mark_deletable(&OsDisk, &blocks).unwrap();
            None
        };
        set.replace(&plan.blocks, child).unwrap();
        assert_eq!(data(&set), before, "{plan:?}");
        number += 1;
    }
    assert!((21..30).contains(&number) && set.list().len() < 6, "{number} {}", set.list().len());
    let again = super::tests::set(dir.path());
    assert_eq!(
        again.load().unwrap(),
        LoadReport { served: set.list().len(), ..LoadReport::default() }
    );
    assert_eq!(data(&again), before);
}

#[test]
fn lower_case_block_is_ignored_and_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), 1, 0, 100);
    make(dir.path(), 10, 100, 200);
    let misnamed = dir.path().join(ulid(10).to_string().to_lowercase());
    fs::rename(dir.path().join(ulid(10).to_string()), &misnamed).unwrap();
    let set = set(dir.path());
    let report = LoadReport { served: 1, ..LoadReport::default() };
    assert_eq!(
        set.load().unwrap(),
        LoadReport { misnamed: vec![misnamed.clone()], ..report.clone() }
    );
    assert_eq!(set.reload().unwrap(), report);
    fs::rename(&misnamed, dir.path().join(ulid(10).to_string())).unwrap();
    assert_eq!(set.reload().unwrap(), LoadReport { served: 2, ..report });
}
