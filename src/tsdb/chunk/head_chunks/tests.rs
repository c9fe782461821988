//! Tests of head-chunk files: golden files of Prometheus, corruption, failing writes.

use super::error::HeadChunksError;
use super::format::{
    FILE_HEADER, FILE_HEADER_BYTES, HeadChunkFormatError, MAX_FILE, NewChunk, PREALLOCATED,
};
use super::{HeadChunkMeta, HeadChunkStore, ScanReport};
use crate::model::float_sample::FloatSample;
use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::Sample;
use crate::testing::crash_disk::CrashDisk;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
use crate::tsdb::chunk::cut::{ChunkBoundary, CutPolicy};
use crate::tsdb::chunk::xor::{XorChunk, XorIter};
use crate::tsdb::encoding::checksum::crc32c;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::os_disk::OsDisk;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

const WAL_KILLED: &[u8] =
    include_bytes!("../../../../tests/golden/chunks_head/wal-killed-000001.gz");
const OOO_KILLED: &[u8] =
    include_bytes!("../../../../tests/golden/chunks_head/ooo-killed-000001.gz");

/// Temporary data directory with `chunks_head/`.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Creates a directory with one file in `chunks_head/`.
    fn with(number: u32, content: &[u8]) -> Self {
        let data = Self::new();
        data.put(number, content);
        data
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("chunks_head")
    }

    fn quarantine(&self) -> PathBuf {
        self.0.path().join("quarantine")
    }

    fn file(&self, number: u32) -> PathBuf {
        self.dir().join(format!("{number:06}"))
    }

    fn put(&self, number: u32, content: &[u8]) {
        fs::create_dir_all(self.dir()).unwrap();
        fs::write(self.file(number), content).unwrap();
    }

    fn open(&self) -> HeadChunkStore {
        self.open_on(Arc::new(OsDisk))
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> HeadChunkStore {
        HeadChunkStore::open(disk, &self.dir()).unwrap().0
    }

    /// Opens the directory, scans it and reads every chunk.
    fn walk(&self) -> (ScanReport, Vec<Stored>) {
        let mut chunks = self.open();
        let mut metas = Vec::new();
        let report = chunks.for_each(&self.quarantine(), |meta| metas.push(meta)).unwrap();
        let read =
            |meta: HeadChunkMeta| (meta, chunks.read(meta.chunk_ref).unwrap().as_ref().to_vec());
        (report, metas.into_iter().map(read).collect())
    }
}

type Stored = (HeadChunkMeta, Vec<u8>);

/// Chunk that owns its bytes.
#[derive(Clone, Debug)]
struct Owned {
    series: u64,
    mint: i64,
    maxt: i64,
    bytes: Vec<u8>,
}

impl Owned {
    /// Creates a chunk with one sample per second.
    fn new(series: u64, mint: i64, samples: i64) -> Self {
        let mut chunk = XorChunk::new();
        (0..samples).for_each(|i| chunk.append(mint + i * 1000, (series as i64 * i) as f64));
        Self { series, mint, maxt: mint + (samples - 1) * 1000, bytes: chunk.bytes().to_vec() }
    }

    fn as_new(&self) -> NewChunk<'_> {
        let Self { series, mint, maxt, ref bytes } = *self;
        NewChunk {
            series: SeriesRef(series),
            mint,
            maxt,
            encoding: ChunkEncoding::Xor,
            out_of_order: false,
            bytes,
        }
    }

    fn is(&self, (meta, bytes): &Stored) -> bool {
        (meta.series.0, meta.mint, meta.maxt, bytes)
            == (self.series, self.mint, self.maxt, &self.bytes)
            && meta.samples == u16::from_be_bytes([bytes[0], bytes[1]])
            && (meta.encoding, meta.out_of_order) == (ChunkEncoding::Xor, false)
    }
}

fn write(chunks: &HeadChunkStore, owned: &[Owned]) -> Vec<HeadChunkRef> {
    chunks.write(&owned.iter().map(Owned::as_new).collect::<Vec<_>>()).unwrap()
}

