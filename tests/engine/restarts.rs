//! Directories of Prometheus 3.14.0, opened in-process. Samples of all types with start timestamps
//! are read from the WAL, from blocks, and from chunk snapshots of Prometheus and of narthex.
//!
//! `tests/golden/README.md` has their origin. Other tests cover out-of-order samples.

use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::SampleValue;
use narthex::model::time::TimeRange;
use narthex::tsdb::chunk::any_chunk::HistogramStMode;
use narthex::tsdb::chunk::float_chunk::FloatEncoding;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use narthex::tsdb::db::recovery::Recovered;
use narthex::tsdb::db::recovery::report::RecoveryReport;
use narthex::tsdb::wal::record::builder::RecordVersion;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::support::points::{PlainHistogram, PointValue, Points, STALE};
use crate::support::samples::{LabelSet, Samples};
use crate::support::{dir, golden};

/// Handling of start timestamps.
#[derive(Clone, Copy, PartialEq)]
enum StMode {
    Dropped,
    Kept,
}

fn open(data: &Path, st_mode: StMode) -> (Db, RecoveryReport) {
    let mut options = DbOptions::new(data.to_owned());
    options.shutdown_mode = ShutdownMode::ChunkSnapshot;
    options.replay_workers = 3;
    if st_mode == StMode::Kept {
        options.settings.float_encoding = FloatEncoding::Xor2;
        options.record_version = RecordVersion::V2;
        options.histogram_st_mode = HistogramStMode::WithSt;
    }
    let Recovered { db, report } = LockedDir::open(options)
        .expect("an unlocked directory")
        .into_recovery()
        .run()
        .expect("a valid directory");
    (db, report)
}

/// Contents of a database.
struct Contents {
    points: Points,
    /// Start timestamps other than 0.
    starts: Samples,
}

fn read(db: &Db) -> Contents {
    let all = [Matcher::new(MatchType::NotEqual, "__name__", "").expect("a matcher")];
    let (mut points, mut starts) = (Points::new(), Samples::new());
    for series in db.querier().select(&all, TimeRange::ALL).expect("a query") {
        let series = series.expect("a valid chunk");
        let labels: LabelSet = series
            .labels()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for sample in series.samples(TimeRange::ALL) {
            let sample = sample.expect("a valid chunk");
            points.add(&labels, sample.t, plain(&sample.value));
            if sample.start_timestamp != 0 {
                starts.add(&labels, sample.t, sample.start_timestamp as u64);
            }
        }
    }
    Contents { points, starts }
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
            .filter(|bucket| bucket.count != 0)
            .map(|bucket| (bucket.index, bucket.count as u64))
            .collect(),
        negative: histogram
            .iter_negative()
            .filter(|bucket| bucket.count != 0)
            .map(|bucket| (bucket.index, bucket.count as u64))
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
            .filter(|bucket| bucket.count != 0.0)
            .map(|bucket| (bucket.index, bucket.count.to_bits()))
            .collect(),
        negative: histogram
            .iter_negative()
            .filter(|bucket| bucket.count != 0.0)
            .map(|bucket| (bucket.index, bucket.count.to_bits()))
            .collect(),
        custom: histogram.custom_values.iter().map(|bound| bound.to_bits()).collect(),
    }
}

/// Opens a case, then from the chunk snapshot of narthex, then from the WAL. Returns the report of
/// the first start.
fn check_case(case: &str, st_mode: StMode) -> RecoveryReport {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    let expected = golden::expected(case);
    let expected_starts = golden::expected_starts_of_every_kind(case);
    let mut first = None;
    for time in ["first", "from narthex's snapshot", "from the WAL"] {
        let (db, report) = open(&data, st_mode);
        let contents = read(&db);
        contents.points.assert_equals(&expected, &format!("{case}, {time}"));
        assert_eq!(report.replay.invalid_histograms, 0);
        assert_eq!(db.stats().snapshot_replay_errors.load(Ordering::Relaxed), 0, "{case}, {time}");
        if st_mode == StMode::Kept {
            assert!(expected_starts.count() > 0, "{case} has start timestamps");
            let context = format!("start timestamps of {case}, {time}");
            contents.starts.assert_equals(&expected_starts, &context);
        }
        if time == "from narthex's snapshot" {
            assert_eq!(report.replay.samples, 0, "{case}: the snapshot is not used");
        }
        db.close().expect("a working disk");
        first.get_or_insert(report);
        if time == "from narthex's snapshot" {
            remove_snapshots(&data);
        }
    }
    first.expect("at least one start")
}

fn remove_snapshots(data: &Path) {
    for entry in std::fs::read_dir(data).expect("a readable directory") {
        let path = entry.expect("a readable directory").path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("chunk_snapshot."))
        {
            std::fs::remove_dir_all(path).expect("a removable directory");
        }
    }
}

#[test]
fn wal_of_all_record_types_and_compressions_is_replayed() {
    for case in ["all-types-killed", "wal-zstd", "wal-uncompressed"] {
        let report = check_case(case, StMode::Dropped);
        assert!(report.replay.samples > 5000, "{report:?}");
    }
}

#[test]
fn blocks_and_head_of_all_encodings_are_read() {
    for case in
        ["blocks-killed-after-compaction", "xor2", "xor2-switched", "deletes", "deletes-cleaned"]
    {
        check_case(case, StMode::Dropped);
    }
}

#[test]
fn float_stale_markers_of_histograms_in_wal_are_replayed() {
    check_case("scrape", StMode::Dropped);
}

#[test]
fn chunk_snapshot_of_prometheus_is_loaded() {
    let report = check_case("snapshot-on-shutdown", StMode::Dropped);
    assert_eq!(report.replay.samples, 0, "the snapshot is loaded instead of the WAL");
}

#[test]
fn start_timestamps_are_kept_if_enabled() {
    check_case("start-timestamps", StMode::Kept);
}

#[test]
fn start_timestamps_are_dropped_if_disabled() {
    check_case("start-timestamps", StMode::Dropped);
}
