//! Tests: out-of-order samples from the appender to readers, over restarts, against a model.

use crate::model::float_sample::FloatSample;
use crate::model::histogram::{FloatHistogram, Histogram, Span};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::testing::conformance;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::append::samples::OutOfOrderPolicy;
use crate::tsdb::head::append::series_handle::SeriesGone;
use crate::tsdb::head::append::wbl_batch::WriteLogs;
use crate::tsdb::head::out_of_order::chunk::MAX_OPEN_SAMPLES;
use crate::tsdb::head::out_of_order::chunk_index::MAX_COVERING;
use crate::tsdb::head::read::compaction_source::{InOrderSource, OutOfOrderSource};
use crate::tsdb::head::read::reader::{BlockFallback, HeadReader};
use crate::tsdb::head::replay::report::ReplayProgress;
use crate::tsdb::head::replay::wal::WalReplay;
use crate::tsdb::head::replay::wbl::{WblReplay, WblReplayReport};
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::head::truncation::stale::StaleSeriesGc;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::query::select::select;
use crate::tsdb::query::source::BlockSource;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::reader::LogSegmentReader;
use crate::tsdb::wal::record::mmap_markers::decode_mmap_markers;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::SamplesDecoder;
use crate::tsdb::wal::segment::{Segment, list_segments};
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const HOUR: i64 = 3_600_000;
const WINDOW: i64 = HOUR / 2;
const START: i64 = 1_000 * HOUR;

/// Head with its WAL and WBL.
struct Store {
    head: Head,
    wal: Wal,
    wbl: Wal,
    wbl_report: WblReplayReport,
}

impl Store {
    /// Rebuilds the head from the directory and opens its logs.
    fn open(dir: &Path) -> Self {
        let (mut files, _) =
            HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
        let mut chunks = Vec::new();
        files.for_each(&dir.join("quarantine"), |chunk| chunks.push(chunk)).unwrap();
        let options = HeadOptions {
            policy: CutPolicy { chunk_range_ms: 2 * HOUR, samples_per_chunk: 10 },
            ..HeadOptions::default()
        };
        let head = Head::new(options, files);
        head.set_out_of_order_window(WINDOW);
        let segments = |name| {
            let path: PathBuf = dir.join(name);
            fs::create_dir_all(&path).unwrap();
            list_segments(&path).unwrap()
        };
        let progress = ReplayProgress::default();
        let replayed = WalReplay::new(&head, chunks.clone()).run(&segments("wal"), 2, &progress);
        assert!(replayed.corruption.is_none(), "{:?}", replayed.corruption);
        let replayed_wbl =
            WblReplay::new(&head, &chunks, replayed.aliases).run(&segments("wbl"), &progress);
        assert!(replayed_wbl.corruption.is_none(), "{:?}", replayed_wbl.corruption);
        assert_progress_is_of_wbl(&progress, &segments("wbl"));
        head.index_series();
        let log = |name| {
            let options = WalOptions {
                dir: dir.join(name),
                segment_size: 1 << 20,
                compression: RecordCompression::Snappy,
                sync: SyncMode::Os,
                disk: Arc::new(OsDisk),
            };
            Wal::open(options).unwrap()
        };
        Self { wal: log("wal"), wbl: log("wbl"), wbl_report: replayed_wbl.report, head }
    }

    fn appender(&self) -> HeadAppender<'_> {
        HeadAppender::new(&self.head, WriteLogs { wal: &self.wal, wbl: Some(&self.wbl) })
    }

    /// Appends samples of one series in one request; returns the rejected ones.
    fn append(&self, series: &str, samples: &[FloatSample]) -> Vec<(i64, SampleRejection)> {
        self.append_samples(series, samples.iter().map(|sample| Sample::from(*sample)).collect())
    }

    fn append_samples(&self, series: &str, samples: Vec<Sample>) -> Vec<(i64, SampleRejection)> {
        let count = samples.len();
        let mut rejected = Vec::new();
        let mut appender = self.appender();
        appender
            .append_or_create(&labels(series), samples.into_iter(), |sample, reason| {
                rejected.push((sample.t, reason))
            })
            .unwrap();
        assert_eq!(appender.commit().unwrap().samples as usize, count - rejected.len());
        rejected
    }

    fn read(&self) -> BTreeMap<Labels, Vec<(i64, u64)>> {
        read(&self.head)
    }

    /// Returns the number of out-of-order samples in memory, of all series.
    fn num_open_samples(&self) -> usize {
        let open = |series: &Arc<crate::tsdb::head::series::HeadSeries>| {
            series.state.lock().out_of_order.as_ref().map_or(0, |ooo| ooo.open.len())
        };
        self.head.all_series().iter().map(open).sum()
    }
}

