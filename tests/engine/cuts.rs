//! From a log that Prometheus wrote narthex makes the chunks that Prometheus made: cut at the same
//! samples, with the same bytes, headers of counter resets and added buckets included. One bit
//! differs on purpose: see [`is_said_otherwise`].

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use std::collections::BTreeMap;
use std::path::Path;

use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};

use crate::support::{dir, golden};

/// By series and first time: last time, encoding, bytes.
type Chunks = BTreeMap<(u64, i64), (i64, ChunkEncoding, Vec<u8>)>;

/// The chunks of samples in order of a folder.
fn chunks(folder: &Path, quarantine: &Path) -> Chunks {
    let (mut files, _) = HeadChunkStore::open(folder).unwrap();
    let mut found = Vec::new();
    files.for_each(quarantine, |chunk| found.push(chunk)).unwrap();
    let mut chunks = Chunks::new();
    for chunk in found.into_iter().filter(|chunk| !chunk.out_of_order) {
        let bytes = files.read(chunk.chunk_ref).unwrap().as_ref().to_vec();
        chunks.insert((chunk.series.0, chunk.mint), (chunk.maxt, chunk.encoding, bytes));
    }
    chunks
}

/// Where a chunk of float histograms begins because the resolution or the like changed, Prometheus
/// writes that there was no counter reset, which nobody can know; narthex writes that it is
/// unknown, as both do for integer histograms. All else is equal.
fn is_said_otherwise(
    own: &(i64, ChunkEncoding, Vec<u8>),
    their: &(i64, ChunkEncoding, Vec<u8>),
) -> bool {
    const HEADER: usize = 2;
    const NO_RESET: u8 = 0x40;
    let (own_byte, their_byte) = (own.2[HEADER], their.2[HEADER]);
    let is_so = own.1 == ChunkEncoding::FloatHistogram
        && own_byte & 0xc0 == 0
        && their_byte == own_byte | NO_RESET;
    is_so && own.0 == their.0 && own.1 == their.1 && own.2[HEADER + 1..] == their.2[HEADER + 1..]
}

/// Reads a case's log without its chunks, and compares those that are made.
fn are_cut_as_by_prometheus(case: &str, kinds: usize) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let theirs_at = place.path().join("theirs");
    std::fs::rename(data.join("chunks_head"), &theirs_at).unwrap();
    let mut options = DbOptions::new(data.clone());
    options.settings.retention = RetentionSettings {
        time_ms: 0,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    let db = Db::open(options).unwrap();
    db.replay().unwrap();
    db.close().unwrap();
    drop(db);
    let quarantine = place.path().join("quarantine");
    let (ours, theirs) =
        (chunks(&data.join("chunks_head"), &quarantine), chunks(&theirs_at, &quarantine));
    let mut otherwise = 0;
    for (place, chunk) in &theirs {
        let own = ours
            .get(place)
            .unwrap_or_else(|| panic!("{case}: no chunk of series and time {place:?}"));
        if is_said_otherwise(own, chunk) {
            otherwise += 1;
        } else {
            assert_eq!(own, chunk, "{case}: series and time {place:?}");
        }
    }
    let encodings = [ChunkEncoding::Xor, ChunkEncoding::Histogram, ChunkEncoding::FloatHistogram];
    let of =
        |encoding: &ChunkEncoding| theirs.values().filter(|chunk| chunk.1 == *encoding).count();
    assert_eq!(encodings.iter().filter(|encoding| of(encoding) > 0).count(), kinds, "{case}");
    println!("{case}: {} chunks, {otherwise} of them with another word on resets", theirs.len());
    assert!(otherwise * 10 < theirs.len(), "{case}: {otherwise} of {}", theirs.len());
}

#[test]
fn chunks_of_floats_are_those_of_prometheus() {
    are_cut_as_by_prometheus("wal-killed", 1);
}

#[test]
fn chunks_of_every_kind_are_those_of_prometheus() {
    are_cut_as_by_prometheus("all-types-killed", 3);
}
