//! One series of the head: its labels, its open chunk, and where its full chunks are.
//!
//! A point enters the open chunk, which holds points of one kind; one that it can't take begins another. A chunk that is full is *sealed*: its bytes stay in memory, in order, until the log has
//! been written and they are in `chunks_head/`; from then on only a [`crate::tsdb::chunk::mapped_chunk::MappedChunk`] of them is kept.
//!
//! Late points have chunks of their own ([`crate::tsdb::head::out_of_order`]).
//!
//! Invariant: mapped, sealed and open chunks follow each other in time without overlap; every timestamp is
//! greater than the one before. All of it is guarded by the mutex in [`HeadSeries::state`], held for one series, for microseconds; longer only while a
//! sender repeats many old samples of one series, each of which is looked up.

use crate::model::histogram::{FloatHistogram, Histogram};
use crate::model::labels::Labels;
use crate::model::metadata::Metadata;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue, ValueType};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
use crate::tsdb::chunk::cut::{ChunkBoundary, CutPolicy};
use crate::tsdb::chunk::histogram::append::AppendOutcome;
use crate::tsdb::chunk::mapped_chunk::{MappedChunk, MappedChunks};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::wal::record::record_type::RecordType;
use parking_lot::Mutex;
use std::sync::Arc;

/// A series of the head.
#[derive(Debug)]
pub struct HeadSeries {
    /// Its number in the log and in `chunks_head/`.
    pub reference: SeriesRef,
    /// The hash of its labels, as [`super::series_map::SeriesMap`] computes it.
    pub hash: u64,
    /// Its labels; their bytes are its key.
    pub labels: Labels,
    /// What changes with every sample.
    pub state: Mutex<SeriesState>,
}

/// The chunks of a series.
#[derive(Debug)]
pub struct SeriesState {
    /// The chunk that takes the next sample; `None` until the first sample and after a replay that found only full chunks.
    pub open: Option<OpenChunk>,
    /// Full chunks that are not yet in `chunks_head/`, oldest first.
    #[expect(
        clippy::box_collection,
        reason = "it is empty nearly always: 8 bytes instead of 24 in every series"
    )]
    sealed: Option<Box<Vec<SealedChunk>>>,
    /// Full chunks in `chunks_head/`, oldest first.
    pub mapped: MappedChunks,
    /// Its late points, where it has some.
    pub out_of_order: Option<Box<OutOfOrderState>>,
    /// The batch that touched the series last; while it is in flight, its samples (and a new series' record) are not in the log.
    pub last_batch: BatchId,
    /// The kind of record into which the series' last point went, [`RecordType::Series`] before the first; of use while that batch is in flight.
    pub last_record_type: RecordType,
    /// Its type, unit and help text, where these are known.
    pub metadata: Option<Arc<Metadata>>,
    /// Whether the series was collected: it takes no more samples, its labels are those of another series from now on.
    pub is_collected: bool,
}

/// The chunk that grows.
#[derive(Debug)]
pub struct OpenChunk {
    /// Its samples.
    pub chunk: AnyChunk,
    /// Time of its first sample, ms.
    pub mint: i64,
    /// Where it must end at the latest.
    pub window: ChunkBoundary,
}

/// A full chunk still in memory.
#[derive(Debug, Clone)]
pub struct SealedChunk {
    /// Time of its first sample, ms.
    pub mint: i64,
    /// Time of its last sample, ms.
    pub maxt: i64,
    /// How many samples there are.
    pub samples: u16,
    /// How `bytes` are encoded.
    pub encoding: ChunkEncoding,
    /// The encoded samples.
    pub bytes: Arc<[u8]>,
}

/// How chunks are made.
#[derive(Debug, Clone, Copy)]
pub struct ChunkPolicy {
    /// Where they are cut.
    pub policy: CutPolicy,
    /// How new ones are encoded.
    pub encodings: EncodingPolicy,
}

/// Whether a sample began a new chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// The open chunk took it.
    IntoOpenChunk,
    /// It is the first of the series' first chunk.
    IntoFirstChunk,
    /// The chunk before it was sealed.
    AfterSeal,
}