fn read(source: &dyn BlockSource) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    let matchers = [Matcher::new(MatchType::NotEqual, "a", "").unwrap()];
    let series =
        select(&[source], &matchers, TimeRange::ALL).unwrap().map(|series| series.unwrap());
    series
        .map(|series| {
            let samples = series.float_samples(TimeRange::ALL).map(|sample| sample.unwrap());
            (
                series.labels().clone(),
                samples.map(|sample| (sample.t, sample.v.to_bits())).collect(),
            )
        })
        .collect()
}

fn labels(series: &str) -> Labels {
    LabelsBuilder::from_iter([("a", series)]).build().unwrap()
}

fn sample(t: i64, v: i64) -> FloatSample {
    FloatSample::new(START + t, v as f64)
}

fn samples(times: impl IntoIterator<Item = i64>) -> Vec<FloatSample> {
    times.into_iter().map(|t| sample(t, t)).collect()
}

/// Returns the query result with exactly these samples of one series.
fn single_series(series: &str, mut samples: Vec<FloatSample>) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    samples.sort_by_key(|sample| sample.t);
    BTreeMap::from([(
        labels(series),
        samples.into_iter().map(|sample| (sample.t, sample.v.to_bits())).collect(),
    )])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn samples_in_window_are_accepted_and_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    assert_eq!(store.append("x", &samples([WINDOW, 10, 0, 20])), []);
    assert_eq!(
        store.append("x", &samples([-1, -HOUR])),
        [(START - 1, SampleRejection::TooOld), (START - HOUR, SampleRejection::TooOld)]
    );
    assert_eq!(store.read(), single_series("x", samples([0, 10, 20, WINDOW])));
    assert_eq!(read(&InOrderSource::new(&store.head)), single_series("x", samples([WINDOW])));
    assert_eq!(store.head.times().ooo_window().times(), Some(TimeRange::new(START, START + 20)));
    store.head.set_out_of_order_window(0);
    assert_eq!(store.append("x", &samples([5])), [(START + 5, SampleRejection::OutOfOrder)]);
}

#[test]
fn duplicate_counts_as_stored_and_other_value_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let count = MAX_OPEN_SAMPLES as i64;
    assert_eq!(store.append("x", &samples((0..40).map(|i| 1_000 + i))), []);
    // In the in-order chunk, in a written out-of-order chunk, in the open one.
    assert_eq!(store.append("x", &samples(0..count)), []);
    assert_eq!(store.append("x", &samples(100..103)), []);
    assert_eq!(store.num_open_samples(), 3);
    let before = store.wbl.position();
    assert_eq!(store.append("x", &samples([1_000, 1_020, 0, count - 1, 101])), []);
    assert_eq!(store.wbl.position(), before, "nothing was logged");
    let times = [1_000, 1_020, 0, count - 1, 101];
    let others: Vec<FloatSample> = times.into_iter().map(|t| sample(t, -7)).collect();
    let rejected: Vec<_> =
        others.iter().map(|sample| (sample.t, SampleRejection::DuplicateTimestamp)).collect();
    assert_eq!(store.append("x", &others), rejected);
}

#[test]
fn new_series_can_have_only_ooo_samples() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("newest", &samples([3 * HOUR]));
    store.head.set_out_of_order_window(3 * HOUR);
    // Older than half a chunk range: never in order.
    let ooo = samples((0..100).rev());
    assert_eq!(store.append("ooo", &ooo), []);
    assert_eq!(store.append("too old", &samples([-1])), [(START - 1, SampleRejection::TooOld)]);
    assert_eq!(
        store.num_open_samples(),
        100,
        "no chunk is written for a series that the WAL may lack"
    );
    // The first sample of the next request is written together with those that waited.
    let all = 101 + MAX_OPEN_SAMPLES as i64;
    assert_eq!(store.append("ooo", &samples(100..all)), []);
    assert_eq!(store.num_open_samples(), 0);
    let expected = single_series("ooo", samples(0..all));
    assert_eq!(store.read()[&labels("ooo")], expected[&labels("ooo")]);
    drop(store);
    let store = Store::open(dir.path());
    assert_eq!(store.read()[&labels("ooo")], expected[&labels("ooo")]);
    assert_eq!(store.head.series_count(), 2);
    assert_eq!(store.num_open_samples(), 0);
}

