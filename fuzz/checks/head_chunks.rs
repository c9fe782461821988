//! Files of `chunks_head/`: returned chunks can be read, corrupted files are quarantined, and a
//! second start finds the same chunks.
//!
//! The directory has the bytes twice: 000001 with correct magic number and checksums, 000002
//! unchanged.

use narthex::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use narthex::tsdb::chunk::head_chunks::{HeadChunkMeta, HeadChunkStore, ScanReport};
use narthex::tsdb::chunk::mapped_chunk::MAX_SPAN_MS;
use narthex::tsdb::encoding::checksum::crc32c;
use narthex::tsdb::fs::os_disk::OsDisk;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Magic number, version 1, padding.
const HEADER: [u8; 8] = [0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];

/// Length of series, mint and maxt. All are zero after the last record.
const TIMES_END: usize = 24;

/// Panics if a start loses an intact chunk or drops one without a report.
pub(crate) fn check(data: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (dir, quarantine) = (place.path().join("chunks_head"), place.path().join("quarantine"));
    fs::create_dir(&dir).expect("cannot create directory");
    let written = [("000001", with_checksums(data)), ("000002", data.to_vec())];
    for (name, bytes) in &written {
        fs::write(dir.join(name), bytes).expect("cannot write file");
    }

    let (chunks, walked) = walk(&dir, &quarantine);
    if let Some(quarantined) = &walked.corruption {
        let damaged =
            written.iter().find(|(name, _)| quarantined.corruption.path == dir.join(name));
        let (_, bytes) = damaged.expect("corruption must be in an existing file");
        assert!(quarantined.corruption.offset <= Some(bytes.len() as u64));
        let moved = quarantined.moved_to.last().expect("corrupted file must be moved");
        assert_eq!(&fs::read(moved).expect("cannot read moved file"), bytes);
        assert!(!quarantined.corruption.path.exists());
    }
    let (chunks_again, walked_again) = walk(&dir, &quarantine);
    assert_eq!(chunks_again, chunks);
    assert_eq!(walked_again, ScanReport { corruption: None, ..walked });
}

/// Opens the directory, scans it and reads every chunk.
fn walk(dir: &Path, quarantine: &Path) -> (Vec<(HeadChunkMeta, Vec<u8>)>, ScanReport) {
    let (mut chunks, _) =
        HeadChunkStore::open(Arc::new(OsDisk), dir).expect("cannot open directory");
    let mut found = Vec::new();
    let walked = chunks.for_each(quarantine, |meta| found.push(meta)).expect("cannot move files");
    assert_eq!(walked.chunks, found.len() as u64);
    let read = |meta: HeadChunkMeta| {
        assert!(meta.series.0 != 0 && meta.samples != 0);
        assert!(
            meta.maxt
                .checked_sub(meta.mint)
                .is_some_and(|span| (0..=MAX_SPAN_MS as i64).contains(&span))
        );
        let chunk = chunks.read(meta.chunk_ref).expect("returned chunk must be readable");
        assert_eq!(chunk.encoding(), meta.encoding);
        if let Some(encoding) = FloatEncoding::from_chunk_encoding(meta.encoding) {
            let samples =
                FloatIter::new(encoding, chunk.as_ref()).take_while(Result::is_ok).count();
            assert!(samples <= usize::from(meta.samples));
        }
        (meta, chunk.as_ref().to_vec())
    };
    (found.into_iter().map(read).collect(), walked)
}

/// Returns the bytes after a magic number, with the correct checksum for every record that ends
/// within them.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    file.resize(file.len().max(HEADER.len()), 0);
    file[..HEADER.len()].copy_from_slice(&HEADER);
    let mut start = HEADER.len();
    while let Some(sum_at) = chunk_end(&file[start..]).map(|end| start + end) {
        let sum = crc32c(&file[start..sum_at]).to_be_bytes();
        let Some(place) = file.get_mut(sum_at..sum_at + sum.len()) else { break };
        place.copy_from_slice(&sum);
        start = sum_at + sum.len();
    }
    file
}

/// Returns the end of the first record's chunk; `None` without a complete record.
fn chunk_end(records: &[u8]) -> Option<usize> {
    if records.get(..TIMES_END)?.iter().all(|&byte| byte == 0) {
        return None;
    }
    let length = records.get(TIMES_END + 1..)?;
    let mut chunk = 0;
    for (i, byte) in length.iter().take(5).enumerate() {
        chunk |= usize::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            let end = TIMES_END + 1 + i + 1 + chunk;
            return (end <= records.len()).then_some(end);
        }
    }
    None
}