fn assert_same(stored: &[Stored], owned: &[Owned]) {
    assert_eq!(stored.len(), owned.len());
    stored.iter().zip(owned).for_each(|(stored, owned)| {
        assert!(owned.is(stored), "stored {stored:?}, expected {owned:?}")
    });
}

fn decompress(gz: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(gz).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Returns a file without trailing zeros and the three small chunks in it.
fn small_file() -> (Vec<u8>, Vec<Owned>) {
    let owned = vec![Owned::new(7, 1000, 3), Owned::new(8, -5000, 1), Owned::new(7, 9000, 2)];
    let mut bytes = FILE_HEADER_BYTES.to_vec();
    owned.iter().for_each(|chunk| chunk.as_new().write_record(&mut bytes));
    (bytes, owned)
}

#[test]
fn golden_files_are_read_and_floats_encode_identically() {
    for (gz, chunks, floats, late) in [(WAL_KILLED, 68, 68, 0), (OOO_KILLED, 171, 53, 32)] {
        let (report, stored) = Data::with(1, &decompress(gz)).walk();
        assert_eq!(report, ScanReport { chunks, ..ScanReport::default() });
        assert_eq!(stored.iter().filter(|(meta, _)| meta.out_of_order).count(), late);
        let floats_found = stored.iter().filter(|(meta, _)| meta.encoding == ChunkEncoding::Xor);
        let again = floats_found.map(|(meta, bytes)| {
            let samples: Vec<FloatSample> = XorIter::new(bytes).collect::<Result<_, _>>().unwrap();
            assert_eq!((samples[0].t, samples[samples.len() - 1].t), (meta.mint, meta.maxt));
            assert_eq!(samples.len(), usize::from(meta.samples));
            let mut chunk = XorChunk::new();
            samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
            assert_eq!(chunk.bytes(), bytes);
        });
        assert_eq!(again.count(), floats);
    }
}

#[test]
fn same_chunks_produce_the_golden_file() {
    let golden = decompress(WAL_KILLED);
    let (_, stored) = Data::with(1, &golden).walk();
    let new = |(meta, bytes): &'_ Stored| Owned {
        series: meta.series.0,
        mint: meta.mint,
        maxt: meta.maxt,
        bytes: bytes.clone(),
    };
    let data = Data::new();
    let chunk_refs = write(&data.open(), &stored.iter().map(new).collect::<Vec<_>>());
    assert_eq!(chunk_refs, stored.iter().map(|(meta, _)| meta.chunk_ref).collect::<Vec<_>>());
    assert!(fs::read(data.file(1)).unwrap() == golden);
}

#[test]
fn cuts_match_prometheus() {
    let (_, stored) = Data::with(1, &decompress(WAL_KILLED)).walk();
    let mut series: BTreeMap<u64, Vec<Vec<FloatSample>>> = BTreeMap::new();
    for (meta, bytes) in stored {
        series
            .entry(meta.series.0)
            .or_default()
            .push(XorIter::new(&bytes).collect::<Result<_, _>>().unwrap());
    }
    let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 120 };
    let mut cuts = 0;
    for chunks in series.values() {
        let mut open: Option<(AnyChunk, ChunkBoundary, i64)> = None;
        for samples in chunks {
            for (i, sample) in samples.iter().enumerate() {
                let asked = open
                    .as_mut()
                    .map(|(chunk, window, mint)| window.must_cut(&policy, chunk, *mint, sample.t));
                assert_eq!(asked.unwrap_or(true), i == 0, "at {}", sample.t);
                let point = Sample::from(*sample);
                if i == 0 {
                    cuts += u32::from(open.is_some());
                    let chunk =
                        AnyChunk::with_first_sample(EncodingPolicy::default(), &point, None);
                    open = Some((chunk, ChunkBoundary::starting_at(&policy, sample.t), sample.t));
                } else {
                    open.as_mut().unwrap().0.append(&point);
                }
            }
        }
    }
    assert!(cuts > 40, "{cuts}");
}

