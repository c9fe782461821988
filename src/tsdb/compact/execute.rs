//! Execution of compaction plans: merges blocks, or rewrites one.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::mark;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::block_summary::BlockSummary;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::write::{
    BlockSpec, MergeSource, WriteBlockError, WriteObserver, write_block,
};
use crate::tsdb::fs::disk::Disk;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// Destination and encoding of a compaction.
#[derive(Clone, Copy, Debug)]
pub struct CompactionOutput<'a> {
    /// Disk of the data directory.
    pub disk: &'a dyn Disk,
    /// Data directory of the database.
    pub dir: &'a Path,
    /// ULID of the new block.
    pub ulid: BlockUlid,
    /// Encoding for re-encoded floats of overlapping chunks.
    pub floats: FloatEncoding,
}

/// Error of a compaction. The source blocks are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The list of blocks is empty.
    #[error("no block to merge")]
    NoBlocks,
    /// The new block was not written.
    #[error(transparent)]
    Write(#[from] WriteBlockError),
}

/// Merges `blocks`, sorted by `mint`, into a new block. Returns `false` if no sample is left: then
/// there is no new block, and the old ones can be removed.
///
/// # Errors
/// [`CompactError`] if there are no blocks or the new one was not written.
pub fn merge_blocks(
    target: CompactionOutput<'_>,
    blocks: &[Arc<Block>],
    observer: &WriteObserver<'_>,
) -> Result<bool, CompactError> {
    let summaries: Vec<BlockSummary> =
        blocks.iter().map(|block| BlockSummary::from_meta(&block.meta())).collect();
    let lineage = Lineage::for_merge(&summaries).ok_or(CompactError::NoBlocks)?;
    write_merged(target, &lineage, blocks, observer)
}

/// Rewrites a block without its deleted samples, for an admin operation. Returns the same as
/// [`merge_blocks`].
///
/// # Errors
/// [`CompactError`] if the new block was not written.
pub fn rewrite_block(
    target: CompactionOutput<'_>,
    block: &Arc<Block>,
    observer: &WriteObserver<'_>,
) -> Result<bool, CompactError> {
    let lineage = Lineage::for_rewrite(target.ulid, &BlockSummary::from_meta(&block.meta()));
    write_merged(target, &lineage, std::slice::from_ref(block), observer)
}

/// Marks empty blocks in their `meta.json` as deletable, so that the next startup removes all of
/// them even after a crash.
///
/// # Errors
/// [`BlockError`] of the first block that cannot be changed.
pub fn mark_deletable(disk: &dyn Disk, blocks: &[Arc<Block>]) -> Result<(), BlockError> {
    blocks.iter().try_for_each(|block| mark::mark_deletable(block, disk))
}

fn write_merged(
    target: CompactionOutput<'_>,
    lineage: &Lineage,
    blocks: &[Arc<Block>],
    observer: &WriteObserver<'_>,
) -> Result<bool, CompactError> {
    let CompactionOutput { disk, dir, ulid, floats } = target;
    let spec = BlockSpec { disk, dir, ulid, lineage, floats };
    let sources = blocks.iter().map(|block| merge_source(block)).collect();
    Ok(write_block(spec, sources, observer)?.is_some())
}

fn merge_source(block: &Block) -> MergeSource<'_> {
    let symbols = block.symbols().map(|symbol| Ok(Cow::Borrowed(symbol?)));
    MergeSource { series: block, symbols: Box::new(symbols) }
}