#[test]
fn marker_follows_samples_of_its_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    for series in ["x", "y"] {
        store.append(series, &samples([WINDOW]));
    }
    let count = MAX_OPEN_SAMPLES as i64;
    let mut appender = store.appender();
    for series in ["x", "y"] {
        let samples = samples((0..2 * count + 5).rev()).into_iter().map(Sample::from);
        appender.append_or_create(&labels(series), samples, |_, _| panic!("rejected")).unwrap();
    }
    appender.commit().unwrap();
    store.wbl.close().unwrap();
    let mut since: BTreeMap<SeriesRef, Vec<i64>> = BTreeMap::new();
    let mut markers = 0;
    for segment in list_segments(&dir.path().join("wbl")).unwrap() {
        let mut reader = LogSegmentReader::open(segment).unwrap();
        while let Some(record) = reader.next_record().unwrap() {
            if RecordType::from_record(record) == RecordType::MmapMarkers {
                for marker in decode_mmap_markers(record).unwrap() {
                    let mut samples = since.remove(&marker.series).unwrap();
                    samples.sort_unstable();
                    let times = samples.first().zip(samples.last()).map(|(min, max)| (*min, *max));
                    assert_eq!(chunk_times(&store.head, marker.series, marker.chunk), times);
                    assert_eq!(samples.len(), MAX_OPEN_SAMPLES);
                    markers += 1;
                }
            } else {
                for logged in SamplesDecoder::new(record).unwrap() {
                    let logged = logged.unwrap();
                    since.entry(logged.series).or_default().push(logged.sample.t);
                }
            }
        }
    }
    assert_eq!(markers, 4);
    assert_eq!(since.values().map(Vec::len).collect::<Vec<_>>(), [5, 5]);
}

fn chunk_times(head: &Head, series: SeriesRef, at: HeadChunkRef) -> Option<(i64, i64)> {
    let series = head.all_series().into_iter().find(|found| found.series_ref == series)?;
    let state = series.state.lock();
    state.out_of_order.as_ref()?.mapped.get(at).map(|chunk| (chunk.mint(), chunk.maxt()))
}

#[test]
fn crash_before_marker_neither_loses_nor_doubles_samples() {
    let dir = tempfile::tempdir().unwrap();
    let before = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let count = MAX_OPEN_SAMPLES as i64;
    store.append("x", &samples([WINDOW]));
    store.append("x", &samples(0..count - 1));
    let wbl = dir.path().join("wbl");
    copy(&wbl, before.path());
    store.append("x", &samples([count - 1]));
    assert_eq!(store.num_open_samples(), 0);
    drop(store);
    fs::remove_dir_all(&wbl).unwrap();
    copy(before.path(), &wbl);
    let store = Store::open(dir.path());
    // The last one was not logged, so it was not acknowledged.
    assert_eq!(store.read(), single_series("x", samples((0..count - 1).chain([WINDOW]))));
    assert_eq!(store.num_open_samples(), MAX_OPEN_SAMPLES - 1);
    store.append("x", &samples([count - 1]));
    assert_eq!(store.read(), single_series("x", samples((0..count).chain([WINDOW]))));
}

#[test]
fn lost_chunk_file_loses_no_samples() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let times: Vec<i64> = (0..5 * MAX_OPEN_SAMPLES as i64).collect();
    store.append("x", &samples([WINDOW]));
    times
        .chunks(7)
        .for_each(|some| assert_eq!(store.append("x", &samples(some.iter().rev().copied())), []));
    drop(store);
    for _ in 0..2 {
        fs::remove_dir_all(dir.path().join("chunks_head")).unwrap();
        // The second time, the markers name other chunks, in files of the same name.
        for _ in 0..2 {
            let store = Store::open(dir.path());
            assert_eq!(
                store.read(),
                single_series("x", samples(times.iter().copied().chain([WINDOW])))
            );
            assert_eq!(store.num_open_samples(), 0);
        }
    }
}