#[test]
fn each_run_creates_a_file_and_scan_finds_all() {
    let data = Data::new();
    let mut all = Vec::new();
    for run in 0..3 {
        let chunks = data.open();
        assert_eq!(fs::read_dir(data.dir()).unwrap().count(), run);
        for n in 0..3 {
            let new: Vec<_> = (0..n)
                .map(|i| Owned::new(i + 1, (run * 100) as i64 * 10_000 + n as i64, 5))
                .collect();
            let chunk_refs = write(&chunks, &new);
            assert!(chunk_refs.iter().all(|at| at.file() as usize == run + 1));
            for (at, new) in chunk_refs.iter().zip(&new) {
                assert_eq!(chunks.read(*at).unwrap().as_ref(), new.bytes);
            }
            all.extend(new);
        }
        assert_eq!(chunks.size().unwrap(), (run as u64 + 1) * PREALLOCATED as u64);
        chunks.sync().unwrap();
    }
    let (report, stored) = data.walk();
    assert_same(&stored, &all);
    assert_eq!(report, ScanReport { chunks: 9, ..ScanReport::default() });
}

#[test]
fn file_truncated_in_its_last_record_is_quarantined() {
    let (bytes, owned) = small_file();
    let last = bytes.len() - owned[2].as_new().record_len();
    for len in last..bytes.len() {
        let data = Data::with(1, &bytes[..len]);
        data.put(2, &bytes);
        let (report, stored) = data.walk();
        if len == last {
            assert_same(&stored, &[&owned[..2], &owned[..]].concat());
            continue;
        }
        // The content ends before a record whose first bytes are zeros.
        if stored.is_empty() {
            let quarantined_files = report.corruption.unwrap();
            assert_eq!(
                (quarantined_files.corruption.path, quarantined_files.corruption.offset),
                (data.file(1), Some(last as u64))
            );
            assert_eq!(
                fs::read(data.quarantine().join("chunks_head.000001")).unwrap(),
                bytes[..len]
            );
            assert_eq!(quarantined_files.moved_to.len(), 2);
            assert!(!data.file(1).exists() && !data.file(2).exists());
        } else {
            assert!(bytes[last..len].iter().all(|&byte| byte == 0));
            assert_same(&stored, &[&owned[..2], &owned[..]].concat());
        }
    }
}

#[test]
fn flipped_bit_never_yields_a_wrong_chunk() {
    let (mut bytes, owned) = small_file();
    bytes.extend([0; 40]);
    let mut quarantined_files = 0;
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (report, stored) = Data::with(1, &bytes).walk();
        quarantined_files += usize::from(report.corruption.is_some());
        match stored.len() {
            // The padding of the header is ignored, as are bits far after the end.
            3 => assert!((40..64).contains(&bit) || bit / 8 >= bytes.len() - 40 + 24),
            n => assert!(n == 0 && report.corruption.is_some()),
        }
        assert!(stored.iter().all(|chunk| owned.iter().any(|owned| owned.is(chunk))));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(quarantined_files > (bytes.len() - 40 - 8) * 8);
}

#[test]
fn corrupted_file_and_later_ones_are_quarantined() {
    let (bytes, owned) = small_file();
    let data = Data::with(4, &bytes);
    let mut corrupted = bytes.clone();
    corrupted[20] ^= 1;
    data.put(5, &corrupted);
    data.put(6, &bytes);
    fs::create_dir_all(data.quarantine()).unwrap();
    fs::write(data.quarantine().join("chunks_head.000005"), "older").unwrap();
    let mut chunks = data.open();
    let mut stored = 0;
    let report = chunks.for_each(&data.quarantine(), |_| stored += 1).unwrap();
    assert_eq!(stored, 3);
    let text = report.corruption.as_ref().unwrap().corruption.to_string();
    assert!(
        text.contains("chunks_head/000005 at offset 8: checksum mismatch: stored 0x"),
        "{text}"
    );
    let moved =
        ["chunks_head.000006", "chunks_head.000005.1"].map(|name| data.quarantine().join(name));
    assert_eq!(report.corruption.unwrap().moved_to, moved);
    assert_eq!(moved.map(|path| fs::read(path).unwrap()), [bytes, corrupted]);
    assert_eq!(fs::read(data.quarantine().join("chunks_head.000005")).unwrap(), b"older");
    // The next write reuses the file number.
    assert_eq!(write(&chunks, &owned)[0], HeadChunkRef::new(5, 8));
    assert_eq!(data.walk().1.len(), 6);
}

