//! The directory `chunks_head/`: sealed chunks of the head, in numbered memory-mapped files.
//!
//! | file | content |
//! |---|---|
//! | [`error`] | errors |
//! | [`files`] | files of the directory: list, open, check, quarantine |
//! | [`mod@format`] | bytes of a file |
//! | `writer` | file that grows |
//!
//! Files have consecutive numbers from 000001 and at most 128 MiB. A process writes to a new file,
//! which it creates at its first write. The WAL holds the same samples as long as the head does.
//! Therefore a failed write loses nothing, a file is synced only when it is full, and a corrupted
//! file is quarantined with all later ones instead of being repaired.
//!
//! # Invariants
//! - A [`HeadChunkRef`] from [`HeadChunkStore::write`] or [`HeadChunkStore::for_each`] is readable
//!   until [`HeadChunkStore::truncate_before`] removes its file. A [`HeadChunk`] stays readable
//!   even then.
//! - Bytes are visible to readers only after they are written, and never change afterwards.
//!
//! # Locking
//! The writer's mutex is held for a write; the lock of the file set is held for a lookup or for the
//! change of one entry. They are acquired in this order. A read acquires the lock of the file set
//! only.

pub mod error;
pub mod files;
pub mod format;
mod writer;

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::head_chunks::error::{HeadChunkCorruption, HeadChunksError};
use crate::tsdb::chunk::head_chunks::files::{
    ChunkDirReport, ChunkFile, ChunkFileSet, QuarantinedFile,
};
use crate::tsdb::chunk::head_chunks::format::{
    FILE_HEADER, HeadChunkFormatError, HeadChunkRecord, MAX_FILE, NewChunk,
};
use crate::tsdb::chunk::head_chunks::writer::HeadChunkWriter;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::mmap::MappedFile;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Metadata of a stored chunk, known without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadChunkMeta {
    /// Series of the chunk.
    pub series: SeriesRef,
    /// Location of the record in `chunks_head/`.
    pub chunk_ref: HeadChunkRef,
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms; at most [`crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS`]
    /// after `mint`.
    pub maxt: i64,
    /// Number of samples, not 0.
    pub samples: u16,
    /// Codec of the chunk.
    pub encoding: ChunkEncoding,
    /// `true` if the samples are out of order.
    pub out_of_order: bool,
}

/// Stored chunk. Its bytes stay mapped as long as this value lives.
#[derive(Clone, Debug)]
pub struct HeadChunk {
    file: Arc<MappedFile>,
    data: Range<usize>,
    encoding: ChunkEncoding,
}

impl HeadChunk {
    /// Returns the codec of the chunk.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        self.encoding
    }
}

/// Returns the encoded samples.
impl AsRef<[u8]> for HeadChunk {
    fn as_ref(&self) -> &[u8] {
        &self.file.bytes()[self.data.clone()]
    }
}

/// Counts and corruption that [`HeadChunkStore::for_each`] found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Number of visited chunks.
    pub chunks: u64,
    /// Number of skipped chunks whose encoding this version does not know.
    pub unknown_encodings: u64,
    /// First corruption, at which the scan ended.
    pub corruption: Option<QuarantinedChunkFiles>,
}

/// Corruption, and the files that were moved to the quarantine because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedChunkFiles {
    /// Defect, with the path that the file had before.
    pub corruption: HeadChunkCorruption,
    /// New paths of the corrupted file and all later ones, newest first.
    pub moved_to: Vec<PathBuf>,
}

/// Readable chunks of the quarantined files, up to the first corruption of each. They are compared
/// with the head after WAL replay and are not visible to queries.
///
/// The files stay mapped as long as this value lives, even if they are moved.
#[derive(Debug, Default)]
pub struct QuarantinedChunks {
    chunks: Vec<HeadChunkMeta>,
    files: BTreeMap<u32, Arc<MappedFile>>,
}

impl QuarantinedChunks {
    /// Collects the chunks of `moved`, which lists the newest file first.
    fn of(moved: Vec<QuarantinedFile>) -> Self {
        let mut quarantined = Self::default();
        for QuarantinedFile { number, mapped, .. } in moved.into_iter().rev() {
            let Some(mapped) = mapped else { continue };
            let readable = files::readable_prefix(mapped.bytes());
            visit_file(number, readable, &mut ScanReport::default(), &mut |chunk| {
                quarantined.chunks.push(chunk)
            });
            quarantined.files.insert(number, mapped);
        }
        quarantined
    }

