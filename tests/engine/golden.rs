//! Blocks that Prometheus 3.14.0 wrote, with values of every kind in chunks of every encoding:
//! checked from end to end, read to the last bit, and merged, whole and with a part deleted, so
//! that their chunks are encoded anew.
//!
//! In-process: what the head and the logs of these directories hold is read in
//! `tests/server/golden.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::block::open::Block;
use narthex::tsdb::block::ulid::BlockUlid;
use narthex::tsdb::chunk::float_chunk::FloatEncoding;
use narthex::tsdb::compact::execute::{CompactionOutput, merge_blocks};
use narthex::tsdb::compact::stats::CompactStats;
use narthex::tsdb::compact::write::WriteObserver;
use narthex::tsdb::query::select::select;
use narthex::tsdb::query::source::BlockSource;

use crate::support::points::{PlainHistogram, PointValue, Points};
use crate::support::samples::{LabelSet, Samples};
use crate::support::wire;
use crate::support::{dir, golden};

/// What blocks hold.
#[derive(Default)]
struct Held {
    points: Points,
    /// The start times that are known, as bits of the same integer.
    starts: BTreeMap<(LabelSet, i64), i64>,
}

/// Blocks in a data directory, in the order of their times.
fn blocks_in(data: &Path) -> Vec<Arc<Block>> {
    let names = std::fs::read_dir(data)
        .expect("the folder can be listed")
        .map(|entry| entry.expect("an entry").path());
    let is_block = |path: &std::path::PathBuf| path.join("meta.json").exists();
    let mut blocks: Vec<_> = names
        .filter(is_block)
        .map(|path| Arc::new(Block::open(&path).expect("the block opens")))
        .collect();
    blocks.sort_by_key(|block| (block.meta().min_time, block.meta().ulid));
    blocks
}

/// All that these blocks hold; of two values at one time that of the later block.
fn held(blocks: &[Arc<Block>]) -> Held {
    let sources: Vec<&dyn BlockSource> =
        blocks.iter().map(|block| &**block as &dyn BlockSource).collect();
    let every = Matcher::new(MatchType::Equal, "no_such_label", "").expect("it is a matcher");
    let mut held = Held::default();
    for series in select(&sources, &[every], TimeRange::ALL).expect("the blocks can be read") {
        let series = series.expect("the series can be read");
        let labels: LabelSet = series
            .labels()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for point in series.samples(TimeRange::ALL) {
            let Sample { start_timestamp: start, t, value } = point.expect("the chunk can be read");
            held.points.add(&labels, t, plain(&value));
            if start != 0 {
                held.starts.insert((labels.clone(), t), start);
            }
        }
    }
    held
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

/// Merges blocks into one beside them.
fn merged(data: &Path, blocks: &[Arc<Block>], number: u128) -> Arc<Block> {
    let ulid = BlockUlid::from_parts(1, number);
    let watch = WriteObserver {
        stats: &CompactStats::default(),
        cancel: &AtomicBool::new(false),
        on_chunk: &|_| {},
    };
    let target = CompactionOutput { dir: data, ulid, floats: FloatEncoding::Xor };
    assert!(merge_blocks(target, blocks, &watch).expect("the blocks can be merged"));
    Arc::new(Block::open(&data.join(ulid.to_string())).expect("the merged block opens"))
}

/// Checks a case; gives how many floats and histograms its blocks hold.
fn check(case: &str) -> (usize, usize) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let blocks = blocks_in(&data);
    assert!(!blocks.is_empty(), "{case} has blocks");
    for block in &blocks {
        block.verify().unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    let stored = held(&blocks);
    is_expected(case, &stored);

    let whole = merged(&data, &blocks, 1);
    whole.verify().unwrap_or_else(|error| panic!("{case}, merged: {error}"));
    let again = held(std::slice::from_ref(&whole));
    again.points.assert_equals(&stored.points, &format!("{case}, merged"));
    assert_eq!(again.starts, stored.starts, "{case}, merged");

    // An odd part in the middle of the chunks.
    let every = Matcher::new(MatchType::Equal, "no_such_label", "").expect("it is a matcher");
    let middle = i64::midpoint(whole.meta().min_time, whole.meta().max_time);
    let hole = TimeRange::new(middle - 1_234_567, middle - 123_456);
    for block in &blocks {
        block.delete(std::slice::from_ref(&every), hole).expect("it can be deleted");
    }
    let rest = merged(&data, &blocks, 2);
    rest.verify().unwrap_or_else(|error| panic!("{case}, in part: {error}"));
    let rest = held(&[rest]);
    rest.points.assert_equals(
        &stored.points.filter(|_, t| !hole.contains(t)),
        &format!("{case}, in part"),
    );
    let left = stored.starts.into_iter().filter(|((_, t), _)| !hole.contains(*t)).collect();
    assert_eq!(rest.starts, left, "{case}, in part");
    (stored.points.floats().count(), stored.points.histogram_count())
}

/// Whatever the blocks hold, Prometheus read it from the same directory.
fn is_expected(case: &str, stored: &Held) {
    let expected = golden::expected(case);
    // Of these some were sent twice with different values; either is right.
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
fn blocks_of_floats() {
    assert_eq!(check("blocks-clean").1, 0);
}

#[test]
fn blocks_of_every_kind() {
    let (floats, histograms) = check("blocks-killed-after-compaction");
    assert!(floats > 5000 && histograms > 2000, "{floats} {histograms}");
}

#[test]
fn blocks_of_late_values_that_are_merged() {
    assert!(check("ooo-compacted").1 > 1000);
}

#[test]
fn blocks_of_late_values_that_overlap_others() {
    assert!(check("ooo-compacted-overlapping").1 > 1000);
}

#[test]
fn blocks_with_floats_of_the_newer_encoding() {
    assert!(check("xor2").0 > 1000);
}

#[test]
fn a_block_with_floats_of_both_encodings() {
    assert!(check("xor2-switched").0 > 1000);
}

#[test]
fn blocks_with_start_times_of_floats_and_histograms() {
    let (floats, histograms) = check("start-timestamps");
    assert!(floats > 1000 && histograms > 500, "{floats} {histograms}");
}

#[test]
fn a_block_of_which_a_part_is_deleted() {
    assert!(check("deletes").1 > 500);
}

#[test]
fn a_block_that_was_cleaned_of_what_was_deleted() {
    assert!(check("deletes-cleaned").1 > 500);
}

#[test]
fn blocks_of_a_snapshot() {
    assert!(check("snapshot-admin").1 > 1000);
}
