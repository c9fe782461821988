//! Tests: samples of all value types in one head keep order, type and value, also after restarts.

use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunkIter, EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::chunk_snapshot::load::load_snapshot;
use crate::tsdb::head::chunk_snapshot::write::{SnapshotOptions, write_snapshot};
use crate::tsdb::head::chunk_snapshot::{WalOffset, last_snapshot};
use crate::tsdb::head::replay::report::{ReplayProgress, ReplayReport};
use crate::tsdb::head::replay::wal::WalReplay;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::query::source::BlockSource;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::reader::LogSegmentReader;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::record::histograms::{decode_float_histograms, decode_histograms};
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::SamplesDecoder;
use crate::tsdb::wal::segment::list_segments;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const BEGIN: i64 = 10_000_000;

/// Head with its WAL.
struct Store {
    head: Head,
    wal: Wal,
    report: ReplayReport,
}

fn options() -> HeadOptions {
    let policy = CutPolicy { chunk_range_ms: 1_000_000, samples_per_chunk: 8 };
    HeadOptions { policy, ..HeadOptions::default() }
}

fn with_starts() -> HeadOptions {
    let encodings =
        EncodingPolicy { floats: FloatEncoding::Xor2, histogram_st_mode: HistogramStMode::WithSt };
    HeadOptions { encodings, record_version: RecordVersion::V2, ..options() }
}

/// Opens the directory, from its chunk snapshot or by WAL replay.
fn open(dir: &Path, options: HeadOptions) -> Store {
    let (mut files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
    let mut chunks = Vec::new();
    files.for_each(&dir.join("quarantine"), |chunk| chunks.push(chunk)).unwrap();
    let head = Head::new(options, files);
    let mut report = ReplayReport::default();
    if let Some(snapshot) = last_snapshot(dir).unwrap() {
        load_snapshot(&snapshot, &head, chunks, 2).unwrap();
        std::fs::remove_dir_all(snapshot.path).unwrap();
    } else {
        std::fs::create_dir_all(dir.join("wal")).unwrap();
        let segments = list_segments(&dir.join("wal")).unwrap();
        let replayed = WalReplay::new(&head, chunks).run(&segments, 2, &ReplayProgress::default());
        assert!(replayed.corruption.is_none(), "{:?}", replayed.corruption);
        report = replayed.report;
    }
    head.index_series();
    let wal = Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    });
    Store { head, wal: wal.unwrap(), report }
}

impl Store {
    /// Shuts down, with or without a chunk snapshot.
    fn close(self, dir: &Path, with_snapshot: bool) {
        self.wal.close().unwrap();
        self.head.chunk_files().sync().unwrap();
        if with_snapshot {
            let options = SnapshotOptions {
                dir: dir.to_owned(),
                upto: WalOffset { segment: 0, offset: 0 },
                compression: RecordCompression::Snappy,
                segment_size: 64 << 10,
                disk: Arc::new(OsDisk),
            };
            write_snapshot(&self.head, b"", &options).unwrap();
        }
    }

    /// Appends in one request; returns the rejected samples.
    fn append(&self, series: u8, samples: &[Sample]) -> Vec<(i64, SampleRejection)> {
        let mut rejected = Vec::new();
        let mut appender = HeadAppender::new(&self.head, &self.wal);
        appender
            .append_or_create(&labels(series), samples.iter().cloned(), |sample, reason| {
                rejected.push((sample.t, reason))
            })
            .unwrap();
        appender.commit().unwrap();
        rejected
    }

    /// Returns the samples of a series, and the encodings of its chunks.
    fn content(&self, series: u8) -> (Vec<Sample>, Vec<ChunkEncoding>) {
        let name = format!("series_{series}");
        let matcher = Matcher::new(MatchType::Equal, "__name__", &name).unwrap();
        let (mut samples, mut encodings) = (Vec::new(), Vec::new());
        for found in self.head.select(&[matcher], TimeRange::ALL).unwrap() {
            for chunk in found.unwrap().chunks {
                encodings.push(chunk.encoding);
                let read = samples.len();
                samples.extend(
                    AnyChunkIter::new(chunk.encoding, chunk.data.bytes()).map(Result::unwrap),
                );
                let times =
                    (samples.get(read).map(|first| first.t), samples.last().map(|last| last.t));
                assert_eq!(times, (Some(chunk.mint), Some(chunk.maxt)));
            }
        }
        (samples, encodings)
    }

