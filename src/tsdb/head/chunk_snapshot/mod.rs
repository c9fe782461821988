//! Chunk snapshots of the head, for a start without replay: `chunk_snapshot.000012.0000163840/`.
//!
//! Written at a clean shutdown with `--enable-feature=memory-snapshot-on-shutdown`, in Prometheus's
//! format: segments like those of the WAL, with one record per series and its open chunk
//! ([`record`]). The name has the WAL position that the snapshot covers: the number of the last
//! segment and its length. Full chunks are in `chunks_head/` already.
//!
//! A snapshot is used only if the WAL has nothing after that position and the snapshot loads
//! completely. Otherwise the WAL is replayed, so a snapshot never costs a sample.
//!
//! # References
//! A snapshot lacks the greatest reference ever assigned, and the WAL may have records of series
//! collected since. It must not be assigned again, so a tombstone of that reference is added that
//! deletes nothing (one millisecond at the minimum time). Prometheus ignores it.
//!
//! | module        | content                             |
//! |---------------|-------------------------------------|
//! | `exemplars`   | encodes and restores exemplars      |
//! | [`load`]      | directory → head                    |
//! | [`record`]    | format of the records               |
//! | [`mod@write`] | head → directory                    |

mod exemplars;
pub mod load;
pub mod record;
pub mod write;

use crate::tsdb::fs::disk::Disk;
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "chunk_snapshot.";

/// Complete snapshot on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkSnapshot {
    /// Position up to which the snapshot covers the WAL.
    pub wal_offset: WalOffset,
    /// Directory of the snapshot.
    pub path: PathBuf,
}

/// Position in the WAL: the last segment and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalOffset {
    /// Number of the segment.
    pub segment: u32,
    /// Length of the segment, bytes.
    pub offset: u64,
}

/// Returns the directory name of a snapshot.
fn dir_name(wal_offset: WalOffset) -> String {
    format!("{PREFIX}{:06}.{:010}", wal_offset.segment, wal_offset.offset)
}

/// Returns the newest snapshot in the data directory `dir`.
///
/// # Errors
/// [`io::Error`] if the directory cannot be read.
pub fn last_snapshot(dir: &Path) -> io::Result<Option<ChunkSnapshot>> {
    Ok(snapshots(dir)?.into_iter().max_by_key(|snapshot| snapshot.wal_offset))
}

/// Removes the snapshots for which `is_old` returns `true`, and unfinished ones.
///
/// # Errors
/// [`io::Error`] if the directory cannot be read or a snapshot cannot be removed.
pub fn remove_snapshots(
    disk: &dyn Disk,
    dir: &Path,
    is_old: impl Fn(WalOffset) -> bool,
) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_unfinished = name.strip_prefix(PREFIX).is_some_and(|rest| rest.ends_with(".tmp"));
        if is_unfinished || parse_name(name).is_some_and(&is_old) {
            disk.remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn snapshots(dir: &Path) -> io::Result<Vec<ChunkSnapshot>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(wal_offset) =
            path.file_name().and_then(|name| name.to_str()).and_then(parse_name)
            && path.is_dir()
        {
            found.push(ChunkSnapshot { wal_offset, path });
        }
    }
    Ok(found)
}

fn parse_name(name: &str) -> Option<WalOffset> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let are_digits =
        |string: &str| !string.is_empty() && string.bytes().all(|byte| byte.is_ascii_digit());
    (are_digits(segment) && are_digits(offset)).then_some(())?;
    Some(WalOffset { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

#[cfg(test)]
mod tests;
