//! The directory `chunks_head/`: the full chunks of the head, in numbered files that are mapped into memory.
//!
//! | file           | what                                            |
//! |----------------|-------------------------------------------------|
//! | [`mod@format`] | the bytes of a file                             |
//! | [`error`]      | what can go wrong                               |
//! | `files`        | which files there are: found, opened, set aside |
//! | `writer`       | the file that grows                             |
//!
//! Files are numbered one after another, from 000001 up, at most 128 MiB each; each run begins a file of its own at its first write.
//! Whatever is in them the log has too, as long as the head has it: that is why a write that fails loses nothing, why nothing is
//! synced before a file is full, and why a damaged file is set aside with all after it instead of being repaired.
//!
//! Invariant: a [`HeadChunkRef`] given out by [`HeadChunkStore::write`] or [`HeadChunkStore::for_each`] stays readable until
//! [`HeadChunkStore::truncate_before`] removes its file; a [`HeadChunk`] that was read outlives even that. Bytes are given out only
//! once they are written, and never change afterwards.
//!
//! Locks, in the order in which they are taken: the writer's mutex, held for a write; the list of files, held for a
//! look-up or a change of one entry. Reading takes the list only.

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
use crate::tsdb::fs::mmap::MappedFile;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is known of a stored chunk without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadChunkMeta {
    /// The series that it belongs to.
    pub series: SeriesRef,
    /// Where it is.
    pub chunk_ref: HeadChunkRef,
    /// Time of its first sample, ms.
    pub mint: i64,
    /// Time of its last sample, ms; at most [`crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS`] later.
    pub maxt: i64,
    /// How many samples it has; not 0.
    pub samples: u16,
    /// How it is encoded.
    pub encoding: ChunkEncoding,
    /// Whether its samples came late.
    pub out_of_order: bool,
}

/// A stored chunk; its bytes stay where they are as long as this lives.
#[derive(Clone, Debug)]
pub struct HeadChunk {
    file: Arc<MappedFile>,
    data: Range<usize>,
    encoding: ChunkEncoding,
}

impl HeadChunk {
    /// How its bytes are encoded.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        self.encoding
    }
}

/// The encoded samples.
impl AsRef<[u8]> for HeadChunk {
    fn as_ref(&self) -> &[u8] {
        &self.file.bytes()[self.data.clone()]
    }
}

/// What [`HeadChunkStore::for_each`] went through.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Chunks handed out.
    pub chunks: u64,
    /// Chunks left out because their encoding is newer than this version.
    pub unknown_encodings: u64,
    /// The first damage, with which the walk ended.
    pub corruption: Option<QuarantinedChunkFiles>,
}

/// Damage, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedChunkFiles {
    /// What was found, under the name that the file had.
    pub corruption: HeadChunkCorruption,
    /// Where the damaged file and all after it are now, the last one first.
    pub moved_to: Vec<PathBuf>,
}

/// Chunks of files in the quarantine, up to the first damage of each file: what is compared with the head after the log was
/// replayed. No reader gets them. The files stay mapped as long as this exists, wherever they were moved.
#[derive(Debug, Default)]
pub struct QuarantinedChunks {
    chunks: Vec<HeadChunkMeta>,
    files: BTreeMap<u32, Arc<MappedFile>>,
}

impl QuarantinedChunks {
    /// Reads the chunks of `moved`, whose last file comes first.
    fn of(moved: Vec<QuarantinedFile>) -> Self {
        let mut own = Self::default();
        for QuarantinedFile { number, mapped, .. } in moved.into_iter().rev() {
            let Some(mapped) = mapped else { continue };
            let readable = files::readable_prefix(mapped.bytes());
            visit_file(number, readable, &mut ScanReport::default(), &mut |chunk| {
                own.chunks.push(chunk)
            });
            own.files.insert(number, mapped);
        }
        own
    }

    /// The chunks, in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, HeadChunkMeta> {
        self.chunks.iter()
    }

    /// Times of the samples of one of the chunks, ms, ascending.
    #[must_use]
    pub fn times(&self, chunk: &HeadChunkMeta) -> Vec<i64> {
        let bytes = self.files.get(&chunk.chunk_ref.file()).map_or(&[][..], |file| file.bytes());
        let record = bytes.get(chunk.chunk_ref.offset() as usize..).unwrap_or_default();
        let Ok((encoding, data)) = read_record(record) else { return Vec::new() };
        AnyChunkIter::new(encoding, &record[data])
            .map_while(|point| point.ok().map(|point| point.t))
            .collect()
    }
}

/// The open directory.
#[derive(Debug)]
pub struct HeadChunkStore {
    dir: PathBuf,
    files: RwLock<ChunkFileSet>,
    writer: Mutex<HeadChunkWriter>,
    /// Chunks of the files that [`Self::for_each`] moved to the quarantine.
    quarantined: QuarantinedChunks,
}

impl HeadChunkStore {
    /// Opens the directory `dir`, which is made if it does not exist, and maps its files.
    ///
    /// A last file without content, left by a crash just after its creation, is removed. The content of files is not looked at:
    /// that is [`Self::for_each`]'s, as is what becomes of files behind a missing one.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`] where the directory can't be used, or a file for a reason that is not the file's.
    pub fn open(dir: &Path) -> Result<(Self, ChunkDirReport), HeadChunksError> {
        let (files, opened) = files::open_all(dir)?;
        let writer = Mutex::new(HeadChunkWriter::after(files.last_number()));
        let quarantined = QuarantinedChunks::default();
        Ok((Self { dir: dir.to_owned(), files: RwLock::new(files), writer, quarantined }, opened))
    }