#[test]
fn invalid_file_headers_are_corruption() {
    let (bytes, _) = small_file();
    let fault = |content: &[u8]| {
        Data::with(1, content).walk().0.corruption.map(|files| files.corruption.cause)
    };
    assert_eq!(fault(&bytes[..5]), Some(HeadChunkFormatError::FileLength(5)));
    assert_eq!(fault(&bytes[..8]), None);
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(fault(&changed(0, 2)), Some(HeadChunkFormatError::Magic(0x0230_bc91)));
    assert_eq!(fault(&changed(4, 2)), Some(HeadChunkFormatError::Version(2)));
    let mut no_magic = vec![0; 100];
    no_magic[99] = 1;
    assert_eq!(fault(&no_magic), Some(HeadChunkFormatError::Magic(0)));
}

#[test]
fn unknown_encodings_are_skipped_other_defects_are_corruption() {
    let good = Owned::new(3, 50, 4);
    let record = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        good.as_new().write_record(&mut bytes);
        bytes.truncate(bytes.len() - 4);
        change(&mut bytes);
        let sum = crc32c(&bytes);
        bytes.extend(sum.to_be_bytes());
        Data::with(1, &[&FILE_HEADER_BYTES[..], &bytes, &[0; 10]].concat()).walk()
    };
    let fault = |change: &dyn Fn(&mut Vec<u8>)| {
        record(change).0.corruption.map(|files| files.corruption.cause)
    };
    assert_eq!(fault(&|_| {}), None);
    assert_eq!(fault(&|bytes| bytes[7] = 0), Some(HeadChunkFormatError::NoSeries));
    assert_eq!(fault(&|bytes| bytes[15] = 255), None);
    assert_eq!(
        fault(&|bytes| bytes[14] = 255),
        Some(HeadChunkFormatError::InvalidTimeRange { mint: 65_330, maxt: 3050 })
    );
    assert_eq!(
        fault(&|bytes| bytes[16] = 1),
        Some(HeadChunkFormatError::InvalidTimeRange { mint: 50, maxt: (1 << 56) + 3050 })
    );
    assert_eq!(fault(&|bytes| bytes[25] = 0x7f), Some(HeadChunkFormatError::Truncated));
    assert_eq!(
        fault(&|bytes| bytes.splice(25..26, [0x80; 5]).for_each(drop)),
        Some(HeadChunkFormatError::InvalidLength)
    );
    assert_eq!(
        fault(&|bytes| {
            bytes.truncate(27);
            bytes[25] = 1
        }),
        Some(HeadChunkFormatError::ChunkTooShort(1))
    );
    let (newer, stored) = record(&|bytes| bytes[24] = 9);
    assert_eq!(
        (newer, stored.len()),
        (ScanReport { unknown_encodings: 1, ..ScanReport::default() }, 0)
    );
    let (empty, stored) = record(&|bytes| bytes[26..28].fill(0));
    assert_eq!((empty, stored.len()), (ScanReport::default(), 0));
    let (_, late) = record(&|bytes| bytes[24] |= 0x80);
    assert!(late[0].0.out_of_order);
    let (_, start_times) = record(&|bytes| (bytes[24], bytes[26]) = (5, 0xc0));
    assert_eq!(
        (start_times[0].0.encoding, start_times[0].0.samples),
        (ChunkEncoding::HistogramSt, 4)
    );
}

#[test]
fn unwritten_last_file_is_removed() {
    let (bytes, _) = small_file();
    for content in [&[][..], &[0; 3], &[0; PREALLOCATED]] {
        let data = Data::with(1, &bytes);
        data.put(2, content);
        let (chunks, opened) = HeadChunkStore::open(Arc::new(OsDisk), &data.dir()).unwrap();
        assert_eq!(opened.removed_empty, Some(data.file(2)));
        assert!(!data.file(2).exists());
        drop(chunks);
        assert_eq!(data.walk().1.len(), 3);
    }
}

