//! Reading the head: a [`BlockSource`] over its series.
//!
//! The matching series are picked and sorted first; each is looked into when its turn comes, under its own mutex, for as long as it takes
//! to note its chunks and to copy the open one (at most a kilobyte or so). Mapped chunks are pinned, not copied. So a
//! read sees of every series a prefix in the order of time, all that was acknowledged before it began included.
//!
//! Chunks of late points stand behind those in order and may overlap them: at equal times the late value wins.
//!
//! While a long query goes from series to series, the beginning of the head may become a block, and its chunks go. Nobody waits for the other:
//! the query notes up to where the head was truncated when it began ([`HeadReader`]); where that has moved when a series' turn has come, it asks
//! whoever made the reader for the chunks of that series which it missed.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::encode::encode;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::series::{HeadSeries, SeriesState};
use crate::tsdb::query::source::{
    BlockSource, Chunk, ChunkData, ChunkSeries, ChunkSeriesSet, QueryError,
};
use std::sync::Arc;

/// The chunks of a series as they were at one moment.
#[derive(Default)]
struct SeriesView {
    mapped: Vec<MappedChunk>,
    in_memory: Vec<Chunk>,
    late_mapped: Vec<MappedChunk>,
    late_in_memory: Vec<Chunk>,
}

/// Which chunks of a series are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkSelection {
    /// All.
    All,
    /// Those of samples that came in order.
    InOrder,
    /// Those of samples that came late, as far as they are in `chunks_head/` up to this place.
    OutOfOrderUpTo(HeadChunkRef),
}

/// The chunks of a series in a range of time that are not in the head any more.
pub type BlockFallback<'a> =
    Box<dyn Fn(&Labels, TimeRange) -> Result<Vec<Chunk>, QueryError> + Send + 'a>;

/// The head as it is seen by one query.
pub struct HeadReader<'a> {
    head: &'a Head,
    truncated_before: i64,
    ooo_epoch: u64,
    missed: BlockFallback<'a>,
}

impl<'a> HeadReader<'a> {
    /// A reader that sees the head as it begins now. `missed` gives what goes from it afterwards, for any series that was in it.
    #[must_use]
    pub fn new(head: &'a Head, missed: BlockFallback<'a>) -> Self {
        Self {
            head,
            truncated_before: head.truncated_before(),
            ooo_epoch: head.ooo_truncation_epoch(),
            missed,
        }
    }

