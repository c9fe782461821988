//! Tests: round trip and names of chunk snapshots; a corrupted snapshot is not used.

use crate::model::exemplar::Exemplar;
use crate::model::float_sample::FloatSample;
use crate::model::labels::LabelsBuilder;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::chunk_snapshot::load::{LoadSnapshotError, load_snapshot};
use crate::tsdb::head::chunk_snapshot::write::{
    SnapshotOptions, WriteSnapshotError, write_snapshot,
};
use crate::tsdb::head::chunk_snapshot::{WalOffset, last_snapshot, remove_snapshots};
use crate::tsdb::head::replay::report::ReplayProgress;
use crate::tsdb::head::replay::snapshot_metadata::restore_metadata;
use crate::tsdb::head::replay::wal::WalReplay;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::query::select::select;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::segment::list_segments;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use std::path::Path;
use std::sync::Arc;

const UPTO: WalOffset = WalOffset { segment: 3, offset: 4096 };

fn open_head(dir: &Path) -> (Head, Vec<crate::tsdb::chunk::head_chunks::HeadChunkMeta>) {
    let (mut files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
    let mut chunks = Vec::new();
    files.for_each(&dir.join("quarantine"), |chunk| chunks.push(chunk)).unwrap();
    let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 10 };
    (Head::new(HeadOptions { policy, ..HeadOptions::default() }, files), chunks)
}

/// Head with 30 series of up to 100 samples, every third XOR2, appended and logged.
fn filled_head(dir: &Path) -> Head {
    head_of(dir, 30)
}

fn head_of(dir: &Path, series: i64) -> Head {
    let (head, _) = open_head(dir);
    let wal = open_log(dir);
    for series in 0..series {
        head.set_float_encoding(if series % 3 == 0 {
            FloatEncoding::Xor2
        } else {
            FloatEncoding::Xor
        });
        let labels = LabelsBuilder::from_iter([("__name__", "up"), ("i", &series.to_string())])
            .build()
            .unwrap();
        let samples = (0..=series * 3)
            .map(|i| FloatSample::new(1_000_000 + i * 1000, (i * series) as f64 / 7.0));
        let mut appender = HeadAppender::new(&head, &wal);
        let appended = appender
            .append_or_create(&labels, samples.map(Sample::from), |_, reason| panic!("{reason:?}"))
            .unwrap()
            .unwrap();
        let exemplar =
            Exemplar { t: series, v: 0.5, labels: (series % 2 == 0).then(|| labels.clone()) };
        appender.append_exemplars(&appended.handle, [exemplar].into_iter(), |_, reason| {
            panic!("{reason:?}")
        });
        appender.commit().unwrap();
    }
    wal.close().unwrap();
    head
}

fn open_log(dir: &Path) -> Wal {
    let wal = Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    });
    wal.unwrap()
}

fn options(dir: &Path) -> SnapshotOptions {
    let disk = Arc::new(OsDisk);
    SnapshotOptions {
        dir: dir.to_owned(),
        upto: UPTO,
        compression: RecordCompression::Snappy,
        segment_size: 64 << 10,
        disk,
    }
}

fn content(head: &Head) -> Vec<(String, Vec<(i64, u64)>)> {
    let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
    let series = select(&[head], &all, TimeRange::ALL).unwrap().map(|series| {
        let series = series.unwrap();
        let samples = series
            .float_samples(TimeRange::ALL)
            .map(|sample| sample.map(|s| (s.t, s.v.to_bits())).unwrap());
        (series.labels().to_string(), samples.collect())
    });
    series.collect()
}

#[test]
fn snapshot_restores_head_and_appends_cut_new_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled_head(dir.path());
    assert_eq!(write_snapshot(&head, b"stones", &options(dir.path())).unwrap(), 30);
    let expected = content(&head);
    let times = (head.times().min(), head.times().max());
    let exemplars = head.exemplars().in_arrival_order();
    drop(head);
    let snapshot = last_snapshot(dir.path()).unwrap().unwrap();
    assert_eq!(
        (snapshot.wal_offset, snapshot.path),
        (UPTO, dir.path().join("chunk_snapshot.000003.0000004096"))
    );
    for workers in [1, 3] {
        let (again, chunks) = open_head(dir.path());
        let snapshot = last_snapshot(dir.path()).unwrap().unwrap();
        let loaded = load_snapshot(&snapshot, &again, chunks, workers).unwrap();
        again.index_series();
        assert_eq!((loaded.series, loaded.tombstones.as_deref()), (30, Some(&b"stones"[..])));
        assert_eq!(content(&again), expected);
        assert_eq!(
            (loaded.exemplars, again.exemplars().in_arrival_order()),
            (30, exemplars.clone())
        );
        assert_eq!((again.times().min(), again.times().max()), times);
        assert_eq!(again.last_ref().0, 30);
    }
}