    /// Iterates over the chunks in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, HeadChunkMeta> {
        self.chunks.iter()
    }

    /// Returns the timestamps of the samples of a chunk, ms, ascending. The list is empty if the
    /// chunk cannot be read.
    #[must_use]
    pub fn times(&self, chunk: &HeadChunkMeta) -> Vec<i64> {
        let bytes = self.files.get(&chunk.chunk_ref.file()).map_or(&[][..], |file| file.bytes());
        let record = bytes.get(chunk.chunk_ref.offset() as usize..).unwrap_or_default();
        let Ok((encoding, data)) = read_record(record) else { return Vec::new() };
        AnyChunkIter::new(encoding, &record[data])
            .map_while(|sample| sample.ok().map(|sample| sample.t))
            .collect()
    }
}

/// Open directory `chunks_head/`: mapped files and the writer.
#[derive(Debug)]
pub struct HeadChunkStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    files: RwLock<ChunkFileSet>,
    writer: Mutex<HeadChunkWriter>,
    /// Chunks of the files that [`Self::for_each`] moved to the quarantine.
    quarantined: QuarantinedChunks,
}

impl HeadChunkStore {
    /// Opens the directory `dir`, creates it if missing, and maps its files.
    ///
    /// A last file without content, which a crash after its creation leaves behind, is removed. The
    /// content of files is not checked: [`Self::for_each`] does, and it also quarantines files
    /// after a gap.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`] if the directory cannot be used, or if a file cannot be mapped for a
    /// reason other than its content.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<(Self, ChunkDirReport), HeadChunksError> {
        let (files, opened) = files::open_all(&*disk, dir)?;
        let writer = Mutex::new(HeadChunkWriter::after(files.last_number()));
        let quarantined = QuarantinedChunks::default();
        let (dir, files) = (dir.to_owned(), RwLock::new(files));
        Ok((Self { disk, dir, files, writer, quarantined }, opened))
    }

    /// Visits every chunk, file by file, in the order in which they were written. Must be called
    /// once, before the first write.
    ///
    /// A file is checked completely before any of its chunks is visited. If it is corrupted, or an
    /// earlier file is missing, it and all later files are moved to the directory `quarantine` and
    /// the scan ends. The samples then have to come from the WAL, from which nothing is removed
    /// before a block contains it. (Prometheus deletes the files from a corrupted one on, and does
    /// not start if one is missing.) Chunks without samples are skipped.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`] if corrupted files cannot be moved.
    pub fn for_each(
        &mut self,
        quarantine: &Path,
        mut visit: impl FnMut(HeadChunkMeta),
    ) -> Result<ScanReport, HeadChunksError> {
        let mut report = ScanReport::default();
        let files = self.files.get_mut();
        let numbers: Vec<u32> = files.numbers().collect();
        // Files found unusable when the directory was opened come after all others.
        let mut first_unusable =
            files.opening_damage().map(|corruption| (None, corruption.clone()));
        for number in numbers {
            let Some(file) = files.get(number) else { continue };
            if let Err((offset, fault)) = file.check() {
                let corruption = HeadChunkCorruption::at(&*file.path, offset as u64, fault);
                first_unusable = Some((Some(number), corruption));
                break;
            }
            visit_file(number, file.mapped.bytes(), &mut report, &mut visit);
        }
        if let Some((number, corruption)) = first_unusable {
            let moved = files.quarantine_from(&*self.disk, number, quarantine)?;
            *self.writer.get_mut() = HeadChunkWriter::after(files.last_number());
            let moved_to = moved.iter().map(|file| file.moved_to.clone()).collect();
            report.corruption = Some(QuarantinedChunkFiles { corruption, moved_to });
            self.quarantined = QuarantinedChunks::of(moved);
        }
        Ok(report)
    }

    /// Takes the readable chunks of the files that [`Self::for_each`] moved to the quarantine.
    pub fn take_quarantined(&mut self) -> QuarantinedChunks {
        std::mem::take(&mut self.quarantined)
    }

    /// Writes chunks and returns their references. A single write is used unless they exceed one
    /// file.
    ///
    /// The data is passed to the operating system and not synced.
    ///
    ///
    /// # Errors
    /// [`HeadChunksError`]. None of the chunks may be
    /// referenced then; all can be written again. If the chunks exceed one file, some may already
    /// be in a full file, and a later scan finds these twice.
    pub fn write(&self, chunks: &[NewChunk<'_>]) -> Result<Vec<HeadChunkRef>, HeadChunksError> {
        let unstorable = |chunk: &&NewChunk<'_>| {
            chunk.series.0 == 0 || chunk.record_len() > MAX_FILE - FILE_HEADER
        };
        if let Some(chunk) = chunks.iter().find(unstorable) {
            return Err(HeadChunksError::ChunkTooLarge {
                series: chunk.series.0,
                bytes: chunk.bytes.len(),
            });
        }
        self.writer.lock().write(&*self.disk, &self.dir, &self.files, chunks)
    }

    /// Returns the chunk at `at` after verifying its checksum. Nothing is copied.
    ///
    /// # Errors
    /// [`HeadChunkCorruption`] if the location has no valid chunk with a known encoding, with
    /// [`HeadChunkFormatError::MissingFile`] if the file does not exist.
    pub fn read(&self, at: HeadChunkRef) -> Result<HeadChunk, HeadChunkCorruption> {
        let (path, file) = match self.files.read().get(at.file()) {
            Some(ChunkFile { path, mapped }) => (Arc::clone(path), Arc::clone(mapped)),
            None => {
                let path = writer::file_path(&self.dir, at.file());
                return Err(HeadChunkCorruption::of_file(path, HeadChunkFormatError::MissingFile));
            }
        };
        let offset = at.offset() as usize;
        let bytes = file.bytes().get(offset..).unwrap_or_default();
        match read_record(bytes) {
            Ok((encoding, data)) => {
                let data = offset + data.start..offset + data.end;
                Ok(HeadChunk { file, data, encoding })
            }
            Err(fault) => Err(HeadChunkCorruption::at(&*path, offset as u64, fault)),
        }
    }

    /// Removes the files with numbers below `number`, oldest first, except the active file. Returns
    /// their number.
    ///
    /// The next write begins a new file, so that a later call can remove the currently active one.
    ///
    ///
    /// # Errors
    /// [`HeadChunksError::Io`]. The file that could not be removed and all later ones still exist.
    pub fn truncate_before(&self, number: u32) -> Result<usize, HeadChunksError> {
        let current = self.writer.lock().cut_at_next_write();
        let old: Vec<u32> = self
            .files
            .read()
            .numbers()
            .take_while(|&n| n < number && current.is_none_or(|c| n < c))
            .collect();
        for &number in &old {
            let path = self.files.read().get(number).map(|file| Arc::clone(&file.path));
            if let Some(path) = path {
                files::remove(&*self.disk, &path)?;
                self.files.write().remove_from_set(number);
            }
        }
        if !old.is_empty() {
            files::sync_dir(&*self.disk, &self.dir)?;
        }
        Ok(old.len())
    }

    /// Returns the number of the first file that may still be written to. Earlier files are never
    /// written again.
    #[must_use]
    pub fn first_active_file(&self) -> u32 {
        self.writer.lock().active_file_number()
    }

    /// Returns the total size of the files, bytes, as in
    /// `prometheus_tsdb_head_chunks_storage_size_bytes`.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`] if the length of a file cannot be read.
    pub fn size(&self) -> Result<u64, HeadChunksError> {
        let paths: Vec<_> = self.files.read().paths().map(Arc::clone).collect();
        paths.iter().map(|path| files::len(path)).sum()
    }

    /// Syncs the active file.
    ///
    /// # Errors
    /// [`HeadChunksError::Sync`] if the operating system reports an error.
    pub fn sync(&self) -> Result<(), HeadChunksError> {
        // Sync without the mutex, so that writes continue.
        let current = self.writer.lock().active_file();
        current.map_or(Ok(()), |(path, file)| writer::sync_file(&path, &*file))
    }
}

