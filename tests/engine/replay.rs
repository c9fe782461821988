//! Replay of rare states: a series with two references, chunk files that could not be written,
//! blocks without `meta.json`, and a gap between checkpoint and WAL.

use crate::support::engine::everything;
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::refs::SeriesRef;
use narthex::model::sample::Sample;
use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::chunk::head_chunks::format::NewChunk;
use narthex::tsdb::chunk::xor::XorChunk;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::wal::batch::LogBatch;
use narthex::tsdb::wal::compression::RecordCompression;
use narthex::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const START: i64 = 1_700_000_000_000;

fn open(dir: &Path) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.samples_per_chunk = 20;
    LockedDir::open(options)
        .expect("an unlocked directory")
        .into_recovery()
        .run()
        .expect("a valid directory")
        .db
}

fn labels() -> Labels {
    LabelsBuilder::from_iter([("__name__", "returned"), ("job", "test")])
        .build()
        .expect("valid labels")
}

fn samples(numbers: std::ops::Range<i64>) -> Vec<FloatSample> {
    numbers.map(|i| FloatSample::new(START + i * 1000, i as f64)).collect()
}

fn append(db: &Db, numbers: std::ops::Range<i64>) {
    let mut appender = db.appender().expect("a writable database");
    appender
        .append_or_create(&labels(), samples(numbers).into_iter().map(Sample::from), |_, why| {
            panic!("{why:?}")
        })
        .expect("no limit");
    appender.commit().expect("a working disk");
}

fn assert_has(db: &Db, numbers: std::ops::Range<i64>, context: &str) {
    let read = everything(db).remove(&labels().to_string()).unwrap_or_default();
    let expected: Vec<_> = samples(numbers).iter().map(|s| (s.t, s.v.to_bits())).collect();
    assert_eq!(read.len(), expected.len(), "{context}");
    assert_eq!(read, expected, "{context}");
}

/// Writes the WAL of a Prometheus that collected a series and created it again: reference 5 with
/// samples 0 to 10, then reference 9 with 10 to 70, of which 10 to 50 are also in `chunks_head/`.
fn write_two_references(dir: &Path) {
    let wal = Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::Snappy,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    })
    .expect("a new WAL");
    for (reference, numbers) in [(5, 0..10), (9, 10..70)] {
        let mut batch = LogBatch::default();
        batch.push_series(SeriesRef(reference), &labels());
        samples(numbers)
            .into_iter()
            .for_each(|sample| batch.push_float_sample(SeriesRef(reference), sample));
        wal.enqueue(&mut batch);
    }
    wal.close().expect("a working disk");
    let (chunks, _) =
        HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).expect("a new directory");
    for numbers in [10..30, 30..50] {
        let mut chunk = XorChunk::new();
        let samples = samples(numbers);
        samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
        let (mint, maxt) = (samples[0].t, samples[samples.len() - 1].t);
        let bytes = chunk.bytes();
        chunks
            .write(&[NewChunk {
                series: SeriesRef(9),
                mint,
                maxt,
                encoding: ChunkEncoding::Xor,
                out_of_order: false,
                bytes,
            }])
            .expect("a working disk");
    }
}

#[test]
fn series_with_two_references_is_complete_at_every_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_two_references(dir.path());
    let db = open(dir.path());
    assert_has(&db, 0..70, "first start");
    // Chunks of new samples are written with the first reference.
    append(&db, 70..200);
    assert_has(&db, 0..200, "after more samples");
    drop(db);
    for start in 2..5 {
        let db = open(dir.path());
        assert_has(&db, 0..200, &format!("start {start}"));
        if start == 3 {
            db.close().expect("a working disk");
        }
    }
    let db = open(dir.path());
    append(&db, 200..300);
    drop(db);
    assert_has(&open(dir.path()), 0..300, "after more samples and another start");
}

#[test]
fn unwritable_chunks_stay_readable_and_are_written_later() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let chunks_dir = dir.path().join("chunks_head");
    let db = open(dir.path());
    fs::remove_dir_all(&chunks_dir).expect("the directory exists");
    append(&db, 0..300);
    assert_has(&db, 0..300, "without chunks_head");
    let stats = db.head().stats();
    let mapped = || stats.chunks_mapped.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(mapped(), 0);
    fs::create_dir(&chunks_dir).expect("the directory is missing");
    append(&db, 300..400);
    assert!(mapped() >= 10, "{} chunks mapped", mapped());
    assert_has(&db, 0..400, "with chunks_head");
    drop(db);
    assert_has(&open(dir.path()), 0..400, "after a start");
}

#[test]
fn block_with_invalid_meta_json_does_not_stop_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, meta) in
        [("01M82CTXRBSZKSA9A0ZWVPK1T0", None), ("01M82CTXT0GFC3YYDVB8TNCXWR", Some("{"))]
    {
        fs::create_dir(dir.path().join(name)).expect("a new directory");
        if let Some(meta) = meta {
            fs::write(dir.path().join(name).join("meta.json"), meta).expect("a working disk");
        }
    }
    let db = open(dir.path());
    append(&db, 0..10);
    assert_has(&db, 0..10, "with invalid blocks");
}

#[test]
fn missing_segment_after_checkpoint_stops_start_and_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_two_references(dir.path());
    fs::create_dir(dir.path().join("wal/checkpoint.00000003")).expect("a new directory");
    fs::rename(dir.path().join("wal/00000000"), dir.path().join("wal/00000005"))
        .expect("the segment exists");
    let locked = LockedDir::open(DbOptions::new(dir.path().to_owned()));
    let recovery = locked.expect("an unlocked directory").into_recovery();
    let error = recovery.run().expect_err("segment 4 is missing").to_string();
    assert!(error.contains("segment 00000004 is missing before 00000005"), "{error}");
}
