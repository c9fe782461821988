//! Directory `chunks/` of a block: its chunks in numbered segments.
//!
//! | file           | content                                         |
//! |----------------|-------------------------------------------------|
//! | [`mod@format`] | byte format of a segment                        |
//! | [`error`]      | errors of chunk segments                        |
//! | [`writer`]     | writer for the segments of a new block          |
//! | [`reader`]     | reader of mapped segments                       |
//!
//! A segment is complete and synced before its block gets its name, and never changes afterwards.

pub mod error;
pub mod format;
pub mod reader;
pub mod writer;

use std::path::{Path, PathBuf};

/// Name of the directory in a block directory.
pub const NAME: &str = "chunks";

/// Returns the path of segment `segment`, counted from 0. File names count from 1.
fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{:06}", u64::from(segment) + 1))
}
