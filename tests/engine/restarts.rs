//! Directories that Prometheus 3.14.0 wrote, opened in the test's own process: values of every kind
//! are there with their starts, from the log, from blocks, and from snapshots of the head, those of
//! Prometheus and those of narthex.
//!
//! `tests/golden/README.md` says how they were made. Directories with late values are tested
//! elsewhere.

use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::SampleValue;
use narthex::model::time::TimeRange;
use narthex::tsdb::chunk::any_chunk::HistogramStMode;
use narthex::tsdb::chunk::float_chunk::FloatEncoding;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use narthex::tsdb::db::recovery::OpenReport;
use narthex::tsdb::wal::record::builder::RecordVersion;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::support::points::{PlainHistogram, PointValue, Points, STALE};
use crate::support::samples::{LabelSet, Samples};
use crate::support::{dir, golden};

/// How a directory is opened.
#[derive(Clone, Copy, PartialEq)]
enum Starts {
    Dropped,
    Kept,
}

fn open(data: &Path, starts: Starts) -> (Db, OpenReport) {
    let mut options = DbOptions::new(data.to_owned());
    options.shutdown_mode = ShutdownMode::ChunkSnapshot;
    options.replay_workers = 3;
    if starts == Starts::Kept {
        options.settings.float_encoding = FloatEncoding::Xor2;
        options.record_version = RecordVersion::V2;
        options.histogram_st_mode = HistogramStMode::WithSt;
    }
    let db = Db::open(options).expect("the directory is free");
    let report = db.replay().expect("the directory is good");
    (db, report)
}

/// What a database answers with.
struct Answer {
    points: Points,
    /// The starts that are not 0.
    starts: Samples,
}

fn read(db: &Db) -> Answer {
    let all = [Matcher::new(MatchType::NotEqual, "__name__", "").expect("a good matcher")];
    let (mut points, mut starts) = (Points::new(), Samples::new());
    for series in db.querier().select(&all, TimeRange::ALL).expect("a good query") {
        let series = series.expect("the chunks are good");
        let labels: LabelSet = series
            .labels()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for point in series.samples(TimeRange::ALL) {
            let point = point.expect("the chunks are good");
            points.add(&labels, point.t, plain(&point.value));
            if point.start_timestamp != 0 {
                starts.add(&labels, point.t, point.start_timestamp as u64);
            }
        }
    }
    Answer { points, starts }
}

fn plain(value: &SampleValue) -> PointValue {
    match value {
        SampleValue::Float(v) => PointValue::Float(v.to_bits()),
        _ if value.is_stale() => {
            let float = matches!(value, SampleValue::FloatHistogram(_));
            PointValue::Histogram(Box::new(PlainHistogram {
                float,
                sum: STALE,
                ..PlainHistogram::default()
            }))
        }
        SampleValue::Histogram(histogram) => {
            PointValue::Histogram(Box::new(plain_histogram(histogram)))
        }
        SampleValue::FloatHistogram(histogram) => {
            PointValue::Histogram(Box::new(plain_float_histogram(histogram)))
        }
    }
}

fn plain_histogram(histogram: &Histogram) -> PlainHistogram {
    PlainHistogram {
        float: false,
        gauge: histogram.reset_hint == CounterResetHint::Gauge,
        schema: histogram.schema.into(),
        zero_threshold: histogram.zero_threshold.to_bits(),
        zero_count: histogram.zero_count,
        count: histogram.count,
        sum: histogram.sum.to_bits(),
        positive: histogram
            .iter_positive()
            .filter(|one| one.count != 0)
            .map(|one| (one.index, one.count as u64))
            .collect(),
        negative: histogram
            .iter_negative()
            .filter(|one| one.count != 0)
            .map(|one| (one.index, one.count as u64))
            .collect(),
        custom: histogram.custom_values.iter().map(|bound| bound.to_bits()).collect(),
    }
}

fn plain_float_histogram(histogram: &FloatHistogram) -> PlainHistogram {
    PlainHistogram {
        float: true,
        gauge: histogram.reset_hint == CounterResetHint::Gauge,
        schema: histogram.schema.into(),
        zero_threshold: histogram.zero_threshold.to_bits(),
        zero_count: histogram.zero_count.to_bits(),
        count: histogram.count.to_bits(),
        sum: histogram.sum.to_bits(),
        positive: histogram
            .iter_positive()
            .filter(|one| one.count != 0.0)
            .map(|one| (one.index, one.count.to_bits()))
            .collect(),
        negative: histogram
            .iter_negative()
            .filter(|one| one.count != 0.0)
            .map(|one| (one.index, one.count.to_bits()))
            .collect(),
        custom: histogram.custom_values.iter().map(|bound| bound.to_bits()).collect(),
    }
}

/// Opens a case, and again from the snapshot that narthex left, and again from the log; gives what
/// the first start found.
fn has_all_of(case: &str, starts: Starts) -> OpenReport {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let expected = golden::expected(case);
    let expected_starts = golden::expected_starts_of_every_kind(case);
    let mut first = None;
    for time in ["first", "from narthex's snapshot", "from the log"] {
        let (db, report) = open(&data, starts);
        let answer = read(&db);
        answer.points.assert_equals(&expected, &format!("{case}, {time}"));
        assert_eq!(report.replay.invalid_histograms, 0);
        assert_eq!(db.stats().snapshot_replay_errors.load(Ordering::Relaxed), 0, "{case}, {time}");
        if starts == Starts::Kept {
            assert!(expected_starts.count() > 0, "{case} has starts");
            answer.starts.assert_equals(&expected_starts, &format!("starts of {case}, {time}"));
        }
        if time == "from narthex's snapshot" {
            assert_eq!(report.replay.samples, 0, "{case}: the snapshot was not used");
        }
        db.close().expect("the disk is good");
        first.get_or_insert(report);
        if time == "from narthex's snapshot" {
            remove_snapshots(&data);
        }
    }
    first.expect("it was opened")
}

fn remove_snapshots(data: &Path) {
    for entry in std::fs::read_dir(data).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("chunk_snapshot."))
        {
            std::fs::remove_dir_all(path).expect("it can be removed");
        }
    }
}

#[test]
fn logs_of_every_type_of_record_and_compression() {
    for case in ["all-types-killed", "wal-zstd", "wal-uncompressed"] {
        let report = has_all_of(case, Starts::Dropped);
        assert!(report.replay.samples > 5000, "{report:?}");
    }
}

#[test]
fn blocks_and_head_of_every_kind() {
    for case in
        ["blocks-killed-after-compaction", "xor2", "xor2-switched", "deletes", "deletes-cleaned"]
    {
        has_all_of(case, Starts::Dropped);
    }
}

#[test]
fn float_stale_markers_of_histograms_in_wal_are_replayed() {
    has_all_of("scrape", Starts::Dropped);
}

#[test]
fn a_snapshot_of_the_head_that_prometheus_left() {
    let report = has_all_of("snapshot-on-shutdown", Starts::Dropped);
    assert_eq!(report.replay.samples, 0, "the snapshot is read, not the log");
}

#[test]
fn start_timestamps_where_they_are_kept() {
    has_all_of("start-timestamps", Starts::Kept);
}

#[test]
fn a_log_with_start_timestamps_where_none_are_kept() {
    has_all_of("start-timestamps", Starts::Dropped);
}
