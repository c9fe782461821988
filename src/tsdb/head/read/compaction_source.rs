//! Sources for the compaction of the head: in-order and out-of-order samples, separately.
//!
//! The chunks of [`InOrderSource`] do not overlap. [`OutOfOrderSource`] has the out-of-order
//! samples that existed when it was prepared: it writes all of them to `chunks_head/` and remembers
//! the last chunk of each series. Later samples are neither in its blocks nor dropped with them.
//! Both have the samples of requests in flight, unless they are limited to a snapshot.
//!
//! # OOO compaction
//! 1. Start a new WBL segment.
//! 2. [`OutOfOrderSource::prepare_while`].
//! 3. Write and publish one block per time range.
//! 4. [`crate::tsdb::head::truncation::HeadTruncation::truncate_ooo`].
//! 5. Delete the WBL segments before the new one.

use crate::model::matcher::Matcher;
use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::head_chunks::error::{HeadChunkCorruption, HeadChunksError};
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunks::lookup::decode_samples;
use crate::tsdb::head::chunks::out_of_order::OutOfOrderWriter;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::read::chunk_selector::ChunkSelector;
use crate::tsdb::head::read::series_view::ChunkSelection;
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::query::source::{BlockSource, ChunkSeriesSet, QueryError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Source of the in-order samples.
#[derive(Clone, Debug)]
pub struct InOrderSource<'a> {
    series: &'a SeriesStore,
    selector: ChunkSelector<'a>,
    snapshot: Option<HeadSnapshot<'a>>,
}

impl<'a> InOrderSource<'a> {
    /// Creates a source of the samples of `head`.
    #[must_use]
    pub fn new(head: &'a Head) -> Self {
        Self { series: &head.series, selector: ChunkSelector::new(head), snapshot: None }
    }

    /// Limits the source to the samples that a snapshot sees.
    #[must_use]
    pub fn as_of(self, snapshot: HeadSnapshot<'a>) -> Self {
        Self { snapshot: Some(snapshot), ..self }
    }

    /// Returns these series, in the given order, with their in-order chunks that overlap `range`.
    pub fn series_set(
        self,
        series: impl Iterator<Item = &'a Arc<HeadSeries>> + Send + 'a,
        range: TimeRange,
    ) -> ChunkSeriesSet<'a> {
        Box::new(series.filter_map(move |series| {
            let commits = self.snapshot.as_ref().map(HeadSnapshot::commits);
            self.selector.select(series, range, ChunkSelection::InOrder, commits).transpose()
        }))
    }
}

impl BlockSource for InOrderSource<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let series = self.series.select(matchers);
        let commits = self.snapshot.as_ref().map(HeadSnapshot::commits);
        Ok(Box::new(series.into_iter().filter_map(move |series| {
            self.selector.select(&series, range, ChunkSelection::InOrder, commits).transpose()
        })))
    }
}

/// Source of the out-of-order samples at one instant.
#[derive(Debug)]
pub struct OutOfOrderSource<'a> {
    selector: ChunkSelector<'a>,
    snapshot: Option<HeadSnapshot<'a>>,
    /// Series sorted by labels.
    series: Vec<PreparedSeries>,
    times: Option<TimeRange>,
}

/// Series with out-of-order samples.
#[derive(Debug)]
struct PreparedSeries {
    series: Arc<HeadSeries>,
    /// Last chunk that belongs to the source.
    last: HeadChunkRef,
}

impl<'a> OutOfOrderSource<'a> {
    fn empty(head: &'a Head) -> Self {
        let selector = ChunkSelector::new(head);
        Self { selector, snapshot: None, series: Vec::new(), times: None }
    }

    /// Limits the source to the samples that a snapshot sees.
    #[must_use]
    pub fn as_of(self, snapshot: HeadSnapshot<'a>) -> Self {
        Self { snapshot: Some(snapshot), ..self }
    }

    /// Writes all open chunks of out-of-order samples to `chunks_head/` and records the chunks of
    /// each series.
    ///
    /// # Errors
    /// [`HeadChunksError`] if a chunk cannot be written. Its samples stay in memory and in the WBL,
    /// and the WBL must not be truncated.
    #[cfg(any(test, feature = "testing"))]
    pub fn prepare(head: &'a Head) -> Result<Self, HeadChunksError> {
        let source = Self::prepare_while(head, &|| true)?;
        Ok(source.unwrap_or_else(|| Self::empty(head)))
    }