    fn stale_series(&self) -> i64 {
        self.head.stats().stale_series.load(Ordering::Relaxed)
    }
}

fn labels(series: u8) -> Labels {
    let name = format!("series_{series}");
    LabelsBuilder::from_iter([("__name__", name.as_str()), ("job", "kinds")]).build().unwrap()
}

fn integer(base: i64, layout: u8) -> Histogram {
    let spans: &[(i32, u32)] = match layout % 4 {
        0 => &[(0, 2)],
        1 => &[(0, 2), (1, 1)],
        2 => &[(-3, 1), (3, 2), (1, 1)],
        _ => &[],
    };
    let buckets: i64 = spans.iter().map(|span| i64::from(span.1)).sum();
    let custom = layout % 8 == 5;
    Histogram {
        schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { i32::from(layout / 8 % 3) },
        reset_hint: if layout % 16 == 9 {
            CounterResetHint::Gauge
        } else {
            CounterResetHint::Unknown
        },
        zero_count: if custom { 0 } else { 3 },
        count: (buckets * base) as u64 + if custom { 0 } else { 3 },
        sum: base as f64 * 1.5,
        positive_spans: spans.iter().map(|&(offset, length)| Span { offset, length }).collect(),
        positive_buckets: (0..buckets).map(|n| if n == 0 { base } else { 0 }).collect(),
        custom_values: if custom { vec![0.5, 1.0, 2.5, 10.0] } else { Vec::new() },
        ..Histogram::default()
    }
}

fn float(base: i64, layout: u8) -> FloatHistogram {
    let integer = integer(base, layout);
    FloatHistogram {
        schema: integer.schema,
        reset_hint: integer.reset_hint,
        zero_count: integer.zero_count as f64,
        count: integer.count as f64,
        sum: integer.sum,
        positive_buckets: vec![base as f64; integer.positive_buckets.len()],
        positive_spans: integer.positive_spans,
        custom_values: integer.custom_values,
        ..FloatHistogram::default()
    }
}

fn stale() -> SampleValue {
    SampleValue::Float(f64::from_bits(STALE_NAN_BITS))
}

/// Returns a value that depends only on the arguments.
fn value(kind: u8, t: i64, layout: u8) -> SampleValue {
    let base = 1 + (t / 1000) % 37;
    match kind {
        0 => SampleValue::Float(base as f64),
        1 => stale(),
        2 => SampleValue::Histogram(Box::new(integer(base, layout))),
        _ => SampleValue::FloatHistogram(Box::new(float(base, layout))),
    }
}

/// Reference model of the head.
#[derive(Default)]
struct Model {
    series: BTreeMap<u8, BTreeMap<i64, SampleValue>>,
    newest: Option<i64>,
}

