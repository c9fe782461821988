//! Writer of the active head-chunk file.
//!
//! The file is created at the first write of a process. At 128 MiB it is full and synced, and never
//! changes again. The mutex of [`super::HeadChunkStore`] protects the writer.
//!
//! Invariant: everything before [`ActiveFile::end`] is complete records that readers may see.
//! Everything after it is zeros, or precedes [`ActiveFile::dirty_until`] and is zeroed before
//! the next write. Another process can therefore read the file up to its end at any time.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::files::{ChunkFile, ChunkFileSet, io_error, remove, sync_dir};
use crate::tsdb::chunk::head_chunks::format::{
    FILE_HEADER, FILE_HEADER_BYTES, MAX_FILE, NewChunk, PREALLOCATED,
};
use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::fs::durable::create_or_replace;
use crate::tsdb::fs::fail_point;
use crate::tsdb::fs::mmap::MappedFile;
use parking_lot::RwLock;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// Capacity to which the write buffer shrinks after a write, bytes.
const MAX_RETAINED_BUFFER: usize = 1 << 20;

/// Writer of records to the newest file.
#[derive(Debug)]
pub(super) struct HeadChunkWriter {
    pub(super) current: Option<ActiveFile>,
    /// Number of the newest file, or 0 if there is none yet.
    last_number: u32,
    /// `true` if the next write begins a new file.
    cut_at_next_write: bool,
    /// Encoded records of one write; kept to reuse its allocation.
    buffer: Vec<u8>,
}

/// File that receives new records.
#[derive(Debug)]
pub(super) struct ActiveFile {
    number: u32,
    pub(super) file: Arc<dyn DiskFile>,
    /// The same file, open for mapping.
    reader: File,
    path: Arc<Path>,
    mapped: Arc<MappedFile>,
    /// Offset of the next record, bytes.
    pub(super) end: usize,
    /// End of the bytes that a failed write may have left behind, offset in bytes.
    dirty_until: usize,
}

impl HeadChunkWriter {
    /// Creates a writer whose first file has the number after `last_number`.
    pub(super) fn after(last_number: u32) -> Self {
        Self { current: None, last_number, cut_at_next_write: false, buffer: Vec::new() }
    }

    /// Writes all chunks and returns their references. No chunk may exceed the size of a file.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        files: &RwLock<ChunkFileSet>,
        chunks: &[NewChunk<'_>],
    ) -> Result<Vec<HeadChunkRef>, HeadChunksError> {
        let mut chunk_refs = Vec::with_capacity(chunks.len());
        let mut rest = chunks;
        while !rest.is_empty() {
            let (group, later) = rest.split_at(count_fitting(rest));
            let record_bytes = group.iter().map(NewChunk::record_len).sum();
            let mut buffer = std::mem::take(&mut self.buffer);
            let current = self.active_file_with_space(disk, dir, files, record_bytes)?;
            buffer.clear();
            for chunk in group {
                let offset = current.end + buffer.len();
                chunk_refs.push(HeadChunkRef::new(current.number, offset as u32));
                chunk.write_record(&mut buffer);
            }
            current.append(&buffer)?;
            buffer.shrink_to(MAX_RETAINED_BUFFER);
            self.buffer = buffer;
            rest = later;
        }
        Ok(chunk_refs)
    }

    /// Makes the next write begin a new file if the active one has chunks. Returns the number of
    /// the active file.
    pub(super) fn cut_at_next_write(&mut self) -> Option<u32> {
        let current = self.current.as_ref()?;
        self.cut_at_next_write |= current.end > FILE_HEADER;
        Some(self.last_number)
    }

    /// Returns the number of the file for the next write, unless that file lacks space.
    pub(super) fn active_file_number(&self) -> u32 {
        match &self.current {
            Some(current) if !self.cut_at_next_write => current.number,
            _ => self.last_number.saturating_add(1),
        }
    }

    /// File that receives new records.
    pub(super) fn active_file(&self) -> Option<(Arc<Path>, Arc<dyn DiskFile>)> {
        self.current.as_ref().map(|current| (Arc::clone(&current.path), Arc::clone(&current.file)))
    }

    /// Returns the active file if it has space for `len` bytes, otherwise a new one.
    fn active_file_with_space(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        files: &RwLock<ChunkFileSet>,
        len: usize,
    ) -> Result<&mut ActiveFile, HeadChunksError> {
        if let Some(full) =
            self.current.take_if(|current| self.cut_at_next_write || current.end + len > MAX_FILE)
        {
            sync_in_background(full);
        }
        match self.current.take() {
            Some(current) => Ok(self.current.insert(current)),
            None => self.create_next_file(disk, dir, files),
        }
    }