#[test]
fn newer_snapshot_replaces_older_and_unfinished_ones() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled_head(dir.path());
    write_snapshot(&head, b"", &options(dir.path())).unwrap();
    std::fs::create_dir(dir.path().join("chunk_snapshot.000009.0000000000.tmp")).unwrap();
    std::fs::create_dir(dir.path().join("chunk_snapshot.x.1")).unwrap();
    let later = WalOffset { segment: 4, offset: 0 };
    write_snapshot(&head, b"", &SnapshotOptions { upto: later, ..options(dir.path()) }).unwrap();
    assert_eq!(last_snapshot(dir.path()).unwrap().unwrap().wal_offset, later);
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["chunk_snapshot.000004.0000000000", "chunk_snapshot.x.1", "chunks_head", "wal"]
    );
    remove_snapshots(&OsDisk, dir.path(), |_| true).unwrap();
    assert_eq!(last_snapshot(dir.path()).unwrap(), None);
}

#[test]
fn sealed_chunks_prevent_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled_head(dir.path());
    head.all_series()[0].state.lock().seal();
    let rejected = write_snapshot(&head, b"", &options(dir.path()));
    assert!(matches!(rejected, Err(WriteSnapshotError::SealedChunks)), "{rejected:?}");
    assert_eq!(last_snapshot(dir.path()).unwrap(), None);
    assert!(!dir.path().join("chunk_snapshot.000003.0000004096.tmp").exists());
}

/// A series was collected and created again under another reference, then the process was killed.
///
/// The WAL says that both references are one series. A checkpoint must still say so after a start
/// from a snapshot; otherwise the next replay could not assign the samples of the second reference.
#[test]
fn aliases_are_recorded_after_snapshot_start() {
    let dir = tempfile::tempdir().unwrap();
    let (head, _) = open_head(dir.path());
    let labels = LabelsBuilder::from_iter([("__name__", "up")]).build().unwrap();
    let mut batch = LogBatch::default();
    batch.push_series(SeriesRef(1), &labels);
    batch.push_series(SeriesRef(7), &labels);
    batch.push_sample(SeriesRef(7), &Sample::from(FloatSample::new(1_000_000, 1.0)));
    let wal = open_log(dir.path());
    wal.wait(wal.enqueue(&mut batch)).unwrap();
    wal.close().unwrap();
    let segments = list_segments(&dir.path().join("wal")).unwrap();
    let replayed = WalReplay::new(&head, Vec::new()).run(&segments, 1, &ReplayProgress::default());
    head.index_series();
    assert_eq!(replayed.aliases.len(), 1);
    write_snapshot(&head, b"", &options(dir.path())).unwrap();
    let expected = content(&head);
    drop(head);
    let (again, chunks) = open_head(dir.path());
    load_snapshot(&last_snapshot(dir.path()).unwrap().unwrap(), &again, chunks, 1).unwrap();
    again.index_series();
    assert_eq!(content(&again), expected);
    assert!(!again.was_collected(SeriesRef(7)));
    assert!(restore_metadata(&again, &segments).corruption.is_none());
    let needs_until = |mint| again.series.wal_expiries().reaches(SeriesRef(7), mint);
    assert!(needs_until(1_000_000) && !needs_until(1_000_001));
}

#[test]
fn chunk_of_unknown_series_rejects_snapshot() {
    let (more, less) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(head_of(more.path(), 31));
    write_snapshot(&head_of(less.path(), 30), b"", &options(more.path())).unwrap();
    let snapshot = last_snapshot(more.path()).unwrap().unwrap();
    let (again, chunks) = open_head(more.path());
    let rejected = load_snapshot(&snapshot, &again, chunks, 2);
    assert!(
        matches!(rejected, Err(LoadSnapshotError::UnknownSeries(SeriesRef(31)))),
        "{rejected:?}"
    );
}

#[test]
fn flipped_byte_is_detected_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let head = head_of(dir.path(), 8);
    let uncompressed =
        SnapshotOptions { compression: RecordCompression::None, ..options(dir.path()) };
    write_snapshot(&head, b"stones", &uncompressed).unwrap();
    let expected = content(&head);
    drop(head);
    let snapshot = last_snapshot(dir.path()).unwrap().unwrap();
    let file = snapshot.path.join("00000000");
    let bytes = std::fs::read(&file).unwrap();
    let mut errors = 0;
    // After the last record there are only zeros, up to the end of the page.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 8;
    for at in 0..end {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&file, flipped).unwrap();
        let (again, chunks) = open_head(dir.path());
        match load_snapshot(&snapshot, &again, chunks, 1) {
            Ok(loaded) => {
                again.index_series();
                assert_eq!((loaded.series, content(&again)), (8, expected.clone()), "byte {at}");
            }
            Err(LoadSnapshotError::Read(_) | LoadSnapshotError::UnknownType(_)) => errors += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(errors > end / 2, "{errors} of {end}");
}
