//! Selector of the chunks of a series, pinned and with their tombstones.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::head_chunks::error::HeadChunkCorruption;
use crate::tsdb::chunk::head_chunks::format::HeadChunkFormatError;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::in_flight::commit_view::CommitView;
use crate::tsdb::head::read::series_view::{ChunkSelection, SeriesView};
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::tombstones::HeadTombstones;
use crate::tsdb::query::source::{Chunk, ChunkData, ChunkSeries, QueryError};
use std::sync::Arc;

/// Selector of chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkSelector<'a> {
    chunks: &'a ChunkStore,
    tombstones: &'a HeadTombstones,
}

impl<'a> ChunkSelector<'a> {
    /// Creates a selector of chunks of `head`.
    pub(crate) fn new(head: &'a Head) -> Self {
        Self { chunks: &head.chunks, tombstones: &head.side_data.tombstones }
    }

    /// Store of the selected chunks.
    pub(crate) fn chunks(&self) -> &'a ChunkStore {
        self.chunks
    }

    /// Returns the chunks of a series that overlap `range`, without the samples that are not in the
    /// view `commits`; `None` if there are none.
    pub(crate) fn select(
        &self,
        series: &HeadSeries,
        range: TimeRange,
        selection: ChunkSelection,
        commits: Option<&CommitView>,
    ) -> Result<Option<ChunkSeries>, QueryError> {
        let encodings = self.chunks.settings.chunk_policy().encodings;
        let view = SeriesView::capture(series, range, selection, encodings, commits);
        let mut chunks = Vec::with_capacity(view.mapped.len() + view.in_memory.len());
        let is_collected = || series.state.lock().is_collected;
        let truncated_before = || self.chunks.truncation.truncated_before();
        for mapped in &view.mapped {
            match self.pin(mapped) {
                Ok(chunk) => chunks.push(chunk),
                // Its file was deleted because a block contains it. `HeadReader` falls back to the
                // block.
                Err(corruption)
                    if is_missing(&corruption)
                        && (mapped.maxt() < truncated_before() || is_collected()) => {}
                Err(corruption) => return Err(corruption.into()),
            }
        }
        chunks.extend(view.in_memory);
        view.hidden.hide_in_order(&mut chunks);
        let mut ooo_chunks = Vec::with_capacity(view.ooo_mapped.len() + view.ooo_in_memory.len());
        for mapped in &view.ooo_mapped {
            match self.pin(mapped) {
                Ok(chunk) => ooo_chunks.push(chunk),
                Err(corruption) if is_missing(&corruption) && !has_ooo_chunk(series, mapped) => {}
                Err(corruption) => return Err(corruption.into()),
            }
        }
        ooo_chunks.extend(view.ooo_in_memory);
        view.hidden.hide_out_of_order(&mut ooo_chunks);
        chunks.append(&mut ooo_chunks);
        self.apply_tombstones(series, &mut chunks);
        Ok((!chunks.is_empty()).then(|| ChunkSeries { labels: series.labels.clone(), chunks }))
    }

    /// Sets the deleted intervals of the chunks and removes chunks that are deleted completely.
    fn apply_tombstones(&self, series: &HeadSeries, chunks: &mut Vec<Chunk>) {
        let Some(deleted) = self.tombstones.get(series.series_ref) else { return };
        chunks.retain_mut(|chunk| {
            let times = TimeRange::new(chunk.mint, chunk.maxt);
            if deleted.overlaps(times) {
                let hidden = chunk.deleted_intervals.take();
                chunk.deleted_intervals = Some(match hidden {
                    Some(hidden) => {
                        Arc::new(hidden.iter().chain(deleted.iter()).copied().collect())
                    }
                    None => Arc::clone(&deleted),
                });
            }
            !deleted.covers(times)
        });
    }

    fn pin(&self, mapped: &MappedChunk) -> Result<Chunk, HeadChunkCorruption> {
        let data = self.chunks.mapper.read(mapped.chunk_ref())?;
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