#[test]
fn ref_of_unknown_series_in_wbl_is_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([WINDOW, 0, 1]));
    drop(store);
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    let store = Store::open(dir.path());
    assert_eq!(store.wbl_report.unknown_refs, 2);
    store.append("y", &samples([WINDOW]));
    drop(store);
    let store = Store::open(dir.path());
    assert_eq!(store.read(), single_series("y", samples([WINDOW])));
}

#[test]
fn truncate_ooo_keeps_samples_after_prepare() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([WINDOW]));
    store.append("x", &samples((0..50).rev()));
    let source = OutOfOrderSource::prepare(&store.head).unwrap();
    assert_eq!(source.times(), Some(TimeRange::new(START, START + 49)));
    // Out-of-order samples that arrive while the block is written.
    store.append("x", &samples(50..50 + MAX_OPEN_SAMPLES as i64 + 1));
    assert_eq!(read(&source), single_series("x", samples(0..50)));
    let drops = store.head.truncation_epoch();
    let dropped = HeadTruncation::new(&store.head).truncate_ooo(&source).unwrap();
    assert_eq!((dropped.chunks, dropped.series), (2, 0));
    assert_ne!(store.head.truncation_epoch(), drops);
    assert_eq!(
        store.read(),
        single_series("x", samples((50..50 + MAX_OPEN_SAMPLES as i64 + 1).chain([WINDOW])))
    );
}

#[test]
fn series_with_ooo_samples_is_not_collected() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([1_000, 0]));
    store.append("y", &samples([8 * HOUR]));
    let truncation = HeadTruncation::new(&store.head);
    truncation.close_before(START + 2 * HOUR);
    assert_eq!(truncation.truncate_before(START + 2 * HOUR).unwrap().series, 0);
    assert_eq!(store.read()[&labels("x")], single_series("x", samples([0]))[&labels("x")]);
    let source = OutOfOrderSource::prepare(&store.head).unwrap();
    let dropped = truncation.truncate_ooo(&source).unwrap();
    assert_eq!((dropped.chunks, dropped.series), (1, 1));
    assert_eq!(store.read(), single_series("y", samples([8 * HOUR])));
}

#[test]
fn stale_series_with_ooo_samples_is_not_collected() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let stale = f64::from_bits(crate::model::float_sample::STALE_NAN_BITS);
    for series in ["ooo", "not"] {
        store.append(series, &[sample(0, 1), FloatSample::new(START + 1_000, stale)]);
    }
    let stale_gc = StaleSeriesGc::new(&store.head);
    let found = stale_gc.find();
    assert_eq!(found.len(), 2);
    store.append("ooo", &samples([500]));
    assert_eq!(stale_gc.find().len(), 1);
    assert_eq!(stale_gc.collect(&found, |_| {}), 1);
    assert_eq!(store.head.series_count(), 1);
}

#[test]
fn older_reader_falls_back_after_truncate_ooo() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples((0..20).rev()));
    let asked = AtomicUsize::new(0);
    let missed: BlockFallback<'_> = Box::new(|found, range| {
        assert_eq!((found, range), (&labels("x"), TimeRange::ALL));
        asked.fetch_add(1, Ordering::Relaxed);
        Ok(Vec::new())
    });
    let matchers = [Matcher::new(MatchType::NotEqual, "a", "").unwrap()];
    let reader = HeadReader::new(&store.head, store.head.snapshot(), missed);
    let series = reader.into_series(&matchers, TimeRange::ALL);
    let source = OutOfOrderSource::prepare(&store.head).unwrap();
    HeadTruncation::new(&store.head).truncate_ooo(&source).unwrap();
    assert_eq!(series.count(), 1);
    assert_eq!(asked.into_inner(), 1);
}

