//! Tests: truncation removes exactly what blocks contain, also during appends and queries.

use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::deletion::HeadDeletion;
use crate::tsdb::head::read::reader::HeadReader;
use crate::tsdb::head::tombstones::{TOMBSTONES_PER_HOLD, Tombstone};
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::head::truncation::stale::StaleSeriesGc;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::query::select::select;
use crate::tsdb::query::source::{BlockSource, Chunk};
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

const RANGE: i64 = 1_000;
const BEGIN: i64 = 1_000_000;

type Content = BTreeMap<String, BTreeMap<i64, u64>>;

fn head_and_log(dir: &Path) -> (Head, Wal) {
    let policy = CutPolicy { chunk_range_ms: RANGE, samples_per_chunk: 8 };
    let (files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
    let head = Head::new(HeadOptions { policy, ..HeadOptions::default() }, files);
    let wal = Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    });
    (head, wal.unwrap())
}

fn labels(name: &str) -> Labels {
    LabelsBuilder::from_iter([("__name__", name), ("job", "x")]).build().unwrap()
}

fn append(head: &Head, wal: &Wal, name: &str, sample: FloatSample) -> Result<(), SampleRejection> {
    let mut rejected = Ok(());
    let mut appender = HeadAppender::new(head, wal);
    let labels = labels(name);
    let known =
        appender.append_existing(labels.as_bytes(), std::iter::once(sample.into()), |_, reason| {
            rejected = Err(reason)
        });
    if known.is_none() {
        appender
            .append_or_create(&labels, std::iter::once(sample.into()), |_, reason| {
                rejected = Err(reason)
            })
            .unwrap();
    }
    appender.commit().unwrap();
    rejected
}

fn content(source: &dyn BlockSource, range: TimeRange) -> Content {
    let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
    let mut content = Content::new();
    for series in select(&[source], &all, range).unwrap() {
        let series = series.unwrap();
        let samples: BTreeMap<_, _> =
            series.float_samples(range).map(|s| s.map(|s| (s.t, s.v.to_bits())).unwrap()).collect();
        if !samples.is_empty() {
            content.insert(series.labels().get("__name__").unwrap().to_owned(), samples);
        }
    }
    content
}

#[test]
fn truncation_drops_old_chunks_and_collects_empty_series() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    for i in 0..200 {
        let t = BEGIN + i * 10;
        append(&head, &wal, "long", FloatSample::new(t, i as f64)).unwrap();
        if i < 50 {
            append(&head, &wal, "short", FloatSample::new(t, i as f64)).unwrap();
        }
    }
    assert!(head.times().is_compactable());
    let truncation = HeadTruncation::new(&head);
    let short = head.series.get(labels("short").as_bytes()).unwrap().series_ref;
    truncation.close_before(BEGIN + RANGE);
    assert_eq!(
        append(&head, &wal, "new", FloatSample::new(BEGIN + RANGE - 1, 0.0)),
        Err(SampleRejection::OutOfBounds)
    );
    let dropped = truncation.truncate_before(BEGIN + RANGE).unwrap();
    assert_eq!(dropped.series, 1);
    assert!(dropped.chunks > 100 / 16, "{dropped:?}");
    assert!(!head.times().is_compactable());
    assert_eq!(
        (head.times().min(), head.times().min_valid()),
        (Some(BEGIN + RANGE), BEGIN + RANGE)
    );
    let left = content(&head, TimeRange::ALL);
    assert_eq!(left.keys().collect::<Vec<_>>(), ["long"]);
    assert_eq!(
        left["long"].keys().copied().collect::<Vec<_>>(),
        (100..200).map(|i| BEGIN + i * 10).collect::<Vec<_>>()
    );
    assert_eq!(
        (head.series_count(), head.postings().values_after("__name__", None, usize::MAX)),
        (1, vec!["long".to_owned()])
    );

    // A new series can have its labels.
    append(&head, &wal, "short", FloatSample::new(BEGIN + 2_000, 1.0)).unwrap();
    let again = head.series.get(labels("short").as_bytes()).unwrap().series_ref;
    assert!(again > short, "{again:?} {short:?}");
    assert_eq!(content(&head, TimeRange::ALL)["short"].len(), 1);
}

