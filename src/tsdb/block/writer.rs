//! Block writer: a block appears under its name completely and durably, or not at all.
//!
//! ```text
//! PARENT/ULID.tmp-for-creation/   index, chunks/000001…, meta.json, tombstones: synced, then the
//!                                 directories
//! PARENT/ULID/                    renamed, then PARENT is synced
//! ```
//!
//! Symbols come first (all names and values of labels, ascending and unique), then series
//! (ascending) with their chunks. A writer that is dropped before [`BlockWriter::finish`] removes
//! its directory; after a crash the suffix shows that it may be removed. Single-threaded.

use crate::model::labels::Labels;
use crate::tsdb::block::error::{BlockError, BlockInputError};
use crate::tsdb::block::meta::{self, BlockMeta, BlockStats, Compaction};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::chunk_segments;
use crate::tsdb::chunk::chunk_segments::format::num_samples;
use crate::tsdb::chunk::chunk_segments::writer::ChunkSegmentWriter;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use crate::tsdb::fs::fail_point;
use crate::tsdb::index::block_index::entry::ChunkMeta;
use crate::tsdb::index::block_index::writer::IndexWriter;
use crate::tsdb::query::source::Chunk;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::file as tombstones_file;
use serde_json::Map;
use std::path::{Path, PathBuf};

/// Suffix of the ULID in the name of an unfinished block directory.
pub const CREATION_SUFFIX: &str = ".tmp-for-creation";

/// Name of the index file in a block directory.
pub(super) const INDEX: &str = "index";

/// Metadata of a new block that its writer does not count.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBlockMeta {
    /// Lower bound of its timestamps, ms, inclusive.
    pub min_time: i64,
    /// Upper bound of its timestamps, ms, exclusive.
    pub max_time: i64,
    /// Origin of the block.
    pub compaction: Compaction,
}

/// Writer of one block.
#[derive(Debug)]
pub struct BlockWriter<'a> {
    disk: &'a dyn Disk,
    ulid: BlockUlid,
    index: IndexWriter<'a>,
    segments: ChunkSegmentWriter<'a>,
    stats: BlockStats,
    /// Chunks of the current series.
    chunks: Vec<ChunkMeta>,
    staging: StagingDir<'a>,
}

impl<'a> BlockWriter<'a> {
    /// Starts the block `ulid` in `parent`.
    ///
    /// # Errors
    /// [`BlockError::Exists`] if the name exists, [`BlockError::Io`] if a file cannot be created.
    pub fn create(disk: &'a dyn Disk, parent: &Path, ulid: BlockUlid) -> Result<Self, BlockError> {
        let path = parent.join(ulid.to_string());
        if path.exists() {
            return Err(BlockError::Exists { path });
        }
        let staging = StagingDir::create(disk, parent.join(format!("{ulid}{CREATION_SUFFIX}")))?;
        let index = IndexWriter::create(disk, &staging.path.join(INDEX))?;
        let segments = ChunkSegmentWriter::create(disk, &staging.path.join(chunk_segments::NAME))?;
        Ok(Self {
            disk,
            ulid,
            index,
            segments,
            stats: BlockStats::default(),
            chunks: Vec::new(),
            staging,
        })
    }

    /// Appends a symbol, which must be greater than the previous one.
    ///
    /// # Errors
    /// [`BlockError::InvalidInput`] if it is out of order or follows a series, else
    /// [`BlockError::Io`].
    pub fn add_symbol(&mut self, symbol: &str) -> Result<(), BlockError> {
        Ok(self.index.add_symbol(symbol)?)
    }

    /// Appends a series, which must be greater than the previous one, with its chunks in time
    /// order. Chunk data is copied unchanged. A series without chunks is skipped.
    ///
    /// # Errors
    /// [`BlockError::InvalidInput`] if the series is out of order, a label is not a symbol, chunks
    /// overlap, or a chunk has deleted samples, which the block would restore; else
    /// [`BlockError::Io`]. The writer is then unusable.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<(), BlockError> {
        if chunks.is_empty() {
            return Ok(());
        }
        fail_point::hit("block.write");
        self.segments.begin_series();
        self.chunks.clear();
        for chunk in chunks {
            if chunk.deleted_intervals.is_some() {
                return Err(BlockInputError::DeletedSamples { series: labels.clone() }.into());
            }
            let chunk_ref = self.segments.add(chunk.encoding, chunk.data.bytes())?;
            self.chunks.push(ChunkMeta { chunk_ref, mint: chunk.mint, maxt: chunk.maxt });
            self.count(chunk);
        }
        self.stats.num_series += 1;
        Ok(self.index.add_series(labels, &self.chunks)?)
    }

    /// Finishes the block and publishes it under its name. Returns `None` if it has no samples; it
    /// is then discarded.
    ///
    /// # Errors
    /// [`BlockError::Io`] if a step failed, [`BlockError::InvalidInput`] if the index exceeds its
    /// format. There is no block then.
    #[cfg(any(test, feature = "testing"))]
    pub fn finish(self, block: NewBlockMeta) -> Result<Option<BlockMeta>, BlockError> {
        self.finish_while(block, &|| true)
    }

    /// Finishes the block as long as `go_on`, called repeatedly, returns `true`.
    ///
    /// # Errors
    /// [`BlockError::Cancelled`] if `go_on` returned `false`, else as [`Self::finish`].
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
        meta.write(self.disk, &self.staging.path)?;
        tombstones_file::write(self.disk, &self.staging.path, &Tombstones::default())?;
        sync_dir(self.disk, &self.staging.path)?;
        self.staging.publish(&self.ulid.to_string())?;
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

/// Directory of an unfinished block; dropping it removes the directory unless it was published.
#[derive(Debug)]
struct StagingDir<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    published: bool,
}

impl<'a> StagingDir<'a> {
    fn create(disk: &'a dyn Disk, path: PathBuf) -> Result<Self, FileError> {
        disk.create_dir(&path).map_err(FileError::for_step("create", &path))?;
        Ok(Self { disk, path, published: false })
    }

    /// Renames the directory to `name`, durably. After a failed sync it is renamed back.
    fn publish(&mut self, name: &str) -> Result<(), FileError> {
        let parent = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let target = parent.join(name);
        fail_point::hit("block.before_rename");
        self.disk.rename(&self.path, &target).map_err(FileError::for_step("rename", &self.path))?;
        fail_point::hit("block.after_rename");
        if let Err(error) = sync_dir(self.disk, &parent) {
            // The name may not survive a crash, so the block must not be used, nor remain next to
            // the one of the next attempt.
            let back = self.disk.rename(&target, &self.path);
            back.map_err(FileError::for_step("rename back", &target))?;
            return Err(error);
        }
        self.published = true;
        Ok(())
    }
}

impl Drop for StagingDir<'_> {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = self.disk.remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove unfinished block");
        }
    }
}