impl Model {
    fn append(&mut self, series: u8, samples: &[Sample]) -> Vec<(i64, SampleRejection)> {
        let mut rejected = Vec::new();
        let mut bound = self.newest.map(|newest| newest - 500_000);
        for Sample { t, value, .. } in samples {
            let bound = *bound.get_or_insert(t - 500_000);
            let stored = self.series.entry(series).or_default();
            let newest = stored.last_key_value();
            let value = match newest {
                Some((_, SampleValue::Histogram(_))) if value.is_stale() => {
                    let sum = f64::from_bits(STALE_NAN_BITS);
                    SampleValue::Histogram(Box::new(Histogram { sum, ..Histogram::default() }))
                }
                Some((_, SampleValue::FloatHistogram(_))) if value.is_stale() => {
                    let sum = f64::from_bits(STALE_NAN_BITS);
                    SampleValue::FloatHistogram(Box::new(FloatHistogram {
                        sum,
                        ..FloatHistogram::default()
                    }))
                }
                _ => value.clone(),
            };
            let newest = newest.map(|(t, _)| *t);
            match stored.get(t) {
                Some(stored)
                    if stored.is_equivalent(&value) || stored.is_stale() && value.is_stale() => {}
                Some(_) => rejected.push((*t, SampleRejection::DuplicateTimestamp)),
                None if *t < bound => rejected.push((*t, SampleRejection::OutOfBounds)),
                None if newest.is_some_and(|newest| *t < newest) => {
                    rejected.push((*t, SampleRejection::OutOfOrder))
                }
                None => {
                    stored.insert(*t, value);
                    self.newest = self.newest.max(Some(*t));
                }
            }
        }
        if self.series.get(&series).is_some_and(BTreeMap::is_empty) {
            self.series.remove(&series);
        }
        rejected
    }

    fn stale(&self) -> i64 {
        let newest = self.series.values().filter_map(|samples| samples.last_key_value());
        newest.filter(|(_, value)| value.is_stale()).count() as i64
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Time steps, value types and layouts of the samples of a series.
    Append {
        series: u8,
        samples: Vec<(i64, u8, u8)>,
    },
    Restart {
        with_snapshot: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Long runs of one type and layout, so that chunks grow, and changes of both.
    let run = (0u8..4, any::<u8>(), 1usize..30).prop_flat_map(|(kind, layout, count)| {
        let by = prop_oneof![9 => 1_000..3_000i64, 1 => -20_000..=0i64, 1 => 100_000..400_000i64];
        let layouts = prop_oneof![12 => proptest::strategy::Just(layout), 1 => any::<u8>()];
        proptest::collection::vec((by, proptest::strategy::Just(kind), layouts), count)
    });
    let samples = proptest::collection::vec(run, 1..4).prop_map(|runs| runs.concat());
    let append = (0u8..3, samples).prop_map(|(series, samples)| Step::Append { series, samples });
    let restart = any::<bool>().prop_map(|with_snapshot| Step::Restart { with_snapshot });
    proptest::collection::vec(prop_oneof![6 => append, 1 => restart], 1..14)
}

#[test]
fn appended_samples_are_counted_by_type() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    for (series, kind, count) in [(0, 0, 3), (1, 2, 2), (2, 3, 1)] {
        let samples: Vec<Sample> =
            (0..count).map(|n| Sample::new(BEGIN + n, value(kind, BEGIN, 0))).collect();
        assert_eq!(store.append(series, &samples), []);
        assert_eq!(store.append(series, &samples), [], "a duplicate is not counted");
    }
    let stats = store.head.stats();
    let counts = [&stats.floats_appended, &stats.histograms_appended]
        .map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [3, 3]);
}

proptest! {
    #![proptest_config(Config { cases: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn head_matches_model_over_restarts(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), options());
        let (mut model, mut now) = (Model::default(), BEGIN);
        for step in steps.into_iter().chain([Step::Restart { with_snapshot: false }]) {
            match step {
                Step::Append { series, samples } => {
                    let samples: Vec<Sample> = samples.into_iter().map(|(by, kind, layout)| {
                        let t = now + by;
                        now = now.max(t);
                        Sample::new(t, value(kind, t, layout))
                    }).collect();
                    prop_assert_eq!(store.append(series, &samples), model.append(series, &samples));
                    let rejected = store.append(series, &samples);
                    let is_expected = |item| model.append(series, &samples).contains(item);
                    prop_assert!(rejected.iter().all(is_expected));
                }
                Step::Restart { with_snapshot } => {
                    store.close(dir.path(), with_snapshot);
                    store = open(dir.path(), options());
                }
            }
            for (series, expected) in &model.series {
                let (found, _) = store.content(*series);
                prop_assert_eq!(found.len(), expected.len());
                for (found, (t, expected)) in found.iter().zip(expected) {
                    prop_assert_eq!(found.t, *t);
                    prop_assert!(
                        found.value.is_equivalent(expected),
                        "{:?} for {:?} at {}",
                        found.value,
                        expected,
                        t
                    );
                }
            }
        }
    }
}

