//! Memory-mapped files for reading. This is the only module with unsafe code.
//!
//! # Safety
//! Reading a page that is entirely past the end of the file kills the process (SIGBUS). Therefore:
//! - A mapping may be longer than its file, which is about to grow. Only its first *readable* bytes
//!   are exposed, and the readable length is raised only to a length that the file already has.
//! - A mapped file is never truncated below its readable length, and readable bytes are never
//!   overwritten. Files may be removed or renamed, which leaves the mapping valid. The lock of the
//!   data directory keeps other programs out.
//! - A storage error under a page that was not read before still kills the process.
//!
//! # Threads
//! Readers run concurrently with one external writer that appends to the file and raises the
//! readable length.

use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory-mapped file with a readable length that may grow.
pub struct MappedFile {
    /// `None` for an empty mapping, which `mmap` rejects.
    map: Option<MmapRaw>,
    readable: AtomicUsize,
}

impl MappedFile {
    /// Maps all of `file`, which no longer grows.
    pub fn map_all(file: &File) -> io::Result<Self> {
        let len = file_len(file)?;
        let mapped = Self::map_growing(file, len)?;
        mapped.set_readable_len(file, len)?;
        Ok(mapped)
    }

    /// Maps `capacity` bytes of `file`, independent of its current length. No byte is readable yet.
    pub fn map_growing(file: &File, capacity: usize) -> io::Result<Self> {
        let map = match capacity {
            0 => None,
            _ => Some(MmapOptions::new().len(capacity).map_raw_read_only(file)?),
        };
        Ok(Self { map, readable: AtomicUsize::new(0) })
    }

    /// Makes the first `len` bytes readable permanently. A smaller `len` than before has no effect.
    ///
    /// `file` is the mapped file; the caller never overwrites these bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file is shorter, `InvalidInput` if the mapping is shorter. The
    /// readable length is then unchanged.
    pub fn set_readable_len(&self, file: &File, len: usize) -> io::Result<()> {
        if len > self.map.as_ref().map_or(0, MmapRaw::len) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{len} bytes exceed the mapping"),
            ));
        }
        let present = file_len(file)?;
        if len > present {
            let message = format!("file has {present} bytes, expected {len}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        // Release, with the acquire in `bytes`: a reader that sees `len` also sees the bytes.
        self.readable.fetch_max(len, Ordering::Release);
        Ok(())
    }

    /// Returns the readable bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let Some(map) = &self.map else { return &[] };
        let len = self.readable.load(Ordering::Acquire);
        #[expect(unsafe_code, reason = "a slice of mapped memory needs its address and length")]
        // SAFETY: the address is that of a live mapping, which `self` owns and which is never
        // remapped. `len` is at most the length of the mapping and of the file (see
        // `set_readable_len`), and the file is never truncated below that, so every page is backed.
        // Readable bytes are never overwritten, so they do not change behind the reference.
        unsafe {
            std::slice::from_raw_parts(map.as_ptr(), len)
        }
    }
}

impl std::fmt::Debug for MappedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MappedFile({} readable bytes)", self.readable.load(Ordering::Relaxed))
    }
}

fn file_len(file: &File) -> io::Result<usize> {
    usize::try_from(file.metadata()?.len())
        .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

#[cfg(test)]
mod tests {
    use super::MappedFile;
    use std::io::ErrorKind;
    use std::os::unix::fs::FileExt;

    #[test]
    fn growing_file_is_readable_up_to_published_length() {
        let file = tempfile::tempfile().unwrap();
        let mapped = MappedFile::map_growing(&file, 1 << 20).unwrap();
        assert_eq!(mapped.bytes(), b"");
        file.write_all_at(b"hello", 0).unwrap();
        assert_eq!(mapped.bytes(), b"");
        mapped.set_readable_len(&file, 4).unwrap();
        let early = mapped.bytes();
        file.write_all_at(&[7; 100_000], 5).unwrap();
        mapped.set_readable_len(&file, 100_005).unwrap();
        assert_eq!(early, b"hell");
        assert_eq!(
            (&mapped.bytes()[..5], mapped.bytes()[100_004], mapped.bytes().len()),
            (&b"hello"[..], 7, 100_005)
        );
        mapped.set_readable_len(&file, 5).unwrap();
        assert_eq!(mapped.bytes().len(), 100_005);
    }

    #[test]
    fn length_beyond_file_or_mapping_is_rejected() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"hello", 0).unwrap();
        let mapped = MappedFile::map_growing(&file, 100).unwrap();
        assert_eq!(mapped.set_readable_len(&file, 6).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(
            mapped.set_readable_len(&file, 101).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(mapped.bytes(), b"");
    }

    #[test]
    fn empty_or_removed_file_is_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert_eq!(MappedFile::map_all(&std::fs::File::open(&path).unwrap()).unwrap().bytes(), b"");
        std::fs::write(&path, "hello").unwrap();
        let mapped = MappedFile::map_all(&std::fs::File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapped.bytes(), b"hello");
    }
}