    /// Creates the file after the last one.
    fn create_next_file(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        files: &RwLock<ChunkFileSet>,
    ) -> Result<&mut ActiveFile, HeadChunksError> {
        let exhausted =
            || io_error("create next file in", dir)(io::Error::other("no numbers left"));
        let number = self.last_number.checked_add(1).ok_or_else(exhausted)?;
        let current = ActiveFile::create(disk, dir, number)?;
        let file =
            ChunkFile { path: Arc::clone(&current.path), mapped: Arc::clone(&current.mapped) };
        files.write().add(number, file);
        self.last_number = number;
        self.cut_at_next_write = false;
        Ok(self.current.insert(current))
    }
}

impl ActiveFile {
    /// Creates the file `number` with a header and zeros.
    fn create(disk: &dyn Disk, dir: &Path, number: u32) -> Result<Self, HeadChunksError> {
        let path = file_path(dir, number);
        let created = Self::create_at(disk, &path, number)
            .and_then(|current| sync_dir(disk, dir).map(|()| current));
        if created.is_err() {
            // A leftover file does no harm: the next attempt replaces it, and the next start
            // removes it.
            let _ = remove(disk, &path);
        }
        created
    }

    fn create_at(disk: &dyn Disk, path: &Path, number: u32) -> Result<Self, HeadChunksError> {
        let file = create_or_replace(disk, path).map_err(io_error("create", path))?;
        let mut content = vec![0; PREALLOCATED];
        content[..FILE_HEADER].copy_from_slice(&FILE_HEADER_BYTES);
        file.append(&content).map_err(io_error("create", path))?;
        let reader = File::open(path).map_err(io_error("map", path))?;
        let mapped = MappedFile::map_growing(&reader, MAX_FILE).map_err(io_error("map", path))?;
        mapped.set_readable_len(&reader, FILE_HEADER).map_err(io_error("map", path))?;
        Ok(Self {
            number,
            file,
            reader,
            path: path.into(),
            mapped: Arc::new(mapped),
            end: FILE_HEADER,
            dirty_until: FILE_HEADER,
        })
    }

    /// Writes `records` at the end and publishes them to readers. After a failure, only bytes up to
    /// `dirty_until` have changed.
    fn append(&mut self, records: &[u8]) -> Result<(), HeadChunksError> {
        let end = self.end + records.len();
        let outcome = self.zero_dirty_tail().and_then(|()| {
            fail_point::hit("head_chunks.write");
            self.dirty_until = end;
            self.file.write_at(records, self.end as u64)?;
            self.mapped.set_readable_len(&self.reader, end)
        });
        if let Err(source) = outcome {
            // Zero the tail now, if possible: if the process ends here, the next start finds no
            // torn record.
            let _ = self.zero_dirty_tail();
            return Err(HeadChunksError::Write {
                path: self.path.to_path_buf(),
                offset: self.end as u64,
                source,
            });
        }
        self.end = end;
        Ok(())
    }

    /// Overwrites the remains of a failed write with zeros. The file is not truncated, because it
    /// is mapped.
    fn zero_dirty_tail(&mut self) -> io::Result<()> {
        if self.dirty_until > self.end {
            let present = usize::try_from(self.file.len()?).unwrap_or(usize::MAX);
            let dirty = self.dirty_until.min(present).saturating_sub(self.end);
            self.file.write_at(&vec![0; dirty], self.end as u64)?;
            self.dirty_until = self.end;
        }
        Ok(())
    }
}

/// Returns the number of chunks that fit into one file, at least 1.
fn count_fitting(chunks: &[NewChunk<'_>]) -> usize {
    let mut total = FILE_HEADER;
    let fit = |chunk: &&NewChunk<'_>| {
        total += chunk.record_len();
        total <= MAX_FILE
    };
    chunks.iter().take_while(fit).count().max(1)
}

/// Syncs a full file while writes continue in the next one. A failure loses nothing, because the
/// WAL has its samples.
fn sync_in_background(full: ActiveFile) {
    let sync = move || {
        if let Err(error) = sync_file(&full.path, &*full.file) {
            tracing::warn!(%error, "cannot sync full head-chunk file");
        }
    };
    if let Err(error) = thread::Builder::new().name("chunks-sync".into()).spawn(sync) {
        tracing::warn!(%error, "cannot start thread to sync full head-chunk file");
    }
}

/// Returns the path of file `number`.
pub(super) fn file_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

/// Makes the content of a file durable.
pub(super) fn sync_file(path: &Path, file: &dyn DiskFile) -> Result<(), HeadChunksError> {
    file.sync().map_err(|source| HeadChunksError::Sync { path: path.to_owned(), source })
}
