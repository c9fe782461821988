//! Helpers of everything that writes blocks: maintenance, admin operations, snapshots.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::compact::merge::error::MergeError;
use crate::tsdb::compact::merge::symbols::{MergedSymbols, SymbolIter};
use crate::tsdb::compact::write::{MergeSource, WriteBlockError};
use crate::tsdb::db::blocks::dir;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::symbols::symbols;
use crate::tsdb::query::source::BlockSource;
use std::borrow::Cow;
use std::sync::Arc;

/// Returns `series` of the head as a source of a block.
pub(crate) fn head_source<'a>(
    head: &'a Head,
    series: &'a dyn BlockSource,
) -> Result<MergeSource<'a>, MergeError> {
    let symbols = symbols(head)
        .map(|list| -> SymbolIter<'a> { Box::new(list.map(|symbol| Ok(Cow::Owned(symbol)))) });
    Ok(MergeSource { series, symbols: Box::new(MergedSymbols::new(symbols.collect())?) })
}

/// Returns `true` if the error is only the cancellation.
pub(crate) fn is_cancelled(error: &WriteBlockError) -> bool {
    matches!(error, WriteBlockError::Cancelled | WriteBlockError::Write(BlockError::Cancelled))
}

/// Opens a block that was just written, and removes it if that fails: its samples are still in the
/// sources, which may lose more of them until the next startup.
pub(crate) fn open_written_block(
    options: &DbOptions,
    ulid: BlockUlid,
) -> Result<Arc<Block>, BlockError> {
    let dir = &options.dir;
    Block::open(&dir::block_dir(dir, ulid)).map(Arc::new).inspect_err(|_| {
        if let Err(error) = dir::remove(&*options.disk, dir, ulid) {
            tracing::warn!(%error, block = %ulid, "cannot remove unreadable new block");
        }
    })
}
