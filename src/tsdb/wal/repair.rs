//! Repair: a log that ends where its last good record does.
//!
//! What stands before the damage is kept, as Prometheus does. What stands behind it is not thrown away:
//! * a torn tail of the last segment is cut off; it is half a write that nobody was told of;
//! * otherwise the rest of the damaged segment and all later segments go to the quarantine, each time to a folder of its own:
//!
//! ```text
//! quarantine/wal-00000001-at-105954/00000001.from-105954   the damaged segment's bytes from there on
//!                                   00000002               a later segment, whole
//! quarantine/wal-00000001-at-105954-2/…                    another time
//! ```
//!
//! Later segments must go: their samples may belong to series whose records were lost, and a segment written anew would stand
//! behind them.
//!
//! Invariant: a crash between any two steps leaves a log that reads up to the same damage or is repaired, so a second repair
//! finishes the first, and no byte behind the good records is in fewer than one place. For that, segments go last first, so that
//! none is missing in between, each move durable before the next; the damaged segment is cut last.
//!
//! To be run while nobody writes to the log. A damaged checkpoint is not for here: nothing may be cut from one.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::fail_point;
use crate::tsdb::fs::quarantine::{copy_file, move_file};
use crate::tsdb::wal::corruption::{CorruptionExtent, WalCorruption};
use crate::tsdb::wal::segment::{Segment, SegmentError, list_segments};

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// The damaged segment.
    pub segment: u32,
    /// Its file, which now ends at `retained_bytes`.
    pub path: PathBuf,
    /// How many bytes of it were good and kept.
    pub retained_bytes: u64,
    /// How many bytes were cut off it, or set aside from it.
    pub removed_bytes: u64,
    /// What was wrong, where.
    pub damage: String,
    /// What was set aside; `None` where a torn tail was cut off.
    pub set_aside: Option<QuarantinedSegments>,
}

/// What went to the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedSegments {
    /// Where it is.
    pub folder: PathBuf,
    /// The later segments that are there whole, by number.
    pub segments: Vec<u32>,
    /// Bytes altogether.
    pub bytes: u64,
}

/// Why a log could not be repaired. What was good in it still is.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The segments can't be listed.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The damaged file is not a segment of this log.
    #[error("{} is not a segment of {}", path.display(), dir.display())]
    Foreign {
        /// The damaged file.
        path: PathBuf,
        /// The log's directory.
        dir: PathBuf,
    },
    /// A step on a file or directory failed.
    #[error("cannot repair the log: {0}")]
    File(#[from] FileError),
}

/// Repairs the log in `wal_dir`: keeps what stands before `corruption`, sets aside in `quarantine` what stands behind it.
///
/// # Errors
/// [`RepairError`]; a second try goes on where this one ended.
pub fn repair(
    disk: &dyn Disk,
    wal_dir: &Path,
    quarantine: &Path,
    damage: &WalCorruption,
) -> Result<RepairReport, RepairError> {
    let mut segments = list_segments(wal_dir)?;
    let Some(index) =
        segments.iter().position(|s| s.number == damage.segment && s.path == damage.path)
    else {
        return Err(RepairError::Foreign { path: damage.path.clone(), dir: wal_dir.to_owned() });
    };
    let later = segments.split_off(index + 1);
    fail_point::hit("replay.repair");
    // A start that ended early may have left an empty segment behind the torn one.
    let later_bytes =
        later.iter().map(|segment| file_len(&segment.path)).sum::<Result<u64, _>>()?;
    let cut = file_len(&damage.path)?.saturating_sub(damage.good_end);
    let set_aside = if damage.extent == CorruptionExtent::TornTail && later_bytes == 0 {
        None
    } else {
        Some(quarantine_tail(&RepairContext { disk, wal_dir, quarantine }, damage, &later, cut)?)
    };
    fail_point::hit("replay.repair");
    cut_off(disk, damage)?;
    let (segment, path, kept) = (damage.segment, damage.path.clone(), damage.good_end);
    Ok(RepairReport {
        segment,
        path,
        retained_bytes: kept,
        removed_bytes: cut,
        damage: damage.to_string(),
        set_aside,
    })
}

struct RepairContext<'a> {
    disk: &'a dyn Disk,
    wal_dir: &'a Path,
    quarantine: &'a Path,
}

fn quarantine_tail(
    place: &RepairContext<'_>,
    damage: &WalCorruption,
    later: &[Segment],
    cut: u64,
) -> Result<QuarantinedSegments, RepairError> {
    let folder = unused_dir(place, damage);
    place.disk.create_dir_all(&folder).map_err(FileError::for_step("create", &folder))?;
    let mut bytes = cut;
    for segment in later.iter().rev() {
        bytes += file_len(&segment.path)?;
        quarantine_segment(place, segment, &folder)?;
        fail_point::hit("replay.repair");
    }
    if cut > 0 {
        let tail = folder.join(format!("{:08}.from-{}", damage.segment, damage.good_end));
        copy_file(place.disk, &damage.path, damage.good_end, &tail)?;
    }
    Ok(QuarantinedSegments {
        folder,
        segments: later.iter().map(|segment| segment.number).collect(),
        bytes,
    })
}

/// The first folder of the damage's name that is not there yet.
fn unused_dir(place: &RepairContext<'_>, damage: &WalCorruption) -> PathBuf {
    let log = place.wal_dir.file_name().map_or("wal".into(), |name| name.to_string_lossy());
    let first =
        place.quarantine.join(format!("{log}-{:08}-at-{}", damage.segment, damage.good_end));
    let later = (2u32..).map(|number| {
        let mut name = first.clone().into_os_string();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    });
    std::iter::once(first.clone()).chain(later).find(|folder| !folder.exists()).unwrap_or(first)
}

fn quarantine_segment(
    place: &RepairContext<'_>,
    segment: &Segment,
    folder: &Path,
) -> Result<(), RepairError> {
    move_file(place.disk, &segment.path, &folder.join(format!("{:08}", segment.number)))?;
    Ok(())
}

fn cut_off(disk: &dyn Disk, damage: &WalCorruption) -> Result<(), RepairError> {
    let cutting = || {
        let file = disk.open_append(&damage.path)?;
        file.set_len(damage.good_end)?;
        file.sync()
    };
    Ok(cutting().map_err(FileError::for_step("cut", &damage.path))?)
}

fn file_len(path: &Path) -> Result<u64, RepairError> {
    Ok(std::fs::metadata(path).map_err(FileError::for_step("look at", path))?.len())
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; kept the file's first {} bytes, ", self.damage, self.retained_bytes)?;
        match &self.set_aside {
            None => write!(f, "cut off {}", self.removed_bytes),
            Some(QuarantinedSegments { folder, segments, bytes }) => write!(
                f,
                "set {bytes} bytes aside in {}: the file's last {} and {} later segments",
                folder.display(),
                self.removed_bytes,
                segments.len()
            ),
        }
    }
}