#[test]
fn checkpoint_keeps_collected_series_until_wal_expires() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    append(&head, &wal, "short", FloatSample::new(BEGIN, 1.0)).unwrap();
    append(&head, &wal, "long", FloatSample::new(BEGIN + 2 * RANGE, 1.0)).unwrap();
    let (short, long) = (SeriesRef(1), SeriesRef(2));
    let truncation = HeadTruncation::new(&head);
    truncation.close_before(BEGIN + RANGE);
    truncation.truncate_before(BEGIN + RANGE).unwrap();
    assert!(
        truncation.must_checkpoint(short, BEGIN + RANGE)
            && truncation.must_checkpoint(long, BEGIN + 90 * RANGE)
    );
    assert!(
        !truncation.must_checkpoint(short, BEGIN + 3 * RANGE)
            && !truncation.must_checkpoint(SeriesRef(3), 0)
    );
    truncation.expire_before(BEGIN + 3 * RANGE);
    assert!(!truncation.must_checkpoint(short, BEGIN));
}

#[test]
fn older_query_reads_dropped_chunks_from_block() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    for i in 0..200 {
        for name in ["a", "b", "c"] {
            let t = BEGIN + i * 10;
            if name != "b" || i < 50 {
                append(&head, &wal, name, FloatSample::new(t, i as f64)).unwrap();
            }
        }
    }
    let before = content(&head, TimeRange::ALL);
    // Content of the block.
    let block: Mutex<BTreeMap<Labels, Vec<Chunk>>> = Mutex::default();
    let missed = |labels: &Labels, lost: TimeRange| {
        let chunks = block.lock().get(labels).cloned().unwrap_or_default();
        Ok(chunks.into_iter().filter(|chunk| chunk.overlaps(lost)).collect())
    };
    let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
    let reader = HeadReader::new(&head, head.snapshot(), Box::new(missed));
    let mut series = reader.into_series(&all, TimeRange::ALL);
    let first = series.next().unwrap().unwrap();
    {
        let range = TimeRange::new(i64::MIN, BEGIN + RANGE - 1);
        let chunks = head
            .select(&all, range)
            .unwrap()
            .map(|series| series.map(|series| (series.labels, series.chunks)).unwrap());
        *block.lock() = chunks.collect();
        let truncation = HeadTruncation::new(&head);
        truncation.close_before(BEGIN + RANGE);
        truncation.truncate_before(BEGIN + RANGE).unwrap();
    }
    let read: Vec<_> =
        std::iter::once(Ok(first)).chain(series).map(|series| series.unwrap()).collect();
    assert_eq!(read.len(), 3);
    for series in read {
        let name = series.labels.get("__name__").unwrap().to_owned();
        let merged = crate::tsdb::query::merged_series::MergedSeries::new(series);
        let samples: BTreeMap<_, _> = merged
            .float_samples(TimeRange::ALL)
            .map(|s| s.map(|s| (s.t, s.v.to_bits())).unwrap())
            .collect();
        assert_eq!(samples, before[&name], "{name}");
    }
}

