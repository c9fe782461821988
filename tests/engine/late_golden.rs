//! Late samples that Prometheus 3.14.0 left in `wbl/` and `chunks_head/` when it was killed: the
//! head has every one of them, floats and histograms of every kind, also after a second start.
//!
//! In-process, on the head alone; what the whole program makes of such directories is in
//! `tests/server/golden.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use narthex::model::histogram::{CounterResetHint, Span};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::SampleValue;
use narthex::model::time::TimeRange;
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::head::replay::wbl::{WblReplay, WblReplayReport};
use narthex::tsdb::head::replay::{ReplayProgress, WalReplay};
use narthex::tsdb::head::{Head, HeadOptions};
use narthex::tsdb::query::select::select;
use narthex::tsdb::wal::segment::list_segments;

use crate::support::points::{PlainHistogram, PointValue, Points};
use crate::support::samples::LabelSet;
use crate::support::{dir, golden};

/// A head made of the directory, and what was found of late samples.
fn replayed(data: &Path) -> (Head, WblReplayReport) {
    let (mut files, _) =
        HeadChunkStore::open(&data.join("chunks_head")).expect("the chunk files open");
    let mut chunks = Vec::new();
    files
        .for_each(&data.join("quarantine"), |chunk| chunks.push(chunk))
        .expect("the chunk files can be read");
    let head = Head::new(HeadOptions::default(), files);
    let progress = ReplayProgress::default();
    let segments = |name| list_segments(&data.join(name)).expect("the log is there");
    let done = WalReplay::new(&head, chunks.clone()).run(&segments("wal"), 2, &progress);
    assert!(done.damage.is_none(), "{:?}", done.damage);
    let late = WblReplay::new(&head, &chunks, done.aliases).run(&segments("wbl"), &progress);
    assert!(late.damage.is_none(), "{:?}", late.damage);
    head.index_series();
    (head, late.report)
}

fn held(head: &Head) -> Points {
    let every = Matcher::new(MatchType::Equal, "no_such_label", "").expect("it is a matcher");
    let mut held = Points::new();
    for series in select(&[head], &[every], TimeRange::ALL).expect("the head can be read") {
        let series = series.expect("the series can be read");
        let labels: LabelSet = series
            .labels()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for point in series.samples(TimeRange::ALL) {
            let point = point.expect("the chunk can be read");
            held.add(&labels, point.t, plain(&point.value));
        }
    }
    held
}

fn plain(value: &SampleValue) -> PointValue {
    let histogram = match value {
        SampleValue::Float(v) => return PointValue::Float(v.to_bits()),
        SampleValue::Histogram(one) => {
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
                gauge: one.reset_hint == CounterResetHint::Gauge,
                schema: one.schema.into(),
                zero_threshold: one.zero_threshold.to_bits(),
                zero_count: one.zero_count,
                count: one.count,
                sum: one.sum.to_bits(),
                positive: by_index(&one.positive_spans, &sums(&one.positive_buckets)),
                negative: by_index(&one.negative_spans, &sums(&one.negative_buckets)),
                custom: bits(&one.custom_values),
            }
        }
        SampleValue::FloatHistogram(one) => PlainHistogram {
            float: true,
            gauge: one.reset_hint == CounterResetHint::Gauge,
            schema: one.schema.into(),
            zero_threshold: one.zero_threshold.to_bits(),
            zero_count: one.zero_count.to_bits(),
            count: one.count.to_bits(),
            sum: one.sum.to_bits(),
            positive: by_index(&one.positive_spans, &bits(&one.positive_buckets)),
            negative: by_index(&one.negative_spans, &bits(&one.negative_buckets)),
            custom: bits(&one.custom_values),
        },
    };
    PointValue::Histogram(Box::new(histogram.normal()))
}

fn by_index(spans: &[Span], counts: &[u64]) -> BTreeMap<i64, u64> {
    let mut end = 0;
    let indices = spans.iter().flat_map(|span| {
        let begin = end + i64::from(span.offset);
        end = begin + i64::from(span.length);
        begin..end
    });
    indices.zip(counts.iter().copied()).filter(|(_, count)| *count != 0).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn ooo_samples_of_killed_prometheus_survive_two_starts() {
    let place = dir::temp();
    let data = golden::unpack("ooo-killed", place.path());
    // Of these some were sent twice with different values; either is right.
    let is_once =
        |labels: &LabelSet, _| !labels.iter().any(|(_, value)| value == "golden_ooo_same_time");
    let expected = golden::expected("ooo-killed");
    for start in ["the first start", "the second start"] {
        let (head, report) = replayed(&data);
        assert_eq!((report.unknown_refs, report.bad_histograms), (0, 0), "{start}");
        assert!(report.markers == 129 && report.chunks >= 32, "{start}: {report:?}");
        let held = held(&head);
        held.filter(is_once).assert_equals(&expected.filter(is_once), start);
        assert_eq!(held.count(), expected.count(), "{start}");
    }
}
