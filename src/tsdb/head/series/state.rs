//! State of a series: its chunks, and its position in the WAL.

use crate::model::histogram::{FloatHistogram, Histogram};
use crate::model::metadata::Metadata;
use crate::model::sample::{Sample, SampleValue, ValueType};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::histogram::append::AppendOutcome;
use crate::tsdb::chunk::mapped_chunk::{MappedChunk, MappedChunks};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::in_flight::batch_id::BatchId;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::series::open_chunk::{
    ChunkPolicy, OpenChunk, SealedChunk, needs_other_encoding,
};
use crate::tsdb::head::series::unsettled::{CommitSpan, UnsettledSamples};
use crate::tsdb::wal::record::record_type::RecordType;
use std::sync::Arc;

/// Chunks, metadata and log state of a series.
#[derive(Debug)]
pub struct SeriesState {
    /// Chunk that takes the next sample; `None` until the first sample and after a replay that
    /// found only full chunks.
    pub open: Option<OpenChunk>,
    /// What a series rarely has; almost always `None`.
    pub(super) transient: Option<Box<TransientState>>,
    /// Full chunks in `chunks_head/`, oldest first.
    pub mapped: MappedChunks,
    /// Out-of-order samples; `None` if the series has none.
    pub out_of_order: Option<Box<OutOfOrderState>>,
    /// Batch that touched the series last. While it is in flight, its samples (and the record of a
    /// new series) are not in the WAL.
    pub last_batch: BatchId,
    /// Type of the record that holds the newest sample, [`RecordType::Series`] before the first.
    /// Meaningful only while `last_batch` is in flight.
    pub last_record_type: RecordType,
    /// In-order samples of the commit of `last_batch`, meaningful until it is settled.
    pub(super) commit_span: CommitSpan,
    /// Type, unit and help text; `None` if unknown.
    pub metadata: Option<Arc<Metadata>>,
    /// Whether the series was collected. It takes no more samples, and its labels can belong to a
    /// new series.
    pub is_collected: bool,
}

/// State that a series has only for a short time.
#[derive(Debug, Default)]
pub(super) struct TransientState {
    /// Full chunks that are not yet in `chunks_head/`, oldest first.
    sealed: Vec<SealedChunk>,
    /// Samples that some reader may not see.
    pub(super) unsettled: UnsettledSamples,
}

/// Effect of a sample on the chunks of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// The open chunk took the sample.
    IntoOpenChunk,
    /// The sample is the first of the series' first chunk.
    IntoFirstChunk,
    /// The previous chunk was sealed, and the sample is the first of a new one.
    AfterSeal,
}

impl SeriesState {
    /// Creates the state of a series without samples. `touched_by` is the batch that creates it.
    #[must_use]
    pub fn new(touched_by: BatchId) -> Self {
        Self {
            open: None,
            transient: None,
            mapped: MappedChunks::default(),
            out_of_order: None,
            last_batch: touched_by,
            last_record_type: RecordType::Series,
            commit_span: CommitSpan::NONE,
            metadata: None,
            is_collected: false,
        }
    }

    /// Returns the timestamp of the newest in-order sample, ms; `None` for a series without
    /// samples.
    #[must_use]
    pub fn max_time(&self) -> Option<i64> {
        self.open
            .as_ref()
            .and_then(|open| open.chunk.last_t())
            .or_else(|| self.sealed().last().map(|chunk| chunk.maxt))
            .or_else(|| self.mapped.last().map(|chunk| chunk.maxt()))
    }

    /// Returns the type of the newest in-order sample.
    #[must_use]
    pub fn last_value_type(&self) -> Option<ValueType> {
        let open = self.open.as_ref().map(|open| open.chunk.encoding());
        let newest = open.or_else(|| self.sealed().last().map(|chunk| chunk.encoding));
        newest
            .or_else(|| self.mapped.last().map(MappedChunk::encoding))
            .map(ChunkEncoding::value_type)
    }