#[test]
fn stale_series_of_all_types_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), options());
    let mut model = Model::default();
    for (series, kind) in [(0, 0), (1, 2), (2, 3)] {
        let samples = [Sample::new(BEGIN, value(kind, BEGIN, 1)), Sample::new(BEGIN + 1, stale())];
        assert_eq!(store.append(series, &samples), model.append(series, &samples));
        assert_eq!(
            (store.stale_series(), model.stale()),
            (i64::from(series) + 1, i64::from(series) + 1)
        );
    }
    for with_snapshot in [false, true] {
        store.close(dir.path(), with_snapshot);
        store = open(dir.path(), options());
        assert_eq!(store.stale_series(), 3, "snapshot: {with_snapshot}");
    }
    store.append(1, &[Sample::new(BEGIN + 2, value(2, BEGIN, 1))]);
    assert_eq!(store.stale_series(), 2);
}

#[test]
fn stale_marker_gets_type_of_its_series() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    for (series, kind) in [(0, 2), (1, 3)] {
        // The histogram of the second series is in an m-mapped chunk when the marker arrives.
        store.append(series, &[Sample::new(BEGIN, value(kind, BEGIN, 1))]);
        store.append(series + 2, &[Sample::new(BEGIN, value(kind, BEGIN, 1))]);
        assert_eq!(store.append(series, &[Sample::new(BEGIN + 1, stale())]), []);
        // Again, also after the series continued with another type.
        assert_eq!(store.append(series, &[Sample::new(BEGIN + 1, stale())]), []);
    }
    // Prometheus's scraper logs the marker as a float.
    for (reference, series) in
        store.head.all_series().iter().map(|series| (series.series_ref, series.labels.clone()))
    {
        if [labels(2), labels(3)].contains(&series) {
            let mut batch = LogBatch::default();
            batch.push_sample(reference, &Sample::new(BEGIN + 1, stale()));
            store.wal.wait(store.wal.enqueue(&mut batch)).unwrap();
        }
    }
    store.close(dir.path(), false);
    let store = open(dir.path(), options());
    for series in 0..4 {
        let (samples, encodings) = store.content(series);
        let kind =
            if series % 2 == 0 { ChunkEncoding::Histogram } else { ChunkEncoding::FloatHistogram };
        assert_eq!((samples.len(), encodings), (2, vec![kind]), "series {series}");
        assert!(samples[1].value.is_stale());
    }
    assert_eq!(store.stale_series(), 4);
    assert_eq!(
        store.append(
            0,
            &[Sample::new(BEGIN + 2, SampleValue::Float(1.0)), Sample::new(BEGIN + 1, stale())]
        ),
        []
    );
}

#[test]
fn duplicate_histograms_are_found_in_all_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    for kind in [2, 3] {
        let samples: Vec<_> = (0..400)
            .map(|i| BEGIN + i * 1_000)
            .map(|t| Sample::new(t, value(kind, t, 2)))
            .collect();
        assert_eq!(store.append(kind, &samples), []);
        let (stored, encodings) = store.content(kind);
        assert!(stored.len() == 400 && encodings.len() > 3, "{encodings:?}");
        let series = store
            .head
            .all_series()
            .into_iter()
            .find(|series| series.labels == labels(kind))
            .unwrap();
        assert!(series.state.lock().mapped.iter().count() >= 3, "full chunks are m-mapped");
        assert_eq!(store.append(kind, &samples), [], "all are duplicates");
        let mut others = samples.clone();
        others.iter_mut().for_each(|sample| sample.value = value(kind, sample.t + 1_000, 2));
        let expected: Vec<_> =
            samples.iter().map(|sample| (sample.t, SampleRejection::DuplicateTimestamp)).collect();
        assert_eq!(store.append(kind, &others), expected);
        let floats: Vec<_> =
            samples.iter().map(|sample| Sample::new(sample.t, SampleValue::Float(1.0))).collect();
        assert_eq!(store.append(kind, &floats), expected);
        let between = Sample::new(samples[3].t + 1, samples[3].value.clone());
        assert_eq!(
            store.append(kind, &[between]),
            [(samples[3].t + 1, SampleRejection::OutOfOrder)]
        );
    }
}

