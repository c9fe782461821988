//! Block verification: reads a block completely and compares all redundant data.
//!
//! | corruption                                  | detected by                                   |
//! |---------------------------------------------|-----------------------------------------------|
//! | byte of a chunk, its length or its checksum | checksum                                      |
//! | byte of the magic or version of a segment   | comparison, when the block is opened          |
//! | byte of the tombstones                      | checksum; magic and version when it is opened |
//! | byte of the index                           | [`crate::tsdb::index::block_index::verify`]   |
//! | times of a chunk in the index               | its samples are within them and ascend        |
//! | `ulid`                                      | directory name, when the block is opened      |
//! | `version`                                   | must be 1, when the block is opened           |
//! | `minTime`, `maxTime`                        | ascend; all chunks are between them           |
//! | `numSeries`, `numChunks`, `numSamples`      | counted                                       |
//! | `numFloatSamples`, `numHistogramSamples`    | counted, unless both are missing              |
//!
//! Not detected, because no other data says the same: padding in the header of a segment; a
//! `minTime` or `maxTime` wider than the chunks need; `compaction` (an error costs one
//! compaction too many or too few); `numTombstones` (the file is counted instead).

use crate::model::time::TimeRange;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::{self, BlockMeta, BlockStats, MetaDefect};
use crate::tsdb::block::open::Block;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::chunk_segments::format::num_samples;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::index::block_index::verify::verify_while;
use crate::tsdb::query::corruption::ChunkDefect;
use crate::tsdb::query::source::Chunk;

/// Counts of a verified block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Number of series in the index.
    pub series: u64,
    /// Number of chunks that the index references.
    pub chunks: u64,
    /// Number of chunks in the segments, referenced by the index or not.
    pub stored_chunks: u64,
    /// Number of float samples.
    pub float_samples: u64,
    /// Number of native histograms.
    pub histogram_samples: u64,
    /// Time range of all chunks; `None` if there are none.
    pub times: Option<TimeRange>,
}

/// Reads `block` completely and checks it. Includes deleted samples.
///
/// # Errors
/// [`BlockError::Corrupted`] with the first error found.
pub fn verify(block: &Block) -> Result<VerifyReport, BlockError> {
    verify_until_cancelled(block, &|| true)
}

/// Verifies `block` as long as `go_on`, called repeatedly, returns `true`.
///
/// # Errors
/// [`BlockError::Cancelled`] if `go_on` returned `false`, else as [`verify`].
pub fn verify_until_cancelled(
    block: &Block,
    go_on: &dyn Fn() -> bool,
) -> Result<VerifyReport, BlockError> {
    let check = || if go_on() { Ok(()) } else { Err(BlockError::Cancelled) };
    check()?;
    verify_while(&block.index, go_on)?;
    let mut report = VerifyReport {
        series: 0,
        chunks: 0,
        stored_chunks: 0,
        float_samples: 0,
        histogram_samples: 0,
        times: None,
    };
    for number in 0..block.chunks.segment_count() {
        check()?;
        report.stored_chunks += block.chunks.verify_segment(number, go_on)?.chunks;
    }
    for at in block.index.all_series()? {
        check()?;
        report.series += 1;
        for chunk_meta in &block.index.series(at)?.chunks {
            let chunk = block.chunk(chunk_meta)?;
            check_samples(&chunk)
                .map_err(|defect| block.chunks.corruption(chunk_meta.chunk_ref, defect))?;
            report.add_chunk(&chunk);
        }
    }
    check_against_meta(block, &report)?;
    Ok(report)
}

fn check_against_meta(block: &Block, report: &VerifyReport) -> Result<(), BlockError> {
    let meta = block.meta();
    let outside = report.times.filter(|times| !is_within_block(&meta, *times));
    let defect = match outside {
        Some(chunks) => {
            let (min_time, max_time) = (meta.min_time, meta.max_time);
            Some(MetaDefect::ChunkTimes { min_time, max_time, chunks })
        }
        None => first_mismatch(&meta.stats, report),
    };
    match defect {
        Some(defect) => Err(Corruption::of_file(block.dir().join(meta::NAME), defect).into()),
        None => Ok(()),
    }
}

impl VerifyReport {
    fn add_chunk(&mut self, chunk: &Chunk) {
        let samples = u64::from(num_samples(chunk.encoding, chunk.data.bytes()));
        match chunk.encoding {
            ChunkEncoding::Xor | ChunkEncoding::Xor2 => self.float_samples += samples,
            _ => self.histogram_samples += samples,
        }
        self.chunks += 1;
        let times = self.times.unwrap_or(TimeRange::new(chunk.mint, chunk.maxt));
        self.times = Some(TimeRange::new(times.mint.min(chunk.mint), times.maxt.max(chunk.maxt)));
    }
}

/// Returns `true` if a block with this metadata may have samples in this time range.
fn is_within_block(meta: &BlockMeta, times: TimeRange) -> bool {
    meta.min_time <= times.mint && times.maxt < meta.max_time
}

/// Returns the first number of `stats` that differs from the counted one.
fn first_mismatch(stats: &BlockStats, report: &VerifyReport) -> Option<MetaDefect> {
    let counts_types = stats.num_float_samples != 0 || stats.num_histogram_samples != 0;
    let counted = [
        ("numSeries", stats.num_series, report.series),
        ("numChunks", stats.num_chunks, report.chunks),
        ("numSamples", stats.num_samples, report.float_samples + report.histogram_samples),
        ("numFloatSamples", stats.num_float_samples, report.float_samples),
        ("numHistogramSamples", stats.num_histogram_samples, report.histogram_samples),
    ];
    let counted = if counts_types { &counted[..] } else { &counted[..3] };
    let wrong = counted.iter().find(|(_, stated, counted)| stated != counted);
    wrong.map(|&(name, stated, counted)| MetaDefect::Count { name, stated, counted })
}

/// Checks that a chunk has samples, that these ascend and that they are within its time range.
fn check_samples(chunk: &Chunk) -> Result<(), ChunkDefect> {
    if num_samples(chunk.encoding, chunk.data.bytes()) == 0 {
        return Err(ChunkDefect::Empty);
    }
    let mut last = None;
    for sample in AnyChunkIter::new(chunk.encoding, chunk.data.bytes()) {
        let t = sample?.t;
        if last.is_some_and(|last| t <= last) {
            return Err(ChunkDefect::NotAscending { t });
        }
        if t < chunk.mint || t > chunk.maxt {
            return Err(ChunkDefect::OutsideRange { t, mint: chunk.mint, maxt: chunk.maxt });
        }
        last = Some(t);
    }
    Ok(())
}
