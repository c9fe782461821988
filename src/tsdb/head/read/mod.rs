//! Queries of the head: a [`BlockSource`] over its series.
//!
//! | module                | content                                                    |
//! |-----------------------|------------------------------------------------------------|
//! | [`compaction_source`] | in-order and OOO sources of the head, for compaction       |
//! | [`family_list`]       | metadata of the series by metric family                    |
//! | [`label_source`]      | label names and values for queries                         |
//! | [`symbols`]           | label strings, for the index of a block                    |
//!
//! The matching series are selected and sorted first. Each is captured when the iterator reaches
//! it, under its mutex, while its chunks are listed and the open chunk (about 1 KiB) is copied;
//! m-mapped chunks are pinned. A query thus sees a prefix in time order of every series, with all
//! samples acknowledged before it started.
//!
//! Chunks of out-of-order samples follow the in-order chunks and may overlap them: at equal
//! timestamps the out-of-order value wins.
//!
//! # Truncation
//! During a long query, the start of the head may move to a block and its chunks be dropped.
//! Neither waits for the other: [`HeadReader`] remembers the truncation time at its start. If that
//! has changed when it reaches a series, it gets the missing chunks from its [`BlockFallback`].

pub mod compaction_source;
pub mod family_list;
pub mod label_source;
pub mod symbols;

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::head_chunks::error::HeadChunkCorruption;
use crate::tsdb::chunk::head_chunks::format::HeadChunkFormatError;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::encode::encode;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::series::{HeadSeries, SeriesState};
use crate::tsdb::query::source::{
    BlockSource, Chunk, ChunkData, ChunkSeries, ChunkSeriesSet, QueryError,
};
use std::sync::Arc;

/// Chunks of a series at one instant.
#[derive(Default)]
struct SeriesView {
    mapped: Vec<MappedChunk>,
    in_memory: Vec<Chunk>,
    ooo_mapped: Vec<MappedChunk>,
    ooo_in_memory: Vec<Chunk>,
}

/// Selection of the chunks of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkSelection {
    /// In-order chunks, then out-of-order chunks.
    All,
    /// Chunks of in-order samples.
    InOrder,
    /// Chunks of out-of-order samples in `chunks_head/`, up to this reference.
    OutOfOrderUpTo(HeadChunkRef),
}

/// Returns the chunks of a series in a time range that are no longer in the head.
pub type BlockFallback<'a> =
    Box<dyn Fn(&Labels, TimeRange) -> Result<Vec<Chunk>, QueryError> + Send + 'a>;

/// View of the head for one query.
pub struct HeadReader<'a> {
    head: &'a Head,
    truncated_before: i64,
    ooo_epoch: u64,
    fallback: BlockFallback<'a>,
}

impl<'a> HeadReader<'a> {
    /// Creates a reader with the head's current truncation state. `fallback` returns what is
    /// dropped later, for any series that was in the head.
    #[must_use]
    pub fn new(head: &'a Head, fallback: BlockFallback<'a>) -> Self {
        Self {
            head,
            truncated_before: head.truncated_before(),
            ooo_epoch: head.ooo_truncation_epoch(),
            fallback,
        }
    }

    /// Returns the matching series with their chunks, as [`BlockSource::select`] does, for the
    /// lifetime of the head.
    #[must_use]
    pub fn into_series(self, matchers: &[Matcher], range: TimeRange) -> ChunkSeriesSet<'a> {
        let series = self.head.sorted_series(matchers);
        Box::new(
            series
                .into_iter()
                .filter_map(move |series| self.select_chunks(&series, range).transpose()),
        )
    }

    fn select_chunks(
        &self,
        series: &Arc<HeadSeries>,
        range: TimeRange,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let found = self.head.select_chunks(series, range, ChunkSelection::All)?;
        // Loaded after the chunks were listed: truncation publishes its time before it drops
        // chunks.
        let truncated_before = self.head.truncated_before();
        let lost = if series.state.lock().is_collected
            || self.head.ooo_truncation_epoch() != self.ooo_epoch
        {
            range
        } else {
            TimeRange::new(
                range.mint.max(self.truncated_before),
                range.maxt.min(truncated_before.saturating_sub(1)),
            )
        };
        if lost.mint > lost.maxt {
            return Ok(found);
        }
        let mut chunks = (self.fallback)(&series.labels, lost)?;
        chunks.extend(found.into_iter().flat_map(|series| series.chunks));
        Ok((!chunks.is_empty()).then(|| ChunkSeries { labels: series.labels.clone(), chunks }))
    }
}

impl BlockSource for Head {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let series = self.sorted_series(matchers);
        Ok(Box::new(series.into_iter().filter_map(move |series| {
            self.select_chunks(&series, range, ChunkSelection::All).transpose()
        })))
    }
}

