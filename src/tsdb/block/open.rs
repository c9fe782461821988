//! An open block: its mapped files and its mutable state.
//!
//! Index and chunks never change. A deletion replaces the files of tombstones and `meta.json`, then
//! readers see the new `BlockState` as a whole.
//!
//! # Locking
//! `update_lock` is held for a whole deletion, mark or snapshot. The lock around the state is held
//! only to read or swap it. Nobody takes `update_lock` while holding the other.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::{self, BlockMeta, MetaDefect, dir_ulid};
use crate::tsdb::block::writer::INDEX;
use crate::tsdb::chunk::chunk_segments;
use crate::tsdb::chunk::chunk_segments::reader::ChunkSegmentReader;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::index::block_index::reader::IndexReader;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::file as tombstones_file;
use parking_lot::{Mutex, RwLock};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open block. Mapped data stays readable if its files are renamed or removed.
#[derive(Debug)]
pub struct Block {
    pub(super) dir: PathBuf,
    pub(super) index: IndexReader,
    pub(super) chunks: ChunkSegmentReader,
    /// Held while files of the block are replaced or linked.
    pub(super) update_lock: Mutex<()>,
    current: RwLock<Arc<BlockState>>,
}

/// Mutable state of a block at one instant.
#[derive(Debug, Clone)]
pub(super) struct BlockState {
    pub(super) meta: Arc<BlockMeta>,
    pub(super) tombstones: Arc<Tombstones>,
    pub(super) meta_bytes: u64,
    pub(super) tombstones_bytes: u64,
}

impl Block {
    /// Opens the block in the directory `dir`. Checks only what is cheap: name, version, time
    /// range, headers, the index parts that every reader needs, tombstones.
    /// [`verify`](crate::tsdb::block::verify::verify) checks the rest.
    ///
    /// # Errors
    /// [`BlockError::Corrupted`] if a file is missing or invalid, [`BlockError::Io`] if the system
    /// failed.
    pub fn open(dir: &Path) -> Result<Self, BlockError> {
        let current = read_state(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            index: IndexReader::open(&dir.join(INDEX))?,
            chunks: ChunkSegmentReader::open(&dir.join(chunk_segments::NAME))?,
            update_lock: Mutex::new(()),
            current: RwLock::new(Arc::new(current)),
        })
    }

    /// Returns the directory that the block was opened in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the metadata with the current number of tombstones.
    #[must_use]
    pub fn meta(&self) -> Arc<BlockMeta> {
        Arc::clone(&self.state().meta)
    }

    /// Returns the current tombstones.
    #[must_use]
    pub fn tombstones(&self) -> Arc<Tombstones> {
        Arc::clone(&self.state().tombstones)
    }

    /// Returns the size of all files, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let current = self.state();
        self.chunks.size_bytes() + self.index.size() + current.tombstones_bytes + current.meta_bytes
    }

    pub(super) fn state(&self) -> Arc<BlockState> {
        Arc::clone(&self.current.read())
    }

    /// Publishes `state` to later readers.
    pub(super) fn swap_state(&self, state: BlockState) {
        *self.current.write() = Arc::new(state);
    }
}

fn read_state(dir: &Path) -> Result<BlockState, BlockError> {
    let mut meta = BlockMeta::read(dir)?;
    let meta_path = dir.join(meta::NAME);
    if dir_ulid(dir) != Some(meta.ulid) {
        let defect = MetaDefect::DirName { ulid: meta.ulid };
        return Err(Corruption::of_file(meta_path, defect).into());
    }
    if meta.min_time >= meta.max_time {
        let (min_time, max_time) = (meta.min_time, meta.max_time);
        let defect = MetaDefect::TimeRange { min_time, max_time };
        return Err(Corruption::of_file(meta_path, defect).into());
    }
    let meta_bytes =
        fs::metadata(&meta_path).map_err(FileError::for_step("inspect", &meta_path))?.len();
    let stored = tombstones_file::read(dir)?;
    // A crash may have occurred between the writes of the two files; the tombstones are
    // authoritative.
    meta.stats.num_tombstones = stored.tombstones.interval_count();
    Ok(BlockState {
        meta: Arc::new(meta),
        tombstones: Arc::new(stored.tombstones),
        meta_bytes,
        tombstones_bytes: stored.file_bytes,
    })
}