impl HeadSeries {
    /// A series without samples, created by the batch `last_batch`.
    #[must_use]
    pub fn new(reference: SeriesRef, hash: u64, labels: Labels, touched_by: BatchId) -> Self {
        let state = SeriesState {
            open: None,
            sealed: None,
            mapped: MappedChunks::default(),
            out_of_order: None,
            last_batch: touched_by,
            last_record_type: RecordType::Series,
            metadata: None,
            is_collected: false,
        };
        Self { reference, hash, labels, state: Mutex::new(state) }
    }
}

impl SeriesState {
    /// Time of the newest sample in order, ms; `None` for a series without samples.
    #[must_use]
    pub fn max_time(&self) -> Option<i64> {
        self.open
            .as_ref()
            .and_then(|open| open.chunk.last_t())
            .or_else(|| self.sealed().last().map(|chunk| chunk.maxt))
            .or_else(|| self.mapped.last().map(|chunk| chunk.maxt()))
    }

    /// Of which kind the newest point is.
    #[must_use]
    pub fn last_value_type(&self) -> Option<ValueType> {
        let open = self.open.as_ref().map(|open| open.chunk.encoding());
        let newest = open.or_else(|| self.sealed().last().map(|chunk| chunk.encoding));
        newest
            .or_else(|| self.mapped.last().map(MappedChunk::encoding))
            .map(ChunkEncoding::value_type)
    }

    /// The point as this series has it: the marker of a series' end comes as a float, and is of the kind of what it ends.
    #[inline]
    #[must_use]
    pub fn normalize_stale_marker(&self, point: Sample) -> Sample {
        match point.value {
            SampleValue::Float(sum) if point.value.is_stale() => {
                Sample { value: self.stale_marker(sum), ..point }
            }
            _ => point,
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

    /// Whether the newest sample is a stale marker; not known, and `false`, where there is no open chunk.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.chunk.is_stale())
    }

    /// Full chunks that are still in memory, oldest first.
    #[must_use]
    pub fn sealed(&self) -> &[SealedChunk] {
        self.sealed.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Time of the oldest sample that is not in a mapped chunk, ms.
    #[must_use]
    pub fn min_unmapped_time(&self) -> Option<i64> {
        self.sealed().first().map(|chunk| chunk.mint).or(self.open.as_ref().map(|open| open.mint))
    }

    /// Forgets all samples and has these mapped chunks instead.
    pub fn replace_with_mapped(&mut self, chunks: &[MappedChunk]) {
        self.open = None;
        self.sealed = None;
        self.mapped = MappedChunks::default();
        chunks.iter().for_each(|chunk| self.mapped.push(*chunk));
    }

    /// Time of the oldest sample in order, ms; `None` for a series without samples.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        self.mapped.iter().next().map(MappedChunk::mint).or_else(|| self.min_unmapped_time())
    }

    /// Forgets the chunks in order that end before `mint` ms, and gives how many they were.
    pub fn truncate_before(&mut self, mint: i64) -> usize {
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
        dropped
    }

    /// Appends a point that is newer than [`Self::max_time`], cutting a new chunk where the rules or the open chunk want one.
    pub fn push(&mut self, point: &Sample, rules: &ChunkPolicy) -> PushOutcome {
        let Some(open) = &mut self.open else {
            self.open = Some(OpenChunk::with_first_sample(point, rules, None));
            return PushOutcome::IntoFirstChunk;
        };
        let has_ended = needs_other_encoding(&open.chunk, rules.encodings, point)
            || open.window.must_cut(&rules.policy, &open.chunk, open.mint, point.t);
        if !has_ended && open.chunk.append(point) != AppendOutcome::NeedsNewChunk {
            return PushOutcome::IntoOpenChunk;
        }
        let mut next = OpenChunk::with_first_sample(point, rules, Some(&open.chunk));
        if !has_ended {
            next.window = open.window.after_incompatible_histogram(&rules.policy, point.t);
        }
        self.seal();
        self.open = Some(next);
        PushOutcome::AfterSeal
    }

    /// Drops the `count` oldest sealed chunks, now in `chunks_head/`.
    pub fn drop_sealed(&mut self, count: usize) {
        if let Some(sealed) = &mut self.sealed {
            sealed.drain(..count.min(sealed.len()));
            if sealed.is_empty() {
                self.sealed = None;
            }
        }
    }

    /// Ends the open chunk, if there is one.
    pub fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        fail_point::hit("head.chunk_cut");
        let maxt = open.chunk.last_t().unwrap_or(open.mint);
        let samples = open.chunk.num_samples();
        let bytes = open.chunk.bytes().into();
        let sealed =
            SealedChunk { mint: open.mint, maxt, samples, encoding: open.chunk.encoding(), bytes };
        self.sealed.get_or_insert_default().push(sealed);
    }
}

