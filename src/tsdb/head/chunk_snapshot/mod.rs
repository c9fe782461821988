//! Snapshots of the head, for a start without a replay: `chunk_snapshot.000012.0000163840/`.
//!
//! Written at a clean stop where `--enable-feature=memory-snapshot-on-shutdown` asks for it, in Prometheus's format: segments like those of
//! the log, with a record for each series and its open chunk ([`record`]). The name says up to where of the log it stands for: the number
//! of the last segment and the length that it had. Full chunks are in `chunks_head/` already.
//!
//! A snapshot is used only where the log has nothing behind that place and everything in it can be held; in any other case the log is
//! replayed as if there were none. So a snapshot can save time and never costs a sample.
//!
//! What a snapshot does not have is the greatest reference that was ever given out, and the log may still have records of series that were
//! collected since. It must not be given out again, so a tombstone of that reference is added that deletes nothing (one
//! millisecond at the beginning of time); to Prometheus it means as little.
//!
//! | file          | what                                |
//! |---------------|-------------------------------------|
//! | [`record`]    | the bytes of a record               |
//! | [`mod@write`] | from the head to a folder           |
//! | `exemplars`   | the exemplars of both directions    |
//! | [`load`]      | from a folder to the head           |

mod exemplars;
pub mod load;
pub mod record;
pub mod write;

use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "chunk_snapshot.";

/// A finished snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkSnapshot {
    /// Up to where of the log it stands for.
    pub wal_offset: WalOffset,
    /// Its folder.
    pub path: PathBuf,
}

/// A place in the log's files: the last segment and its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalOffset {
    /// Number of the segment.
    pub segment: u32,
    /// Bytes of it.
    pub offset: u64,
}

/// The folder's name of a snapshot.
fn dir_name(upto: WalOffset) -> String {
    format!("{PREFIX}{:06}.{:010}", upto.segment, upto.offset)
}

/// The newest snapshot in the data directory `dir`.
///
/// # Errors
/// What the system says.
pub fn last_snapshot(dir: &Path) -> io::Result<Option<ChunkSnapshot>> {
    Ok(snapshots(dir)?.into_iter().max_by_key(|snapshot| snapshot.wal_offset))
}

/// Removes the snapshots for which `is_old` holds, and what was left of unfinished ones.
///
/// # Errors
/// What the system says.
pub fn remove_snapshots(dir: &Path, is_old: impl Fn(WalOffset) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_unfinished = name.strip_prefix(PREFIX).is_some_and(|rest| rest.ends_with(".tmp"));
        if is_unfinished || parse_name(name).is_some_and(&is_old) {
            std::fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn snapshots(dir: &Path) -> io::Result<Vec<ChunkSnapshot>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(upto) = path.file_name().and_then(|name| name.to_str()).and_then(parse_name)
            && path.is_dir()
        {
            found.push(ChunkSnapshot { wal_offset: upto, path });
        }
    }
    Ok(found)
}

fn parse_name(name: &str) -> Option<WalOffset> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (are_digits(segment) && are_digits(offset)).then_some(())?;
    Some(WalOffset { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

#[cfg(test)]
mod tests;