    /// Returns the sample as the series stores it. A stale marker arrives as a float and gets the
    /// type of the newest sample.
    #[inline]
    #[must_use]
    pub fn normalize_stale_marker(&self, sample: Sample) -> Sample {
        match sample.value {
            SampleValue::Float(sum) if sample.value.is_stale() => {
                Sample { value: self.stale_marker(sum), ..sample }
            }
            _ => sample,
        }
    }

    fn stale_marker(&self, sum: f64) -> SampleValue {
        match self.last_value_type() {
            None | Some(ValueType::Float) => SampleValue::Float(sum),
            Some(ValueType::Histogram) => {
                SampleValue::Histogram(Box::new(Histogram { sum, ..Histogram::default() }))
            }
            Some(ValueType::FloatHistogram) => {
                SampleValue::FloatHistogram(Box::new(FloatHistogram {
                    sum,
                    ..FloatHistogram::default()
                }))
            }
        }
    }

    /// Returns `true` if the newest sample is a stale marker. Always `false` without an open chunk.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.chunk.is_stale())
    }

    /// Returns the full chunks that are still in memory, oldest first.
    #[must_use]
    pub fn sealed(&self) -> &[SealedChunk] {
        self.transient.as_deref().map_or(&[], |transient| transient.sealed.as_slice())
    }

    /// Returns the timestamp of the oldest sample that is not in an m-mapped chunk, ms.
    #[must_use]
    pub fn min_unmapped_time(&self) -> Option<i64> {
        self.sealed().first().map(|chunk| chunk.mint).or(self.open.as_ref().map(|open| open.mint))
    }

    /// Replaces all in-order chunks with these m-mapped chunks.
    pub fn replace_with_mapped(&mut self, chunks: &[MappedChunk]) {
        self.open = None;
        self.transient = None;
        self.mapped = MappedChunks::default();
        chunks.iter().for_each(|chunk| self.mapped.push(*chunk));
    }

    /// Returns the timestamp of the oldest in-order sample, ms; `None` for a series without
    /// samples.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        self.mapped.iter().next().map(MappedChunk::mint).or_else(|| self.min_unmapped_time())
    }

    /// Drops in-order chunks that end before `mint` ms. Returns the number of dropped chunks.
    pub fn truncate_before(&mut self, mint: i64) -> usize {
        let last_commit_from = self.last_commit_from();
        let mut dropped = self.mapped.truncate_before(mint);
        let old = self.sealed().iter().take_while(|chunk| chunk.maxt < mint).count();
        if old > 0 {
            self.drop_sealed(old);
            dropped += old;
        }
        let is_old = |open: &OpenChunk| open.chunk.last_t().is_none_or(|last| last < mint);
        if self.open.take_if(|open| is_old(open)).is_some() {
            dropped += 1;
        }
        if let Some(from) = last_commit_from.filter(|_| self.max_time().is_none()) {
            // Blocks have the samples now, and a reader may still have to hide them.
            self.keep_truncated_commit(from);
        }
        dropped
    }

    /// Appends a sample that is newer than [`Self::max_time`]. Cuts a new chunk if the rules or the
    /// open chunk require it.
    pub fn push(&mut self, sample: &Sample, rules: &ChunkPolicy) -> PushOutcome {
        let Some(open) = &mut self.open else {
            self.open = Some(OpenChunk::with_first_sample(sample, rules, None));
            return PushOutcome::IntoFirstChunk;
        };
        let has_ended = needs_other_encoding(&open.chunk, rules.encodings, sample)
            || open.window.must_cut(&rules.policy, &open.chunk, open.mint, sample.t);
        if !has_ended && open.chunk.append(sample) != AppendOutcome::NeedsNewChunk {
            return PushOutcome::IntoOpenChunk;
        }
        let mut next = OpenChunk::with_first_sample(sample, rules, Some(&open.chunk));
        if !has_ended {
            next.window = open.window.after_incompatible_histogram(&rules.policy, sample.t);
        }
        self.seal();
        self.open = Some(next);
        PushOutcome::AfterSeal
    }

    /// Drops the `count` oldest sealed chunks, which are in `chunks_head/` now.
    pub fn drop_sealed(&mut self, count: usize) {
        if let Some(TransientState { sealed, .. }) = self.transient.as_deref_mut() {
            sealed.drain(..count.min(sealed.len()));
            self.release_transient();
        }
    }

    /// Frees the transient state if it is empty.
    pub(super) fn release_transient(&mut self) {
        self.transient
            .take_if(|transient| transient.sealed.is_empty() && transient.unsettled.is_empty());
    }

    /// Seals the open chunk, if one exists.
    pub fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        fail_point::hit("head.chunk_cut");
        let maxt = open.chunk.last_t().unwrap_or(open.mint);
        let samples = open.chunk.num_samples();
        let bytes = open.chunk.bytes().into();
        let sealed =
            SealedChunk { mint: open.mint, maxt, samples, encoding: open.chunk.encoding(), bytes };
        self.transient.get_or_insert_default().sealed.push(sealed);
    }
}

