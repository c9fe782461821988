//! Writes a block: its folder appears under its name as a whole, and durably, or not at all.
//!
//! ```text
//! PARENT/ULID.tmp-for-creation/   index, chunks/000001…, meta.json, tombstones: each synced; then the folders; then
//! PARENT/ULID/                    by renaming, and PARENT is synced
//! ```
//!
//! Symbols come first (rising, each once: all names and values of labels), then series (rising) with their chunks. A writer that is
//! dropped before its end removes its folder; after a crash the name tells that it may be removed. One thread.

use crate::model::labels::Labels;
use crate::tsdb::block::chunk_segments;
use crate::tsdb::block::chunk_segments::format::num_samples;
use crate::tsdb::block::chunk_segments::writer::ChunkSegmentWriter;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::{self, BlockMeta, BlockStats, Compaction};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use crate::tsdb::fs::fail_point;
use crate::tsdb::index::block_index::entry::ChunkMeta;
use crate::tsdb::index::block_index::writer::IndexWriter;
use crate::tsdb::query::source::Chunk;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::file as tombstones_file;
use serde_json::Map;
use std::fs;
use std::path::{Path, PathBuf};

/// What follows the ULID in the name of a folder that is being written.
pub const CREATION_SUFFIX: &str = ".tmp-for-creation";

/// The name of the index file in a block's folder.
pub(super) const INDEX: &str = "index";

/// What a block says of itself, apart from what its writer counts.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBlockMeta {
    /// Time from which it may have samples, ms.
    pub min_time: i64,
    /// Time before which its samples end, ms; not included.
    pub max_time: i64,
    /// How it came about.
    pub compaction: Compaction,
}

/// A block being written.
#[derive(Debug)]
pub struct BlockWriter {
    ulid: BlockUlid,
    index: IndexWriter,
    segments: ChunkSegmentWriter,
    stats: BlockStats,
    /// The chunks of the current series.
    chunks: Vec<ChunkMeta>,
    folder: StagingDir,
}

impl BlockWriter {
    /// Begins the block `ulid` in `parent`.
    ///
    /// # Errors
    /// [`BlockError::Exists`] where the name is taken, [`BlockError::Io`] where a file can't be made.
    pub fn create(parent: &Path, ulid: BlockUlid) -> Result<Self, BlockError> {
        let path = parent.join(ulid.to_string());
        if path.exists() {
            return Err(BlockError::Exists { path });
        }
        let folder = StagingDir::create(parent.join(format!("{ulid}{CREATION_SUFFIX}")))?;
        let index = IndexWriter::create(&folder.path.join(INDEX))?;
        let segments = ChunkSegmentWriter::create(&folder.path.join(chunk_segments::NAME))?;
        Ok(Self { ulid, index, segments, stats: BlockStats::default(), chunks: Vec::new(), folder })
    }

    /// Adds a symbol, greater than the one before.
    ///
    /// # Errors
    /// [`BlockError::InvalidInput`] for one out of order or after the first series, else [`BlockError::Io`].
    pub fn add_symbol(&mut self, symbol: &str) -> Result<(), BlockError> {
        Ok(self.index.add_symbol(symbol)?)
    }

    /// Adds a series, greater than the one before, with its chunks in the order of time; their data is taken as it is. A
    /// series without chunks is left out.
    ///
    /// # Errors
    /// [`BlockError::InvalidInput`] for a series out of order or with a label that is no symbol, and for chunks that overlap or of which
    /// something is deleted (which the block would bring back); else [`BlockError::Io`]. The writer is of no use then.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<(), BlockError> {
        if chunks.is_empty() {
            return Ok(());
        }
        fail_point::hit("block.write");
        self.segments.begin_series();
        self.chunks.clear();
        for chunk in chunks {
            if chunk.deleted_intervals.is_some() {
                return Err(BlockError::InvalidInput(format!(
                    "a chunk of {labels} with deleted samples"
                )));
            }
            let at = self.segments.add(chunk.encoding, chunk.data.bytes())?;
            self.chunks.push(ChunkMeta { chunk_ref: at, mint: chunk.mint, maxt: chunk.maxt });
            self.count(chunk);
        }
        self.stats.num_series += 1;
        Ok(self.index.add_series(labels, &self.chunks)?)
    }

    /// Completes the block and gives it its name. A block without a sample is not kept: `None`.
    ///
    /// # Errors
    /// [`BlockError::Io`] where a step failed, and [`BlockError::InvalidInput`] where the index outgrows its format; then there is no block.
    pub fn finish(self, block: NewBlockMeta) -> Result<Option<BlockMeta>, BlockError> {
        self.finish_while(block, &|| true)
    }

    /// The same, as long as `go_on`, which is asked again and again, returns `true`.
    ///
    /// # Errors
    /// [`BlockError::Cancelled`], else as [`Self::finish`].
    pub fn finish_while(
        mut self,
        block: NewBlockMeta,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<BlockMeta>, BlockError> {
        if self.stats.num_samples == 0 {
            return Ok(None);
        }
        let check = || if go_on() { Ok(()) } else { Err(BlockError::Cancelled) };
        self.index.finish_while(go_on)?;
        check()?;
        self.segments.finish()?;
        check()?;
        let meta = BlockMeta {
            ulid: self.ulid,
            min_time: block.min_time,
            max_time: block.max_time,
            stats: self.stats,
            compaction: block.compaction,
            version: meta::VERSION,
            other: Map::new(),
        };
        meta.write(&self.folder.path)?;
        tombstones_file::write(&self.folder.path, &Tombstones::default())?;
        sync_dir(&self.folder.path)?;
        self.folder.publish(&self.ulid.to_string())?;
        Ok(Some(meta))
    }

    fn count(&mut self, chunk: &Chunk) {
        let samples = u64::from(num_samples(chunk.encoding, chunk.data.bytes()));
        self.stats.num_chunks += 1;
        self.stats.num_samples += samples;
        match chunk.encoding {
            ChunkEncoding::Xor | ChunkEncoding::Xor2 => self.stats.num_float_samples += samples,
            _ => self.stats.num_histogram_samples += samples,
        }
    }
}

/// The folder that is being filled; it is removed when this is dropped, unless it was published.
#[derive(Debug)]
struct StagingDir {
    path: PathBuf,
    published: bool,
}

impl StagingDir {
    fn create(path: PathBuf) -> Result<Self, FileError> {
        fs::create_dir(&path).map_err(FileError::for_step("create", &path))?;
        Ok(Self { path, published: false })
    }

    /// Gives it the name, durably. Where that fails it has its own again.
    fn publish(&mut self, name: &str) -> Result<(), FileError> {
        let parent = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let target = parent.join(name);
        fail_point::hit("block.before_rename");
        fs::rename(&self.path, &target).map_err(FileError::for_step("rename", &self.path))?;
        fail_point::hit("block.after_rename");
        if let Err(error) = sync_dir(&parent) {
            // A block that may be gone after a crash must not count as one, nor stay beside the one of the next attempt.
            fs::rename(&target, &self.path).map_err(FileError::for_step("rename back", &target))?;
            return Err(error);
        }
        self.published = true;
        Ok(())
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished block can't be removed");
        }
    }
}
