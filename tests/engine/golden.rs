//! Blocks of Prometheus 3.14.0 with samples of all types in chunks of all encodings: verified, read
//! bit for bit, and merged, also with deleted ranges, so that chunks are re-encoded.
//!
//! In-process; `tests/server/golden.rs` reads head and logs of these directories.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::block::delete::delete;
use narthex::tsdb::block::open::Block;
use narthex::tsdb::block::ulid::BlockUlid;
use narthex::tsdb::block::verify::verify;
use narthex::tsdb::chunk::float_chunk::FloatEncoding;
use narthex::tsdb::compact::execute::{CompactionOutput, merge_blocks};
use narthex::tsdb::compact::stats::CompactStats;
use narthex::tsdb::compact::write::WriteObserver;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::query::select::select;
use narthex::tsdb::query::source::BlockSource;

use crate::support::points::{PlainHistogram, PointValue, Points};
use crate::support::samples::{LabelSet, Samples};
use crate::support::wire;
use crate::support::{dir, golden};

/// Contents of blocks.
#[derive(Default)]
struct Contents {
    points: Points,
    /// Non-zero start timestamps.
    starts: BTreeMap<(LabelSet, i64), i64>,
}

/// Returns the blocks of a data directory, sorted by minimum time.
fn blocks_in(data: &Path) -> Vec<Arc<Block>> {
    let names = std::fs::read_dir(data)
        .expect("the directory can be listed")
        .map(|entry| entry.expect("an entry").path());
    let is_block = |path: &std::path::PathBuf| path.join("meta.json").exists();
    let mut blocks: Vec<_> = names
        .filter(is_block)
        .map(|path| Arc::new(Block::open(&path).expect("the block opens")))
        .collect();
    blocks.sort_by_key(|block| (block.meta().min_time, block.meta().ulid));
    blocks
}

/// Reads the contents of blocks. At equal timestamps, the later block wins.
fn read_blocks(blocks: &[Arc<Block>]) -> Contents {
    let sources: Vec<&dyn BlockSource> =
        blocks.iter().map(|block| &**block as &dyn BlockSource).collect();
    let every = Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher");
    let mut contents = Contents::default();
    for series in select(&sources, &[every], TimeRange::ALL).expect("the blocks can be read") {
        let series = series.expect("the series can be read");
        let labels: LabelSet = series
            .labels()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for sample in series.samples(TimeRange::ALL) {
            let Sample { start_timestamp: start, t, value } =
                sample.expect("the chunk can be read");
            contents.points.add(&labels, t, plain(&value));
            if start != 0 {
                contents.starts.insert((labels.clone(), t), start);
            }
        }
    }
    contents
}

fn plain(value: &SampleValue) -> PointValue {
    let wire = match value {
        SampleValue::Float(v) => return PointValue::Float(v.to_bits()),
        SampleValue::Histogram(histogram) => integer(histogram),
        SampleValue::FloatHistogram(histogram) => float(histogram),
    };
    PointValue::Histogram(Box::new(PlainHistogram::from_wire(&wire)))
}

fn integer(histogram: &Histogram) -> wire::Histogram {
    wire::Histogram {
        count_int: Some(histogram.count),
        zero_count_int: Some(histogram.zero_count),
        sum: histogram.sum.to_bits(),
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold.to_bits(),
        negative_spans: spans(&histogram.negative_spans),
        negative_deltas: histogram.negative_buckets.clone(),
        positive_spans: spans(&histogram.positive_spans),
        positive_deltas: histogram.positive_buckets.clone(),
        reset_hint: hint(histogram.reset_hint),
        custom_values: bits(&histogram.custom_values),
        ..wire::Histogram::default()
    }
}

fn float(histogram: &FloatHistogram) -> wire::Histogram {
    wire::Histogram {
        count_float: Some(histogram.count.to_bits()),
        zero_count_float: Some(histogram.zero_count.to_bits()),
        sum: histogram.sum.to_bits(),
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold.to_bits(),
        negative_spans: spans(&histogram.negative_spans),
        negative_counts: bits(&histogram.negative_buckets),
        positive_spans: spans(&histogram.positive_spans),
        positive_counts: bits(&histogram.positive_buckets),
        reset_hint: hint(histogram.reset_hint),
        custom_values: bits(&histogram.custom_values),
        ..wire::Histogram::default()
    }
}