impl OpenChunk {
    /// A chunk with a first point; `before` is the one that the series had before it.
    fn with_first_sample(point: &Sample, rules: &ChunkPolicy, before: Option<&AnyChunk>) -> Self {
        let chunk = AnyChunk::with_first_sample(rules.encodings, point, before);
        Self { chunk, mint: point.t, window: ChunkBoundary::starting_at(&rules.policy, point.t) }
    }
}

/// Whether a point is not to go into the open chunk for its encoding: a float goes on in the one that was begun, unless that has no place for
/// its start.
#[inline]
fn needs_other_encoding(open: &AnyChunk, encodings: EncodingPolicy, point: &Sample) -> bool {
    let (encoding, kind) = (open.encoding(), point.value.kind());
    if kind != ValueType::Float {
        return encoding != encodings.encoding_for(kind);
    }
    let wants_start = point.start_timestamp != 0
        && encoding == ChunkEncoding::Xor
        && encodings.encoding_for(kind) == ChunkEncoding::Xor2;
    encoding.value_type() != kind || wants_start
}

#[cfg(test)]
mod tests {
    use super::PushOutcome::{AfterSeal, IntoFirstChunk, IntoOpenChunk};
    use super::{ChunkPolicy, HeadSeries, PushOutcome};
    use crate::model::labels::LabelsBuilder;
    use crate::model::refs::SeriesRef;
    use crate::model::sample::{Sample, SampleValue};
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::any_chunk::EncodingPolicy;
    use crate::tsdb::chunk::cut::CutPolicy;
    use crate::tsdb::chunk::float_chunk::FloatEncoding;
    use crate::tsdb::chunk::float_chunk::FloatEncoding::{Xor, Xor2};
    use crate::tsdb::head::in_flight::BatchId;

    /// What became of floats at these times, each with a start and appended by rules of its own, and the full chunks that they made.
    fn push_all<const N: usize>(
        floats: [(i64, i64, FloatEncoding); N],
    ) -> (Vec<PushOutcome>, Vec<(ChunkEncoding, u16)>) {
        let labels = LabelsBuilder::from_iter([("a", "b")]).build().unwrap();
        let series = HeadSeries::new(SeriesRef(1), 0, labels, BatchId::NONE);
        let mut state = series.state.lock();
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
    fn another_encoding_is_that_of_the_next_chunk() {
        let (pushed, sealed) = push_all([
            (0, 0, Xor),
            (500, 0, Xor2),
            (1_000, 0, Xor2),
            (1_500, 0, Xor),
            (2_000, 0, Xor),
        ]);
        assert_eq!(pushed, [IntoFirstChunk, IntoOpenChunk, AfterSeal, IntoOpenChunk, AfterSeal]);
        assert_eq!(sealed, [(ChunkEncoding::Xor, 2), (ChunkEncoding::Xor2, 2)]);
    }

    #[test]
    fn a_start_that_can_be_kept_does_not_go_into_a_chunk_without_place_for_it() {
        let (pushed, sealed) =
            push_all([(0, 0, Xor), (100, 0, Xor2), (200, 7, Xor2), (300, 7, Xor)]);
        assert_eq!(pushed, [IntoFirstChunk, IntoOpenChunk, AfterSeal, IntoOpenChunk]);
        assert_eq!(sealed, [(ChunkEncoding::Xor, 2)]);
    }
}