#[test]
fn ooo_source_conforms_to_source() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let (mut all, mut in_order, mut ooo) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (series, count) in [("x", 100), ("y", 33), ("z", 1)] {
        let (early, newer) = (samples((0..count).map(|i| i * 7 % 101)), samples(50..60));
        let newest = samples([WINDOW]);
        store.append(series, &newer);
        store.append(series, &newest);
        let early: Vec<FloatSample> =
            early.into_iter().filter(|sample| !newer.contains(sample)).collect();
        assert_eq!(store.append(series, &early), []);
        let sorted = |parts: &[&[FloatSample]]| {
            let mut samples = parts.concat();
            samples.sort_by_key(|sample| sample.t);
            samples
        };
        all.insert(labels(series), sorted(&[&newer, &newest, &early]));
        in_order.insert(labels(series), sorted(&[&newer, &newest]));
        ooo.insert(labels(series), sorted(&[&early]));
    }
    conformance::check_overlapping(&store.head, &all);
    conformance::check(&InOrderSource::new(&store.head), &in_order);
    conformance::check_overlapping(&OutOfOrderSource::prepare(&store.head).unwrap(), &ooo);
}

#[test]
fn unwritable_chunk_stays_in_memory_and_is_retried() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([WINDOW]));
    let chunks = dir.path().join("chunks_head");
    fs::remove_dir_all(&chunks).unwrap();
    assert_eq!(store.append("x", &samples((0..40).rev())), []);
    assert_eq!(store.num_open_samples(), 40);
    assert!(OutOfOrderSource::prepare(&store.head).is_err());
    assert_eq!(store.read(), single_series("x", samples((0..40).chain([WINDOW]))));
    fs::create_dir_all(&chunks).unwrap();
    assert_eq!(store.append("x", &samples(40..64)), []);
    assert_eq!(store.num_open_samples(), 0);
    assert_eq!(store.read(), single_series("x", samples((0..64).chain([WINDOW]))));
    drop(store);
    assert_eq!(
        Store::open(dir.path()).read(),
        single_series("x", samples((0..64).chain([WINDOW])))
    );
}

