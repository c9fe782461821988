//! Buffered output to an index file, with the offset of the next byte.

use crate::tsdb::encoding::checksum::Crc32c;
use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::fs::durable::create_or_replace;
use crate::tsdb::fs::mmap::MappedFile;
use crate::tsdb::index::block_index::error::{IndexError, IndexInputError};
use crate::tsdb::index::block_index::format::MAX_FILE_LEN;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of the write buffer, bytes.
const BUFFER: usize = 256 << 10;

/// File that is written sequentially.
#[derive(Debug)]
pub(super) struct IndexFileWriter {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    /// Number of bytes written before the content of `buffer`.
    written: u64,
}

impl IndexFileWriter {
    /// Creates or replaces the file.
    pub(super) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, IndexError> {
        let file = create_or_replace(disk, path);
        let file = file.map_err(|source| io_error(path, "create", source))?;
        Ok(Self { path: path.to_owned(), file, buffer: Vec::with_capacity(BUFFER), written: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends bytes. Rejects input beyond [`MAX_FILE_LEN`].
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let end = self.position() + bytes.len() as u64;
        if end > MAX_FILE_LEN {
            return Err(self.input_error(IndexInputError::TooLarge { what: "index", bytes: end }));
        }
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            self.write(bytes)?;
            self.written += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Appends bytes and adds them to `checksum`.
    pub(super) fn put_checksummed(
        &mut self,
        checksum: &mut Crc32c,
        bytes: &[u8],
    ) -> Result<(), IndexError> {
        checksum.update(bytes);
        self.put(bytes)
    }

    /// Appends zeros up to a multiple of `align`, which is at most 16.
    pub(super) fn pad(&mut self, align: u64) -> Result<(), IndexError> {
        let missing = self.position().next_multiple_of(align) - self.position();
        self.put(&[0; 16][..missing as usize])
    }

    /// Overwrites bytes that were appended before.
    pub(super) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), IndexError> {
        self.flush()?;
        self.file.write_at(bytes, offset).map_err(|source| io_error(&self.path, "write", source))
    }

    /// Maps the bytes written so far for reading. The caller must not patch them afterwards.
    pub(super) fn map(&mut self) -> Result<MappedFile, IndexError> {
        self.flush()?;
        let mapped = File::open(&self.path).and_then(|file| MappedFile::map_all(&file));
        mapped.map_err(|source| io_error(&self.path, "map", source))
    }

    /// Flushes the buffer and syncs the file.
    pub(super) fn sync(&mut self) -> Result<(), IndexError> {
        self.flush()?;
        self.file.sync().map_err(|source| io_error(&self.path, "sync", source))
    }

    pub(super) fn input_error(&self, cause: IndexInputError) -> IndexError {
        IndexError::InvalidInput { path: self.path.clone(), cause }
    }

    pub(super) fn io_error(&self, step: &'static str, source: io::Error) -> IndexError {
        io_error(&self.path, step, source)
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        self.write(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), IndexError> {
        self.file.append(bytes).map_err(|source| io_error(&self.path, "write", source))
    }
}

fn io_error(path: &Path, step: &'static str, source: io::Error) -> IndexError {
    IndexError::Io { step, path: path.to_owned(), source }
}