impl Head {
    pub(super) fn sorted_series(&self, matchers: &[Matcher]) -> Vec<Arc<HeadSeries>> {
        let refs = self.postings.select(matchers);
        let mut series: Vec<_> =
            refs.into_iter().filter_map(|series_ref| self.series.get_by_ref(series_ref)).collect();
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        // A series that was collected and created again may be found twice; the newer one has the
        // greater reference.
        series.dedup_by(|later, kept| {
            let is_same = later.labels == kept.labels;
            if is_same && later.reference > kept.reference {
                std::mem::swap(later, kept);
            }
            is_same
        });
        series
    }

    /// Returns these series, in the given order, with their in-order chunks that overlap `range`.
    pub fn series_set<'a>(
        &'a self,
        series: impl Iterator<Item = &'a Arc<HeadSeries>> + Send + 'a,
        range: TimeRange,
    ) -> ChunkSeriesSet<'a> {
        Box::new(series.filter_map(move |series| {
            self.select_chunks(series, range, ChunkSelection::InOrder).transpose()
        }))
    }

    /// Returns the chunks of a series that overlap `range`; `None` if there are none.
    pub(super) fn select_chunks(
        &self,
        series: &Arc<HeadSeries>,
        range: TimeRange,
        selection: ChunkSelection,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let view = SeriesView::capture(series, range, selection, self.chunk_policy().encodings);
        let mut chunks = Vec::with_capacity(view.mapped.len() + view.in_memory.len());
        let is_collected = || series.state.lock().is_collected;
        for mapped in &view.mapped {
            match self.pin(mapped) {
                Ok(chunk) => chunks.push(chunk),
                // Its file was deleted because a block contains it. [`HeadReader`] falls back to
                // the block.
                Err(corruption)
                    if is_missing(&corruption)
                        && (mapped.maxt() < self.truncated_before() || is_collected()) => {}
                Err(corruption) => return Err(corruption.into()),
            }
        }
        chunks.extend(view.in_memory);
        for mapped in &view.ooo_mapped {
            match self.pin(mapped) {
                Ok(chunk) => chunks.push(chunk),
                Err(corruption) if is_missing(&corruption) && !has_ooo_chunk(series, mapped) => {}
                Err(corruption) => return Err(corruption.into()),
            }
        }
        chunks.extend(view.ooo_in_memory);
        self.apply_tombstones(series, &mut chunks);
        Ok((!chunks.is_empty()).then(|| ChunkSeries { labels: series.labels.clone(), chunks }))
    }

    /// Sets the deleted intervals of the chunks and removes chunks that are deleted completely.
    fn apply_tombstones(&self, series: &HeadSeries, chunks: &mut Vec<Chunk>) {
        let Some(deleted) = self.tombstones.read().get(series.reference.0).map(Arc::clone) else {
            return;
        };
        chunks.retain_mut(|chunk| {
            let times = TimeRange::new(chunk.mint, chunk.maxt);
            if deleted.overlaps(times) {
                chunk.deleted_intervals = Some(Arc::clone(&deleted));
            }
            !deleted.covers(times)
        });
    }

    fn pin(&self, mapped: &MappedChunk) -> Result<Chunk, HeadChunkCorruption> {
        let data = self.mapping.read(mapped.chunk_ref())?;
        let encoding = data.encoding();
        let data = ChunkData::new(data);
        Ok(Chunk {
            mint: mapped.mint(),
            maxt: mapped.maxt(),
            encoding,
            data,
            deleted_intervals: None,
        })
    }
}

fn is_missing(corruption: &HeadChunkCorruption) -> bool {
    corruption.cause == HeadChunkFormatError::MissingFile
}

/// Returns `true` if the series still has this chunk of out-of-order samples.
fn has_ooo_chunk(series: &HeadSeries, chunk: &MappedChunk) -> bool {
    series
        .state
        .lock()
        .out_of_order
        .as_ref()
        .is_some_and(|ooo| ooo.mapped.get(chunk.chunk_ref()).is_some())
}

impl SeriesView {
    fn capture(
        series: &HeadSeries,
        range: TimeRange,
        selection: ChunkSelection,
        encodings: EncodingPolicy,
    ) -> Self {
        let state = series.state.lock();
        let mut view = Self::default();
        if selection == ChunkSelection::All || selection == ChunkSelection::InOrder {
            view.add_in_order(&state, range);
        }
        if let (Some(ooo), true) = (&state.out_of_order, selection != ChunkSelection::InOrder) {
            view.add_out_of_order(ooo, range, selection, encodings);
        }
        view
    }