#[test]
fn concurrent_ooo_compaction_loses_no_samples() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    for series in ["0", "1", "2"] {
        store.append(series, &samples([WINDOW]));
    }
    let rounds = 40;
    let mut found: BTreeMap<Labels, BTreeMap<i64, u64>> = BTreeMap::new();
    let mut take = |result: BTreeMap<Labels, Vec<(i64, u64)>>| {
        result
            .into_iter()
            .for_each(|(labels, samples)| found.entry(labels).or_default().extend(samples));
    };
    let running = AtomicUsize::new(3);
    thread::scope(|scope| {
        for writer in 0..3i64 {
            let (store, running) = (&store, &running);
            scope.spawn(move || {
                for round in 0..rounds {
                    // Every writer writes to every series, at timestamps of its own.
                    for series in 0..3 {
                        let times = (0..11).map(|i| 3 * ((round * 11 + i) * 7 % 997) + writer);
                        assert_eq!(store.append(&series.to_string(), &samples(times)), []);
                    }
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        loop {
            let is_last = running.load(Ordering::SeqCst) == 0;
            let source = OutOfOrderSource::prepare(&store.head).unwrap();
            take(read(&source));
            HeadTruncation::new(&store.head).truncate_ooo(&source).unwrap();
            if is_last {
                break;
            }
        }
    });
    take(store.read());
    let times: BTreeSet<i64> = (0..3)
        .flat_map(|writer| (0..rounds * 11).map(move |n| START + 3 * (n * 7 % 997) + writer))
        .chain([START + WINDOW])
        .collect();
    for series in ["0", "1", "2"] {
        assert!(found[&labels(series)].keys().eq(times.iter()), "series {series}");
    }
}

#[test]
fn ooo_sample_costs_few_chunk_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([WINDOW]));
    let count = 200 * MAX_OPEN_SAMPLES as i64;
    // In this order almost all chunks overlap.
    let times: Vec<i64> = (0..count).map(|n| n * 3_331 % count).collect();
    let reads = |store: &Store| store.head.chunks.mapper.reads.swap(0, Ordering::Relaxed) as usize;
    let written = |store: &Store| store.head.stats().ooo_chunks_written.load(Ordering::Relaxed);
    for repeat in 0..2 {
        for some in times.chunks(400) {
            assert_eq!(store.append("x", &samples(some.iter().copied())), []);
            let reads = reads(&store);
            assert!(
                reads <= (MAX_COVERING + 1) * some.len(),
                "{reads} chunks read for {} samples",
                some.len()
            );
        }
        assert_eq!((written(&store), store.num_open_samples()), (200, 0), "{repeat}");
    }
    drop(store);
    let store = Store::open(dir.path());
    // Once to index the chunk, once to find its samples.
    assert!(reads(&store) <= 2 * 200);
    assert_eq!(
        (store.wbl_report.chunks, written(&store), store.num_open_samples()),
        (200, 0, 0),
        "no chunk is written again"
    );
    assert_eq!(store.read(), single_series("x", samples((0..count).chain([WINDOW]))));
}

/// Step of the model test.
#[derive(Clone, Debug)]
enum Step {
    /// Timestamps and values of one series in one request.
    Append(u8, Vec<(i64, u8)>),
    Restart,
    /// All chunk files are lost.
    LoseChunks,
}

fn step() -> impl Strategy<Value = Step> {
    let samples = proptest::collection::vec((0..WINDOW / 1_000, 0u8..6), 1..60);
    // Also runs of one type.
    let floats =
        proptest::collection::vec((0..WINDOW / 1_000, (0u8..2).prop_map(|v| v * 3)), 1..60);
    prop_oneof![
        10 => (0u8..3, samples).prop_map(|(series, samples)| Step::Append(series, samples)),
        10 => (0u8..3, floats).prop_map(|(series, samples)| Step::Append(series, samples)),
        2 => Just(Step::Restart),
        1 => Just(Step::LoseChunks),
    ]
}

/// Returns a value of one of the three types.
fn value(v: u8) -> SampleValue {
    let span = Span { offset: i32::from(v) - 3, length: 1 };
    match v % 3 {
        0 => SampleValue::Float(f64::from(v)),
        1 => SampleValue::Histogram(Box::new(Histogram {
            count: u64::from(v) + 1,
            sum: f64::from(v),
            positive_spans: vec![span],
            positive_buckets: vec![i64::from(v) + 1],
            ..Histogram::default()
        })),
        _ => SampleValue::FloatHistogram(Box::new(FloatHistogram {
            count: f64::from(v) + 0.5,
            sum: f64::from(v),
            negative_spans: vec![span],
            negative_buckets: vec![f64::from(v) + 0.5],
            ..FloatHistogram::default()
        })),
    }
}

/// Returns `true` if the source has exactly these samples.
fn holds(source: &dyn BlockSource, model: &BTreeMap<u8, BTreeMap<i64, u8>>) -> bool {
    let matchers = [Matcher::new(MatchType::NotEqual, "a", "").unwrap()];
    let found: Vec<_> = select(&[source], &matchers, TimeRange::ALL)
        .unwrap()
        .map(|series| series.unwrap())
        .collect();
    found.len() == model.len()
        && found.iter().zip(model).all(|(series, (name, held))| {
            let samples: Vec<Sample> =
                series.samples(TimeRange::ALL).map(|sample| sample.unwrap()).collect();
            *series.labels() == labels(&name.to_string())
                && samples.len() == held.len()
                && samples.iter().zip(held).all(|(sample, (t, v))| {
                    sample.t == START + t && sample.value.is_equivalent(&value(*v))
                })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn store_matches_model_over_restarts(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path());
        let mut model: BTreeMap<u8, BTreeMap<i64, u8>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Append(series, found) => {
                    let held = model.entry(series).or_default();
                    let mut expected = Vec::new();
                    for (t, v) in &found {
                        if *held.entry(*t).or_insert(*v) != *v {
                            expected.push((START + t, SampleRejection::DuplicateTimestamp));
                        }
                    }
                    let samples = found.into_iter();
                    let samples = samples.map(|(t, v)| Sample::new(START + t, value(v))).collect();
                    prop_assert_eq!(store.append_samples(&series.to_string(), samples), expected);
                }
                Step::Restart => {
                    drop(store);
                    store = Store::open(dir.path());
                }
                Step::LoseChunks => {
                    drop(store);
                    fs::remove_dir_all(dir.path().join("chunks_head")).unwrap();
                    store = Store::open(dir.path());
                }
            }
            prop_assert!(holds(&store.head, &model));
            prop_assert_eq!(store.wbl_report.unknown_refs, 0);
        }
    }
}

