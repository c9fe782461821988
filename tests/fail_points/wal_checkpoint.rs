//! Checkpoints and WAL truncation: they keep the needed entries of all records. A power
//! failure at any step, a full disk and corruption lose nothing that is still needed.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::golden;
use crate::support::log_entries::{LogEntry, entries_of, read_log, read_records, staying};
use narthex::model::exemplar::Exemplar;
use narthex::model::float_sample::{FloatSample, STALE_NAN_BITS};
use narthex::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::metadata::{Metadata, MetricType};
use narthex::model::refs::SeriesRef;
use narthex::model::time::TimeRange;
use narthex::testing::crash_disk::{CrashDisk, DiskCall};
use narthex::testing::fail_points;
use narthex::tsdb::wal::batch::LogBatch;
use narthex::tsdb::wal::checkpoint::{
    last_checkpoint, list_checkpoints, list_unfinished, temporary_path,
};
use narthex::tsdb::wal::checkpoint_filter::CheckpointStats;
use narthex::tsdb::wal::checkpoint_writer::{
    CheckpointSpec, WriteCheckpointError, write_checkpoint,
};
use narthex::tsdb::wal::compression::{Compressor, RecordCompression};
use narthex::tsdb::wal::group::WriteGroup;
use narthex::tsdb::wal::record::exemplars::{RefExemplar, encode_exemplars};
use narthex::tsdb::wal::record::histogram_encoder::{
    HistogramLayout, encode_float_histograms, encode_histograms,
};
use narthex::tsdb::wal::record::histograms::RefHistogram;
use narthex::tsdb::wal::record::metadata::{RefMetadata, encode_metadata};
use narthex::tsdb::wal::record::record_type::RecordType;
use narthex::tsdb::wal::record::samples::{RefSample, encode_samples, encode_samples_v2};
use narthex::tsdb::wal::record::series::encode_series;
use narthex::tsdb::wal::record::tombstones::{RefTombstone, encode_tombstones};
use narthex::tsdb::wal::segment::list_segments;
use narthex::tsdb::wal::truncation::{
    TruncateError, TruncationReport, WalTruncation, plan_truncation,
};
use narthex::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use narthex::tsdb::wal::writer::LogWriter;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const SEGMENT: u64 = 64 * 1024;

fn job<'a>(
    wal: &'a Path,
    keep: &'a dyn Fn(SeriesRef) -> bool,
    disk: &CrashDisk,
) -> CheckpointSpec<'a> {
    let segments = list_segments(wal).unwrap();
    CheckpointSpec {
        dir: wal,
        first: segments.first().unwrap().number,
        last: segments.last().unwrap().number,
        mint: i64::MIN,
        keep,
        compression: RecordCompression::Snappy,
        segment_size: SEGMENT,
        disk: Arc::new(disk.clone()),
    }
}

fn all(_: SeriesRef) -> bool {
    true
}

fn odd(series: SeriesRef) -> bool {
    series.0 % 2 == 1
}

/// Returns the names in a directory.
fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn assert_same(found: &[LogEntry], expected: &[LogEntry], context: &str) {
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{context}: entry {i}");
    }
    assert_eq!(found.len(), expected.len(), "{context}");
}

// ---- golden ----

#[test]
fn checkpoint_of_golden_wal_follows_rules() {
    let mut kinds = BTreeSet::new();
    for case in [
        "wal-killed",
        "all-types-killed",
        "wal-zstd",
        "start-timestamps",
        "blocks-clean",
        "blocks-killed-after-compaction",
        "deletes",
    ] {
        let temp_dir = tempfile::tempdir().unwrap();
        let wal = golden::unpack(case, temp_dir.path()).join("wal");
        let before = read_log(&wal);
        kinds.extend(before.iter().map(|entry| entry.kind));
        let mut times: Vec<_> = before.iter().filter(|e| e.t != 0).map(|entry| entry.t).collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        for mint in [i64::MIN, middle, i64::MAX] {
            for keep in [all, odd] {
                let temp_dir = tempfile::tempdir().unwrap();
                let wal = golden::unpack(case, temp_dir.path()).join("wal");
                let stats = write_checkpoint(&CheckpointSpec {
                    mint,
                    ..job(&wal, &keep, &CrashDisk::new())
                });
                let stats = stats.unwrap();
                let expected = staying(&before, mint, &keep);
                let context = format!("{case} from {mint}");
                assert_same(&read_log(&wal), &expected, &context);
                assert_counts(stats, &before, &expected, &context);
            }
        }
    }
    assert!(kinds.len() >= 10, "{kinds:?}");
}

