//! The head-chunk file that grows: begun at the first write of a run, full at 128 MiB, then synced and left as it is.
//!
//! Invariant: what lies before [`ActiveFile::end`] is whole records and is published to readers; what lies behind it is zeros, or
//! counted in [`ActiveFile::dirty_until`] and made zeros before the next write. So the file can at any moment be read by another
//! process up to its end.
//!
//! Runs under the mutex of [`super::HeadChunkStore`].

use crate::model::refs::HeadChunkRef;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::head_chunks::files::{ChunkFile, ChunkFileSet, io_error, remove, sync_dir};
use crate::tsdb::chunk::head_chunks::format::{
    FILE_HEADER, FILE_HEADER_BYTES, MAX_FILE, NewChunk, PREALLOCATED,
};
use crate::tsdb::fs::fail_point;
use crate::tsdb::fs::mmap::MappedFile;
use parking_lot::RwLock;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// A write buffer larger than this is given back after the write.
const MAX_RETAINED_BUFFER: usize = 1 << 20;

/// Writes chunks to the newest file.
#[derive(Debug)]
pub(super) struct HeadChunkWriter {
    pub(super) current: Option<ActiveFile>,
    /// The number of the newest file, 0 where there was none yet.
    last_number: u32,
    /// The next write goes to a new file.
    cut_at_next_write: bool,
    /// The records of one write.
    buffer: Vec<u8>,
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct ActiveFile {
    number: u32,
    pub(super) file: Arc<File>,
    path: Arc<Path>,
    mapped: Arc<MappedFile>,
    /// Where the next record goes.
    pub(super) end: usize,
    /// Up to here a failed write may have left bytes.
    dirty_until: usize,
}

impl HeadChunkWriter {
    /// A writer whose first file has the number after `last_number`.
    pub(super) fn after(last_number: u32) -> Self {
        Self { current: None, last_number, cut_at_next_write: false, buffer: Vec::new() }
    }

    /// Writes all chunks and tells where they are. No chunk is too large for a file.
    pub(super) fn write(
        &mut self,
        dir: &Path,
        files: &RwLock<ChunkFileSet>,
        chunks: &[NewChunk<'_>],
    ) -> Result<Vec<HeadChunkRef>, HeadChunksError> {
        let mut places = Vec::with_capacity(chunks.len());
        let mut rest = chunks;
        while !rest.is_empty() {
            let (group, later) = rest.split_at(count_fitting(rest));
            let room = group.iter().map(NewChunk::record_len).sum();
            let mut buffer = std::mem::take(&mut self.buffer);
            let current = self.active_file_with_room(dir, files, room)?;
            buffer.clear();
            for chunk in group {
                places.push(HeadChunkRef::new(current.number, (current.end + buffer.len()) as u32));
                chunk.write_record(&mut buffer);
            }
            current.append(&buffer)?;
            buffer.shrink_to(MAX_RETAINED_BUFFER);
            self.buffer = buffer;
            rest = later;
        }
        Ok(places)
    }

    /// Makes the next write begin a new file if the present one has chunks. Gives the number of the present one.
    pub(super) fn cut_at_next_write(&mut self) -> Option<u32> {
        let current = self.current.as_ref()?;
        self.cut_at_next_write |= current.end > FILE_HEADER;
        Some(self.last_number)
    }

    /// The number of the file that the next write goes to, unless it has no room.
    pub(super) fn active_file_number(&self) -> u32 {
        match &self.current {
            Some(current) if !self.cut_at_next_write => current.number,
            _ => self.last_number.saturating_add(1),
        }
    }

    /// The file that is written to.
    pub(super) fn active_file(&self) -> Option<(Arc<Path>, Arc<File>)> {
        self.current.as_ref().map(|current| (Arc::clone(&current.path), Arc::clone(&current.file)))
    }

    /// The current file if it has room for `len` bytes, else a new one.
    fn active_file_with_room(
        &mut self,
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
            None => self.create_next_file(dir, files),
        }
    }

