//! The head for those who make blocks of it: what came in order and what came late, each by itself.
//!
//! [`InOrderSource`] has chunks without overlap. [`OutOfOrderSource`] has the late points that were there when it was prepared: all of them are in
//! `chunks_head/` then, and of each series it notes the last chunk. So what comes meanwhile is neither in its blocks nor dropped with them.
//!
//! The order in which the database makes blocks of late samples: a new segment of the WBL; [`OutOfOrderSource::prepare`]; blocks, one for each
//! range of times, seen by queries; [`crate::tsdb::head::truncation::HeadTruncation::truncate_ooo`]; the segments of the WBL before the new one go.

use crate::model::matcher::Matcher;
use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::store::decode_samples;
use crate::tsdb::head::read::ChunkSelection;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::query::source::{BlockSource, ChunkSeriesSet, QueryError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What came in order.
#[derive(Clone, Copy, Debug)]
pub struct InOrderSource<'a>(pub &'a Head);

impl BlockSource for InOrderSource<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let Self(head) = *self;
        let series = head.sorted_series(matchers);
        Ok(Box::new(series.into_iter().filter_map(move |series| {
            head.select_chunks(&series, range, ChunkSelection::InOrder).transpose()
        })))
    }
}

/// The late samples of a moment.
#[derive(Debug)]
pub struct OutOfOrderSource<'a> {
    head: &'a Head,
    /// Sorted by labels.
    series: Vec<PreparedSeries>,
    times: Option<TimeRange>,
}

/// A series with late samples.
#[derive(Debug)]
struct PreparedSeries {
    series: Arc<HeadSeries>,
    /// The last chunk that belongs to the source.
    last: HeadChunkRef,
}

impl<'a> OutOfOrderSource<'a> {
    /// Writes all open chunks of late points to `chunks_head/`, and notes the chunks of each series.
    ///
    /// # Errors
    /// [`HeadChunksError`] where a chunk could not be written: its points are in memory and in the WBL, of which nothing may be removed then.
    pub fn prepare(head: &'a Head) -> Result<Self, HeadChunksError> {
        let source = Self::prepare_while(head, &|| true)?;
        Ok(source.unwrap_or(Self { head, series: Vec::new(), times: None }))
    }

    /// The same, as long as `go_on`, which is asked for each series, returns `true`; `None` once it
    /// does not.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_while(
        head: &'a Head,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, HeadChunksError> {
        let mut source = Self { head, series: Vec::new(), times: None };
        for series in head.series.shards().flatten() {
            if !go_on() {
                return Ok(None);
            }
            let mut state = series.state.lock();
            let Some(late) = &mut state.out_of_order else { continue };
            if !late.open.is_empty() {
                head.flush_ooo_chunk(series.reference, late)?;
            }
            let (Some(last), Some(times)) =
                (late.mapped.last().map(|last| last.chunk_ref()), late.times())
            else {
                continue;
            };
            let all = source.times.unwrap_or(times);
            source.times = Some(TimeRange::new(all.mint.min(times.mint), all.maxt.max(times.maxt)));
            drop(state);
            source.series.push(PreparedSeries { series, last });
        }
        source.series.sort_unstable_by(|a, b| a.series.labels.cmp(&b.series.labels));
        Ok(Some(source))
    }

    /// From the oldest to the newest late sample; `None` where there is none.
    #[must_use]
    pub fn times(&self) -> Option<TimeRange> {
        self.times
    }

    /// The ranges of `width` ms, counted from time 0, in which there are samples, oldest first.
    /// Their number is bounded by that of the samples, however far these lie apart.
    ///
    /// # Errors
    /// [`HeadChunksError`] where a chunk can't be read.
    pub fn ranges(&self, width: i64) -> Result<Vec<TimeRange>, HeadChunksError> {
        let mut ranges = BTreeMap::new();
        let mut add = |t: i64| {
            let range = TimeRange::aligned(t, width);
            ranges.insert(range.mint, range);
            range
        };
        for PreparedSeries { series, last } in &self.series {
            let chunks: Vec<MappedChunk> = match &series.state.lock().out_of_order {
                Some(late) => late
                    .mapped
                    .iter()
                    .take_while(|chunk| chunk.chunk_ref() <= *last)
                    .copied()
                    .collect(),
                None => continue,
            };
            for chunk in chunks {
                // Both ends, so that whoever makes the blocks meets a chunk that does not decode to
                // its end.
                add(chunk.maxt());
                if !add(chunk.mint()).contains(chunk.maxt()) {
                    let data = self.head.mapping.read(chunk.chunk_ref())?;
                    decode_samples(data.encoding(), data.as_ref())
                        .for_each(|point| _ = add(point.t));
                }
            }
        }
        Ok(ranges.into_values().collect())
    }

    /// How many series it has.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Forgets the chunks that it has, and gives how many they were.
    pub(in crate::tsdb::head) fn drop_chunks(&self) -> u64 {
        let mut chunks = 0;
        for PreparedSeries { series, last } in &self.series {
            let mut state = series.state.lock();
            if let Some(late) = &mut state.out_of_order {
                chunks += late.mapped.drop_up_to(*last) as u64;
                if late.is_empty() {
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
        let (matchers, head) = (matchers.to_vec(), self.head);
        Ok(Box::new(self.series.iter().filter_map(move |PreparedSeries { series, last }| {
            let matches = |matcher: &Matcher| {
                matcher.matches(series.labels.get(matcher.name()).unwrap_or_default())
            };
            let is_selected = !matchers.is_empty() && matchers.iter().all(matches);
            is_selected
                .then(|| {
                    head.select_chunks(series, range, ChunkSelection::OutOfOrderUpTo(*last))
                        .transpose()
                })
                .flatten()
        })))
    }
}