    /// Hands out every chunk, file by file, in the order in which they were written. To be called once, before the first write.
    ///
    /// A file is checked as a whole before a chunk of it is handed out. If it is damaged, or a file before it is missing, it and
    /// all later ones are moved to the directory `quarantine` and the walk ends: what they held has to come from the log, from
    /// which nothing is removed before a block has it. (Prometheus deletes the files from a damaged one on, and does not start
    /// if one is missing.) An empty chunk is passed over.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`] where damaged files can't be moved.
    pub fn for_each(
        &mut self,
        quarantine: &Path,
        mut visit: impl FnMut(HeadChunkMeta),
    ) -> Result<ScanReport, HeadChunksError> {
        let mut walked = ScanReport::default();
        let files = self.files.get_mut();
        let numbers: Vec<u32> = files.numbers().collect();
        // Files that were found unusable when the directory was opened stand behind all others.
        let mut first_unusable = files.opening_damage().map(|damage| (None, damage.clone()));
        for number in numbers {
            let Some(file) = files.get(number) else { continue };
            if let Err((offset, fault)) = file.check() {
                let damage = HeadChunkCorruption {
                    path: file.path.to_path_buf(),
                    offset: offset as u64,
                    fault,
                };
                first_unusable = Some((Some(number), damage));
                break;
            }
            visit_file(number, file.mapped.bytes(), &mut walked, &mut visit);
        }
        if let Some((number, damage)) = first_unusable {
            let moved = files.quarantine_from(number, quarantine)?;
            *self.writer.get_mut() = HeadChunkWriter::after(files.last_number());
            let moved_to = moved.iter().map(|file| file.moved_to.clone()).collect();
            walked.corruption = Some(QuarantinedChunkFiles { corruption: damage, moved_to });
            self.quarantined = QuarantinedChunks::of(moved);
        }
        Ok(walked)
    }

    /// Takes the chunks of the files that [`Self::for_each`] moved to the quarantine, as far as they can be read.
    pub fn take_quarantined(&mut self) -> QuarantinedChunks {
        std::mem::take(&mut self.quarantined)
    }

    /// Writes chunks one after another, with a single write unless they are more than a file can hold, and tells where they are.
    ///
    /// They are handed to the operating system, not synced.
    ///
    /// # Errors
    /// Any [`HeadChunksError`] but `Gap`, `Damaged` and `MissingFile`. None of the chunks may be referred to then, all can be written
    /// again. Only where they are more than a file can hold some may have stayed in a full file; a later walk finds
    /// these a second time.
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
        self.writer.lock().write(&self.dir, &self.files, chunks)
    }

    /// The chunk at `chunk_ref`, checked against its checksum. Nothing is copied.
    ///
    /// # Errors
    /// [`HeadChunksError::MissingFile`] where its file is gone, `Damaged` where there is no whole chunk with a known encoding.
    pub fn read(&self, at: HeadChunkRef) -> Result<HeadChunk, HeadChunksError> {
        let (path, file) = match self.files.read().get(at.file()) {
            Some(ChunkFile { path, mapped }) => (Arc::clone(path), Arc::clone(mapped)),
            None => {
                return Err(HeadChunksError::MissingFile {
                    dir: self.dir.clone(),
                    number: at.file(),
                });
            }
        };
        let offset = at.offset() as usize;
        let bytes = file.bytes().get(offset..).unwrap_or_default();
        match read_record(bytes) {
            Ok((encoding, data)) => {
                let data = offset + data.start..offset + data.end;
                Ok(HeadChunk { file, data, encoding })
            }
            Err(fault) => {
                Err(HeadChunkCorruption { path: path.to_path_buf(), offset: offset as u64, fault }
                    .into())
            }
        }
    }

    /// Removes the files with numbers below `number`, oldest first, but not the one that is written to; gives how many.
    ///
    /// The next write begins a new file, so that the present one can go in its turn.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`]; the file that could not be removed and all after it are still there.
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
                files::remove(&path)?;
                self.files.write().remove_from_set(number);
            }
        }
        if !old.is_empty() {
            files::sync_dir(&self.dir)?;
        }
        Ok(old.len())
    }

    /// The number of a file such that nothing is written to one before it from now on.
    #[must_use]
    pub fn first_active_file(&self) -> u32 {
        self.writer.lock().active_file_number()
    }

    /// How many bytes the files take, as `prometheus_tsdb_head_chunks_storage_size_bytes` counts them.
    ///
    /// # Errors
    /// [`HeadChunksError::Io`] where a file's length can't be had.
    pub fn size(&self) -> Result<u64, HeadChunksError> {
        let paths: Vec<_> = self.files.read().paths().map(Arc::clone).collect();
        paths.iter().map(|path| files::len(path)).sum()
    }

    /// Brings to the disk what was written.
    ///
    /// # Errors
    /// [`HeadChunksError::Sync`].
    pub fn sync(&self) -> Result<(), HeadChunksError> {
        // Not under the mutex: others go on writing meanwhile.
        let current = self.writer.lock().active_file();
        current.map_or(Ok(()), |(path, file)| writer::sync_file(&path, &file))
    }
}

/// Where in `bytes`, from a record's first byte on, the chunk lies.
fn read_record(bytes: &[u8]) -> Result<(ChunkEncoding, Range<usize>), HeadChunkFormatError> {
    let record = HeadChunkRecord::parse(bytes)?.ok_or(HeadChunkFormatError::NoRecord)?;
    record.verify(bytes)?;
    Ok((record.encoding()?, record.data))
}

/// Hands out the chunks of a file up to its end or its first damage.
fn visit_file(
    number: u32,
    bytes: &[u8],
    walked: &mut ScanReport,
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
            walked.unknown_encodings += 1;
            continue;
        };
        if samples > 0 {
            walked.chunks += 1;
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
