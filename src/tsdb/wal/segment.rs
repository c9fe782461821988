//! Segments: the files of the log, by their names.
//!
//! ```text
//! wal/00000000   wal/00000001   …   wal/checkpoint.00000001/00000000   …
//! ```
//!
//! A name is the segment's number, written with eight digits here; any run of digits is read, as Prometheus does (old
//! versions wrote six). Numbers follow one another without a gap: a gap means that a part of the log is missing.

use std::io;
use std::path::{Path, PathBuf};

use crate::tsdb::wal::page::PAGE_SIZE;

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The number that is its name.
    pub number: u32,
    /// Its path.
    pub path: PathBuf,
}

/// Why the segments of a directory can't be listed, or none of such a size be written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The directory can't be read.
    #[error("reading {}: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A segment is missing.
    #[error("{}: segment {missing:08} is missing before {next:08}", dir.display())]
    Gap {
        /// The directory.
        dir: PathBuf,
        /// The first number that is missing.
        missing: u64,
        /// The number that is there behind the gap.
        next: u32,
    },
    /// The same number twice, written with different digits.
    #[error("{}: segment {number} exists twice", dir.display())]
    Duplicate {
        /// The directory.
        dir: PathBuf,
        /// The number.
        number: u32,
    },
    /// A segment size that is not a whole number of pages.
    #[error("segment size {0} is not a multiple of {PAGE_SIZE} bytes")]
    Size(u64),
}

/// The path of segment `number` in `dir`.
#[must_use]
pub fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}"))
}

/// The number in a file's name, or `None` where it is no segment's name.
#[must_use]
pub fn segment_number(name: &str) -> Option<u32> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

/// The segments in `dir`, by number. Files of other names, and directories, are passed over.
///
/// # Errors
/// [`SegmentError`] where the directory can't be read or the numbers have a gap.
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

/// Checks that `size` can be a segment's size.
///
/// # Errors
/// [`SegmentError::Size`] where it is 0 or not a whole number of pages.
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
    fn names_are_numbers_of_eight_digits() {
        assert_eq!(segment_path(Path::new("wal"), 7), Path::new("wal/00000007"));
        assert_eq!(segment_number("00000007"), Some(7));
        assert_eq!(segment_number("000007"), Some(7));
        for name in ["", "checkpoint.00000001", "0000000a", "+1", "-1", "99999999999", "1.repair"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }

    #[test]
    fn a_listing_is_sorted_and_a_gap_or_double_is_an_error() {
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
    fn a_size_is_a_whole_number_of_pages() {
        assert!(check_segment_size(32 << 10).is_ok());
        assert!(check_segment_size(0).is_err());
        assert!(check_segment_size((32 << 10) + 1).is_err());
    }
}
