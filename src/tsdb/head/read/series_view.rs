//! View of the chunks of one series at one instant.

use crate::model::refs::HeadChunkRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::in_flight::commit_view::CommitView;
use crate::tsdb::head::out_of_order::encode::encode;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::head::series::unsettled::HiddenSamples;
use crate::tsdb::query::source::{Chunk, ChunkData};
use std::sync::Arc;

/// Selection of the chunks of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkSelection {
    /// In-order chunks, then out-of-order chunks.
    All,
    /// Chunks of in-order samples.
    InOrder,
    /// Chunks of out-of-order samples in `chunks_head/`, up to this reference.
    OutOfOrderUpTo(HeadChunkRef),
}

/// Chunks of a series at one instant.
#[derive(Default)]
pub(super) struct SeriesView {
    pub(super) mapped: Vec<MappedChunk>,
    pub(super) in_memory: Vec<Chunk>,
    pub(super) ooo_mapped: Vec<MappedChunk>,
    pub(super) ooo_in_memory: Vec<Chunk>,
    /// Samples of the chunks that are not visible.
    pub(super) hidden: HiddenSamples,
}

impl SeriesView {
    /// Captures the chunks that overlap `range`, under the mutex of the series. Without `commits`,
    /// all samples are visible.
    pub(super) fn capture(
        series: &HeadSeries,
        range: TimeRange,
        selection: ChunkSelection,
        encodings: EncodingPolicy,
        commits: Option<&CommitView>,
    ) -> Self {
        let state = series.state.lock();
        let hidden = commits.map(|commits| state.hidden_samples(commits)).unwrap_or_default();
        let mut view = Self { hidden, ..Self::default() };
        if selection == ChunkSelection::All || selection == ChunkSelection::InOrder {
            view.add_in_order(&state, range);
        }
        if let (Some(ooo), true) = (&state.out_of_order, selection != ChunkSelection::InOrder) {
            view.add_out_of_order(ooo, range, selection, encodings);
        }
        view
    }

    fn add_in_order(&mut self, state: &SeriesState, range: TimeRange) {
        let hidden_from = self.hidden.in_order_from;
        let overlaps = |mint, maxt| {
            range.overlaps(TimeRange::new(mint, maxt)) && hidden_from.is_none_or(|from| mint < from)
        };
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