/// Checks the record at the start of `bytes`. Returns the encoding and the byte range of its chunk.
fn read_record(bytes: &[u8]) -> Result<(ChunkEncoding, Range<usize>), HeadChunkFormatError> {
    let record = HeadChunkRecord::parse(bytes)?.ok_or(HeadChunkFormatError::NoRecord)?;
    record.verify(bytes)?;
    Ok((record.encoding()?, record.data))
}

/// Visits the chunks of a file up to its end or its first corruption.
fn visit_file(
    number: u32,
    bytes: &[u8],
    report: &mut ScanReport,
    visit: &mut impl FnMut(HeadChunkMeta),
) {
    let mut offset = FILE_HEADER;
    while let Some(record) =
        bytes.get(offset..).and_then(|rest| HeadChunkRecord::parse(rest).ok()).flatten()
    {
        let samples = record.num_samples(&bytes[offset..]);
        let at = HeadChunkRef::new(number, offset as u32);
        offset += record.len();
        let Ok(encoding) = record.encoding() else {
            report.unknown_encodings += 1;
            continue;
        };
        if samples > 0 {
            report.chunks += 1;
            let HeadChunkRecord { series, mint, maxt, .. } = record;
            visit(HeadChunkMeta {
                series,
                chunk_ref: at,
                mint,
                maxt,
                samples,
                encoding,
                out_of_order: record.is_out_of_order(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