/// Checks that the progress counts segments of the WBL after its replay.
fn assert_progress_is_of_wbl(progress: &ReplayProgress, wbl: &[Segment]) {
    let (Some(first), Some(last)) = (wbl.first(), wbl.last()) else { return };
    let shown = [&progress.min, &progress.max, &progress.current];
    let expected = [first.number, last.number, last.number].map(i64::from);
    assert_eq!(shown.map(|number| number.load(Ordering::Relaxed)), expected);
}

/// Appends to the series `a`, by its handle and without out-of-order samples; returns the
/// rejected ones.
fn append_in_order_only(
    store: &Store,
    samples: &[FloatSample],
) -> Result<Vec<(i64, SampleRejection)>, SeriesGone> {
    let mut rejected = Vec::new();
    let mut appender = store.appender();
    let series = appender.find_series(labels("a").as_bytes()).unwrap();
    let samples = samples.iter().map(|sample| Sample::from(*sample));
    appender.append_to(&series, OutOfOrderPolicy::Reject, samples, |sample, reason| {
        rejected.push((sample.t, reason))
    })?;
    appender.commit().unwrap();
    Ok(rejected)
}

#[test]
fn reject_policy_keeps_samples_out_of_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("a", &[FloatSample::new(START, 1.0), FloatSample::new(START + 100, 2.0)]);
    let sent = [
        FloatSample::new(START, 1.0),
        FloatSample::new(START + 50, 3.0),
        FloatSample::new(START + 100, 2.0),
        FloatSample::new(START + 100, 3.0),
        FloatSample::new(START + 101, 4.0),
    ];
    let rejected = append_in_order_only(&store, &sent).unwrap();
    let expected = [
        (START, SampleRejection::OutOfOrder),
        (START + 50, SampleRejection::OutOfOrder),
        (START + 100, SampleRejection::DuplicateTimestamp),
    ];
    assert_eq!(rejected, expected);
    let stored: Vec<i64> = store.read()[&labels("a")].iter().map(|(t, _)| *t).collect();
    assert_eq!(stored, [START, START + 100, START + 101]);
    // With the default policy, the same sample is stored.
    assert_eq!(store.append("a", &[FloatSample::new(START + 50, 3.0)]), []);
}

#[test]
fn reject_policy_applies_to_new_series_by_labels() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("other", &[FloatSample::new(START + 4 * HOUR, 1.0)]);
    let mut rejected = Vec::new();
    let mut appender = store.appender();
    let times = [START, START + 4 * HOUR - WINDOW];
    let samples = times.iter().map(|t| Sample::from(FloatSample::new(*t, 0.0)));
    let policy = OutOfOrderPolicy::Reject;
    let created =
        appender.append_or_create_with(&labels("a"), policy, samples, |sample, reason| {
            rejected.push((sample.t, reason))
        });
    assert!(created.unwrap().is_some());
    appender.commit().unwrap();
    assert_eq!(rejected, [(START, SampleRejection::TooOld)]);
    let stored: Vec<i64> = store.read()[&labels("a")].iter().map(|(t, _)| *t).collect();
    assert_eq!(stored, [START + 4 * HOUR - WINDOW]);
}

#[test]
fn handle_of_collected_series_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("a", &[FloatSample::new(START, 1.0)]);
    let series = store.appender().find_series(labels("a").as_bytes()).unwrap();
    HeadTruncation::new(&store.head).truncate_before(START + 1).unwrap();
    store.append("a", &[FloatSample::new(START + 2 * HOUR, 1.0)]);
    let sample = || [Sample::from(FloatSample::new(START + 3 * HOUR, 1.0))].into_iter();
    let mut appender = store.appender();
    let gone = appender.append_to(&series, OutOfOrderPolicy::Accept, sample(), |_, _| {});
    assert_eq!(gone, Err(SeriesGone));
    let series = appender.find_series(labels("a").as_bytes()).unwrap();
    let found = appender.append_to(&series, OutOfOrderPolicy::Accept, sample(), |_, _| {});
    assert_eq!((found, appender.commit().unwrap().samples), (Ok(()), 1));
}
