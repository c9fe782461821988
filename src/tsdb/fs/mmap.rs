//! Files mapped into memory for reading. The only unsafe code of narthex.
//!
//! A mapping is only as good as its file: touching a page that lies wholly beyond the file's end kills the process (SIGBUS). So
//!
//! - a mapping may reach beyond the end of its file (the file is about to grow), but its bytes are given out only up to its *readable*
//!   length, and that is raised only to a length which the file was seen to have;
//! - a file that is mapped is never made shorter than its readable length, nor is a readable byte written again. Files are
//!   removed or moved as they are: that leaves the mapping valid. Other programs are kept out by the data directory's lock;
//! - what remains is the storage failing under a page that was never read before; no program that maps files survives that.
//!
//! Runs on any thread: readers go on while one writer, outside, appends to the file and publishes.

use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file mapped for reading, up to a length that may grow.
pub struct MappedFile {
    /// `None` for an empty mapping, which the system does not know.
    map: Option<MmapRaw>,
    readable: AtomicUsize,
}

impl MappedFile {
    /// Maps the whole of `file`, which no longer grows.
    ///
    /// # Errors
    /// What the system says.
    pub fn map_all(file: &File) -> io::Result<Self> {
        let len = file_len(file)?;
        let mapped = Self::map_growing(file, len)?;
        mapped.set_readable_len(file, len)?;
        Ok(mapped)
    }

    /// Maps `capacity` bytes of `file`, however long it is now. Nothing is readable yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn map_growing(file: &File, capacity: usize) -> io::Result<Self> {
        let map = match capacity {
            0 => None,
            _ => Some(MmapOptions::new().len(capacity).map_raw_read_only(file)?),
        };
        Ok(Self { map, readable: AtomicUsize::new(0) })
    }

    /// Makes the first `len` bytes readable, for good. They are in `file`, the one that was mapped, and are not written again.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file is shorter, `InvalidInput` where the mapping is; nothing has changed then.
    pub fn set_readable_len(&self, file: &File, len: usize) -> io::Result<()> {
        if len > self.map.as_ref().map_or(0, MmapRaw::len) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{len} bytes do not fit the mapping"),
            ));
        }
        let present = file_len(file)?;
        if len > present {
            let text = format!("file has {present} bytes where {len} were written");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.readable.fetch_max(len, Ordering::Release);
        Ok(())
    }

    /// The readable bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let Some(map) = &self.map else { return &[] };
        let len = self.readable.load(Ordering::Acquire);
        #[expect(unsafe_code, reason = "a view of mapped memory is made of its address and length")]
        // SAFETY: the address is that of a live mapping, which `self` owns and which is never remapped. `len` is at most its
        // length and at most the file's (see `set_readable_len`), and the file is never made shorter than that, so every page is
        // backed. Readable bytes are not written again, so they do not change behind the reference.
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
    fn a_growing_file_is_readable_as_far_as_it_was_published() {
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
    fn what_is_not_there_is_not_published() {
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
    fn a_whole_file_is_readable_also_when_it_is_empty_or_removed() {
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
