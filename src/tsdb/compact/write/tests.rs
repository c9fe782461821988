//! Blocks that are written from sources or merged from blocks, and read back.

use super::{BlockSpec, MergeSource, WriteBlockError, WriteObserver, write_block};
use crate::model::float_sample::FloatSample;
use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::testing::fixed_source::{FixedSource, chunk, labels};
use crate::testing::samples;
use crate::tsdb::block::delete::delete;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::block::verify::verify;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::execute::{CompactError, CompactionOutput, merge_blocks, rewrite_block};
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::query::select::select;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkData};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) fn ulid(n: u128) -> BlockUlid {
    BlockUlid::from_parts(0, n)
}

/// Source with one series per name, which has a sample with the value `v` at each of `times`.
pub(crate) fn source(names: &[&str], times: std::ops::Range<i64>, v: f64) -> FixedSource {
    let samples: Vec<FloatSample> = times.map(|t| FloatSample::new(t, v)).collect();
    let chunks: Vec<Chunk> = samples.chunks(100).map(chunk).collect();
    FixedSource(names.iter().map(|name| (labels(name), chunks.clone())).collect())
}

/// Writes a block with the range `[mint, maxt)`, as head compaction does.
pub(crate) fn write_head_block(
    dir: &Path,
    n: u128,
    times: (i64, i64),
    from: &FixedSource,
) -> Option<Arc<Block>> {
    let lineage = Lineage::for_head(ulid(n), times.0, times.1, CompactionHints::default());
    write_with(dir, n, &lineage, from, &AtomicBool::new(false)).unwrap();
    Block::open(&dir.join(ulid(n).to_string())).ok().map(Arc::new)
}

fn write_with(
    dir: &Path,
    n: u128,
    lineage: &Lineage,
    from: &FixedSource,
    stop: &AtomicBool,
) -> Result<bool, WriteBlockError> {
    let plan = BlockSpec { disk: &OsDisk, dir, ulid: ulid(n), lineage, floats: FloatEncoding::Xor };
    let strings: BTreeSet<String> = from
        .0
        .keys()
        .flat_map(Labels::iter)
        .flat_map(|(a, b)| [a.to_owned(), b.to_owned()])
        .collect();
    let symbols = Box::new(strings.into_iter().map(|one| Ok(Cow::Owned(one))));
    let watch = WriteObserver { stats: &CompactStats::default(), cancel: stop, on_chunk: &|_| {} };
    Ok(write_block(plan, vec![MergeSource { series: from, symbols }], &watch)?.is_some())
}

/// All samples of `blocks`. A later block wins at the same timestamp.
pub(crate) fn samples(blocks: &[Arc<Block>]) -> BTreeMap<Labels, Vec<FloatSample>> {
    let sources: Vec<&dyn BlockSource> =
        blocks.iter().map(|block| &**block as &dyn BlockSource).collect();
    let every = Matcher::new(MatchType::Regex, "a", ".*").unwrap();
    let series = select(&sources, &[every], TimeRange::ALL).unwrap().map(|series| series.unwrap());
    series
        .map(|one| {
            (
                one.labels().clone(),
                one.float_samples(TimeRange::ALL).map(|sample| sample.unwrap()).collect(),
            )
        })
        .collect()
}

pub(crate) fn target(dir: &Path, n: u128) -> CompactionOutput<'_> {
    CompactionOutput { disk: &OsDisk, dir, ulid: ulid(n), floats: FloatEncoding::Xor }
}

