//! Carrying a merge out: sources become a new block in the data directory.
//!
//! One series at a time is held, and what the index needs of all of them; so memory does not grow with the samples. The new block has
//! its name only once it is whole and on the disk; whatever goes wrong before, or the wish to stop, leaves nothing behind.
//! Blocking; no lock.

use crate::model::time::TimeRange;
use crate::tsdb::block::chunk_segments::format::num_samples;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::block::writer::{BlockWriter, NewBlockMeta};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::merge::symbols::{MergedSymbols, SymbolIter};
use crate::tsdb::compact::merge::{MergeError, MergeInput, SeriesMerger};
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::fs::fail_point;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkSeries, QueryError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A block to be.
#[derive(Clone, Copy, Debug)]
pub struct BlockSpec<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// Its name.
    pub ulid: BlockUlid,
    /// Its times and descent. What lies outside its times is left out.
    pub lineage: &'a Lineage,
    /// How floats of chunks that overlap are encoded anew.
    pub floats: FloatEncoding,
}

/// One of the sources of a block.
pub struct MergeSource<'a> {
    /// Its series.
    pub series: &'a dyn BlockSource,
    /// The strings of their labels, rising; others among them do no harm.
    pub symbols: SymbolIter<'a>,
}

/// Who watches a block being written.
pub struct WriteObserver<'a> {
    /// Is told how much was written.
    pub stats: &'a CompactStats,
    /// Set where the process ends: the writing then stops soon.
    pub cancel: &'a AtomicBool,
    /// Is shown every chunk of the new block.
    pub on_chunk: &'a dyn Fn(&Chunk),
}

/// Why there is no new block. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum WriteBlockError {
    /// The sources can't be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A source can't be read.
    #[error(transparent)]
    Source(#[from] QueryError),
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] BlockError),
    /// It was to stop.
    #[error("stopped")]
    Cancelled,
}

/// Writes the block that holds what the sources hold; where two have a sample at the same time, the later one's. `None` where there is
/// no sample in its times: then no block is written.
///
/// # Errors
/// [`WriteBlockError`].
pub fn write_block(
    plan: BlockSpec<'_>,
    sources: Vec<MergeSource<'_>>,
    watch: &WriteObserver<'_>,
) -> Result<Option<BlockMeta>, WriteBlockError> {
    let started = Instant::now();
    let written = write(plan, sources, watch);
    watch.stats.add_time(started.elapsed());
    written
}

fn write(
    plan: BlockSpec<'_>,
    sources: Vec<MergeSource<'_>>,
    watch: &WriteObserver<'_>,
) -> Result<Option<BlockMeta>, WriteBlockError> {
    let Some(last) = plan.lineage.maxt.checked_sub(1) else { return Ok(None) };
    let range = TimeRange::new(plan.lineage.mint, last);
    let (series, symbols): (Vec<_>, Vec<_>) =
        sources.into_iter().map(|source| (source.series, source.symbols)).unzip();
    let mut merge = SeriesMerger::new(MergeInput { sources: series, range, floats: plan.floats })?;
    let Some(first) = merge.next().transpose()? else { return Ok(None) };
    let mut writer = BlockWriter::create(plan.dir, plan.ulid)?;
    let go_on = || !watch.cancel.load(Ordering::Relaxed);
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
        watch.record_series(&series);
    }
    let lineage = plan.lineage;
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