/// Returns the samples in the WAL in log order: series, timestamp, record type.
fn logged(dir: &Path) -> Vec<(SeriesRef, i64, RecordType)> {
    let mut logged = Vec::new();
    for segment in list_segments(&dir.join("wal")).unwrap() {
        let mut reader = LogSegmentReader::open(segment).unwrap();
        while let Some(record) = reader.next_record().unwrap() {
            let kind = RecordType::from_record(record);
            match kind {
                RecordType::Samples | RecordType::SamplesV2 => {
                    let samples = SamplesDecoder::new(record).unwrap().map(Result::unwrap);
                    logged.extend(samples.map(|entry| (entry.series, entry.sample.t, kind)));
                }
                RecordType::Histograms
                | RecordType::CustomHistograms
                | RecordType::HistogramsV2 => {
                    logged.extend(
                        decode_histograms(record)
                            .unwrap()
                            .iter()
                            .map(|entry| (entry.series, entry.t, kind)),
                    );
                }
                RecordType::FloatHistograms
                | RecordType::CustomFloatHistograms
                | RecordType::FloatHistogramsV2 => {
                    logged.extend(
                        decode_float_histograms(record)
                            .unwrap()
                            .iter()
                            .map(|entry| (entry.series, entry.t, kind)),
                    );
                }
                _ => {}
            }
        }
    }
    logged
}

#[test]
fn wal_keeps_sample_order_across_record_types() {
    for (options, kinds) in [(options(), 5), (with_starts(), 3)] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), options);
        let mut appender = HeadAppender::new(&store.head, &store.wal);
        // Layout 5 has custom buckets, which have record types of their own.
        let alternating = [
            (0, 0),
            (2, 1),
            (2, 5),
            (3, 1),
            (1, 0),
            (0, 0),
            (3, 5),
            (2, 5),
            (2, 1),
            (0, 0),
            (3, 1),
        ];
        for series in 0..3u8 {
            let samples = alternating.iter().enumerate().map(|(i, &(kind, layout))| {
                let t = BEGIN + 1_000 * i as i64 + i64::from(series);
                Sample::new(t, value(kind, t, layout))
            });
            appender
                .append_or_create(&labels(series), samples, |_, reason| panic!("{reason:?}"))
                .unwrap();
        }
        appender.commit().unwrap();
        store.close(dir.path(), false);
        let logged = logged(dir.path());
        let mut found: Vec<_> = logged.iter().map(|(_, _, kind)| *kind).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), kinds, "{found:?}");
        let mut newest: BTreeMap<SeriesRef, Vec<i64>> = BTreeMap::new();
        logged.iter().for_each(|(series, t, _)| newest.entry(*series).or_default().push(*t));
        assert_eq!(newest.len(), 3);
        assert!(
            newest.values().all(|times| times.len() == alternating.len() && times.is_sorted()),
            "{newest:?}"
        );
    }
}

#[test]
fn samples_of_one_type_share_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    for round in 0..3 {
        let mut appender = HeadAppender::new(&store.head, &store.wal);
        for series in 0..30u8 {
            let t = BEGIN + round * 1_000;
            let samples =
                std::iter::once(Sample::new(t, value([0, 2, 3][usize::from(series) % 3], t, 1)));
            appender
                .append_or_create(&labels(series), samples, |_, reason| panic!("{reason:?}"))
                .unwrap();
        }
        appender.commit().unwrap();
    }
    store.close(dir.path(), false);
    let kinds: Vec<_> =
        logged(dir.path()).chunk_by(|a, b| a.2 == b.2).map(|run| (run[0].2, run.len())).collect();
    let one = [
        (RecordType::Samples, 10),
        (RecordType::Histograms, 10),
        (RecordType::FloatHistograms, 10),
    ];
    assert_eq!(kinds, [one; 3].concat());
}

