//! Out-of-order samples in `wbl/` and `chunks_head/` of a killed Prometheus 3.14.0. The head has
//! all of them, floats and histograms, also after a second start.
//!
//! In-process, on the head only; `tests/server/golden.rs` tests the whole program.

use std::collections::BTreeMap;
use std::path::Path;

use narthex::model::histogram::{CounterResetHint, Span};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::SampleValue;
use narthex::model::time::TimeRange;
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::head::replay::report::ReplayProgress;
use narthex::tsdb::head::replay::wal::WalReplay;
use narthex::tsdb::head::replay::wbl::{WblReplay, WblReplayReport};
use narthex::tsdb::head::{Head, HeadOptions};
use narthex::tsdb::query::select::select;
use narthex::tsdb::wal::segment::list_segments;

use crate::support::points::{PlainHistogram, PointValue, Points};
use crate::support::samples::LabelSet;
use crate::support::{dir, golden};
use narthex::tsdb::fs::os_disk::OsDisk;
use std::sync::Arc;

/// Replays a directory. Returns the head and the report on out-of-order samples.
fn replayed(data: &Path) -> (Head, WblReplayReport) {
    let (mut files, _) = HeadChunkStore::open(Arc::new(OsDisk), &data.join("chunks_head"))
        .expect("the chunk files open");
    let mut chunks = Vec::new();
    files
        .for_each(&data.join("quarantine"), |chunk| chunks.push(chunk))
        .expect("the chunk files can be read");
    let head = Head::new(HeadOptions::default(), files);
    let progress = ReplayProgress::default();
    let segments = |name| list_segments(&data.join(name)).expect("a valid log");
    let done = WalReplay::new(&head, chunks.clone()).run(&segments("wal"), 2, &progress);
    assert!(done.corruption.is_none(), "{:?}", done.corruption);
    let wbl = WblReplay::new(&head, &chunks, done.aliases).run(&segments("wbl"), &progress);
    assert!(wbl.corruption.is_none(), "{:?}", wbl.corruption);
    head.index_series();
    (head, wbl.report)
}

fn read_head(head: &Head) -> Points {
    let every = Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher");
    let mut samples = Points::new();
    for series in select(&[head], &[every], TimeRange::ALL).expect("the head can be read") {
        let series = series.expect("the series can be read");
        let labels: LabelSet = series
            .labels()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for sample in series.samples(TimeRange::ALL) {
            let sample = sample.expect("the chunk can be read");
            samples.add(&labels, sample.t, plain(&sample.value));
        }
    }
    samples
}

fn plain(value: &SampleValue) -> PointValue {
    let histogram = match value {
        SampleValue::Float(v) => return PointValue::Float(v.to_bits()),
        SampleValue::Histogram(histogram) => {
            let sums = |deltas: &[i64]| -> Vec<u64> {
                deltas
                    .iter()
                    .scan(0i64, |sum, delta| {
                        *sum += delta;
                        Some(*sum as u64)
                    })
                    .collect()
            };
            PlainHistogram {
                float: false,
                gauge: histogram.reset_hint == CounterResetHint::Gauge,
                schema: histogram.schema.into(),
                zero_threshold: histogram.zero_threshold.to_bits(),
                zero_count: histogram.zero_count,
                count: histogram.count,
                sum: histogram.sum.to_bits(),
                positive: by_index(&histogram.positive_spans, &sums(&histogram.positive_buckets)),
                negative: by_index(&histogram.negative_spans, &sums(&histogram.negative_buckets)),
                custom: bits(&histogram.custom_values),
            }
        }
        SampleValue::FloatHistogram(histogram) => PlainHistogram {
            float: true,
            gauge: histogram.reset_hint == CounterResetHint::Gauge,
            schema: histogram.schema.into(),
            zero_threshold: histogram.zero_threshold.to_bits(),
            zero_count: histogram.zero_count.to_bits(),
            count: histogram.count.to_bits(),
            sum: histogram.sum.to_bits(),
            positive: by_index(&histogram.positive_spans, &bits(&histogram.positive_buckets)),
            negative: by_index(&histogram.negative_spans, &bits(&histogram.negative_buckets)),
            custom: bits(&histogram.custom_values),
        },
    };
    PointValue::Histogram(Box::new(histogram.normal()))
}

fn by_index(spans: &[Span], counts: &[u64]) -> BTreeMap<i64, u64> {
    let mut end = 0;
    let indices = spans.iter().flat_map(|span| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        start..end
    });
    indices.zip(counts.iter().copied()).filter(|(_, count)| *count != 0).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn ooo_samples_of_killed_prometheus_survive_two_starts() {
    let temp_dir = dir::temp();
    let data = golden::unpack("ooo-killed", temp_dir.path());
    // Some of these were sent twice with different values. Either is valid.
    let is_once =
        |labels: &LabelSet, _| !labels.iter().any(|(_, value)| value == "golden_ooo_same_time");
    let expected = golden::expected("ooo-killed");
    for start in ["first start", "second start"] {
        let (head, report) = replayed(&data);
        assert_eq!((report.unknown_refs, report.invalid_histograms), (0, 0), "{start}");
        assert!(report.markers == 129 && report.chunks >= 32, "{start}: {report:?}");
        let samples = read_head(&head);
        samples.filter(is_once).assert_equals(&expected.filter(is_once), start);
        assert_eq!(samples.count(), expected.count(), "{start}");
    }
}