#[test]
fn files_after_a_gap_are_quarantined() {
    let (bytes, owned) = small_file();
    for (second, third, expected) in [
        (5, 6, "chunks_head/000005 at offset 0: missing previous file 000004"),
        (4, 9, "chunks_head/000009 at offset 0: missing previous file 000005"),
    ] {
        let data = Data::with(3, &bytes);
        data.put(second, &bytes);
        data.put(third, &bytes);
        fs::write(data.dir().join("not-a-number"), "").unwrap();
        let mut chunks = data.open();
        let mut stored = Vec::new();
        let report = chunks.for_each(&data.quarantine(), |meta| stored.push(meta)).unwrap();
        let quarantined_files = report.corruption.unwrap();
        assert!(
            quarantined_files.corruption.to_string().ends_with(expected),
            "{}",
            quarantined_files.corruption
        );
        let usable = if second == 4 { 2 } else { 1 };
        assert_eq!((stored.len(), quarantined_files.moved_to.len()), (3 * usable, 3 - usable));
        assert!(quarantined_files.moved_to.iter().all(|path| fs::read(path).unwrap() == bytes));
        // The chunks of the quarantined files can still be read.
        let quarantined = chunks.take_quarantined();
        assert_eq!(quarantined.iter().count(), 3 * (3 - usable));
        let times: Vec<_> =
            quarantined.iter().take(3).map(|chunk| quarantined.times(chunk)).collect();
        assert_eq!(times, [vec![1000, 2000, 3000], vec![-5000], vec![9000, 10_000]]);
        // The next write closes the gap.
        assert_eq!(write(&chunks, &owned)[0], HeadChunkRef::new(3 + usable as u32, 8));
        drop(chunks);
        assert_eq!(
            data.walk().0,
            ScanReport { chunks: 3 * (usable as u64 + 1), ..ScanReport::default() }
        );
    }
}

#[test]
fn file_with_duplicate_number_is_quarantined() {
    let (bytes, _) = small_file();
    let data = Data::with(3, &bytes);
    fs::write(data.dir().join("3"), &bytes).unwrap();
    let (report, stored) = data.walk();
    assert_eq!(
        (stored.len(), report.corruption.unwrap().corruption.cause),
        (3, HeadChunkFormatError::Twice)
    );
    assert_eq!(fs::read_dir(data.dir()).unwrap().count(), 1);
}

#[test]
fn quarantined_chunks_before_corruption_are_readable() {
    let (mut bytes, owned) = small_file();
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    let data = Data::with(1, &bytes);
    let mut chunks = data.open();
    chunks.for_each(&data.quarantine(), |_| panic!("corrupted file must not be used")).unwrap();
    let quarantined = chunks.take_quarantined();
    assert_eq!(
        quarantined.iter().map(|chunk| chunk.mint).collect::<Vec<_>>(),
        [owned[0].mint, owned[1].mint]
    );
}

#[test]
fn invalid_references_are_errors() {
    let data = Data::new();
    let chunks = data.open();
    let at = write(&chunks, &[Owned::new(1, 0, 9)])[0];
    let read = |file, offset| chunks.read(HeadChunkRef::new(file, offset));
    let missing = read(2, 8).unwrap_err();
    assert_eq!(missing.cause, HeadChunkFormatError::MissingFile);
    assert_eq!(missing.path, data.file(2));
    let end = at.offset() + Owned::new(1, 0, 9).as_new().record_len() as u32;
    for offset in (0..8).chain(9..end + 100).chain([PREALLOCATED as u32, MAX_FILE as u32, u32::MAX])
    {
        assert!(matches!(
            read(1, offset),
            Err(corruption) if corruption.offset == Some(u64::from(offset))
        ));
    }
}