    /// Does the same as [`Self::prepare`] while `go_on`, called once per series, returns `true`;
    /// `None` when it returns `false`.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_while(
        head: &'a Head,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, HeadChunksError> {
        let mut source = Self::empty(head);
        let writer = OutOfOrderWriter::new(&head.chunks, &head.stats);
        for series in head.series.shards().flatten() {
            if !go_on() {
                return Ok(None);
            }
            let mut state = series.state.lock();
            let Some(ooo) = &mut state.out_of_order else { continue };
            if !ooo.open.is_empty() {
                writer.flush(series.series_ref, ooo)?;
            }
            let (Some(last), Some(times)) =
                (ooo.mapped.last().map(|last| last.chunk_ref()), ooo.times())
            else {
                continue;
            };
            let sample_times = |ooo: &OutOfOrderState| source.sample_times(ooo);
            state.record_ooo_compaction(&head.in_flight, sample_times);
            let range = source.times.unwrap_or(times);
            source.times =
                Some(TimeRange::new(range.mint.min(times.mint), range.maxt.max(times.maxt)));
            drop(state);
            source.series.push(PreparedSeries { series, last });
        }
        source.series.sort_unstable_by(|a, b| a.series.labels.cmp(&b.series.labels));
        Ok(Some(source))
    }

    /// Returns the timestamps of the samples in `chunks_head/`, ascending. A chunk that cannot be
    /// read has none: no block gets it.
    fn sample_times(&self, ooo: &OutOfOrderState) -> Vec<i64> {
        let mut times = Vec::new();
        for chunk in ooo.mapped.iter() {
            if let Ok(data) = self.selector.chunks().mapper.read(chunk.chunk_ref()) {
                let samples = decode_samples(data.encoding(), data.as_ref());
                times.extend(samples.map(|sample| sample.t));
            }
        }
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Returns the range from the oldest to the newest sample; `None` if there are none.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn times(&self) -> Option<TimeRange> {
        self.times
    }

    /// Returns the ranges of `width` ms, aligned to time 0, that contain samples, oldest first.
    /// Their number is bounded by the number of samples, however far apart these are.
    ///
    /// # Errors
    /// [`HeadChunkCorruption`] if a chunk cannot be read.
    pub fn ranges(&self, width: i64) -> Result<Vec<TimeRange>, HeadChunkCorruption> {
        let mut ranges = BTreeMap::new();
        let mut add = |t: i64| {
            let range = TimeRange::aligned(t, width);
            ranges.insert(range.mint, range);
            range
        };
        for PreparedSeries { series, last } in &self.series {
            let chunks: Vec<MappedChunk> = match &series.state.lock().out_of_order {
                Some(ooo) => ooo
                    .mapped
                    .iter()
                    .take_while(|chunk| chunk.chunk_ref() <= *last)
                    .copied()
                    .collect(),
                None => continue,
            };
            for chunk in chunks {
                // Both ends, so that the compaction also reads a chunk that does not decode to its
                // end.
                add(chunk.maxt());
                if !add(chunk.mint()).contains(chunk.maxt()) {
                    let data = self.selector.chunks().mapper.read(chunk.chunk_ref())?;
                    decode_samples(data.encoding(), data.as_ref())
                        .for_each(|sample| _ = add(sample.t));
                }
            }
        }
        Ok(ranges.into_values().collect())
    }

    /// Number of series with out-of-order samples.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Drops the chunks of the source. Returns their number.
    pub(crate) fn drop_chunks(&self) -> u64 {
        let mut chunks = 0;
        for PreparedSeries { series, last } in &self.series {
            let mut state = series.state.lock();
            if let Some(ooo) = &mut state.out_of_order {
                chunks += ooo.mapped.drop_up_to(*last) as u64;
                if ooo.is_empty() {
                    state.out_of_order = None;
                }
            }
        }
        chunks
    }
}

impl BlockSource for OutOfOrderSource<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let (matchers, selector) = (matchers.to_vec(), self.selector);
        let commits = self.snapshot.as_ref().map(HeadSnapshot::commits);
        Ok(Box::new(self.series.iter().filter_map(move |PreparedSeries { series, last }| {
            let matches = |matcher: &Matcher| {
                matcher.matches(series.labels.get(matcher.name()).unwrap_or_default())
            };
            let is_selected = !matchers.is_empty() && matchers.iter().all(matches);
            is_selected
                .then(|| {
                    selector
                        .select(series, range, ChunkSelection::OutOfOrderUpTo(*last), commits)
                        .transpose()
                })
                .flatten()
        })))
    }
}