/// Merges blocks without observing it.
pub(crate) fn merge_quietly(
    dir: &Path,
    n: u128,
    blocks: &[Arc<Block>],
) -> Result<bool, CompactError> {
    let watch = WriteObserver {
        stats: &CompactStats::default(),
        cancel: &AtomicBool::new(false),
        on_chunk: &|_| {},
    };
    merge_blocks(target(dir, n), blocks, &watch)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn merged_block_has_all_samples_and_names_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = [
        write_head_block(dir.path(), 1, (0, 300), &source(&["x", "y"], 0..300, 1.0)).unwrap(),
        write_head_block(dir.path(), 2, (150, 400), &source(&["y", "z"], 150..400, 2.0)).unwrap(),
    ];
    let (stats, chunks) = (CompactStats::default(), AtomicU64::new(0));
    let count = |_: &Chunk| {
        chunks.fetch_add(1, Ordering::Relaxed);
    };
    let watch = WriteObserver { stats: &stats, cancel: &AtomicBool::new(false), on_chunk: &count };
    assert!(merge_blocks(target(dir.path(), 3), &blocks, &watch).unwrap());
    let merged = Block::open(&dir.path().join(ulid(3).to_string())).unwrap();
    let meta = merged.meta();
    assert_eq!((meta.min_time, meta.max_time, meta.compaction.level), (0, 400, 2));
    assert_eq!(meta.compaction.sources, [ulid(1), ulid(2)]);
    assert_eq!(
        meta.compaction.parents.iter().map(|parent| parent.ulid).collect::<Vec<_>>(),
        [ulid(1), ulid(2)]
    );
    assert_eq!(meta.stats.num_series, 3);
    assert_eq!(samples(&[Arc::new(merged)]), samples(&blocks));
    let symbols = Block::open(&dir.path().join(ulid(3).to_string())).unwrap();
    let symbols: Vec<String> = symbols.symbols().map(|symbol| symbol.unwrap().to_owned()).collect();
    assert!(
        ["a", "x", "y", "z"].iter().all(|name| symbols.contains(&(*name).to_owned())),
        "{symbols:?}"
    );
    let counted = [&stats.series, &stats.samples, &stats.chunks]
        .map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(counted, [3, 300 + 400 + 250, chunks.load(Ordering::Relaxed)]);
}

#[test]
fn samples_outside_block_range_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let block = write_head_block(dir.path(), 1, (50, 120), &source(&["x"], 0..300, 1.0)).unwrap();
    let times: Vec<i64> = samples(&[block])[&labels("x")].iter().map(|sample| sample.t).collect();
    assert_eq!(times, (50..120).collect::<Vec<_>>());
}

#[test]
fn empty_result_writes_no_block_and_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    assert!(write_head_block(dir.path(), 1, (500, 600), &source(&["x"], 0..300, 1.0)).is_none());
    assert!(
        write_head_block(dir.path(), 2, (i64::MIN, i64::MIN), &source(&["x"], 0..300, 1.0))
            .is_none()
    );
    assert!(names(dir.path()).is_empty());
    assert!(matches!(merge_quietly(dir.path(), 3, &[]), Err(CompactError::NoBlocks)));
}

#[test]
fn cancelled_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lineage = Lineage::for_head(ulid(1), 0, 300, CompactionHints::default());
    let stopped =
        write_with(dir.path(), 1, &lineage, &source(&["x"], 0..300, 1.0), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(WriteBlockError::Cancelled)));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn merge_with_corrupted_block_fails_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let histogram = Chunk {
        mint: 50,
        maxt: 60,
        encoding: ChunkEncoding::Histogram,
        data: ChunkData::new([0, 2, 7]),
        deleted_intervals: None,
    };
    let damaged = FixedSource(BTreeMap::from([(labels("x"), vec![histogram])]));
    let blocks = [
        write_head_block(dir.path(), 1, (0, 100), &source(&["w", "x"], 0..100, 1.0)).unwrap(),
        write_head_block(dir.path(), 2, (0, 100), &damaged).unwrap(),
    ];
    let error = merge_quietly(dir.path(), 3, &blocks).unwrap_err();
    assert!(error.to_string().contains(&labels("x").to_string()), "{error}");
    assert_eq!(names(dir.path()), [ulid(1).to_string(), ulid(2).to_string()]);
    // Alone, the chunk is copied unread. A reader then finds the corruption.
    assert!(merge_quietly(dir.path(), 4, &blocks[1..]).unwrap());
    assert!(verify(&Block::open(&dir.path().join(ulid(4).to_string())).unwrap()).is_err());
}

