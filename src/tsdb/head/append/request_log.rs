//! Log records of one request, and its slot among the in-flight batches.
//!
//! A request reaches the log in one piece, except for much metadata of families, which follows the
//! samples in pieces. If it shares series with other requests in flight, its records may be parked
//! until all of them can be logged together ([`crate::tsdb::head::in_flight`]).
//!
//! # Ordering
//! Records of a series are added while its mutex is held and no other in-flight batch has touched
//! it ([`RequestLog::lock_series`]). The WAL thus has the samples of a series in append order, and
//! a series record before all records that use it. The WBL follows the same rule: whatever goes to
//! the WAL queue is followed by what goes to the WBL queue.

use crate::model::exemplar::Exemplar;
use crate::model::metadata::Metadata;
use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::Sample;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::wbl_batch::{OutOfOrderStats, WblBatch, WriteLogs};
use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::in_flight::batch_id::BatchId;
use crate::tsdb::head::in_flight::parked::CommitRecords;
use crate::tsdb::head::log_batch_pool::LogBatchPool;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::write_log::LogPosition;
use parking_lot::MutexGuard;

/// Log of one request.
#[derive(Debug)]
pub(super) struct RequestLog<'a> {
    logs: WriteLogs<'a>,
    in_flight: &'a InFlightBatches,
    pool: &'a LogBatchPool,
    batch: LogBatch,
    /// Current batch; that of a request that has ended remains.
    batch_id: BatchId,
    /// Commit on whose publication that of this request was last made to depend.
    last_dependency: BatchId,
    has_parked: bool,
    end: Option<RequestEnd>,
    /// Out-of-order samples; `None` if there is no WBL.
    ooo: Option<WblBatch<'a>>,
}

/// End of a request.
#[derive(Clone, Copy, Debug)]
enum RequestEnd {
    /// The records are in the queues at these positions.
    Enqueued(LogPositions),
    /// The records are in the queues when the request is published.
    Parked,
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
        let (last_dependency, has_parked, end) = (BatchId::NONE, false, None);
        Self { logs, in_flight, pool, batch, batch_id, last_dependency, has_parked, end, ooo }
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

    /// Locks the series when no other in-flight batch has touched it. The request will not be
    /// acknowledged before the samples of the series are visible.
    pub(super) fn lock_series<'s>(
        &mut self,
        series: &'s HeadSeries,
    ) -> MutexGuard<'s, SeriesState> {
        loop {
            let state = series.state.lock();
            let other = state.last_batch;
            if other == self.batch_id || self.in_flight.is_settled(other) {
                return state;
            }
            if !self.is_busy(&state) {
                self.depend_on_last_batch(&state);
                return state;
            }
            drop(state);
            if other.commit() > self.batch_id.commit() && self.has_records() {
                // A batch that has records and waits for a younger one could deadlock with it.
                self.park();
            }
            self.in_flight.wait_for(other);
        }
    }

    /// Makes this request logged and visible not before the samples that the series has.
    pub(super) fn depend_on_last_batch(&mut self, state: &SeriesState) {
        let last = state.last_batch;
        if last.commit() != self.batch_id.commit()
            && last.commit() != self.last_dependency.commit()
            && self.in_flight.is_unpublished(last)
        {
            self.in_flight.add_dependency(self.batch_id, last);
            self.last_dependency = last;
        }
    }

    /// Returns `true` if the order of the records depends on those of other requests in flight, or
    /// did so when the request touched a series.
    pub(super) fn depends_on_others(&self) -> bool {
        self.has_parked || self.last_dependency != BatchId::NONE
    }

    fn has_records(&self) -> bool {
        !self.batch.is_empty() || self.ooo.as_ref().is_some_and(WblBatch::has_unlogged)
    }

    /// Parks the records and starts another batch of the same request.
    fn park(&mut self) {
        let records = self.take_records();
        self.has_parked = true;
        self.batch_id = self.in_flight.park(self.batch_id, records);
    }

    fn take_records(&mut self) -> CommitRecords {
        let wal = self.logs.wal.take_sealed(&mut self.batch);
        CommitRecords { wal, wbl: self.ooo.as_mut().map(WblBatch::take_sealed).unwrap_or_default() }
    }

    /// Enqueues the records before the request ends, and starts another batch of the same request.
    pub(super) fn flush(&mut self) -> LogPosition {
        if self.depends_on_others() {
            self.in_flight.log_parked(|records| self.logs.enqueue_parked(records));
        }
        let position = self.logs.wal.enqueue(&mut self.batch);
        self.ooo.as_mut().and_then(WblBatch::enqueue);
        // Last: after this, other batches may log samples of the same series.
        self.batch_id = self.in_flight.restart(self.batch_id);
        position
    }

    /// Adds the record of a new series. Like the other records, it needs a series that
    /// [`Self::lock_series`] has locked, or that this request has created.
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
        state.touch(self.batch_id, self.in_flight);
        state.record_in_order(sample.t);
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
        state.touch(self.batch_id, self.in_flight);
        state.record_out_of_order(sample.t);
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
        state.touch(self.batch_id, self.in_flight);
    }

    /// Adds the metadata of a series.
    pub(super) fn push_metadata(
        &mut self,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        metadata: &Metadata,
    ) {
        self.batch.push_metadata(series_ref, metadata);
        state.touch(self.batch_id, self.in_flight);
    }

    /// Makes the response wait for the out-of-order samples of other requests.
    pub(super) fn require_wbl_wait(&mut self) {
        if let Some(ooo) = &mut self.ooo {
            ooo.require_wait();
        }
    }

    /// Numbers and time range of the out-of-order samples.
    pub(super) fn ooo_stats(&self) -> Option<OutOfOrderStats> {
        self.ooo.as_ref().map(WblBatch::stats)
    }

    /// Ends the request. Its records enter the log queues, and it is published, as soon as those on
    /// which it depends have ended.
    pub(super) fn end(&mut self) {
        let (end, records) = if self.depends_on_others() {
            (RequestEnd::Parked, Some(self.take_records()))
        } else {
            (RequestEnd::Enqueued(self.enqueue()), None)
        };
        let logs = self.logs;
        self.in_flight.end(self.batch_id, records, |records| logs.enqueue_parked(records));
        self.end = Some(end);
        if let Some(batch) = self.ooo.as_mut().and_then(WblBatch::take_batch) {
            self.pool.recycle(batch);
        }
        self.pool.recycle(std::mem::take(&mut self.batch));
    }

    fn enqueue(&mut self) -> LogPositions {
        let wal = if self.batch.is_empty() {
            self.logs.wal.position()
        } else {
            self.logs.wal.enqueue(&mut self.batch)
        };
        LogPositions { wal, wbl: self.ooo.as_mut().and_then(WblBatch::enqueue) }
    }

    /// Returns `true` if the request has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Waits until the samples of the request, which has ended, are visible. Returns the positions
    /// that the response must wait for.
    pub(super) fn wait_for_publication(&self) -> LogPositions {
        self.in_flight.wait_for_publication(self.batch_id);
        match self.end {
            Some(RequestEnd::Enqueued(positions)) => positions,
            Some(RequestEnd::Parked) | None => {
                let wbl = self.ooo.as_ref().and_then(WblBatch::end_position);
                LogPositions { wal: self.logs.wal.position(), wbl }
            }
        }
    }

    /// Waits until the WAL is written up to `position`.
    ///
    /// # Errors
    /// [`WalError`] if it could not be written.
    pub(super) fn wait_for_wal(&self, position: LogPosition) -> Result<(), WalError> {
        self.logs.wal.wait(position)
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