fn spans(spans: &[Span]) -> Vec<wire::BucketSpan> {
    spans.iter().map(|span| wire::BucketSpan { offset: span.offset, length: span.length }).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn hint(hint: CounterResetHint) -> i32 {
    hint.as_byte().into()
}

/// Merges blocks into a new one in the same directory.
fn merged(data: &Path, blocks: &[Arc<Block>], number: u128) -> Arc<Block> {
    let ulid = BlockUlid::from_parts(1, number);
    let observer = WriteObserver {
        stats: &CompactStats::default(),
        cancel: &AtomicBool::new(false),
        on_chunk: &|_| {},
    };
    let target = CompactionOutput { disk: &OsDisk, dir: data, ulid, floats: FloatEncoding::Xor };
    assert!(merge_blocks(target, blocks, &observer).expect("the blocks can be merged"));
    Arc::new(Block::open(&data.join(ulid.to_string())).expect("the merged block opens"))
}

/// Checks a case. Returns the numbers of floats and histograms in its blocks.
fn check(case: &str) -> (usize, usize) {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    let blocks = blocks_in(&data);
    assert!(!blocks.is_empty(), "{case} has blocks");
    for block in &blocks {
        verify(block).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    let stored = read_blocks(&blocks);
    assert_expected(case, &stored);

    let all = merged(&data, &blocks, 1);
    verify(&all).unwrap_or_else(|error| panic!("{case}, merged: {error}"));
    let found = read_blocks(std::slice::from_ref(&all));
    found.points.assert_equals(&stored.points, &format!("{case}, merged"));
    assert_eq!(found.starts, stored.starts, "{case}, merged");

    // A deleted range whose ends are within chunks.
    let every = Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher");
    let middle = i64::midpoint(all.meta().min_time, all.meta().max_time);
    let hole = TimeRange::new(middle - 1_234_567, middle - 123_456);
    for block in &blocks {
        delete(block, &OsDisk, std::slice::from_ref(&every), hole).expect("written tombstones");
    }
    let rest = merged(&data, &blocks, 2);
    verify(&rest).unwrap_or_else(|error| panic!("{case}, with deletion: {error}"));
    let rest = read_blocks(&[rest]);
    rest.points.assert_equals(
        &stored.points.filter(|_, t| !hole.contains(t)),
        &format!("{case}, with deletion"),
    );
    let remaining = stored.starts.into_iter().filter(|((_, t), _)| !hole.contains(*t)).collect();
    assert_eq!(rest.starts, remaining, "{case}, with deletion");
    (stored.points.floats().count(), stored.points.histogram_count())
}

/// Asserts that Prometheus read all of the contents from the same directory.
fn assert_expected(case: &str, stored: &Contents) {
    let expected = golden::expected(case);
    // Some of these were sent twice with different values. Either is valid.
    let is_twice =
        |labels: &LabelSet| labels.iter().any(|(_, value)| value == "golden_ooo_same_time");
    stored.points.filter(|labels, _| !is_twice(labels)).assert_within(&expected, case);
    let starts: Samples = golden::expected_starts(case);
    for ((labels, t), start) in &stored.starts {
        if matches!(stored.points.get(labels, *t), Some(PointValue::Float(_))) {
            assert_eq!(starts.get(labels, *t), Some(*start as u64), "{case}: {labels:?} at {t}");
        }
    }
}

#[test]
fn float_blocks_match_prometheus() {
    assert_eq!(check("blocks-clean").1, 0);
}

#[test]
fn blocks_of_all_types_match_prometheus() {
    let (floats, histograms) = check("blocks-killed-after-compaction");
    assert!(floats > 5000 && histograms > 2000, "{floats} {histograms}");
}

#[test]
fn merged_ooo_blocks_match_prometheus() {
    assert!(check("ooo-compacted").1 > 1000);
}

#[test]
fn overlapping_ooo_blocks_match_prometheus() {
    assert!(check("ooo-compacted-overlapping").1 > 1000);
}

#[test]
fn xor2_blocks_match_prometheus() {
    assert!(check("xor2").0 > 1000);
}

#[test]
fn block_of_xor_and_xor2_matches_prometheus() {
    assert!(check("xor2-switched").0 > 1000);
}

#[test]
fn blocks_with_start_timestamps_match_prometheus() {
    let (floats, histograms) = check("start-timestamps");
    assert!(floats > 1000 && histograms > 500, "{floats} {histograms}");
}

#[test]
fn block_with_tombstones_matches_prometheus() {
    assert!(check("deletes").1 > 500);
}

#[test]
fn block_with_cleaned_tombstones_matches_prometheus() {
    assert!(check("deletes-cleaned").1 > 500);
}

#[test]
fn blocks_of_snapshot_match_prometheus() {
    assert!(check("snapshot-admin").1 > 1000);
}
