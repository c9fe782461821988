//! Buffer for data that is written later: in memory while it is small, then in an unlinked file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Maximum number of bytes in memory.
const IN_MEMORY: usize = 1 << 20;
/// Size of one read from the file, bytes.
const READ_BYTES: usize = 256 << 10;

/// Append-only buffer that is read back once.
#[derive(Debug)]
pub(super) struct SpillBuffer {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    len: u64,
}

impl SpillBuffer {
    /// Returns an empty buffer. A file, if needed, is created at `path` and unlinked at once.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new(), len: 0 }
    }

    /// Number of appended bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes. Moves the buffered ones to the file if the memory limit is exceeded.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > IN_MEMORY {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => create_unlinked(&self.path)?,
            };
            file.write_all(&self.buffer)?;
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
            file.seek(SeekFrom::Start(0))?;
            let mut remaining = self.len - self.buffer.len() as u64;
            let mut bytes = vec![0; READ_BYTES];
            while remaining > 0 {
                let len = remaining.min(READ_BYTES as u64) as usize;
                file.read_exact(&mut bytes[..len])?;
                visit(&bytes[..len])?;
                remaining -= len as u64;
            }
        }
        visit(&self.buffer)
    }
}

fn create_unlinked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{IN_MEMORY, SpillBuffer};

    #[test]
    fn spilled_bytes_are_read_back_and_no_file_remains() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0usize, 3, 40] {
            let mut spill = SpillBuffer::new(dir.path().join("spill"));
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