#[test]
fn chunk_corrupted_after_startup_fails_to_read() {
    let data = Data::new();
    let chunks = data.open();
    let owned = Owned::new(1, 0, 9);
    let at = write(&chunks, &[owned.clone(), owned])[1];
    let file = fs::OpenOptions::new().write(true).open(data.file(1)).unwrap();
    file.write_all_at(&[0xee], u64::from(at.offset()) + 30).unwrap();
    assert!(matches!(
        chunks.read(at),
        Err(corruption)
            if matches!(corruption.cause, HeadChunkFormatError::Checksum { .. })
    ));
    assert!(chunks.read(HeadChunkRef::new(1, 8)).is_ok());
}

#[test]
fn failed_write_is_overwritten_by_the_next() {
    let data = Data::new();
    let disk = CrashDisk::new();
    let chunks = data.open_on(Arc::new(disk.clone()));
    let (first, second) = (Owned::new(1, 0, 9), Owned::new(2, 0, 9));
    write(&chunks, std::slice::from_ref(&first));
    disk.set_power(0);
    let place = FILE_HEADER + first.as_new().record_len();
    for _ in 0..2 {
        let error = chunks.write(&[Owned::new(9, 0, 200).as_new()]).unwrap_err();
        assert!(
            matches!(error, HeadChunksError::Write { offset, .. } if offset == place as u64),
            "{error}"
        );
    }
    assert!(chunks.read(HeadChunkRef::new(1, place as u32)).is_err());
    // Simulates that part of the large chunk reached the file before the write failed.
    disk.set_power(u64::MAX);
    let file = Arc::clone(&chunks.writer.lock().current.as_ref().unwrap().file);
    file.write_at(&[0xaa; 300], place as u64).unwrap();
    assert_eq!(write(&chunks, std::slice::from_ref(&second)), [HeadChunkRef::new(1, place as u32)]);
    let (report, stored) = data.walk();
    assert_eq!(report.corruption, None);
    assert_same(&stored, &[first, second]);
}

#[test]
fn failed_file_creation_is_retried() {
    let data = Data::new();
    let chunks = data.open();
    let owned = Owned::new(1, 0, 9);
    fs::create_dir(data.file(1)).unwrap();
    assert!(matches!(
        chunks.write(&[owned.as_new()]),
        Err(HeadChunksError::Io { step: "create", .. })
    ));
    fs::remove_dir(data.file(1)).unwrap();
    assert_eq!(write(&chunks, &[owned]), [HeadChunkRef::new(1, 8)]);
}

#[test]
fn full_file_is_followed_by_a_new_one() {
    let data = Data::new();
    let chunks = data.open();
    let owned = [Owned::new(1, 0, 9), Owned::new(2, 0, 9)];
    write(&chunks, &owned[..1]);
    {
        // A sparse file instead of 128 MiB of chunks.
        let mut writer = chunks.writer.lock();
        let current = writer.current.as_mut().unwrap();
        current.end =
            MAX_FILE - owned.iter().map(|chunk| chunk.as_new().record_len()).sum::<usize>() + 1;
        current.file.truncate(current.end as u64).unwrap();
    }
    let chunk_refs = write(&chunks, &owned);
    assert_eq!(chunk_refs[0], HeadChunkRef::new(2, 8));
    assert_eq!(chunks.read(chunk_refs[1]).unwrap().as_ref(), owned[1].bytes);
    assert_eq!(write(&chunks, &owned)[0].file(), 2);
}

#[test]
fn oversized_chunks_are_rejected() {
    let chunks = Data::new().open();
    let bytes = vec![0; MAX_FILE];
    let mut large = NewChunk { bytes: &bytes, ..Owned::new(1, 0, 1).as_new() };
    let refused = |chunk: NewChunk<'_>| {
        matches!(chunks.write(&[chunk]), Err(HeadChunksError::ChunkTooLarge { .. }))
    };
    assert!(refused(large));
    large.bytes = &bytes[..10];
    assert!(refused(NewChunk { series: SeriesRef(0), ..large }));
}