#[test]
fn concurrent_truncation_loses_no_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    let (clock, done) = (AtomicI64::new(BEGIN), AtomicBool::new(false));
    let accepted: Mutex<Content> = Mutex::default();
    let mut blocks = Content::new();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (head, wal, clock, accepted) = (&head, &wal, &clock, &accepted);
                scope.spawn(move || {
                    for i in 0..6_000i64 {
                        // On a busy machine the compactor must keep up, or it collects nothing.
                        while clock.load(Ordering::Relaxed) - head.times().min().unwrap_or(BEGIN)
                            > 4 * RANGE
                        {
                            thread::yield_now();
                        }
                        let t = clock.fetch_add(3, Ordering::Relaxed);
                        // Names exist for a while, are absent for longer than a block range, and
                        // return; some are shared.
                        let name = format!("s{}_{}", (i / 40) % 11, writer % 2);
                        if append(head, wal, &name, FloatSample::new(t, i as f64)).is_ok() {
                            let mut accepted = accepted.lock();
                            assert!(
                                accepted
                                    .entry(name)
                                    .or_default()
                                    .insert(t, (i as f64).to_bits())
                                    .is_none()
                            );
                        }
                    }
                })
            })
            .collect();
        let compactor = scope.spawn(|| {
            let mut blocks = Content::new();
            let mut collected = 0;
            while !done.load(Ordering::Relaxed) {
                if !head.times().is_compactable() {
                    thread::yield_now();
                    continue;
                }
                let end = head.times().min().unwrap().div_euclid(RANGE) * RANGE + RANGE;
                let truncation = HeadTruncation::new(&head);
                truncation.close_before(end);
                for (name, samples) in content(&head, TimeRange::new(i64::MIN, end - 1)) {
                    let there = blocks.entry(name).or_default();
                    samples
                        .into_iter()
                        .for_each(|(t, v)| assert!(there.insert(t, v).is_none(), "{t} twice"));
                }
                collected += truncation.truncate_before(end).unwrap().series;
            }
            (blocks, collected)
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        let (written, collected) = compactor.join().unwrap();
        assert!(collected > 20, "{collected} series collected");
        blocks = written;
    });
    for (name, samples) in content(&head, TimeRange::ALL) {
        // A chunk that spans the end of a block is in both.
        blocks.entry(name).or_default().extend(samples);
    }
    let accepted = accepted.into_inner();
    assert!(accepted.values().map(BTreeMap::len).sum::<usize>() > 10_000);
    assert!(blocks == accepted, "samples are missing or duplicated");
    assert_eq!(head.all_series().len(), head.series_count());
}

#[test]
fn deleted_samples_are_hidden_and_later_ones_visible() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    for i in 0..40 {
        append(&head, &wal, "a", FloatSample::new(BEGIN + i * 10, i as f64)).unwrap();
        append(&head, &wal, "b", FloatSample::new(BEGIN + i * 10, i as f64)).unwrap();
    }
    let deletion = HeadDeletion::new(&head);
    let named = [Matcher::new(MatchType::Equal, "__name__", "a").unwrap()];
    let stones = deletion.plan(&named, TimeRange::new(BEGIN + 300, i64::MAX));
    let end = BEGIN + 390;
    assert_eq!(
        stones,
        [Tombstone { series_ref: SeriesRef(1), range: TimeRange::new(BEGIN + 300, end) }]
    );
    deletion.apply(&stones);
    assert_eq!(content(&head, TimeRange::ALL)["a"].len(), 30);
    // Later samples are not deleted, and completely deleted series are absent.
    append(&head, &wal, "a", FloatSample::new(end + 10, 1.0)).unwrap();
    assert_eq!(content(&head, TimeRange::ALL)["a"].len(), 31);
    deletion.apply(&deletion.plan(&named, TimeRange::ALL));
    assert_eq!(content(&head, TimeRange::ALL).keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(deletion.plan(&named, TimeRange::new(0, BEGIN - 1)), []);
}

#[test]
fn tombstone_follows_series_record_in_wal() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    let mut appender = HeadAppender::new(&head, &wal);
    appender
        .append_or_create(
            &labels("a"),
            std::iter::once(FloatSample::new(BEGIN, 1.0).into()),
            |_, _| panic!("rejected"),
        )
        .unwrap();
    let named = [Matcher::new(MatchType::Equal, "__name__", "a").unwrap()];
    let (done, is_done) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| done.send(HeadDeletion::new(&head).plan(&named, TimeRange::ALL)).unwrap());
        assert!(is_done.recv_timeout(std::time::Duration::from_millis(50)).is_err());
        appender.commit().unwrap();
        assert_eq!(
            is_done.recv().unwrap(),
            [Tombstone { series_ref: SeriesRef(1), range: TimeRange::new(BEGIN, BEGIN) }]
        );
    });
}