    /// The matching series with their chunks, as [`BlockSource::select`] has it, for as long as the head lives.
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
        // Asked after the chunks were noted: whoever drops some says so first.
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
        let mut chunks = (self.missed)(&series.labels, lost)?;
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
            refs.into_iter().filter_map(|one| self.series.get_by_ref(one)).collect();
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        // Of a series that was collected and came back both may be found; the newer one has the greater reference.
        series.dedup_by(|later, kept| {
            let is_same = later.labels == kept.labels;
            if is_same && later.reference > kept.reference {
                std::mem::swap(later, kept);
            }
            is_same
        });
        series
    }

    /// These series, in the order in which they are given, with their chunks in order that overlap `range`.
    pub fn series_set<'a>(
        &'a self,
        series: impl Iterator<Item = &'a Arc<HeadSeries>> + Send + 'a,
        range: TimeRange,
    ) -> ChunkSeriesSet<'a> {
        Box::new(series.filter_map(move |series| {
            self.select_chunks(series, range, ChunkSelection::InOrder).transpose()
        }))
    }

    /// The chunks of a series that overlap `range`; `None` where there are none.
    pub(super) fn select_chunks(
        &self,
        series: &Arc<HeadSeries>,
        range: TimeRange,
        wanted: ChunkSelection,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let snapshot = SeriesView::capture(series, range, wanted, self.chunk_policy().encodings);
        let mut chunks = Vec::with_capacity(snapshot.mapped.len() + snapshot.in_memory.len());
        let is_dead = || series.state.lock().is_collected;
        for mapped in &snapshot.mapped {
            match self.pin(mapped) {
                Ok(chunk) => chunks.push(chunk),
                // Its file went because a block has it: who reads over that knows where to look.
                Err(HeadChunksError::MissingFile { .. })
                    if mapped.maxt() < self.truncated_before() || is_dead() => {}
                Err(error) => return Err(QueryError::Corrupted(error.to_string())),
            }
        }
        chunks.extend(snapshot.in_memory);
        for mapped in &snapshot.late_mapped {
            match self.pin(mapped) {
                Ok(chunk) => chunks.push(chunk),
                Err(HeadChunksError::MissingFile { .. }) if !has_ooo_chunk(series, mapped) => {}
                Err(error) => return Err(QueryError::Corrupted(error.to_string())),
            }
        }
        chunks.extend(snapshot.late_in_memory);
        self.apply_tombstones(series, &mut chunks);
        Ok((!chunks.is_empty()).then(|| ChunkSeries { labels: series.labels.clone(), chunks }))
    }

    /// Notes in the chunks what is deleted of them, and leaves out those of which nothing is left.
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

    fn pin(&self, mapped: &MappedChunk) -> Result<Chunk, HeadChunksError> {
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

/// Whether a chunk of late points is still there.
fn has_ooo_chunk(series: &HeadSeries, chunk: &MappedChunk) -> bool {
    series
        .state
        .lock()
        .out_of_order
        .as_ref()
        .is_some_and(|late| late.mapped.get(chunk.chunk_ref()).is_some())
}

impl SeriesView {
    fn capture(
        series: &HeadSeries,
        range: TimeRange,
        which: ChunkSelection,
        encodings: EncodingPolicy,
    ) -> Self {
        let state = series.state.lock();
        let mut snapshot = Self::default();
        if which == ChunkSelection::All || which == ChunkSelection::InOrder {
            snapshot.add_in_order(&state, range);
        }
        if let (Some(late), true) = (&state.out_of_order, which != ChunkSelection::InOrder) {
            snapshot.add_out_of_order(late, range, which, encodings);
        }
        snapshot
    }

    fn add_in_order(&mut self, state: &SeriesState, range: TimeRange) {
        let wanted = |mint, maxt| range.overlaps(TimeRange::new(mint, maxt));
        self.mapped.extend(state.mapped.iter().filter(|chunk| wanted(chunk.mint(), chunk.maxt())));
        let sealed = state.sealed().iter().filter(|chunk| wanted(chunk.mint, chunk.maxt));
        self.in_memory.extend(sealed.map(|chunk| Chunk {
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            data: ChunkData::new(Arc::clone(&chunk.bytes)),
            deleted_intervals: None,
        }));
        if let (Some(open), Some(maxt)) = (&state.open, state.max_time())
            && wanted(open.mint, maxt)
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
        late: &OutOfOrderState,
        range: TimeRange,
        which: ChunkSelection,
        encodings: EncodingPolicy,
    ) {
        let mapped = late.mapped.overlapping(range);
        if let ChunkSelection::OutOfOrderUpTo(last) = which {
            self.late_mapped.extend(mapped.filter(|chunk| chunk.chunk_ref() <= last));
            return;
        }
        self.late_mapped.extend(mapped);
        let open = encode(late.open.samples(), encodings).into_iter();
        let open = open.filter(|chunk| range.overlaps(TimeRange::new(chunk.mint, chunk.maxt)));
        self.late_in_memory.extend(open.map(|chunk| Chunk {
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
    use crate::tsdb::chunk::cut::CutPolicy;
    use crate::tsdb::chunk::head_chunks::HeadChunkStore;
    use crate::tsdb::fs::os_disk::OsDisk;
    use crate::tsdb::head::append::HeadAppender;
    use crate::tsdb::head::{Head, HeadOptions};
    use crate::tsdb::query::any_points::seeded_samples;
    use crate::tsdb::query::conformance;
    use crate::tsdb::wal::compression::RecordCompression;
    use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    fn head_and_log(dir: &Path) -> (Head, Wal) {
        let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 10 };
        let (files, _) = HeadChunkStore::open(&dir.join("chunks_head")).unwrap();
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
    fn the_head_answers_as_every_source_must() {
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
                    |_, _| panic!("refused"),
                )
                .unwrap();
            appender.commit().unwrap();
            expected.insert(labels(name, zone), samples);
        }
        conformance::check(&head, &expected);
    }

    #[test]
    fn the_head_answers_as_every_source_must_whatever_the_kind_of_value() {
        let dir = tempfile::tempdir().unwrap();
        let (head, wal) = head_and_log(dir.path());
        let mut expected: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for (name, zone, seed) in [("up", "a", 1), ("up", "b", 2), ("down", "", 3)] {
            let points = seeded_samples(seed);
            let mut appender = HeadAppender::new(&head, &wal);
            let refuse = |point, why| panic!("{point:?} is refused: {why:?}");
            appender.append_or_create(&labels(name, zone), points.iter().cloned(), refuse).unwrap();
            appender.commit().unwrap();
            expected.insert(labels(name, zone), points);
        }
        conformance::check_points(&head, &expected);
    }
}