#[test]
fn truncation_keeps_chunks_that_were_read() {
    let data = Data::new();
    for _ in 0..3 {
        write(&data.open(), &[Owned::new(1, 0, 9)]);
    }
    let chunks = data.open();
    let chunk_refs = write(&chunks, &[Owned::new(4, 0, 9)]);
    assert_eq!(chunk_refs, [HeadChunkRef::new(4, 8)]);
    let pinned = chunks.read(HeadChunkRef::new(1, 8)).unwrap();
    assert_eq!(chunks.truncate_before(3).unwrap(), 2);
    assert!(!data.file(1).exists() && !data.file(2).exists() && data.file(3).exists());
    assert_eq!(pinned.as_ref(), Owned::new(1, 0, 9).bytes);
    let missing = chunks.read(HeadChunkRef::new(1, 8)).unwrap_err();
    assert_eq!(missing.cause, HeadChunkFormatError::MissingFile);
    // The active file stays until another one begins.
    assert_eq!(write(&chunks, &[Owned::new(5, 0, 9)]), [HeadChunkRef::new(5, 8)]);
    assert_eq!(chunks.truncate_before(9).unwrap(), 2);
    assert!(!data.file(4).exists() && data.file(5).exists());
    assert_eq!(chunks.size().unwrap(), PREALLOCATED as u64);
    assert_eq!(data.walk().1.len(), 1);
}

#[test]
fn readers_see_complete_chunks_during_writes() {
    let data = Data::new();
    let chunks = data.open();
    let published = parking_lot::Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2u64 {
            let (chunks, published, done) = (&chunks, &published, &done);
            scope.spawn(move || {
                let mut reads = seed;
                while !done.load(Ordering::Relaxed) || reads < 1000 {
                    let known: Vec<(HeadChunkRef, Owned)> = published.lock().clone();
                    for (at, owned) in known.iter().rev().take(5) {
                        assert_eq!(chunks.read(*at).unwrap().as_ref(), owned.bytes);
                    }
                    reads += 1;
                }
            });
        }
        for i in 0..300 {
            let owned: Vec<_> =
                (1..5).map(|series| Owned::new(series, i * 1_000_000, 100 + i % 20)).collect();
            let chunk_refs = write(&chunks, &owned);
            published.lock().extend(chunk_refs.into_iter().zip(owned));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(data.walk().1.len(), 1200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn written_chunks_are_scanned_and_read(
        runs in proptest::collection::vec(
            proptest::collection::vec(
                proptest::collection::vec(
                    (1..u64::MAX, any::<i32>(), 1..200i64, any::<u16>()),
                    0..6,
                ),
                0..4,
            ),
            1..4,
        ),
    ) {
        let data = Data::new();
        let mut all = Vec::new();
        for run in runs {
            let chunks = data.open();
            for batch in run {
                let batch: Vec<Owned> = batch.into_iter().map(|(series, mint, samples, padding)| {
                    let mut owned = Owned::new(series % 1000 + 1, mint.into(), samples);
                    owned.series = series;
                    owned.bytes.extend(vec![0x5a; usize::from(padding % 20_000)]);
                    owned
                }).collect();
                let chunk_refs = write(&chunks, &batch);
                for (at, owned) in chunk_refs.iter().zip(&batch) {
                    let read = chunks.read(*at).unwrap();
                    prop_assert_eq!(read.as_ref(), &owned.bytes[..]);
                    prop_assert_eq!(read.encoding(), ChunkEncoding::Xor);
                }
                all.extend(batch);
            }
        }
        let (report, stored) = data.walk();
        prop_assert_eq!(report.corruption, None);
        assert_same(&stored, &all);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..300u32,
    ) {
        let data = Data::with(1, &[&FILE_HEADER_BYTES[..], &bytes].concat());
        let _ = data.open().read(HeadChunkRef::new(1, at));
        data.walk();
    }
}

#[test]
fn errors_include_path_and_offset() {
    let corruption =
        super::HeadChunkCorruption::at("/d/000001", 8, HeadChunkFormatError::Truncated);
    assert_eq!(corruption.to_string(), "/d/000001 at offset 8: record is truncated");
}