#[test]
fn start_timestamps_are_kept_only_with_record_version_v2() {
    let starts = |store: &Store, series| {
        store.content(series).0.iter().map(|sample| sample.start_timestamp).collect::<Vec<_>>()
    };
    for with_snapshot in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), with_starts());
        let expected: Vec<i64> =
            (0..20).map(|i| if i < 3 { 0 } else { BEGIN - 5_000 + i / 7 * 1_000 }).collect();
        for (series, kind) in [(0, 0), (1, 2), (2, 3)] {
            let samples: Vec<_> = (0..20)
                .zip(&expected)
                .map(|(i, start)| (BEGIN + i * 1_000, *start))
                .map(|(t, start)| Sample { start_timestamp: start, t, value: value(kind, t, 1) })
                .collect();
            assert_eq!(store.append(series, &samples), []);
            assert_eq!(starts(&store, series), expected, "kind {kind}");
        }
        store.close(dir.path(), with_snapshot);
        let store = open(dir.path(), with_starts());
        for series in 0..3 {
            assert_eq!(
                starts(&store, series),
                expected,
                "series {series}, snapshot: {with_snapshot}"
            );
        }
        store.close(dir.path(), false);
        // These chunks cannot store start timestamps. As in Prometheus, replay drops them.
        std::fs::remove_dir_all(dir.path().join("chunks_head")).unwrap();
        let store = open(dir.path(), options());
        for series in 0..3 {
            assert_eq!(starts(&store, series), [0; 20]);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let encodings =
        EncodingPolicy { floats: FloatEncoding::Xor2, histogram_st_mode: HistogramStMode::WithSt };
    let store = open(dir.path(), HeadOptions { encodings, ..options() });
    for (series, kind) in [(0, 0), (1, 2), (2, 3)] {
        store.append(
            series,
            &[Sample { start_timestamp: 5, t: BEGIN, value: value(kind, BEGIN, 1) }],
        );
        assert_eq!(starts(&store, series), [0]);
    }
}

#[test]
fn invalid_histograms_are_skipped_by_replay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    store.append(0, &[Sample::new(BEGIN, value(2, BEGIN, 1))]);
    let reference = store.head.all_series()[0].series_ref;
    let mut batch = LogBatch::default();
    let broken = Histogram { positive_buckets: vec![1, 2, 3], ..integer(4, 1) };
    let unknown = Histogram { schema: 99, ..integer(4, 1) };
    for (i, histogram) in [integer(4, 1), broken, unknown, integer(5, 1)].into_iter().enumerate() {
        let t = BEGIN + 1 + i as i64;
        batch.push_sample(reference, &Sample::new(t, SampleValue::Histogram(Box::new(histogram))));
    }
    // Finer than the maximum schema: stored at the maximum schema.
    batch.push_sample(
        reference,
        &Sample::new(
            BEGIN + 9,
            SampleValue::Histogram(Box::new(Histogram { schema: 9, ..integer(6, 3) })),
        ),
    );
    store.wal.wait(store.wal.enqueue(&mut batch)).unwrap();
    store.close(dir.path(), false);
    let store = open(dir.path(), options());
    let (samples, _) = store.content(0);
    assert_eq!(samples.iter().map(|sample| sample.t - BEGIN).collect::<Vec<_>>(), [0, 1, 4, 9]);
    assert!(
        matches!(&samples[3].value, SampleValue::Histogram(histogram) if histogram.schema == 8)
    );
    assert_eq!((store.report.invalid_histograms, store.report.samples), (2, 4));
}
