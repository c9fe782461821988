//! Writing of a block: merges sources into a new block in the data directory.
//!
//! Memory: one series at a time and the data for the index, so it does not grow with the samples.
//! The block gets its name only when it is complete and durable. An error or a cancellation leaves
//! nothing behind. Blocking; takes no locks.

use crate::model::time::TimeRange;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::block::writer::{BlockWriter, NewBlockMeta};
use crate::tsdb::chunk::chunk_segments::format::num_samples;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::merge::error::MergeError;
use crate::tsdb::compact::merge::symbols::{MergedSymbols, SymbolIter};
use crate::tsdb::compact::merge::{MergeInput, SeriesMerger};
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkSeries, QueryError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Specification of a new block.
#[derive(Clone, Copy, Debug)]
pub struct BlockSpec<'a> {
    /// Disk of the data directory.
    pub disk: &'a dyn Disk,
    /// Data directory of the database.
    pub dir: &'a Path,
    /// ULID of the block.
    pub ulid: BlockUlid,
    /// Range and lineage. Samples outside the range are dropped.
    pub lineage: &'a Lineage,
    /// Encoding for re-encoded floats of overlapping chunks.
    pub floats: FloatEncoding,
}

/// Source of a block.
pub struct MergeSource<'a> {
    /// Series of the source.
    pub series: &'a dyn BlockSource,
    /// Strings of their labels, ascending. It may contain others.
    pub symbols: SymbolIter<'a>,
}

/// Observer of the writing of a block.
pub struct WriteObserver<'a> {
    /// Counters of written data.
    pub stats: &'a CompactStats,
    /// Set to cancel the writing.
    pub cancel: &'a AtomicBool,
    /// Called with every chunk of the block.
    pub on_chunk: &'a dyn Fn(&Chunk),
}

/// Error of writing a block. Nothing of the block is left.
#[derive(Debug, thiserror::Error)]
pub enum WriteBlockError {
    /// The sources cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] QueryError),
    /// The block cannot be written.
    #[error(transparent)]
    Write(#[from] BlockError),
    /// The writing was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Writes a block with the samples of `sources`. A later source wins at the same timestamp. Returns
/// `None`, without a block, if there is no sample in the range.
///
/// # Errors
/// [`WriteBlockError`] if a source cannot be read, the block cannot be written, or it is cancelled.
pub fn write_block(
    spec: BlockSpec<'_>,
    sources: Vec<MergeSource<'_>>,
    observer: &WriteObserver<'_>,
) -> Result<Option<BlockMeta>, WriteBlockError> {
    let started = Instant::now();
    let written = write(spec, sources, observer);
    observer.stats.add_time(started.elapsed());
    written
}

fn write(
    spec: BlockSpec<'_>,
    sources: Vec<MergeSource<'_>>,
    observer: &WriteObserver<'_>,
) -> Result<Option<BlockMeta>, WriteBlockError> {
    let Some(last) = spec.lineage.maxt.checked_sub(1) else { return Ok(None) };
    let range = TimeRange::new(spec.lineage.mint, last);
    let (series, symbols): (Vec<_>, Vec<_>) =
        sources.into_iter().map(|source| (source.series, source.symbols)).unzip();
    let mut merge = SeriesMerger::new(MergeInput { sources: series, range, floats: spec.floats })?;
    let Some(first) = merge.next().transpose()? else { return Ok(None) };
    let mut writer = BlockWriter::create(spec.disk, spec.dir, spec.ulid)?;
    let go_on = || !observer.cancel.load(Ordering::Relaxed);
    let check = || if go_on() { Ok(()) } else { Err(WriteBlockError::Cancelled) };
    for symbol in MergedSymbols::new(symbols)? {
        check()?;
        writer.add_symbol(&symbol?)?;
    }
    for series in std::iter::once(Ok(first)).chain(merge) {
        check()?;
        let series = series?;
        fail_point::hit("compact.write");
        writer.add_series(&series.labels, &series.chunks)?;
        observer.record_series(&series);
    }
    let lineage = spec.lineage;
    let block = NewBlockMeta {
        min_time: lineage.mint,
        max_time: lineage.maxt,
        compaction: lineage.compaction(),
    };
    match writer.finish_while(block, &go_on) {
        Err(BlockError::Cancelled) => Err(WriteBlockError::Cancelled),
        finished => Ok(finished?),
    }
}

impl WriteObserver<'_> {
    fn record_series(&self, series: &ChunkSeries) {
        let bytes: usize = series.chunks.iter().map(|chunk| chunk.data.bytes().len()).sum();
        self.stats.add(|stats| &stats.series, 1);
        self.stats.add(|stats| &stats.chunks, series.chunks.len() as u64);
        self.stats.add(|stats| &stats.samples, series.chunks.iter().map(count_samples).sum());
        self.stats.add(|stats| &stats.bytes, bytes as u64);
        series.chunks.iter().for_each(self.on_chunk);
    }
}

fn count_samples(chunk: &Chunk) -> u64 {
    u64::from(num_samples(chunk.encoding, chunk.data.bytes()))
}

#[cfg(test)]
pub(crate) mod tests;
