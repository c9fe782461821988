//! An open block: its parts, mapped, and what may change of it.
//!
//! Index and chunks never change. Tombstones and `meta.json` do, when something is deleted: both files are replaced, and what readers see
//! (`BlockState`) is exchanged as a whole. Two locks: `update_lock`, held for a whole deletion or snapshot, and the one around `state`, held to
//! take or exchange it; nobody takes the first while holding the second.

use crate::tsdb::block::chunk_segments;
use crate::tsdb::block::chunk_segments::reader::ChunkSegmentReader;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::{self, BlockMeta, dir_ulid};
use crate::tsdb::block::writer::INDEX;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::index::block_index::reader::IndexReader;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::file as tombstones_file;
use parking_lot::{Mutex, RwLock};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open block. Its files may be renamed or removed meanwhile: what is mapped stays readable.
#[derive(Debug)]
pub struct Block {
    pub(super) dir: PathBuf,
    pub(super) index: IndexReader,
    pub(super) chunks: ChunkSegmentReader,
    /// Held by whoever replaces files of the block, or links them.
    pub(super) update_lock: Mutex<()>,
    current: RwLock<Arc<BlockState>>,
}

/// What may change of a block, at one moment.
#[derive(Debug, Clone)]
pub(super) struct BlockState {
    pub(super) meta: Arc<BlockMeta>,
    pub(super) tombstones: Arc<Tombstones>,
    pub(super) meta_bytes: u64,
    pub(super) tombstones_bytes: u64,
}

impl Block {
    /// Opens the block in the folder `dir`. Only what costs little is checked: name, version, times, headers, the parts of the index that
    /// every reader needs, tombstones. [`Self::verify`] checks the rest.
    ///
    /// # Errors
    /// [`BlockError::Corrupted`] where a file is missing or wrong, [`BlockError::Io`] where the system refused.
    pub fn open(dir: &Path) -> Result<Self, BlockError> {
        let current = read_current(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            index: IndexReader::open(&dir.join(INDEX))?,
            chunks: ChunkSegmentReader::open(&dir.join(chunk_segments::NAME))?,
            update_lock: Mutex::new(()),
            current: RwLock::new(Arc::new(current)),
        })
    }

    /// The folder that it was opened in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it says of itself; the number of tombstones is that of now.
    #[must_use]
    pub fn meta(&self) -> Arc<BlockMeta> {
        Arc::clone(&self.state().meta)
    }

    /// What is deleted of it.
    #[must_use]
    pub fn tombstones(&self) -> Arc<Tombstones> {
        Arc::clone(&self.state().tombstones)
    }

    /// Length of all its files in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let current = self.state();
        self.chunks.size_bytes() + self.index.size() + current.tombstones_bytes + current.meta_bytes
    }

    pub(super) fn state(&self) -> Arc<BlockState> {
        Arc::clone(&self.current.read())
    }

    /// Lets readers that begin from now on see `state`.
    pub(super) fn swap_state(&self, current: BlockState) {
        *self.current.write() = Arc::new(current);
    }
}

fn read_current(dir: &Path) -> Result<BlockState, BlockError> {
    let mut meta = BlockMeta::read(dir)?;
    let wrong =
        |what: String| BlockError::Corrupted(format!("{}: {what}", dir.join(meta::NAME).display()));
    if dir_ulid(dir) != Some(meta.ulid) {
        return Err(wrong(format!("the folder's name is not {}", meta.ulid)));
    }
    if meta.min_time >= meta.max_time {
        return Err(wrong(format!(
            "minTime {} is not before maxTime {}",
            meta.min_time, meta.max_time
        )));
    }
    let meta_path = dir.join(meta::NAME);
    let meta_bytes =
        fs::metadata(&meta_path).map_err(FileError::for_step("look up", &meta_path))?.len();
    let stored = tombstones_file::read(dir)?;
    // A crash may have come between the two files; the tombstones are what counts.
    meta.stats.num_tombstones = stored.tombstones.interval_count();
    Ok(BlockState {
        meta: Arc::new(meta),
        tombstones: Arc::new(stored.tombstones),
        meta_bytes,
        tombstones_bytes: stored.file_bytes,
    })
}