fn assert_counts(stats: CheckpointStats, before: &[LogEntry], after: &[LogEntry], context: &str) {
    let of = |entries: &[LogEntry], kinds: &[RecordType]| {
        entries.iter().filter(|e| kinds.contains(&e.kind)).count() as u64
    };
    let samples = |entries: &[LogEntry]| {
        of(entries, &[RecordType::Samples, RecordType::SamplesV2])
            + entries.iter().filter(|e| e.is_histogram()).count() as u64
    };
    assert_eq!(stats.samples.total, samples(before), "{context}");
    assert_eq!(stats.samples.total - stats.samples.dropped, samples(after), "{context}");
    for (counted, kind) in [
        (stats.series, RecordType::Series),
        (stats.tombstones, RecordType::Tombstones),
        (stats.exemplars, RecordType::Exemplars),
        (stats.metadata, RecordType::Metadata),
    ] {
        assert_eq!(counted.total, of(before, &[kind]), "{context}: {kind}");
        assert_eq!(counted.total - counted.dropped, of(after, &[kind]), "{context}: {kind}");
    }
}

#[test]
fn record_with_all_entries_keeps_its_bytes() {
    let temp_dir = tempfile::tempdir().unwrap();
    let wal = golden::unpack("blocks-killed-after-compaction", temp_dir.path()).join("wal");
    let before = read_records(&wal);
    assert_eq!(last_checkpoint(&wal).unwrap().unwrap().number, 1);
    let last = list_segments(&wal).unwrap().last().unwrap().number;
    write_checkpoint(&job(&wal, &all, &CrashDisk::new())).unwrap();
    assert_eq!(last_checkpoint(&wal).unwrap().unwrap().number, last);
    let without_metadata = |records: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        records
            .into_iter()
            .filter(|record| RecordType::from_record(record) != RecordType::Metadata)
            .collect()
    };
    assert!(without_metadata(read_records(&wal)) == without_metadata(before));
}

// ---- any records ----

const SERIES: u64 = 7;

fn labels(series: u64) -> Labels {
    let number = series.to_string();
    [("__name__", "x"), ("i", number.as_str())]
        .into_iter()
        .collect::<LabelsBuilder<'_>>()
        .build()
        .unwrap()
}

fn histogram(seed: u64) -> Histogram {
    let custom = seed.is_multiple_of(3);
    Histogram {
        schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { 1 },
        count: seed,
        sum: if seed.is_multiple_of(5) { f64::from_bits(STALE_NAN_BITS) } else { seed as f64 },
        positive_spans: vec![Span { offset: -1, length: 2 }],
        positive_buckets: vec![2, -1],
        custom_values: if custom { vec![1.5, 2.5] } else { Vec::new() },
        ..Histogram::default()
    }
}

fn float_histogram(seed: u64) -> FloatHistogram {
    let Histogram { schema, sum, positive_spans, custom_values, .. } = histogram(seed);
    let positive_buckets = vec![seed as f64, 0.5];
    FloatHistogram {
        schema,
        sum,
        positive_spans,
        positive_buckets,
        custom_values,
        ..FloatHistogram::default()
    }
}

