//! Chunks that narthex cuts from a WAL of Prometheus are those of Prometheus: cut at the same
//! samples, with the same bytes, including counter reset headers and added buckets. One bit differs
//! on purpose, see [`differs_in_reset_header`].

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use std::collections::BTreeMap;
use std::path::Path;

use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};

use crate::support::{dir, golden};
use narthex::tsdb::fs::os_disk::OsDisk;
use std::sync::Arc;

/// Last timestamp, encoding and bytes of each chunk, by series and first timestamp.
type Chunks = BTreeMap<(u64, i64), (i64, ChunkEncoding, Vec<u8>)>;

/// Returns the in-order chunks of a directory.
fn chunks(dir: &Path, quarantine: &Path) -> Chunks {
    let (mut files, _) = HeadChunkStore::open(Arc::new(OsDisk), dir).unwrap();
    let mut found = Vec::new();
    files.for_each(quarantine, |chunk| found.push(chunk)).unwrap();
    let mut chunks = Chunks::new();
    for chunk in found.into_iter().filter(|chunk| !chunk.out_of_order) {
        let bytes = files.read(chunk.chunk_ref).unwrap().as_ref().to_vec();
        chunks.insert((chunk.series.0, chunk.mint), (chunk.maxt, chunk.encoding, bytes));
    }
    chunks
}

/// Returns `true` if two float histogram chunks differ only in the counter reset header.
///
/// If a chunk starts because of a new schema or threshold, Prometheus writes "no counter reset",
/// which cannot be known. narthex writes "unknown", as both do for integer histograms.
fn differs_in_reset_header(
    own: &(i64, ChunkEncoding, Vec<u8>),
    their: &(i64, ChunkEncoding, Vec<u8>),
) -> bool {
    const HEADER: usize = 2;
    const NO_RESET: u8 = 0x40;
    let (own_byte, their_byte) = (own.2[HEADER], their.2[HEADER]);
    let has_other_header = own.1 == ChunkEncoding::FloatHistogram
        && own_byte & 0xc0 == 0
        && their_byte == own_byte | NO_RESET;
    has_other_header
        && own.0 == their.0
        && own.1 == their.1
        && own.2[HEADER + 1..] == their.2[HEADER + 1..]
}

/// Replays the WAL of a case without its chunks, and compares the new chunks with them.
fn assert_cut_as_prometheus(case: &str, kinds: usize) {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    let theirs_at = temp_dir.path().join("theirs");
    std::fs::rename(data.join("chunks_head"), &theirs_at).unwrap();
    let mut options = DbOptions::new(data.clone());
    options.settings.retention = RetentionSettings {
        time_ms: 0,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
    db.close().unwrap();
    drop(db);
    let quarantine = temp_dir.path().join("quarantine");
    let (ours, theirs) =
        (chunks(&data.join("chunks_head"), &quarantine), chunks(&theirs_at, &quarantine));
    let mut num_other_headers = 0;
    for (key, chunk) in &theirs {
        let own = ours
            .get(key)
            .unwrap_or_else(|| panic!("{case}: no chunk of series and timestamp {key:?}"));
        if differs_in_reset_header(own, chunk) {
            num_other_headers += 1;
        } else {
            assert_eq!(own, chunk, "{case}: series and timestamp {key:?}");
        }
    }
    let encodings = [ChunkEncoding::Xor, ChunkEncoding::Histogram, ChunkEncoding::FloatHistogram];
    let of =
        |encoding: &ChunkEncoding| theirs.values().filter(|chunk| chunk.1 == *encoding).count();
    assert_eq!(encodings.iter().filter(|encoding| of(encoding) > 0).count(), kinds, "{case}");
    println!("{case}: {} chunks, {num_other_headers} with another reset header", theirs.len());
    assert!(num_other_headers * 10 < theirs.len(), "{case}: {num_other_headers} other headers");
}

#[test]
fn float_chunks_match_prometheus() {
    assert_cut_as_prometheus("wal-killed", 1);
}

#[test]
fn chunks_of_all_types_match_prometheus() {
    assert_cut_as_prometheus("all-types-killed", 3);
}
