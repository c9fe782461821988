//! Re-encoding: samples of overlapping, partly deleted or differently encoded chunks as new chunks.
//!
//! As in Prometheus, a new chunk has a limited number of samples of one type. It ends at a
//! histogram that does not fit the ones before it (a counter reset, another schema, other custom
//! buckets). The counter reset hint of a chunk follows from its first histogram and the last one of
//! the chunk before.
//!
//! Samples are pushed one by one, and a chunk is returned when it is complete. At most one chunk is
//! in memory.
//!
//! Source: `storage/series.go` of Prometheus.

use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::chunk::head_chunks::format::NewChunk;
use crate::tsdb::chunk::histogram::append::AppendOutcome;

/// Default maximum number of samples of a re-encoded chunk.
pub const MAX_SAMPLES: u16 = 120;

/// Treatment of start timestamps that the chosen encodings cannot store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StPolicy {
    /// Samples with a start timestamp get an encoding that stores it.
    Preserve,
    /// Start timestamps are dropped.
    Discard,
}

/// Options of a [`Reencoder`].
#[derive(Clone, Copy, Debug)]
pub struct ReencodeOptions {
    /// Encodings of the new chunks.
    pub encodings: EncodingPolicy,
    /// Treatment of start timestamps that `encodings` cannot store.
    pub starts: StPolicy,
    /// Maximum number of samples per chunk.
    pub max_samples: u16,
}

impl ReencodeOptions {
    fn encodings_for(&self, sample: &Sample) -> EncodingPolicy {
        if sample.start_timestamp == 0 || self.starts == StPolicy::Discard {
            return self.encodings;
        }
        EncodingPolicy { floats: FloatEncoding::Xor2, histogram_st_mode: HistogramStMode::WithSt }
    }
}

/// Complete chunk that a [`Reencoder`] returns.
#[derive(Clone, Debug)]
pub struct ReencodedChunk {
    /// Timestamp of the first sample, ms.
    pub mint: i64,
    /// Timestamp of the last sample, ms.
    pub maxt: i64,
    /// Number of samples, at least 1.
    pub samples: u16,
    /// Encoding of `bytes`, which depends on the samples.
    pub encoding: ChunkEncoding,
    /// Encoded samples, without spare capacity.
    pub bytes: Box<[u8]>,
}

impl ReencodedChunk {
    /// Returns the chunk as an out-of-order head chunk of `series`.
    #[must_use]
    pub fn as_out_of_order(&self, series: SeriesRef) -> NewChunk<'_> {
        let Self { mint, maxt, encoding, ref bytes, .. } = *self;
        NewChunk { series, mint, maxt, encoding, out_of_order: true, bytes }
    }
}

/// Encoder of samples with ascending timestamps into chunks.
#[derive(Debug)]
pub struct Reencoder {
    options: ReencodeOptions,
    open: Option<PendingChunk>,
}

impl Reencoder {
    /// Creates an encoder without samples.
    #[must_use]
    pub fn new(options: ReencodeOptions) -> Self {
        Self { options, open: None }
    }

    /// Appends the next sample. Returns the previous chunk if the sample begins another one.
    pub fn push(&mut self, sample: &Sample) -> Option<ReencodedChunk> {
        let encodings = self.options.encodings_for(sample);
        let Some(open) = &mut self.open else {
            self.open = Some(PendingChunk::with_first_sample(encodings, sample, None));
            return None;
        };
        let next = if open.has_room(encodings, sample, self.options.max_samples) {
            if open.append(sample) {
                return None;
            }
            PendingChunk::with_first_sample(encodings, sample, Some(&open.chunk))
        } else {
            PendingChunk::with_first_sample(encodings, sample, None)
        };
        Some(std::mem::replace(open, next).finish())
    }

    /// Returns the timestamp of the first sample of the open chunk, ms, or `None` if there is none.
    #[must_use]
    pub fn begins_at(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.mint)
    }

    /// Returns the open chunk, if any. The encoder is empty afterwards and can be used again.
    pub fn finish(&mut self) -> Option<ReencodedChunk> {
        self.open.take().map(PendingChunk::finish)
    }
}

/// Open chunk with the timestamps of its first and last sample.
#[derive(Debug)]
struct PendingChunk {
    mint: i64,
    maxt: i64,
    chunk: AnyChunk,
}

impl PendingChunk {
    fn with_first_sample(
        encodings: EncodingPolicy,
        sample: &Sample,
        previous: Option<&AnyChunk>,
    ) -> Self {
        Self {
            mint: sample.t,
            maxt: sample.t,
            chunk: AnyChunk::with_first_sample(encodings, sample, previous),
        }
    }

    /// Returns `true` if the chunk has less than `max_samples` samples and the right encoding.
    /// Floats without a start timestamp may stay in an XOR2 chunk.
    fn has_room(&self, encodings: EncodingPolicy, sample: &Sample, max_samples: u16) -> bool {
        let (own, wanted) = (self.chunk.encoding(), encodings.encoding_for(sample.value.kind()));
        self.chunk.num_samples() < max_samples
            && (own == wanted || (own, wanted) == (ChunkEncoding::Xor2, ChunkEncoding::Xor))
    }

    /// Appends a sample. Returns `false` if it does not fit the chunk, which is then unchanged.
    fn append(&mut self, sample: &Sample) -> bool {
        let is_appended = self.chunk.append(sample) != AppendOutcome::NeedsNewChunk;
        if is_appended {
            self.maxt = sample.t;
        }
        is_appended
    }

    fn finish(self) -> ReencodedChunk {
        let (samples, encoding) = (self.chunk.num_samples(), self.chunk.encoding());
        ReencodedChunk {
            mint: self.mint,
            maxt: self.maxt,
            samples,
            encoding,
            bytes: self.chunk.into_bytes(),
        }
    }
}