    /// Begins the file after the last one.
    fn create_next_file(
        &mut self,
        dir: &Path,
        files: &RwLock<ChunkFileSet>,
    ) -> Result<&mut ActiveFile, HeadChunksError> {
        let exhausted =
            || io_error("number the next file", dir)(io::Error::other("no numbers left"));
        let number = self.last_number.checked_add(1).ok_or_else(exhausted)?;
        let current = ActiveFile::create(dir, number)?;
        let file =
            ChunkFile { path: Arc::clone(&current.path), mapped: Arc::clone(&current.mapped) };
        files.write().add(number, file);
        self.last_number = number;
        self.cut_at_next_write = false;
        Ok(self.current.insert(current))
    }
}

impl ActiveFile {
    /// Creates the file `number`: a header and zeros.
    fn create(dir: &Path, number: u32) -> Result<Self, HeadChunksError> {
        let path = dir.join(format!("{number:06}"));
        let created =
            Self::create_at(&path, number).and_then(|current| sync_dir(dir).map(|()| current));
        if created.is_err() {
            // Left behind it would be in nobody's way: the next attempt begins it again, and the next start removes it.
            let _ = remove(&path);
        }
        created
    }

    fn create_at(path: &Path, number: u32) -> Result<Self, HeadChunksError> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(io_error("create", path))?;
        let mut content = vec![0; PREALLOCATED];
        content[..FILE_HEADER].copy_from_slice(&FILE_HEADER_BYTES);
        file.write_all_at(&content, 0).map_err(io_error("create", path))?;
        let mapped = MappedFile::map_growing(&file, MAX_FILE).map_err(io_error("map", path))?;
        mapped.set_readable_len(&file, FILE_HEADER).map_err(io_error("map", path))?;
        Ok(Self {
            number,
            file: Arc::new(file),
            path: path.into(),
            mapped: Arc::new(mapped),
            end: FILE_HEADER,
            dirty_until: FILE_HEADER,
        })
    }

    /// Writes `records` at the end and lets readers see them. If that fails nothing has changed but bytes that count as dirty.
    fn append(&mut self, records: &[u8]) -> Result<(), HeadChunksError> {
        let end = self.end + records.len();
        let outcome = self.zero_dirty_tail().and_then(|()| {
            fail_point::hit("head_chunks.write");
            self.dirty_until = end;
            self.file.write_all_at(records, self.end as u64)?;
            self.mapped.set_readable_len(&self.file, end)
        });
        if let Err(source) = outcome {
            // At once if possible: should the process end now, the next start finds a file without a torn record.
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

    /// Makes zeros of what a failed write left behind the end. The file is not made shorter: it is mapped.
    fn zero_dirty_tail(&mut self) -> io::Result<()> {
        if self.dirty_until > self.end {
            let present = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
            let dirty = self.dirty_until.min(present).saturating_sub(self.end);
            self.file.write_all_at(&vec![0; dirty], self.end as u64)?;
            self.dirty_until = self.end;
        }
        Ok(())
    }
}

/// How many of the chunks fit into one file, at least one.
fn count_fitting(chunks: &[NewChunk<'_>]) -> usize {
    let mut total = FILE_HEADER;
    let fit = |chunk: &&NewChunk<'_>| {
        total += chunk.record_len();
        total <= MAX_FILE
    };
    chunks.iter().take_while(fit).count().max(1)
}

/// Brings a full file to the disk while writes go on in the next one. A failure costs nothing: the log has its samples.
fn sync_in_background(full: ActiveFile) {
    let sync = move || {
        if let Err(error) = sync_file(&full.path, &full.file) {
            tracing::warn!(%error, "can't sync a full chunk file; its samples are in the log");
        }
    };
    if let Err(error) = thread::Builder::new().name("chunks-sync".into()).spawn(sync) {
        tracing::warn!(%error, "no thread to sync a full chunk file; its samples are in the log");
    }
}

/// Brings a file to the disk.
pub(super) fn sync_file(path: &Path, file: &File) -> Result<(), HeadChunksError> {
    file.sync_all().map_err(|source| HeadChunksError::Sync { path: path.to_owned(), source })
}
