//! The deep check of a block: everything that can be held against something else.
//!
//! | what is wrong                          | how it is seen                                                        |
//! |----------------------------------------|-----------------------------------------------------------------------|
//! | a byte of a chunk, its length or its checksum | checksum                                                       |
//! | a byte of a segment's magic or version | one right value each, when the block is opened                        |
//! | a byte of the tombstones               | checksum; magic and version when the block is opened                  |
//! | a byte of the index                    | see [`crate::tsdb::index::block_index::verify`]                       |
//! | times of a chunk in the index          | its samples lie within them and rise                                  |
//! | `ulid`                                 | the folder's name, when the block is opened                           |
//! | `version`                              | 1, when the block is opened                                           |
//! | `minTime`, `maxTime`                   | one is before the other; every chunk lies between them                |
//! | `numSeries`, `numChunks`, `numSamples`, `numFloatSamples`, `numHistogramSamples` | counted; the last two may be missing as a pair |
//!
//! Not seen, because nothing else says it: the padding behind a segment's header; `minTime` and `maxTime` where they leave more room than the
//! chunks need; all of `compaction` (level, sources, parents, hints: a wrong one costs a compaction too many or too few);
//! `numTombstones` (the file is counted instead).

use crate::model::time::TimeRange;
use crate::tsdb::block::chunk_segments::format::num_samples;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::meta::{self, BlockMeta, BlockStats};
use crate::tsdb::block::open::Block;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::index::block_index::entry::ChunkMeta;
use crate::tsdb::query::source::Chunk;

/// What a whole block was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Series.
    pub series: u64,
    /// Chunks that the index names.
    pub chunks: u64,
    /// Chunks in the segments, whether the index names them or not.
    pub stored_chunks: u64,
    /// Float samples.
    pub float_samples: u64,
    /// Native histograms.
    pub histogram_samples: u64,
    /// The times of all chunks; `None` of a block without any.
    pub times: Option<TimeRange>,
}

impl Block {
    /// Reads the block from end to end and checks all that can be checked. What is deleted is checked as well.
    ///
    /// # Errors
    /// [`BlockError::Corrupted`] with the first thing that is wrong.
    pub fn verify(&self) -> Result<VerifyReport, BlockError> {
        self.verify_until_cancelled(&|| true)
    }

    /// The same, as long as `go_on`, which is asked again and again, says yes.
    ///
    /// # Errors
    /// [`BlockError::Corrupted`] as [`Self::verify`]; [`BlockError::Cancelled`] where `go_on` said no.
    pub fn verify_until_cancelled(
        &self,
        go_on: &dyn Fn() -> bool,
    ) -> Result<VerifyReport, BlockError> {
        let check = || if go_on() { Ok(()) } else { Err(BlockError::Cancelled) };
        check()?;
        self.index.verify_while(go_on)?;
        let mut facts = VerifyReport {
            series: 0,
            chunks: 0,
            stored_chunks: 0,
            float_samples: 0,
            histogram_samples: 0,
            times: None,
        };
        for number in 0..self.chunks.segment_count() {
            check()?;
            facts.stored_chunks += self.chunks.verify_segment(number, go_on)?.chunks;
        }
        for at in self.index.all_series()? {
            check()?;
            facts.series += 1;
            for one in &self.index.series(at)?.chunks {
                let chunk = self.chunk(one)?;
                check_samples(&chunk).map_err(|what| self.chunk_error(one, &what))?;
                facts.add_chunk(&chunk);
            }
        }
        self.check_against_meta(&facts)?;
        Ok(facts)
    }

    fn check_against_meta(&self, facts: &VerifyReport) -> Result<(), BlockError> {
        let meta = self.meta();
        let wrong = |what: String| {
            Err(BlockError::Corrupted(format!("{}: {what}", self.dir().join(meta::NAME).display())))
        };
        if let Some(times) = facts.times.filter(|times| !is_within_block(&meta, *times)) {
            let (mint, maxt) = (times.mint, times.maxt);
            return wrong(format!(
                "times are {}..{}, of chunks {mint}..={maxt}",
                meta.min_time, meta.max_time
            ));
        }
        match first_mismatch(&meta.stats, facts) {
            Some(what) => wrong(what),
            None => Ok(()),
        }
    }

    fn chunk_error(&self, one: &ChunkMeta, what: &str) -> BlockError {
        let (segment, offset) = (one.chunk_ref.segment(), one.chunk_ref.offset());
        BlockError::Corrupted(format!(
            "{}: chunk at {segment}:{offset}: {what}",
            self.dir().display()
        ))
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

/// Whether a block with this end, which is not included, may have samples at these times.
fn is_within_block(meta: &BlockMeta, times: TimeRange) -> bool {
    meta.min_time <= times.mint && times.maxt < meta.max_time
}

/// The first number of `stats` that is not what was counted.
fn first_mismatch(stats: &BlockStats, facts: &VerifyReport) -> Option<String> {
    let counts_types = stats.num_float_samples != 0 || stats.num_histogram_samples != 0;
    let counted = [
        ("numSeries", stats.num_series, facts.series),
        ("numChunks", stats.num_chunks, facts.chunks),
        ("numSamples", stats.num_samples, facts.float_samples + facts.histogram_samples),
        ("numFloatSamples", stats.num_float_samples, facts.float_samples),
        ("numHistogramSamples", stats.num_histogram_samples, facts.histogram_samples),
    ];
    let counted = if counts_types { &counted[..] } else { &counted[..3] };
    let wrong = counted.iter().find(|(_, stated, found)| stated != found);
    wrong.map(|(name, stated, found)| format!("{name} is {stated}, counted are {found}"))
}

/// What is wrong with the samples of a chunk.
fn check_samples(chunk: &Chunk) -> Result<(), String> {
    if num_samples(chunk.encoding, chunk.data.bytes()) == 0 {
        return Err("no samples".to_owned());
    }
    let mut last = None;
    for point in AnyChunkIter::new(chunk.encoding, chunk.data.bytes()) {
        let t = point.map_err(|error| error.to_string())?.t;
        if last.is_some_and(|last| t <= last) {
            return Err(format!("time {t} does not rise"));
        }
        if t < chunk.mint || t > chunk.maxt {
            return Err(format!("time {t} is not within {}..={}", chunk.mint, chunk.maxt));
        }
        last = Some(t);
    }
    Ok(())
}
