//! The folder `chunks/` of a block: its chunks, in numbered segment files.
//!
//! | file           | what                                            |
//! |----------------|-------------------------------------------------|
//! | [`mod@format`] | the bytes of a file                             |
//! | [`error`]      | what can go wrong                               |
//! | [`writer`]     | writes the files of a new block                 |
//! | [`reader`]     | hands out chunks of files that are mapped       |
//!
//! A segment is complete and synced before its block gets its name, and never changes afterwards.

pub mod error;
pub mod format;
pub mod reader;
pub mod writer;

use std::path::{Path, PathBuf};

/// The folder's name in the block's folder.
pub const NAME: &str = "chunks";

/// The path of the segment with this number, counted from 0: the files are counted from 1.
fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{:06}", u64::from(segment) + 1))
}
