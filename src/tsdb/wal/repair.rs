//! Repair: truncates a log at the end of its last valid record.
//!
//! Everything before the corruption is kept, as in Prometheus. The rest is not lost:
//! - A torn tail of the last segment is truncated. It is a partial write that was never
//!   acknowledged.
//! - Otherwise the rest of the corrupted segment and all later segments move to the quarantine,
//!   each time to a new directory:
//!
//! ```text
//! quarantine/wal-00000001-at-105954/00000001.from-105954   rest of the corrupted segment
//!                                   00000002               a later segment, complete
//! quarantine/wal-00000001-at-105954-2/…                    a later repair at the same position
//! ```
//!
//! Later segments must move: their samples may belong to series whose records were lost, and a new
//! segment would follow them.
//!
//! # Failure
//! After a crash between any two steps, the log reads up to the same corruption or is repaired, and
//! a second repair finishes the first. No byte after the valid records is ever without a copy.
//! Therefore the last segment moves first, so that no gap arises, each move is durable before the
//! next one, and the corrupted segment is truncated last.
//!
//! Nobody may write to the log during a repair. Corrupted checkpoints are never truncated.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::fail_point;
use crate::tsdb::fs::quarantine::{copy_file, move_file};
use crate::tsdb::wal::corruption::{CorruptionExtent, WalCorruption};
use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};

/// Result of a repair.
#[derive(Clone, Debug)]
pub struct RepairReport {
    /// Length of the valid part of the corrupted segment, which now ends there, bytes.
    pub retained_bytes: u64,
    /// Length of the removed part, bytes.
    pub removed_bytes: u64,
    /// Corruption that was repaired.
    pub corruption: Box<WalCorruption>,
    /// Quarantined data; `None` if a torn tail was truncated.
    pub quarantined: Option<QuarantinedSegments>,
}

/// Data that a repair moved to the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedSegments {
    /// Directory in the quarantine.
    pub folder: PathBuf,
    /// Numbers of the later segments, ascending; these are complete.
    pub segments: Vec<u32>,
    /// Total size of the moved data, bytes.
    pub bytes: u64,
}

/// Error of a repair. Valid records are still in place.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The segments cannot be listed.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The corrupted file is not a segment of this log.
    #[error("cannot repair {}: not a segment of {}", path.display(), dir.display())]
    Foreign {
        /// Path of the corrupted file.
        path: PathBuf,
        /// Directory of the log.
        dir: PathBuf,
    },
    /// A step on a file or directory failed.
    #[error("cannot repair log segments: {0}")]
    File(#[from] FileError),
}

/// Repairs the log in `wal_dir`: keeps everything before `corruption`, truncates a torn tail or
/// moves the rest to `quarantine`.
///
/// # Errors
/// [`RepairError`]. A second attempt continues this one.
pub fn repair(
    disk: &dyn Disk,
    wal_dir: &Path,
    quarantine: &Path,
    corruption: &WalCorruption,
) -> Result<RepairReport, RepairError> {
    let mut segments = list_segments(wal_dir)?;
    let Some(index) =
        segments.iter().position(|s| s.number == corruption.segment && s.path == corruption.path)
    else {
        return Err(RepairError::Foreign {
            path: corruption.path.clone(),
            dir: wal_dir.to_owned(),
        });
    };
    let later = segments.split_off(index + 1);
    fail_point::hit("replay.repair");
    // A start that failed early may have left an empty segment after the torn one.
    let later_bytes =
        later.iter().map(|segment| file_len(&segment.path)).sum::<Result<u64, _>>()?;
    let removed = file_len(&corruption.path)?.saturating_sub(corruption.good_end);
    let quarantined = if corruption.extent == CorruptionExtent::TornTail && later_bytes == 0 {
        None
    } else {
        Some(quarantine_tail(
            &RepairContext { disk, wal_dir, quarantine },
            corruption,
            &later,
            removed,
        )?)
    };
    fail_point::hit("replay.repair");
    truncate_segment(disk, corruption)?;
    Ok(RepairReport {
        retained_bytes: corruption.good_end,
        removed_bytes: removed,
        corruption: Box::new(corruption.clone()),
        quarantined,
    })
}

struct RepairContext<'a> {
    disk: &'a dyn Disk,
    wal_dir: &'a Path,
    quarantine: &'a Path,
}

fn quarantine_tail(
    context: &RepairContext<'_>,
    corruption: &WalCorruption,
    later: &[Segment],
    removed: u64,
) -> Result<QuarantinedSegments, RepairError> {
    let dir = unused_dir(context, corruption);
    context.disk.create_dir_all(&dir).map_err(FileError::for_step("create", &dir))?;
    let mut bytes = removed;
    // Last segment first: a crash in between leaves no gap in the numbers.
    for segment in later.iter().rev() {
        bytes += file_len(&segment.path)?;
        quarantine_segment(context, segment, &dir)?;
        fail_point::hit("replay.repair");
    }
    if removed > 0 {
        let tail = dir.join(format!("{:08}.from-{}", corruption.segment, corruption.good_end));
        copy_file(context.disk, &corruption.path, corruption.good_end, &tail)?;
    }
    Ok(QuarantinedSegments {
        folder: dir,
        segments: later.iter().map(|segment| segment.number).collect(),
        bytes,
    })
}

/// Returns the first unused directory name for the corruption.
fn unused_dir(context: &RepairContext<'_>, corruption: &WalCorruption) -> PathBuf {
    let log = context.wal_dir.file_name().map_or("wal".into(), |name| name.to_string_lossy());
    let first = context
        .quarantine
        .join(format!("{log}-{:08}-at-{}", corruption.segment, corruption.good_end));
    let later = (2u32..).map(|number| {
        let mut name = first.clone().into_os_string();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    });
    std::iter::once(first.clone()).chain(later).find(|dir| !dir.exists()).unwrap_or(first)
}

fn quarantine_segment(
    context: &RepairContext<'_>,
    segment: &Segment,
    dir: &Path,
) -> Result<(), RepairError> {
    move_file(context.disk, &segment.path, &dir.join(format!("{:08}", segment.number)))?;
    Ok(())
}

fn truncate_segment(disk: &dyn Disk, corruption: &WalCorruption) -> Result<(), RepairError> {
    let truncate = || {
        let file = disk.open_append(&corruption.path)?;
        file.truncate(corruption.good_end)?;
        file.sync()
    };
    Ok(truncate().map_err(FileError::for_step("truncate", &corruption.path))?)
}

fn file_len(path: &Path) -> Result<u64, RepairError> {
    Ok(std::fs::metadata(path).map_err(FileError::for_step("inspect", path))?.len())
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; retained the first {} bytes of the file, ",
            self.corruption, self.retained_bytes
        )?;
        match &self.quarantined {
            None => write!(f, "truncated {} bytes", self.removed_bytes),
            Some(QuarantinedSegments { folder, segments, bytes }) => write!(
                f,
                "moved {bytes} bytes to {}: the last {} of the file and {} later segments",
                folder.display(),
                self.removed_bytes,
                segments.len()
            ),
        }
    }
}