    fn add_in_order(&mut self, state: &SeriesState, range: TimeRange) {
        let overlaps = |mint, maxt| range.overlaps(TimeRange::new(mint, maxt));
        self.mapped
            .extend(state.mapped.iter().filter(|chunk| overlaps(chunk.mint(), chunk.maxt())));
        let sealed = state.sealed().iter().filter(|chunk| overlaps(chunk.mint, chunk.maxt));
        self.in_memory.extend(sealed.map(|chunk| Chunk {
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            data: ChunkData::new(Arc::clone(&chunk.bytes)),
            deleted_intervals: None,
        }));
        if let (Some(open), Some(maxt)) = (&state.open, state.max_time())
            && overlaps(open.mint, maxt)
        {
            let bytes: Arc<[u8]> = open.chunk.bytes().into();
            let (encoding, data) = (open.chunk.encoding(), ChunkData::new(bytes));
            self.in_memory.push(Chunk {
                mint: open.mint,
                maxt,
                encoding,
                data,
                deleted_intervals: None,
            });
        }
    }

    fn add_out_of_order(
        &mut self,
        ooo: &OutOfOrderState,
        range: TimeRange,
        selection: ChunkSelection,
        encodings: EncodingPolicy,
    ) {
        let mapped = ooo.mapped.overlapping(range);
        if let ChunkSelection::OutOfOrderUpTo(last) = selection {
            self.ooo_mapped.extend(mapped.filter(|chunk| chunk.chunk_ref() <= last));
            return;
        }
        self.ooo_mapped.extend(mapped);
        let open = encode(ooo.open.samples(), encodings).into_iter();
        let open = open.filter(|chunk| range.overlaps(TimeRange::new(chunk.mint, chunk.maxt)));
        self.ooo_in_memory.extend(open.map(|chunk| Chunk {
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            data: ChunkData::new(chunk.bytes),
            deleted_intervals: None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::float_sample::FloatSample;
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::model::sample::Sample;
    use crate::testing::conformance;
    use crate::testing::samples::seeded_samples;
    use crate::tsdb::chunk::cut::CutPolicy;
    use crate::tsdb::chunk::head_chunks::HeadChunkStore;
    use crate::tsdb::fs::os_disk::OsDisk;
    use crate::tsdb::head::append::HeadAppender;
    use crate::tsdb::head::{Head, HeadOptions};
    use crate::tsdb::wal::compression::RecordCompression;
    use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    fn head_and_log(dir: &Path) -> (Head, Wal) {
        let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 10 };
        let (files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
        let head = Head::new(HeadOptions { policy, ..HeadOptions::default() }, files);
        let wal = Wal::open(WalOptions {
            dir: dir.join("wal"),
            segment_size: 1 << 20,
            compression: RecordCompression::None,
            sync: SyncMode::Os,
            disk: Arc::new(OsDisk),
        });
        (head, wal.unwrap())
    }

    fn labels(name: &str, zone: &str) -> Labels {
        LabelsBuilder::from_iter([("__name__", name), ("zone", zone)]).build().unwrap()
    }

    #[test]
    fn head_conforms_to_source() {
        let dir = tempfile::tempdir().unwrap();
        let (head, wal) = head_and_log(dir.path());
        let mut expected: BTreeMap<Labels, Vec<FloatSample>> = BTreeMap::new();
        for (name, zone, count) in
            [("up", "a", 1), ("up", "b", 35), ("down", "", 12), ("other", "a", 100)]
        {
            let samples: Vec<_> =
                (0..count).map(|i| FloatSample::new(1_000_000 + i * 15_000, i as f64)).collect();
            let mut appender = HeadAppender::new(&head, &wal);
            appender
                .append_or_create(
                    &labels(name, zone),
                    samples.iter().copied().map(Sample::from),
                    |_, _| panic!("rejected"),
                )
                .unwrap();
            appender.commit().unwrap();
            expected.insert(labels(name, zone), samples);
        }
        conformance::check(&head, &expected);
    }

    #[test]
    fn head_conforms_to_source_with_all_value_types() {
        let dir = tempfile::tempdir().unwrap();
        let (head, wal) = head_and_log(dir.path());
        let mut expected: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for (name, zone, seed) in [("up", "a", 1), ("up", "b", 2), ("down", "", 3)] {
            let samples = seeded_samples(seed);
            let mut appender = HeadAppender::new(&head, &wal);
            let reject = |sample, reason| panic!("{sample:?} was rejected: {reason:?}");
            appender
                .append_or_create(&labels(name, zone), samples.iter().cloned(), reject)
                .unwrap();
            appender.commit().unwrap();
            expected.insert(labels(name, zone), samples);
        }
        conformance::check_points(&head, &expected);
    }
}
