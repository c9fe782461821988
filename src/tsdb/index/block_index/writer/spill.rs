//! Buffer for data that is written later: in memory while it is small, then in an unlinked file
//! that disappears with the process.

use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::fs::durable::create_or_replace;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum number of bytes in memory.
const IN_MEMORY: usize = 1 << 20;
/// Size of one read from the file, bytes.
const READ_BYTES: usize = 256 << 10;

/// Append-only buffer that is read back once.
#[derive(Debug)]
pub(super) struct SpillBuffer<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    file: Option<SpillFile>,
    buffer: Vec<u8>,
    len: u64,
}

/// Unlinked file, open for writing and for reading from its start.
#[derive(Debug)]
struct SpillFile {
    written: Arc<dyn DiskFile>,
    read: File,
}

impl<'a> SpillBuffer<'a> {
    /// Returns an empty buffer. A file, if needed, is created at `path` and unlinked at once.
    pub(super) fn new(disk: &'a dyn Disk, path: PathBuf) -> Self {
        Self { disk, path, file: None, buffer: Vec::new(), len: 0 }
    }

    /// Number of appended bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes. Moves the buffered ones to the file if the memory limit is exceeded.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > IN_MEMORY {
            let file = match self.file.take() {
                Some(file) => file,
                None => SpillFile::create(self.disk, &self.path)?,
            };
            file.written.append(&self.buffer)?;
            self.file = Some(file);
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Passes all bytes to `visit`, in order.
    pub(super) fn read<E: From<io::Error>>(
        mut self,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(mut file) = self.file.take() {
            let mut remaining = self.len - self.buffer.len() as u64;
            let mut bytes = vec![0; READ_BYTES];
            while remaining > 0 {
                let len = remaining.min(READ_BYTES as u64) as usize;
                file.read.read_exact(&mut bytes[..len])?;
                visit(&bytes[..len])?;
                remaining -= len as u64;
            }
        }
        visit(&self.buffer)
    }
}

impl SpillFile {
    fn create(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let written = create_or_replace(disk, path)?;
        let read = File::open(path)?;
        disk.remove_file(path)?;
        Ok(Self { written, read })
    }
}

#[cfg(test)]
mod tests {
    use super::{IN_MEMORY, SpillBuffer};
    use crate::tsdb::fs::os_disk::OsDisk;

    #[test]
    fn spilled_bytes_are_read_back_and_no_file_remains() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0usize, 3, 40] {
            let mut spill = SpillBuffer::new(&OsDisk, dir.path().join("spill"));
            let mut expected = Vec::new();
            for nth in 0..count {
                let bytes = vec![nth as u8; IN_MEMORY / 10 + nth];
                spill.put(&bytes).unwrap();
                expected.extend_from_slice(&bytes);
            }
            assert_eq!(spill.len(), expected.len() as u64);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
            let mut read = Vec::new();
            spill
                .read(|bytes| -> std::io::Result<()> {
                    read.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
            assert!(read == expected);
        }
    }
}
