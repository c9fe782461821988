//! Tests: after each write to the WAL, it has every request completely or not at all.

use crate::model::float_sample::FloatSample;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::sample::Sample;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::disk::{Disk, DiskFile, DiskSpace};
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::page::UNFINISHED;
use crate::tsdb::wal::reader::LogSegmentReader;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::SamplesDecoder;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

const SERIES: usize = 5;
const WRITERS: usize = 4;
const REQUESTS: usize = 150;

/// Lengths of the only segment after each write that a reader accepts.
type WriteEnds = Arc<Mutex<Vec<u64>>>;

/// Disk that records the ends of the writes to its files.
#[derive(Debug, Default)]
struct RecordingDisk(WriteEnds);

#[derive(Debug)]
struct RecordingFile {
    file: Arc<dyn DiskFile>,
    ends: WriteEnds,
}

impl Disk for RecordingDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let (file, ends) = (OsDisk.create_new(path)?, Arc::clone(&self.0));
        Ok(Arc::new(RecordingFile { file, ends }))
    }
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open_append(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir_all(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.hard_link(from, to)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_dir(path)
    }
    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        OsDisk.space(path)
    }
}

impl DiskFile for RecordingFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        if bytes.first() != Some(&UNFINISHED) {
            self.ends.lock().push(self.file.len()?);
        }
        Ok(())
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)?;
        self.ends.lock().push(self.file.len()?);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

fn labels(series: usize) -> Labels {
    LabelsBuilder::from_iter([("a", format!("s{series}").as_str())]).build().unwrap()
}

/// Number of series with a sample, by time.
fn series_by_time(log: &[u8]) -> BTreeMap<i64, usize> {
    let mut found: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    let mut reader = LogSegmentReader::from_bytes(log);
    while let Some(record) = reader.next_record().unwrap() {
        if RecordType::from_record(record) == RecordType::Samples {
            for sample in SamplesDecoder::new(record).unwrap() {
                let sample = sample.unwrap();
                found.entry(sample.sample.t).or_default().insert(sample.series.0);
            }
        }
    }
    found.into_iter().map(|(t, series)| (t, series.len())).collect()
}

fn head(dir: &Path) -> Head {
    let (files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
    let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 120 };
    Head::new(HeadOptions { policy, ..HeadOptions::default() }, files)
}

/// Opens a log. Returns it with the lengths of its segment after each write.
fn wal(dir: &Path) -> (Wal, WriteEnds) {
    let disk = RecordingDisk::default();
    let ends = Arc::clone(&disk.0);
    let wal = Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 24,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(disk),
    });
    (wal.unwrap(), ends)
}

fn append(appender: &mut HeadAppender<'_>, series: usize, t: i64) {
    let sample = std::iter::once(Sample::from(FloatSample::new(t, 1.0)));
    // A sample that is older than one of another request is rejected.
    appender.append_or_create(&labels(series), sample, |_, _| {}).unwrap();
}

/// The first request waits for the second one, which has a sample of the first one's series. So
/// both are logged in one write.
#[test]
fn requests_that_wait_for_each_other_are_one_write() {
    let dir = tempfile::tempdir().unwrap();
    let (head, (wal, ends)) = (head(dir.path()), wal(dir.path()));
    let mut setup = HeadAppender::new(&head, &wal);
    (0..3).for_each(|series| append(&mut setup, series, 0));
    setup.commit().unwrap();
    let mut first = HeadAppender::new(&head, &wal);
    let mut second = HeadAppender::new(&head, &wal);
    append(&mut first, 0, 1);
    append(&mut second, 1, 2);
    let before = ends.lock().len();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            append(&mut first, 1, 3);
            append(&mut first, 2, 3);
            first.commit().unwrap();
        });
        // Waits until the first request has parked its sample.
        append(&mut second, 0, 4);
        second.commit().unwrap();
        waiting.join().unwrap();
    });
    assert_eq!(ends.lock().len(), before + 1);
    wal.close().unwrap();
    let log = std::fs::read(dir.path().join("wal/00000000")).unwrap();
    let expected = BTreeMap::from([(0, 3), (1, 1), (2, 1), (3, 2), (4, 1)]);
    assert_eq!(series_by_time(&log), expected);
}

/// Half of the requests have the series in the opposite order, so that requests wait for each other
/// after they have samples.
#[test]
fn each_write_has_complete_requests() {
    let dir = tempfile::tempdir().unwrap();
    let (head, (wal, ends)) = (head(dir.path()), wal(dir.path()));
    let clock = AtomicI64::new(0);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (head, wal, clock) = (&head, &wal, &clock);
            scope.spawn(move || {
                for _ in 0..REQUESTS {
                    let t = clock.fetch_add(1, Ordering::Relaxed);
                    let mut appender = HeadAppender::new(head, wal);
                    for n in 0..SERIES {
                        append(&mut appender, if writer % 2 == 0 { n } else { SERIES - 1 - n }, t);
                        thread::yield_now();
                    }
                    appender.commit().unwrap();
                }
            });
        }
    });
    wal.close().unwrap();
    let log = std::fs::read(dir.path().join("wal/00000000")).unwrap();
    let complete = series_by_time(&log);
    let ends = ends.lock();
    assert!(!ends.is_empty());
    for end in ends.iter() {
        for (t, series) in series_by_time(&log[..*end as usize]) {
            assert_eq!(series, complete[&t], "request {t} at {end}");
        }
    }
}
