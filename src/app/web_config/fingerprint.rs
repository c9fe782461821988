//! Comparison of files by contents.
//!
//! Contents rather than times or inodes: a mounted directory is replaced by a symlink swap, and a
//! file may be rewritten within the resolution of its time.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh64::Xxh64;

/// Maximum number of bytes that are compared of a file. No valid file is longer.
const MAX_BYTES: u64 = 8 << 20;
const CHUNK: usize = 64 << 10;

/// Path of each file, with the hash of its contents or the kind of the error that prevents reading
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<(PathBuf, Result<u64, io::ErrorKind>)>);

impl Fingerprint {
    /// Reads the files.
    pub(crate) fn from_files<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let contents = |path: &PathBuf| hash(path).map_err(|error| error.kind());
        Self(paths.into_iter().map(|path| (path.clone(), contents(path))).collect())
    }
}

fn hash(path: &Path) -> io::Result<u64> {
    // A FIFO would block the open.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?.take(MAX_BYTES);
    let (mut hasher, mut chunk) = (Xxh64::new(0), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.digest()),
            read => hasher.update(&chunk[..read]),
        }
    }
}