/// Returns a record of the type `kind` with an entry for each series, timestamp and value.
fn record(kind: u8, entries: &[(u64, i64, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let heads = || entries.iter().map(|&(n, t, v)| (SeriesRef(n), t, v));
    let layout = HistogramLayout::from_record_type(RecordType::from_record(&[kind]));
    match kind {
        1 => {
            let sets: Vec<_> = entries.iter().map(|&(n, ..)| (SeriesRef(n), labels(n))).collect();
            encode_series(&mut out, sets.iter().map(|(series, labels)| (*series, labels)));
        }
        2 => encode_samples(
            &mut out,
            heads().map(|(series, t, v)| (series, FloatSample::new(t, f64::from_bits(v)))),
        ),
        3 => encode_tombstones(
            &mut out,
            heads().map(|(series, t, v)| RefTombstone {
                series,
                range: TimeRange::new(t - (v % 50) as i64, t),
            }),
        ),
        4 => {
            let exemplars: Vec<_> = heads()
                .map(|(series, t, v)| {
                    let labels = v.is_multiple_of(2).then(|| labels(v % 9));
                    RefExemplar { series, exemplar: Exemplar { t, v: f64::from_bits(v), labels } }
                })
                .collect();
            encode_exemplars(&mut out, &exemplars);
        }
        6 => {
            let entries: Vec<_> = heads()
                .map(|(series, t, v)| {
                    let metadata = Metadata {
                        metric_type: MetricType::Gauge,
                        unit: t.to_string(),
                        help: v.to_string(),
                    };
                    RefMetadata { series, metadata }
                })
                .collect();
            encode_metadata(&mut out, &entries);
        }
        7 | 9 | 12 => {
            let start = if kind == 12 { 5 } else { 0 };
            let entries: Vec<_> = heads()
                .map(|(series, t, v)| RefHistogram {
                    series,
                    start_timestamp: start,
                    t,
                    histogram: histogram(v),
                })
                .collect();
            encode_histograms(&mut out, layout.unwrap(), &entries);
        }
        8 | 10 | 13 => {
            let start = if kind == 13 { 5 } else { 0 };
            let entries: Vec<_> = heads()
                .map(|(series, t, v)| RefHistogram {
                    series,
                    start_timestamp: start,
                    t,
                    histogram: float_histogram(v),
                })
                .collect();
            encode_float_histograms(&mut out, layout.unwrap(), &entries);
        }
        11 => encode_samples_v2(
            &mut out,
            heads().map(|(series, t, v)| RefSample {
                series,
                start_timestamp: (v % 3) as i64,
                sample: FloatSample::new(t, f64::from_bits(v)),
            }),
        ),
        other => out.extend_from_slice(&[other, 1, 2, 3]),
    }
    out
}

fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let kinds =
        proptest::sample::select(vec![1u8, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    let entries = proptest::collection::vec((1..=SERIES, 0i64..100, any::<u64>()), 0..8);
    // Records of m-map markers have no entries here, so that they decode.
    let record = (kinds, entries)
        .prop_map(|(kind, entries)| if kind == 5 { vec![5] } else { record(kind, &entries) });
    proptest::collection::vec(record, 1..30)
}

/// Appends a segment with these records to a WAL.
fn write_segment(wal: &Path, records: &[Vec<u8>], disk: &CrashDisk) {
    let mut writer = LogWriter::open(wal.to_owned(), SEGMENT, Arc::new(disk.clone())).unwrap();
    let mut compressor = Compressor::new(RecordCompression::Snappy);
    let mut group = WriteGroup::default();
    records.iter().for_each(|record| group.push(&mut compressor, record));
    writer.write(&mut group).unwrap();
    writer.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn repeated_checkpoints_of_any_records_follow_rules(
        parts in [proptest::collection::vec(records(), 1..4), proptest::collection::vec(records(), 1..3)],
        mints in (-1i64..101).prop_flat_map(|first| (Just(first), first..102)),
        kept in proptest::collection::btree_set(1..=SERIES, 0..SERIES as usize),
    ) {
        let temp_dir = tempfile::tempdir().unwrap();
        let wal = temp_dir.path().join("wal");
        let disk = CrashDisk::new();
        let keep = |series: SeriesRef| kept.contains(&series.0);
        for (part, mint) in parts.iter().zip([mints.0, mints.1]) {
            part.iter().for_each(|records| write_segment(&wal, records, &disk));
            let expected = staying(&read_log(&wal), mint, &keep);
            write_checkpoint(&CheckpointSpec { mint, ..job(&wal, &keep, &disk) }).unwrap();
            prop_assert_eq!(read_log(&wal), expected);
        }
    }
}

// ---- open WAL ----

/// Open WAL with segments of series, samples and deletions.
struct Log {
    _place: tempfile::TempDir,
    wal: Wal,
    dir: std::path::PathBuf,
    disk: CrashDisk,
    next: i64,
}

/// Duration of a batch of [`Log`], ms.
const STEP: i64 = 500;

impl Log {
    fn new() -> Log {
        let temp_dir = tempfile::tempdir().unwrap();
        let (dir, disk) = (temp_dir.path().join("wal"), CrashDisk::new());
        Log { wal: open(&dir, &disk), _place: temp_dir, dir, disk, next: 0 }
    }

    fn with_segments(count: u32) -> Log {
        let mut log = Log::new();
        while list_segments(&log.dir).unwrap().last().unwrap().number + 1 < count {
            log.commit().unwrap();
        }
        log
    }

    /// Logs a new series, samples of it and of the previous one, and a deletion.
    fn commit(&mut self) -> Result<(), narthex::tsdb::wal::error::WalError> {
        let number = self.next;
        self.next += 1;
        let mut batch = LogBatch::default();
        batch.push_series(SeriesRef(number as u64 + 1), &labels(number as u64 + 1));
        for i in 0..STEP {
            let t = number * STEP + i;
            batch.push_float_sample(SeriesRef(number as u64 + 1), FloatSample::new(t, t as f64));
            batch
                .push_float_sample(SeriesRef(number.max(1) as u64), FloatSample::new(t, -t as f64));
        }
        batch.push_tombstones(
            SeriesRef(number as u64 + 1),
            &[TimeRange::new(0, number * STEP), TimeRange::new(-9, -5)],
        );
        let position = self.wal.enqueue(&mut batch);
        self.wal.wait(position)
    }

    /// Minimum time of a truncation. It drops everything before the middle, and the series without
    /// later samples.
    fn mint(&self) -> i64 {
        self.next / 2 * STEP
    }

    fn keep(&self) -> impl Fn(SeriesRef) -> bool + use<> {
        let first = self.next as u64 / 2;
        move |series: SeriesRef| series.0 >= first
    }

    fn truncate(&self) -> Result<TruncationReport, TruncateError> {
        WalTruncation { mint: self.mint(), is_live: &self.keep() }.run(&self.wal)
    }
}

fn open(dir: &Path, disk: &CrashDisk) -> Wal {
    Wal::open(WalOptions {
        dir: dir.to_owned(),
        segment_size: SEGMENT,
        compression: RecordCompression::None,
        sync: SyncMode::Always,
        disk: Arc::new(disk.clone()),
    })
    .unwrap()
}

/// Asserts that the WAL has all needed entries of `before`, no other entries, and series records
/// before their samples.
fn assert_needed(
    dir: &Path,
    before: &[LogEntry],
    mint: i64,
    keep: &dyn Fn(SeriesRef) -> bool,
    context: &str,
) {
    let found = read_log(dir);
    let count = |entries: &[LogEntry]| {
        entries.iter().fold(BTreeMap::new(), |mut counts: BTreeMap<LogEntry, u32>, entry| {
            *counts.entry(entry.clone()).or_default() += 1;
            counts
        })
    };
    let (found_counts, before_counts) = (count(&found), count(before));
    for (entry, times) in count(&staying(before, mint, keep)) {
        assert_eq!(found_counts.get(&entry), Some(&times), "{context}: {entry:?}");
    }
    for (entry, times) in &found_counts {
        assert!(before_counts.get(entry).is_some_and(|max| times <= max), "{context}: {entry:?}");
    }
    let mut known = BTreeSet::new();
    for entry in &found {
        if entry.kind == RecordType::Series {
            known.insert(entry.series);
        } else if keep(entry.series) {
            assert!(known.contains(&entry.series), "{context}: {entry:?} before its series");
        }
    }
}

#[test]
fn truncation_leaves_checkpoint_and_newer_segments() {
    fail_points::arm_from_spec("checkpoint.write=count;wal.truncate=count").unwrap();
    let mut log = Log::with_segments(7);
    let before = read_log(&log.dir);
    let part = log.truncate().unwrap().part.unwrap();
    assert_eq!((part.last, part.segments.removed, part.checkpoints.removed), (3, 4, 0));
    assert!(part.segments.error.is_none() && part.checkpoints.error.is_none());
    assert!(part.checkpoint.unwrap().samples.dropped > 0);
    let expected = ["00000004", "00000005", "00000006", "00000007", "checkpoint.00000003"];
    assert_eq!(names(&log.dir), expected.map(String::from).into());
    assert_needed(&log.dir, &before, log.mint(), &log.keep(), "after the first truncation");
    assert!(read_log(&log.dir).len() < before.len());
    // A second truncation after more batches.
    for _ in 0..20 {
        log.commit().unwrap();
    }
    let before = read_log(&log.dir);
    let part = log.truncate().unwrap().part.unwrap();
    assert_eq!(part.checkpoints.removed, 1);
    assert_eq!(list_checkpoints(&log.dir).unwrap().len(), 1);
    assert_needed(&log.dir, &before, log.mint(), &log.keep(), "after the second truncation");
    log.commit().unwrap();
    log.wal.close().unwrap();
    for point in
        ["checkpoint.write", "checkpoint.before_rename", "checkpoint.after_rename", "wal.truncate"]
    {
        assert!(fail_points::hits(point) >= 2, "{point}");
    }
}

#[test]
fn truncation_of_short_wal_only_cuts_a_segment() {
    let log = Log::new();
    assert!(log.truncate().unwrap().part.is_none());
    assert_eq!(names(&log.dir), ["00000000", "00000001"].map(String::from).into());
    assert_eq!(log.wal.next_segment().unwrap(), 2);
    assert_eq!(log.wal.next_segment().unwrap(), 3, "an empty segment is cut, too");
    log.wal.close().unwrap();
    assert!(log.wal.next_segment().is_err());
}

#[test]
fn stopped_truncation_loses_nothing_and_completes_later() {
    let log = Log::with_segments(7);
    let before = read_log(&log.dir);
    let (mint, keep) = (log.mint(), log.keep());
    let (mut stops, mut kept_segments) = (0, 0);
    let part = loop {
        let calls = Cell::new(0);
        let go_on = || calls.replace(calls.get() + 1) < stops;
        let done = WalTruncation { mint, is_live: &keep }.run_while(&log.wal, &go_on);
        assert_needed(&log.dir, &before, mint, &keep, &format!("stopped after {stops}"));
        match done {
            Err(TruncateError::Checkpoint(WriteCheckpointError::Stopped)) => {
                assert!(list_unfinished(&log.dir).unwrap().is_empty());
            }
            done => {
                let part = done.unwrap().part.unwrap();
                if !log.dir.join("00000000").exists() {
                    break part;
                }
                kept_segments += 1;
            }
        }
        stops = 2 * stops + 1;
    };
    assert!(part.segments.removed > 0 && stops > 3, "{stops}");
    println!("segments remained {kept_segments} times, {stops} steps");
}

#[test]
fn leftovers_of_truncation_are_removed_by_next_one() {
    let log = Log::with_segments(7);
    let before = read_log(&log.dir);
    write_checkpoint(&CheckpointSpec {
        mint: log.mint(),
        last: 5,
        ..job(&log.dir, &log.keep(), &log.disk)
    })
    .unwrap();
    let part = log.truncate().unwrap().part.unwrap();
    assert!(part.checkpoint.is_none());
    assert_eq!((part.last, part.segments.removed), (3, 4));
    assert_eq!(last_checkpoint(&log.dir).unwrap().unwrap().number, 5);
    assert_needed(&log.dir, &before, log.mint(), &log.keep(), "leftovers");
}

#[test]
fn batches_are_logged_during_truncation() {
    let mut log = Log::with_segments(12);
    let before = read_log(&log.dir);
    let (mint, keep) = (log.mint(), log.keep());
    log.disk.set_sync_delay(std::time::Duration::from_millis(2));
    let wal = &log.wal;
    let truncated = std::thread::scope(|scope| {
        let truncating = scope.spawn(|| WalTruncation { mint, is_live: &keep }.run(wal));
        for number in 0..50 {
            let mut batch = LogBatch::default();
            batch.push_float_sample(
                SeriesRef(log.next as u64),
                FloatSample::new(1_000_000 + number, 1.0),
            );
            wal.wait(wal.enqueue(&mut batch)).unwrap();
        }
        truncating.join().unwrap()
    });
    assert!(truncated.unwrap().part.is_some());
    log.disk.set_sync_delay(std::time::Duration::ZERO);
    log.commit().unwrap();
    let newer: Vec<_> =
        read_log(&log.dir).into_iter().filter(|entry| entry.t >= 1_000_000).map(|e| e.t).collect();
    assert_eq!(newer, (1_000_000..1_000_050).collect::<Vec<_>>());
    let old: Vec<_> = read_log(&log.dir);
    for entry in staying(&before, mint, &keep) {
        assert!(old.contains(&entry), "{entry:?}");
    }
}

// ---- failures ----

#[test]
fn power_failure_at_any_step_loses_nothing_needed() {
    // In the second run, a checkpoint and an unfinished one exist already.
    for second in [false, true] {
        let mut cuts = 0;
        for changes in 0.. {
            let mut log = Log::with_segments(6);
            if second {
                log.truncate().unwrap();
                (0..15).for_each(|_| log.commit().unwrap());
                let leftover = temporary_path(&log.dir, 77);
                fs::create_dir(&leftover).unwrap();
                fs::write(leftover.join("00000000"), b"half").unwrap();
            }
            let before = read_log(&log.dir);
            let (mint, keep) = (log.mint(), log.keep());
            log.disk.set_power(changes);
            let finished = log.truncate().is_ok_and(|done| {
                let part = done.part.unwrap();
                part.segments.error.is_none() && part.checkpoints.error.is_none()
            });
            let Log { _place, wal, dir, disk, next } = log;
            drop(wal);
            disk.crash().unwrap();
            let run = if second { "second" } else { "first" };
            let context = format!("{changes} changes, {run} truncation");
            assert_needed(&dir, &before, mint, &keep, &context);
            // Later batches and the next truncation succeed.
            let disk = CrashDisk::new();
            let mut log = Log { _place, wal: open(&dir, &disk), dir, disk, next };
            log.commit().unwrap();
            let before = read_log(&log.dir);
            log.truncate().unwrap();
            assert_needed(&log.dir, &before, log.mint(), &log.keep(), &context);
            if finished {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 15, "only {cuts} steps");
    }
}

#[test]
fn written_checkpoint_is_durable() {
    let log = Log::with_segments(6);
    let before = read_log(&log.dir);
    write_checkpoint(&CheckpointSpec { last: 3, ..job(&log.dir, &all, &log.disk) }).unwrap();
    log.disk.crash().unwrap();
    assert_eq!(last_checkpoint(&log.dir).unwrap().unwrap().number, 3);
    assert_needed(&log.dir, &before, i64::MIN, &all, "after a power failure");
}

#[test]
fn full_disk_fails_checkpoint_but_not_the_wal() {
    for call in [DiskCall::Append, DiskCall::Create, DiskCall::SyncDir] {
        let mut failures = 0;
        for nth in 1.. {
            let mut log = Log::with_segments(6);
            let before = read_log(&log.dir);
            let files = names(&log.dir);
            log.disk.fail_with_no_space(call, nth);
            let error = match log.truncate() {
                Ok(done) => {
                    // Leftovers are harmless.
                    let part = done.part.unwrap();
                    if part.segments.error.is_none() && part.checkpoints.error.is_none() {
                        break;
                    }
                    String::new()
                }
                Err(error) => error.to_string(),
            };
            failures += 1;
            assert!(log.wal.state().is_writable(), "{call:?} {nth}: {error}");
            assert_needed(
                &log.dir,
                &before,
                log.mint(),
                &log.keep(),
                &format!("{call:?} {nth}: {error}"),
            );
            if last_checkpoint(&log.dir).unwrap().is_none() {
                let new: Vec<_> = names(&log.dir).difference(&files).cloned().collect();
                assert!(new.is_empty() || new == ["00000006"], "{call:?} {nth}: {new:?}");
            }
            log.commit().unwrap();
            let before = read_log(&log.dir);
            log.truncate().unwrap();
            assert_needed(
                &log.dir,
                &before,
                log.mint(),
                &log.keep(),
                &format!("{call:?} {nth}, again"),
            );
        }
        assert!(failures >= 2, "{call:?}: {failures}");
    }
}

#[test]
fn corruption_is_reported_and_nothing_changes() {
    let log = Log::with_segments(6);
    let corrupted = log.dir.join("00000002");
    let good = fs::read(&corrupted).unwrap();
    let mut flipped = good.clone();
    flipped[40_000] ^= 4;
    fs::write(&corrupted, flipped).unwrap();
    let files = names(&log.dir);
    let error = write_checkpoint(&CheckpointSpec { last: 3, ..job(&log.dir, &all, &log.disk) })
        .unwrap_err();
    assert!(error.is_corruption(), "{error}");
    assert!(
        error.to_string().contains(corrupted.to_str().unwrap())
            && error.to_string().contains(" at 3"),
        "{error}"
    );
    assert_eq!(names(&log.dir), files);
    let error = log.truncate().unwrap_err();
    assert!(matches!(&error, TruncateError::Checkpoint(error) if error.is_corruption()), "{error}");
    // Records with a valid checksum that do not decode.
    fs::write(&corrupted, good).unwrap();
    let temp_dir = tempfile::tempdir().unwrap();
    for (record_bytes, reason) in [
        (b"\x63abc".as_slice(), "unknown record type 99"),
        (b"\x02abc", "8 bytes needed at offset 0"),
    ] {
        let wal = temp_dir.path().join(reason);
        let disk = CrashDisk::new();
        write_segment(&wal, &[record(1, &[(1, 0, 0)]), record_bytes.to_vec()], &disk);
        let error = write_checkpoint(&job(&wal, &all, &disk)).unwrap_err();
        assert!(error.is_corruption() && error.to_string().contains(reason), "{error}");
        assert_eq!(names(&wal), ["00000000".to_owned()].into());
    }
}

#[test]
fn checkpoint_needs_all_segments_and_replaces_no_newer_one() {
    let log = Log::with_segments(6);
    fs::remove_file(log.dir.join("00000000")).unwrap();
    let missing = |error: WriteCheckpointError| match error {
        WriteCheckpointError::Missing { missing, .. } => missing,
        other => panic!("{other}"),
    };
    let at = |first, last| {
        write_checkpoint(&CheckpointSpec { first, last, ..job(&log.dir, &all, &log.disk) })
    };
    assert_eq!(missing(at(0, 3).unwrap_err()), 0);
    assert_eq!(missing(at(1, 9).unwrap_err()), 6);
    at(1, 2).unwrap();
    assert_eq!(missing(at(4, 4).unwrap_err()), 3);
    assert!(matches!(at(1, 2), Err(WriteCheckpointError::Superseded { last: 2, .. })));
    at(1, 3).unwrap();
    assert_eq!(plan_truncation(1, 5), Some(3));
}

#[test]
fn deletions_are_logged_after_their_samples() {
    let mut log = Log::new();
    log.commit().unwrap();
    let kinds: Vec<_> =
        read_records(&log.dir).iter().map(|record| RecordType::from_record(record)).collect();
    assert_eq!(kinds, [RecordType::Series, RecordType::Samples, RecordType::Tombstones]);
    let deleted: Vec<_> = read_records(&log.dir)
        .iter()
        .skip(2)
        .flat_map(|record| entries_of(record))
        .map(|e| e.t)
        .collect();
    assert_eq!(deleted, [0, -5]);
}