#[cfg(test)]
mod tests {
    use super::PushOutcome::{AfterSeal, IntoFirstChunk, IntoOpenChunk};
    use super::{ChunkPolicy, PushOutcome, SeriesState};
    use crate::model::sample::{Sample, SampleValue};
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::any_chunk::EncodingPolicy;
    use crate::tsdb::chunk::cut::CutPolicy;
    use crate::tsdb::chunk::float_chunk::FloatEncoding;
    use crate::tsdb::chunk::float_chunk::FloatEncoding::{Xor, Xor2};
    use crate::tsdb::head::in_flight::batch_id::BatchId;

    /// Pushes floats (timestamp, start timestamp, encoding of new chunks); returns the outcomes,
    /// and encoding and length of the sealed chunks.
    fn push_all<const N: usize>(
        floats: [(i64, i64, FloatEncoding); N],
    ) -> (Vec<PushOutcome>, Vec<(ChunkEncoding, u16)>) {
        let mut state = SeriesState::new(BatchId::NONE);
        let pushed = floats.map(|(t, start, floats)| {
            let encodings = EncodingPolicy { floats, ..EncodingPolicy::default() };
            let policy = CutPolicy { chunk_range_ms: 1_000, samples_per_chunk: 120 };
            state.push(
                &Sample { start_timestamp: start, t, value: SampleValue::Float(1.0) },
                &ChunkPolicy { policy, encodings },
            )
        });
        (
            pushed.to_vec(),
            state.sealed().iter().map(|chunk| (chunk.encoding, chunk.samples)).collect(),
        )
    }

    #[test]
    fn changed_encoding_applies_to_next_chunk() {
        let (outcomes, sealed) = push_all([
            (0, 0, Xor),
            (500, 0, Xor2),
            (1_000, 0, Xor2),
            (1_500, 0, Xor),
            (2_000, 0, Xor),
        ]);
        assert_eq!(outcomes, [IntoFirstChunk, IntoOpenChunk, AfterSeal, IntoOpenChunk, AfterSeal]);
        assert_eq!(sealed, [(ChunkEncoding::Xor, 2), (ChunkEncoding::Xor2, 2)]);
    }

    #[test]
    fn start_timestamp_cuts_xor_chunk_if_xor2_is_on() {
        let (outcomes, sealed) =
            push_all([(0, 0, Xor), (100, 0, Xor2), (200, 7, Xor2), (300, 7, Xor)]);
        assert_eq!(outcomes, [IntoFirstChunk, IntoOpenChunk, AfterSeal, IntoOpenChunk]);
        assert_eq!(sealed, [(ChunkEncoding::Xor, 2)]);
    }
}
