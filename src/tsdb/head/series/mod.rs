//! Series of the head: labels, open chunk, and references to its full chunks.
//!
//! The open chunk holds samples of one type. A full chunk is *sealed*: its bytes stay in memory
//! until the WAL has its samples and `chunks_head/` has the chunk. After that only a
//! [`MappedChunk`] remains. Out-of-order samples have chunks of their own
//! ([`crate::tsdb::head::out_of_order`]).
//!
//! [`MappedChunk`]: crate::tsdb::chunk::mapped_chunk::MappedChunk
//!
//! | module           | content                                                          |
//! |------------------|------------------------------------------------------------------|
//! | `commits`        | commits of one series, and what a read must not see              |
//! | [`map`]          | map of all series, by labels and by reference                    |
//! | [`open_chunk`]   | open and sealed chunks                                           |
//! | [`state`]        | chunks of one series                                             |
//! | [`store`]        | all series, their references and their index                     |
//! | [`unsettled`]    | samples of a series that some reader may not see                 |
//! | [`wal_expiries`] | references that only the WAL uses                                |
//!
//! # Invariant
//! M-mapped, sealed and open chunks are in time order and do not overlap; timestamps increase
//! strictly.
//!
//! # Locking
//! The mutex in [`HeadSeries::state`] guards all chunks of one series. It is held for microseconds,
//! longer only if a sender repeats many old samples of the series, because each of them is looked
//! up.

mod commits;
pub mod map;
pub mod open_chunk;
pub mod state;
pub mod store;
pub mod unsettled;
pub mod wal_expiries;

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::tsdb::head::in_flight::batch_id::BatchId;
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::prefetch::prefetch;
use parking_lot::Mutex;

/// Label set, reference and mutable state of a series.
#[derive(Debug)]
pub struct HeadSeries {
    /// Number of the series in the WAL and in `chunks_head/`.
    pub series_ref: SeriesRef,
    /// Hash of the labels, as [`map::SeriesMap`] computes it.
    pub hash: u64,
    /// Label set; its bytes are the key of the series.
    pub labels: Labels,
    /// State that changes with every sample.
    pub state: Mutex<SeriesState>,
}

impl HeadSeries {
    /// Prefetches the state, for an append that follows soon.
    #[inline]
    pub fn prefetch_state(&self) {
        prefetch(self.state.data_ptr(), size_of::<SeriesState>());
    }

    /// Prefetches the end of the open chunk, which needs the state. Does nothing while the state is
    /// locked.
    #[inline]
    pub fn prefetch_open_chunk(&self) {
        if let Some(open) = self.state.try_lock().as_ref().and_then(|state| state.open.as_ref()) {
            open.chunk.prefetch_end();
        }
    }

    /// Creates a series without samples. `touched_by` is the batch that creates it.
    #[must_use]
    pub fn new(series_ref: SeriesRef, hash: u64, labels: Labels, touched_by: BatchId) -> Self {
        Self { series_ref, hash, labels, state: Mutex::new(SeriesState::new(touched_by)) }
    }
}