#[test]
fn overlapping_histograms_are_merged_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let point = |t: i64| {
        let histogram =
            samples::histogram(0, &[(1, t as u64), (t as i32 / 10, 3)].into(), &[].into());
        Sample::new(t, SampleValue::Histogram(Box::new(histogram)))
    };
    let of = |times: &mut dyn Iterator<Item = i64>| {
        let points: Vec<Sample> = times.map(point).collect();
        FixedSource(BTreeMap::from([(labels("x"), samples::chunks(&points, samples::PLAIN, 120))]))
    };
    let blocks = [
        write_head_block(dir.path(), 1, (0, 100), &of(&mut (1..100).step_by(2))).unwrap(),
        write_head_block(dir.path(), 2, (0, 100), &of(&mut (2..100).step_by(3))).unwrap(),
        write_head_block(dir.path(), 3, (0, 100), &source(&["x"], 90..100, 1.0)).unwrap(),
    ];
    assert!(merge_quietly(dir.path(), 4, &blocks).unwrap());
    let merged = Block::open(&dir.path().join(ulid(4).to_string())).unwrap();
    let facts = verify(&merged).unwrap();
    assert_eq!((facts.histogram_samples, facts.float_samples), (60, 10));
    let every = [Matcher::new(MatchType::Equal, "a", "x").unwrap()];
    let series = select(&[&merged], &every, TimeRange::ALL).unwrap().next().unwrap().unwrap();
    let found: Vec<Sample> = series.samples(TimeRange::ALL).map(|point| point.unwrap()).collect();
    let times = (1..90).filter(|t| t % 2 == 1 || t % 3 == 2);
    let expected = times.map(point).chain((90..100).map(|t| FloatSample::new(t, 1.0).into()));
    samples::assert_same(&found, &expected.collect::<Vec<_>>());
}

#[test]
fn rewritten_block_has_level_1_and_old_block_as_parent() {
    let dir = tempfile::tempdir().unwrap();
    let old = write_head_block(dir.path(), 1, (0, 300), &source(&["x", "y"], 0..300, 1.0)).unwrap();
    let watch = WriteObserver {
        stats: &CompactStats::default(),
        cancel: &AtomicBool::new(false),
        on_chunk: &|_| {},
    };
    assert!(rewrite_block(target(dir.path(), 2), &old, &watch).unwrap());
    let new = Arc::new(Block::open(&dir.path().join(ulid(2).to_string())).unwrap());
    let meta = new.meta();
    assert_eq!((meta.compaction.level, &meta.compaction.sources[..]), (1, &[ulid(2)][..]));
    assert_eq!(meta.compaction.parents[0].ulid, ulid(1));
    assert_eq!(samples(&[new]), samples(&[old]));
}

#[test]
fn deleted_samples_are_dropped_by_merge_and_rewrite() {
    let dir = tempfile::tempdir().unwrap();
    let old = write_head_block(dir.path(), 1, (0, 300), &source(&["x", "y"], 0..300, 1.0)).unwrap();
    let other =
        write_head_block(dir.path(), 2, (250, 400), &source(&["x"], 250..400, 2.0)).unwrap();
    let only = |value: &str| [Matcher::new(MatchType::Equal, "a", value).unwrap()];
    assert_eq!(delete(&old, &OsDisk, &only("x"), TimeRange::new(40, 260)).unwrap(), 1);
    assert_eq!(delete(&old, &OsDisk, &only("y"), TimeRange::ALL).unwrap(), 1);
    let blocks = [Arc::clone(&old), other];
    let left = samples(&blocks);
    assert_eq!(left.keys().collect::<Vec<_>>(), [&labels("x")]);
    let times: Vec<i64> = left[&labels("x")].iter().map(|sample| sample.t).collect();
    assert_eq!(
        times,
        (0..40).chain(250..400).collect::<Vec<_>>(),
        "samples of the other block remain"
    );
    assert!(merge_quietly(dir.path(), 3, &blocks).unwrap());
    let merged = Arc::new(Block::open(&dir.path().join(ulid(3).to_string())).unwrap());
    assert_eq!(
        (samples(std::slice::from_ref(&merged)), merged.meta().stats.num_tombstones),
        (left, 0)
    );
    assert_eq!(merged.label_values("a").unwrap(), ["x"], "values of deleted series are not listed");
    assert_eq!(delete(&old, &OsDisk, &only("x"), TimeRange::ALL).unwrap(), 1);
    assert!(!merge_quietly(dir.path(), 4, &[old]).unwrap());
    assert_eq!(names(dir.path()).len(), 3);
}
