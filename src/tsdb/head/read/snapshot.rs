//! Snapshot of a read: the requests that it sees, in the head and in newer blocks.

use crate::model::labels::Labels;
use crate::tsdb::head::in_flight::commit_view::CommitView;
use crate::tsdb::head::in_flight::{InFlightBatches, ReadSnapshot};
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::query::source::{Chunk, ChunkSeriesSet};
use std::sync::Arc;

/// Requests that were published at one instant. Series remember samples of later requests until the
/// last clone is dropped.
#[derive(Clone, Debug)]
pub struct HeadSnapshot<'a> {
    series: &'a SeriesStore,
    commits: Arc<ReadSnapshot<'a>>,
}

impl<'a> HeadSnapshot<'a> {
    /// Takes a snapshot. It sees every sample of the blocks that are pinned before.
    #[must_use]
    pub fn new(series: &'a SeriesStore, in_flight: &'a InFlightBatches) -> Self {
        Self { series, commits: Arc::new(in_flight.snapshot()) }
    }

    pub(crate) fn commits(&self) -> &CommitView {
        self.commits.view()
    }

    /// Removes the samples of other requests from series of a block that was written later.
    #[must_use]
    pub fn hide_in_block(self, series: ChunkSeriesSet<'a>) -> ChunkSeriesSet<'a> {
        Box::new(series.filter_map(move |series| match series {
            Ok(mut series) => {
                self.hide_in_chunks(&series.labels, &mut series.chunks);
                (!series.chunks.is_empty()).then_some(Ok(series))
            }
            Err(error) => Some(Err(error)),
        }))
    }

    /// Removes the samples of other requests from chunks of such a block. The head still has the
    /// series, because a series with unseen samples is not collected.
    pub(super) fn hide_in_chunks(&self, labels: &Labels, chunks: &mut Vec<Chunk>) {
        if let Some(series) = self.series.get(labels.as_bytes()) {
            series.state.lock().hidden_samples(self.commits()).hide_in_block(chunks);
        }
    }
}
