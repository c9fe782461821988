//! Tests: order of exemplars in the ring and the WAL, and their replay.

use crate::model::exemplar::Exemplar;
use crate::model::float_sample::FloatSample;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::{CommitStats, HeadAppender};
use crate::tsdb::head::exemplars::ExemplarRejection::{Disabled, OutOfOrder, UnknownSeries};
use crate::tsdb::head::exemplars::{ExemplarOptions, ExemplarRejection, SeriesExemplar};
use crate::tsdb::head::replay::report::ReplayProgress;
use crate::tsdb::head::replay::wal::WalReplay;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::reader::LogSegmentReader;
use crate::tsdb::wal::segment::list_segments;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

fn head(dir: &Path, min_valid_time: i64) -> Head {
    let (files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
    let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 120 };
    Head::new(HeadOptions { policy, min_valid_time, ..HeadOptions::default() }, files)
}

fn wal(dir: &Path) -> Wal {
    let options = WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    };
    Wal::open(options).unwrap()
}

fn up(instance: &str) -> Labels {
    LabelsBuilder::from_iter([("__name__", "up"), ("instance", instance)]).build().unwrap()
}

fn at(t: i64) -> Exemplar {
    let trace = format!("{t:x}");
    Exemplar {
        t,
        v: t as f64,
        labels: LabelsBuilder::from_iter([("trace_id", trace.as_str())]).build().ok(),
    }
}

/// Appends a sample and exemplars at these times; returns the rejected exemplars.
fn request(
    head: &Head,
    wal: &Wal,
    series: &Labels,
    times: &[i64],
) -> (CommitStats, Vec<(i64, ExemplarRejection)>) {
    let mut rejected = Vec::new();
    let mut appender = HeadAppender::new(head, wal);
    let sample = Sample::from(FloatSample::new(1_000_000, 1.0));
    let series = appender
        .append_or_create(series, std::iter::once(sample), |_, reason| panic!("{reason:?}"))
        .unwrap()
        .unwrap();
    let exemplars = times.iter().map(|t| at(*t));
    appender.append_exemplars(&series.handle, exemplars, |item, reason| {
        rejected.push((item.t, reason))
    });
    (appender.commit().unwrap(), rejected)
}

fn replayed(dir: &Path, min_valid_time: i64, out_of_order_window_ms: i64) -> Head {
    let head = head(dir, min_valid_time);
    head.exemplars().configure(ExemplarOptions { max: 100_000, out_of_order_window_ms });
    let files = list_segments(&dir.join("wal")).unwrap();
    let done = WalReplay::new(&head, Vec::new()).run(&files, 2, &ReplayProgress::default());
    assert!(done.corruption.is_none(), "{:?}", done.corruption);
    assert_eq!(done.report.unknown_refs, 0);
    head.index_series();
    head
}

fn record_types(dir: &Path) -> Vec<u8> {
    let mut types = Vec::new();
    for segment in list_segments(&dir.join("wal")).unwrap() {
        let mut reader = LogSegmentReader::open(segment).unwrap();
        while let Some(record) = reader.next_record().unwrap() {
            types.push(record[0]);
        }
    }
    types
}

fn timestamps(all: &[SeriesExemplar], series: &Labels) -> Vec<i64> {
    all.iter().filter(|item| item.labels == *series).map(|item| item.exemplar.t).collect()
}

#[test]
fn exemplars_follow_samples_and_duplicates_are_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = (head(dir.path(), i64::MIN), wal(dir.path()));
    let (first, rejected) = request(&head, &wal, &up("a"), &[10, 20, 20, 5]);
    assert_eq!((first.samples, first.exemplars, rejected), (1, 3, vec![(5, OutOfOrder)]));
    let (again, rejected) = request(&head, &wal, &up("a"), &[10, 20]);
    assert_eq!((again.samples, again.exemplars, rejected), (1, 2, vec![]));
    wal.close().unwrap();
    assert_eq!(record_types(dir.path()), [1, 2, 4]);
}

#[test]
fn unknown_series_or_disabled_storage_rejects_exemplars() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = (head(dir.path(), i64::MIN), wal(dir.path()));
    assert!(HeadAppender::new(&head, &wal).find_series(up("a").as_bytes()).is_none());
    head.exemplars().configure(ExemplarOptions { max: 0, out_of_order_window_ms: 0 });
    let (done, rejected) = request(&head, &wal, &up("a"), &[7]);
    assert_eq!((done.samples, done.exemplars, rejected), (1, 0, vec![(7, Disabled)]));
    let mut appender = HeadAppender::new(&head, &wal);
    let collected = appender.find_series(up("a").as_bytes()).unwrap();
    collected.arc().state.lock().is_collected = true;
    let mut rejected = Vec::new();
    appender.append_exemplars(&collected, [at(1)].into_iter(), |item, reason| {
        rejected.push((item.t, reason))
    });
    assert_eq!((appender.commit().unwrap().exemplars, rejected), (0, vec![(1, UnknownSeries)]));
    wal.close().unwrap();
    assert_eq!(record_types(dir.path()), [1, 2]);
}

#[test]
fn replay_restores_exemplars_newer_than_min_valid_time() {
    let dir = tempfile::tempdir().unwrap();
    let (first, log) = (head(dir.path(), i64::MIN), wal(dir.path()));
    first.exemplars().configure(ExemplarOptions { max: 100, out_of_order_window_ms: 50 });
    request(&first, &log, &up("a"), &[10, 40, 30]);
    request(&first, &log, &up("b"), &[15, 25]);
    log.close().unwrap();
    let again = replayed(dir.path(), i64::MIN, 0);
    // Without a window, out-of-order exemplars are rejected.
    assert_eq!(timestamps(&again.exemplars().in_arrival_order(), &up("a")), [10, 40]);
    let all = replayed(dir.path(), 20, 50).exemplars().in_arrival_order();
    assert_eq!((timestamps(&all, &up("a")), timestamps(&all, &up("b"))), (vec![40, 30], vec![25]));
}

#[test]
fn concurrent_requests_log_exemplars_in_ring_order() {
    let dir = tempfile::tempdir().unwrap();
    let (head, log, clock) = (head(dir.path(), i64::MIN), wal(dir.path()), AtomicI64::new(0));
    let series = [up("a"), up("b"), up("c")];
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let t = clock.fetch_add(1, Ordering::Relaxed);
                    let mut appender = HeadAppender::new(&head, &log);
                    for series in &series {
                        let sample = Sample::from(FloatSample::new(1_000_000, 1.0));
                        let series = appender
                            .append_or_create(series, std::iter::once(sample), |_, reason| {
                                panic!("{reason:?}")
                            })
                            .unwrap()
                            .unwrap();
                        appender.append_exemplars(
                            &series.handle,
                            [at(t)].into_iter(),
                            |_, reason| {
                                assert_eq!(reason, OutOfOrder);
                            },
                        );
                    }
                    appender.commit().unwrap();
                }
            });
        }
    });
    log.close().unwrap();
    let (before, after) = (head.exemplars(), replayed(dir.path(), i64::MIN, 0));
    for series in &series {
        let stored = timestamps(&before.in_arrival_order(), series);
        assert!(stored.len() > 300 && stored.is_sorted(), "{} of {series}", stored.len());
        assert_eq!(timestamps(&after.exemplars().in_arrival_order(), series), stored);
    }
    let everything = [vec![]];
    assert_eq!(
        after.exemplars().select(&everything, TimeRange::ALL),
        before.select(&everything, TimeRange::ALL)
    );
    assert_eq!(after.exemplars().out_of_order(), 0);
}
