//! Deletion from a block: tombstones hide samples that remain in the chunks.
//!
//! The tombstones become durable first, then `meta.json` with their number, then readers see them.
//! After a crash in between, the tombstones count, and opening the block corrects the number.
//!
//! A deletion is clipped to the chunks of a series, and a series without a chunk in the range gets
//! no tombstone. So the number of tombstones shows the benefit of rewriting the block.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::{Block, BlockState};
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::index::block_index::entry::ChunkMeta;
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::file as tombstones_file;
use std::sync::Arc;

/// Deletes the samples in `range` of the series of `block` that satisfy all matchers; an empty list
/// selects no series. Returns the number of selected series with a chunk in the range.
///
/// # Errors
/// [`BlockError::Corrupted`] if the index cannot be read. [`BlockError::Io`] if a file cannot be
/// replaced; the deletion may or may not be visible after the next start.
pub fn delete(
    block: &Block,
    disk: &dyn Disk,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<u64, BlockError> {
    let _guard = block.update_lock.lock();
    let current = block.state();
    let mut tombstones = Tombstones::clone(&current.tombstones);
    let mut series = 0;
    for at in block.index.select(matchers)? {
        if let Some(part) = clip_to_chunks(&block.index.series(at)?.chunks, range) {
            tombstones.add(u64::from(at.0), part);
            series += 1;
        }
    }
    if tombstones != *current.tombstones {
        replace_tombstones(block, disk, &current, tombstones)?;
    }
    Ok(series)
}

fn replace_tombstones(
    block: &Block,
    disk: &dyn Disk,
    current: &BlockState,
    tombstones: Tombstones,
) -> Result<(), BlockError> {
    fail_point::hit("tombstones.write");
    let mut next = current.clone();
    next.tombstones_bytes = tombstones_file::write(disk, &block.dir, &tombstones)?;
    Arc::make_mut(&mut next.meta).stats.num_tombstones = tombstones.interval_count();
    next.tombstones = Arc::new(tombstones);
    // The deletion is durable now, even if its number is not, so readers must see it.
    let written = next.meta.write(disk, &block.dir);
    if let Ok(bytes) = written {
        next.meta_bytes = bytes;
    }
    block.swap_state(next);
    written?;
    Ok(())
}

/// Returns the part of `range` between the first and the last sample of a series with these chunks,
/// or `None` if no chunk overlaps it.
fn clip_to_chunks(chunks: &[ChunkMeta], range: TimeRange) -> Option<TimeRange> {
    let overlaps_chunk =
        chunks.iter().any(|chunk| range.overlaps(TimeRange::new(chunk.mint, chunk.maxt)));
    let (first, last) = (chunks.first()?, chunks.last()?);
    overlaps_chunk.then(|| TimeRange::new(range.mint.max(first.mint), range.maxt.min(last.maxt)))
}

#[cfg(test)]
mod tests {
    use super::clip_to_chunks;
    use crate::model::refs::BlockChunkRef;
    use crate::model::time::TimeRange;
    use crate::tsdb::index::block_index::entry::ChunkMeta;

    #[test]
    fn deletion_is_clipped_to_chunks() {
        let chunk = |mint, maxt| ChunkMeta { chunk_ref: BlockChunkRef::new(0, 8), mint, maxt };
        let chunks = [chunk(10, 19), chunk(30, 39)];
        let part = |mint, maxt| {
            clip_to_chunks(&chunks, TimeRange::new(mint, maxt)).map(|part| (part.mint, part.maxt))
        };
        assert_eq!(part(i64::MIN, i64::MAX), Some((10, 39)));
        assert_eq!(part(15, 25), Some((15, 25)));
        assert_eq!(part(39, 50), Some((39, 39)));
        assert_eq!(
            (part(20, 29), part(0, 9), part(40, 50), part(19, 10)),
            (None, None, None, None)
        );
        assert_eq!(clip_to_chunks(&[], TimeRange::ALL), None);
    }
}
