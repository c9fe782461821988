//! Bytes that are put aside to be written later: in memory while they are few, then in a file without a name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How many bytes are kept in memory.
const IN_MEMORY: usize = 1 << 20;
/// How many are read back at once.
const PIECE: usize = 256 << 10;

/// Bytes put aside.
#[derive(Debug)]
pub(super) struct SpillBuffer {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    len: u64,
}

impl SpillBuffer {
    /// Nothing yet; if a file is needed, it is made at `path` and its name removed at once.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new(), len: 0 }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes.
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

    /// Gives all bytes back piece by piece.
    pub(super) fn read<E: From<io::Error>>(
        mut self,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(mut file) = self.file.take() {
            file.seek(SeekFrom::Start(0))?;
            let mut left = self.len - self.buffer.len() as u64;
            let mut piece = vec![0; PIECE];
            while left > 0 {
                let len = left.min(PIECE as u64) as usize;
                file.read_exact(&mut piece[..len])?;
                visit(&piece[..len])?;
                left -= len as u64;
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
    fn what_was_put_aside_comes_back_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        for pieces in [0usize, 3, 40] {
            let mut spill = SpillBuffer::new(dir.path().join("spill"));
            let mut expected = Vec::new();
            for nth in 0..pieces {
                let piece = vec![nth as u8; IN_MEMORY / 10 + nth];
                spill.put(&piece).unwrap();
                expected.extend_from_slice(&piece);
            }
            assert_eq!(spill.len(), expected.len() as u64);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
            let mut read = Vec::new();
            spill
                .read(|piece| -> std::io::Result<()> {
                    read.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
            assert!(read == expected);
        }
    }
}
