//! Segments: the numbered files of a log.
//!
//! ```text
//! wal/00000000   wal/00000001   …   wal/checkpoint.00000001/00000000   …
//! ```
//!
//! The name is the number of the segment, written with eight digits. Any number of digits is read,
//! as in Prometheus, because old versions wrote six. Numbers have no gaps: a gap means that a part
//! of the log is missing.

use std::io;
use std::path::{Path, PathBuf};

use crate::tsdb::wal::page::PAGE_SIZE;

/// File of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number in the file name.
    pub number: u32,
    /// Path of the file.
    pub path: PathBuf,
}

impl Segment {
    /// Returns the length of the file, bytes.
    ///
    /// # Errors
    /// [`SegmentError::Io`] if the file cannot be inspected.
    pub fn byte_len(&self) -> Result<u64, SegmentError> {
        let metadata = std::fs::metadata(&self.path);
        let failed = |source| SegmentError::Io { path: self.path.clone(), source };
        Ok(metadata.map_err(failed)?.len())
    }
}

/// Error of listing segments or of an invalid segment size.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The directory or a segment cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Path of the directory or segment.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A segment between others is missing.
    #[error(
        "cannot list segments of {}: segment {missing:08} is missing before {next:08}",
        dir.display()
    )]
    Gap {
        /// Path of the directory.
        dir: PathBuf,
        /// First number that is missing before `next`.
        missing: u64,
        /// Lowest existing number after the gap.
        next: u32,
    },
    /// Two files have the same number, written with different digits.
    #[error("cannot list segments of {}: segment {number} exists twice", dir.display())]
    Duplicate {
        /// Path of the directory.
        dir: PathBuf,
        /// Number that two files have.
        number: u32,
    },
    /// The segment size is 0 or not a multiple of the page size.
    #[error("segment size {0} is not a multiple of {PAGE_SIZE} bytes")]
    Size(u64),
}

/// Returns the path of segment `number` in `dir`.
#[must_use]
pub fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}"))
}

/// Returns the number in a file name, or `None` if it is not the name of a segment.
#[must_use]
pub fn segment_number(name: &str) -> Option<u32> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

/// Returns the segments in `dir`, by number. Other files and directories are skipped.
///
/// # Errors
/// [`SegmentError`] if the directory cannot be read or the numbers have a gap or a duplicate.
pub fn list_segments(dir: &Path) -> Result<Vec<Segment>, SegmentError> {
    let io_error = |source| SegmentError::Io { path: dir.to_owned(), source };
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let Some(number) = entry.file_name().to_str().and_then(segment_number) else { continue };
        if !entry.path().is_dir() {
            segments.push(Segment { number, path: entry.path() });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.number);
    for pair in segments.windows(2) {
        let (number, next) = (pair[0].number, pair[1].number);
        if number == next {
            return Err(SegmentError::Duplicate { dir: dir.to_owned(), number });
        }
        let missing = u64::from(number) + 1;
        if u64::from(next) != missing {
            return Err(SegmentError::Gap { dir: dir.to_owned(), missing, next });
        }
    }
    Ok(segments)
}

/// Returns `size` if it is a valid segment size.
///
/// # Errors
/// [`SegmentError::Size`] if it is 0 or not a multiple of the page size.
pub fn check_segment_size(size: u64) -> Result<u64, SegmentError> {
    if size > 0 && size.is_multiple_of(PAGE_SIZE as u64) {
        Ok(size)
    } else {
        Err(SegmentError::Size(size))
    }
}

#[cfg(test)]
mod tests {
    use super::{SegmentError, check_segment_size, list_segments, segment_number, segment_path};
    use std::path::Path;

    #[test]
    fn segment_names_have_eight_digits() {
        assert_eq!(segment_path(Path::new("wal"), 7), Path::new("wal/00000007"));
        assert_eq!(segment_number("00000007"), Some(7));
        assert_eq!(segment_number("000007"), Some(7));
        for name in ["", "checkpoint.00000001", "0000000a", "+1", "-1", "99999999999", "1.repair"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }

    #[test]
    fn list_segments_sorts_and_rejects_gap_and_duplicate() {
        let dir = tempfile::tempdir().unwrap();
        let touch = |name: &str| std::fs::write(dir.path().join(name), b"").unwrap();
        assert_eq!(list_segments(dir.path()).unwrap(), []);
        for name in ["00000012", "00000010", "00000011", "other"] {
            touch(name);
        }
        std::fs::create_dir(dir.path().join("00000099")).unwrap();
        let numbers: Vec<_> = list_segments(dir.path()).unwrap().iter().map(|s| s.number).collect();
        assert_eq!(numbers, [10, 11, 12]);
        touch("00000014");
        assert!(matches!(
            list_segments(dir.path()),
            Err(SegmentError::Gap { missing: 13, next: 14, .. })
        ));
        touch("00000013");
        touch("000013");
        assert!(matches!(
            list_segments(dir.path()),
            Err(SegmentError::Duplicate { number: 13, .. })
        ));
        assert!(matches!(list_segments(&dir.path().join("none")), Err(SegmentError::Io { .. })));
    }

    #[test]
    fn segment_size_is_multiple_of_page_size() {
        assert!(check_segment_size(32 << 10).is_ok());
        assert!(check_segment_size(0).is_err());
        assert!(check_segment_size((32 << 10) + 1).is_err());
    }
}
