//! Merging blocks, and writing one anew: what a plan asks for, done.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::block_summary::BlockSummary;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::write::{
    BlockSpec, MergeSource, WriteBlockError, WriteObserver, write_block,
};
use crate::tsdb::query::source::QueryError;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// Where the outcome goes, and how.
#[derive(Clone, Copy, Debug)]
pub struct CompactionOutput<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// The name of the new block.
    pub ulid: BlockUlid,
    /// How floats of chunks that overlap are encoded anew.
    pub floats: FloatEncoding,
}

/// Why blocks were not merged. They are as they were.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// There were no blocks.
    #[error("no block to merge")]
    NoBlocks,
    /// Anything else.
    #[error(transparent)]
    Write(#[from] WriteBlockError),
}

/// Writes the block that holds what `blocks` hold, given in the order of their times. `false` where nothing is left of them, so that
/// there is no new block and the old ones can go.
///
/// # Errors
/// [`CompactError`].
pub fn merge_blocks(
    target: CompactionOutput<'_>,
    blocks: &[Arc<Block>],
    watch: &WriteObserver<'_>,
) -> Result<bool, CompactError> {
    let facts: Vec<BlockSummary> =
        blocks.iter().map(|block| BlockSummary::from_meta(&block.meta())).collect();
    let lineage = Lineage::for_merge(&facts).ok_or(CompactError::NoBlocks)?;
    write_merged(target, &lineage, blocks, watch)
}

/// Writes a block anew without what is deleted of it, on demand; else as [`merge_blocks`].
///
/// # Errors
/// [`CompactError`].
pub fn rewrite_block(
    target: CompactionOutput<'_>,
    block: &Arc<Block>,
    watch: &WriteObserver<'_>,
) -> Result<bool, CompactError> {
    let lineage = Lineage::for_rewrite(target.ulid, &BlockSummary::from_meta(&block.meta()));
    write_merged(target, &lineage, std::slice::from_ref(block), watch)
}

/// Notes in blocks of which nothing is left that they can go, so that also a start after a crash removes them all.
///
/// # Errors
/// [`BlockError`] of the first that can't be changed.
pub fn mark_deletable(blocks: &[Arc<Block>]) -> Result<(), BlockError> {
    blocks.iter().try_for_each(|block| block.mark_deletable())
}

fn write_merged(
    target: CompactionOutput<'_>,
    lineage: &Lineage,
    blocks: &[Arc<Block>],
    watch: &WriteObserver<'_>,
) -> Result<bool, CompactError> {
    let plan = BlockSpec { dir: target.dir, ulid: target.ulid, lineage, floats: target.floats };
    let sources = blocks.iter().map(|block| merge_source(block)).collect();
    Ok(write_block(plan, sources, watch)?.is_some())
}

fn merge_source(block: &Block) -> MergeSource<'_> {
    let symbols = block.symbols().map(|symbol| match symbol {
        Ok(symbol) => Ok(Cow::Borrowed(symbol)),
        Err(error) => Err(QueryError::Corrupted(error.to_string())),
    });
    MergeSource { series: block, symbols: Box::new(symbols) }
}