#[test]
fn stale_series_is_collected_unless_it_got_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    let stale = f64::from_bits(STALE_NAN_BITS);
    for (name, t, v) in
        [("a", 0, 1.0), ("b", 0, 1.0), ("c", 0, 1.0), ("a", 1, stale), ("b", 1, stale)]
    {
        append(&head, &wal, name, FloatSample::new(BEGIN + t, v)).unwrap();
    }
    assert_eq!(head.stats().stale_series.load(Ordering::Relaxed), 2);
    let stale_gc = StaleSeriesGc::new(&head);
    let noted = stale_gc.find();
    assert_eq!(noted.len(), 2);
    append(&head, &wal, "b", FloatSample::new(BEGIN + 2, 1.0)).unwrap();
    append(&head, &wal, "b", FloatSample::new(BEGIN + 3, stale)).unwrap();
    let mut logged = Vec::new();
    let collected = stale_gc.collect(&noted, |refs| logged.extend_from_slice(refs));
    assert_eq!((collected, logged), (1, vec![SeriesRef(1)]));
    assert_eq!(content(&head, TimeRange::ALL).keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(head.stats().stale_series.load(Ordering::Relaxed), 1);
    append(&head, &wal, "a", FloatSample::new(BEGIN + 5, 1.0)).unwrap();
    assert_eq!(content(&head, TimeRange::ALL)["a"].len(), 1);
    assert!(HeadTruncation::new(&head).must_checkpoint(SeriesRef(1), BEGIN + 1));
}

/// Appends a sample of each of these series in one request.
fn append_many(head: &Head, wal: &Wal, prefix: &str, count: usize, sample: FloatSample) {
    let mut appender = HeadAppender::new(head, wal);
    for i in 0..count {
        let samples = std::iter::once(sample.into());
        appender
            .append_or_create(&labels(&format!("{prefix}{i}")), samples, |_, why| panic!("{why:?}"))
            .unwrap();
    }
    appender.commit().unwrap();
}

/// Number of steps of a removal that visits every entry and value of an index of `series` series,
/// and the tails of long lists twice.
fn linear_steps(series: usize) -> usize {
    2 * 3 * series + 8 * (series + 1)
}

#[test]
fn collecting_many_series_visits_each_list_once() {
    const SERIES: usize = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    append_many(&head, &wal, "dead", SERIES, FloatSample::new(BEGIN, 1.0));
    append_many(&head, &wal, "live", SERIES, FloatSample::new(BEGIN + 2 * RANGE, 1.0));
    let truncation = HeadTruncation::new(&head);
    truncation.close_before(BEGIN + RANGE);
    assert_eq!(truncation.truncate_before(BEGIN + RANGE).unwrap().series, SERIES as u64);
    let steps = head.postings().removal_stats().steps;
    assert!(steps <= linear_steps(2 * SERIES), "{steps} steps");
    assert_eq!(head.postings().cardinality().series, SERIES);

    let stale = f64::from_bits(STALE_NAN_BITS);
    append_many(&head, &wal, "dead", SERIES, FloatSample::new(BEGIN + 2 * RANGE, stale));
    let stale_gc = StaleSeriesGc::new(&head);
    assert_eq!(stale_gc.collect(&stale_gc.find(), |_| {}), SERIES);
    let steps = head.postings().removal_stats().steps - steps;
    assert!(steps <= linear_steps(2 * SERIES), "{steps} steps");
    assert_eq!(content(&head, TimeRange::ALL).len(), SERIES);
}

#[test]
fn tombstones_of_many_series_are_truncated_in_parts() {
    const SERIES: usize = 2 * TOMBSTONES_PER_HOLD + 5;
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    for t in [BEGIN, BEGIN + 2 * RANGE] {
        append_many(&head, &wal, "live", SERIES, FloatSample::new(t, 1.0));
    }
    append_many(&head, &wal, "dead", SERIES, FloatSample::new(BEGIN + RANGE + RANGE / 2, 1.0));
    let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
    let deletion = HeadDeletion::new(&head);
    deletion.apply(&deletion.plan(&all, TimeRange::new(BEGIN, BEGIN)));
    deletion.apply(&deletion.plan(&all, TimeRange::new(BEGIN + RANGE, BEGIN + 2 * RANGE - 1)));
    assert_eq!(head.tombstones().interval_count(), 3 * SERIES as u64);
    let truncation = HeadTruncation::new(&head);
    truncation.close_before(BEGIN + 2 * RANGE);
    truncation.truncate_before(BEGIN + RANGE).unwrap();
    assert_eq!(head.tombstones().interval_count(), 2 * SERIES as u64);
    assert_eq!(truncation.truncate_before(BEGIN + 2 * RANGE).unwrap().series, SERIES as u64);
    assert!(head.tombstones().is_empty());
}
