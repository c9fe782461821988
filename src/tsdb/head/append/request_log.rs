//! Log records of one request, and its slot among the in-flight batches.
//!
//! # Ordering
//! Records of a series are added while its mutex is held and no other in-flight batch has touched
//! it ([`RequestLog::lock_series`]). The WAL thus has the samples of a series in append order, and
//! a series record before all records that use it. The WBL follows the same rule: each flush to the
//! WAL queue is followed by one to the WBL queue.

use crate::model::exemplar::Exemplar;
use crate::model::metadata::Metadata;
use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::Sample;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::wbl_batch::{OutOfOrderStats, WblBatch, WriteLogs};
use crate::tsdb::head::in_flight::{BatchId, InFlightBatches};
use crate::tsdb::head::log_batch_pool::LogBatchPool;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::write_log::{LogPosition, Wal};
use parking_lot::MutexGuard;

/// Log of one request.
#[derive(Debug)]
pub(super) struct RequestLog<'a> {
    wal: &'a Wal,
    in_flight: &'a InFlightBatches,
    pool: &'a LogBatchPool,
    batch: LogBatch,
    batch_id: BatchId,
    /// Out-of-order samples; `None` if there is no WBL.
    ooo: Option<WblBatch<'a>>,
}

/// Log positions that the response waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogPositions {
    pub(super) wal: LogPosition,
    pub(super) wbl: Option<LogPosition>,
}

impl<'a> RequestLog<'a> {
    /// Starts a batch. Waits while 256 others are in flight.
    pub(super) fn new(head: &'a Head, logs: WriteLogs<'a>) -> Self {
        let (in_flight, pool) = (&head.in_flight, &head.log_batches);
        let batch_id = in_flight.begin();
        let (batch, ooo) = (pool.take(), logs.wbl.map(WblBatch::new));
        Self { wal: logs.wal, in_flight, pool, batch, batch_id, ooo }
    }

    /// Identifier of the current batch.
    pub(super) fn batch_id(&self) -> BatchId {
        self.batch_id
    }

    /// Returns `true` if out-of-order samples can be logged.
    pub(super) fn has_wbl(&self) -> bool {
        self.ooo.is_some()
    }

    /// Returns `true` if the records have start timestamps.
    #[inline]
    pub(super) fn has_start_timestamps(&self) -> bool {
        self.pool.record_version() != RecordVersion::V1
    }

    /// Returns `true` if another in-flight batch has touched the series.
    pub(super) fn is_busy(&self, state: &SeriesState) -> bool {
        state.last_batch != self.batch_id && self.in_flight.contains(state.last_batch)
    }

    /// Locks the series when no other in-flight batch has touched it.
    pub(super) fn lock_series<'s>(
        &mut self,
        series: &'s HeadSeries,
    ) -> MutexGuard<'s, SeriesState> {
        loop {
            let state = series.state.lock();
            if !self.is_busy(&state) {
                return state;
            }
            let other = state.last_batch;
            drop(state);
            if !self.batch.is_empty() || self.ooo.as_ref().is_some_and(WblBatch::has_unlogged) {
                // A batch that waits with unlogged samples could deadlock with the other one.
                self.flush();
            }
            self.in_flight.wait_for(other);
        }
    }

    /// Enqueues what is not logged yet and starts another batch of the same request.
    pub(super) fn flush(&mut self) -> LogPosition {
        let position = self.wal.enqueue(&mut self.batch);
        self.ooo.as_mut().and_then(WblBatch::enqueue);
        // Last: after this, other batches may log samples of the same series.
        self.batch_id = self.in_flight.restart(self.batch_id);
        position
    }

    /// Adds the record of a new series.
    pub(super) fn push_series(&mut self, series: &HeadSeries) {
        self.batch.push_series(series.series_ref, &series.labels);
    }

    /// Adds a sample. Samples of a series keep their order even if they go into records of
    /// different types.
    #[inline]
    pub(super) fn push_sample(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        sample: &Sample,
    ) {
        let record_type = self.batch.record_type_for(sample);
        if state.last_batch == self.batch_id
            && state.last_record_type != record_type
            && state.last_record_type != RecordType::Series
        {
            self.batch.finish_records();
        }
        state.last_batch = self.batch_id;
        state.last_record_type = record_type;
        self.batch.push_sample_as(record_type, series_ref, sample);
    }

    /// Adds an out-of-order sample. Returns `false`, and does nothing, if there is no WBL.
    pub(super) fn push_ooo_sample(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        sample: &Sample,
    ) -> bool {
        let Some(ooo) = &mut self.ooo else { return false };
        ooo.push(series_ref, sample, || self.pool.take());
        state.last_batch = self.batch_id;
        true
    }

    /// Adds markers: the out-of-order samples of the series so far are in these chunks.
    pub(super) fn push_markers(&mut self, series_ref: SeriesRef, chunks: Vec<HeadChunkRef>) {
        if let Some(ooo) = &mut self.ooo {
            ooo.push_markers(series_ref, chunks);
        }
    }

    /// Adds an exemplar.
    pub(super) fn push_exemplar(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        exemplar: &Exemplar,
    ) {
        self.batch.push_exemplar(series_ref, exemplar);
        state.last_batch = self.batch_id;
    }

    /// Adds the metadata of a series.
    pub(super) fn push_metadata(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        metadata: &Metadata,
    ) {
        self.batch.push_metadata(series_ref, metadata);
        state.last_batch = self.batch_id;
    }

    /// Makes the response wait for the out-of-order samples of other requests.
    pub(super) fn require_wbl_wait(&mut self) {
        if let Some(ooo) = &mut self.ooo {
            ooo.require_wait();
        }
    }

    /// Enqueues what is not logged yet. Returns the positions that the response must wait for.
    pub(super) fn enqueue(&mut self) -> LogPositions {
        let wal = if self.batch.is_empty() {
            self.wal.position()
        } else {
            self.wal.enqueue(&mut self.batch)
        };
        LogPositions { wal, wbl: self.ooo.as_mut().and_then(WblBatch::enqueue) }
    }

    /// Numbers and time range of the out-of-order samples.
    pub(super) fn ooo_stats(&self) -> Option<OutOfOrderStats> {
        self.ooo.as_ref().map(WblBatch::stats)
    }

    /// Ends the last batch of the request, which is enqueued.
    pub(super) fn end(&mut self) {
        if let Some(batch) = self.ooo.as_mut().and_then(WblBatch::take_batch) {
            self.pool.recycle(batch);
        }
        self.in_flight.end(self.batch_id);
        self.batch_id = BatchId::NONE;
        self.pool.recycle(std::mem::take(&mut self.batch));
    }

    /// Returns `true` if the last batch has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.batch_id == BatchId::NONE
    }

    /// Waits until the WAL is written up to `position`.
    ///
    /// # Errors
    /// [`WalError`] if it could not be written.
    pub(super) fn wait_for_wal(&self, position: LogPosition) -> Result<(), WalError> {
        self.wal.wait(position)
    }

    /// Waits until the WBL is written up to `position`.
    ///
    /// # Errors
    /// [`WalError`] if it could not be written.
    pub(super) fn wait_for_wbl(&self, position: Option<LogPosition>) -> Result<(), WalError> {
        match (&self.ooo, position) {
            (Some(ooo), Some(position)) => ooo.wbl().wait(position),
            _ => Ok(()),
        }
    }
}
