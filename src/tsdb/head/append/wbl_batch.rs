//! Records of a request for the WBL, before they are enqueued. Used only by the thread of the
//! request.

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::{Sample, ValueType};
use crate::tsdb::head::in_flight::parked::CommitRecords;
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::record::mmap_markers::RefMmapMarker;
use crate::tsdb::wal::write_log::{LogPosition, Wal};

/// Write logs of a database.
#[derive(Clone, Copy, Debug)]
pub struct WriteLogs<'a> {
    /// Write-ahead log, for everything in order.
    pub wal: &'a Wal,
    /// Write-behind log, for out-of-order samples. Without it none are accepted.
    pub wbl: Option<&'a Wal>,
}

impl WriteLogs<'_> {
    /// Enqueues parked records.
    pub(super) fn enqueue_parked(self, mut records: CommitRecords) {
        if !records.wal.is_done() {
            self.wal.enqueue_sealed(&mut records.wal);
        }
        if let Some(wbl) = self.wbl.filter(|_| !records.wbl.is_done()) {
            wbl.enqueue_sealed(&mut records.wbl);
        }
    }
}

impl<'a> From<&'a Wal> for WriteLogs<'a> {
    fn from(wal: &'a Wal) -> Self {
        Self { wal, wbl: None }
    }
}

/// Out-of-order samples of a request.
#[derive(Debug)]
pub(super) struct WblBatch<'a> {
    wbl: &'a Wal,
    /// Records that are not enqueued yet; `None` before the first.
    batch: Option<LogBatch>,
    /// Whether the response depends on out-of-order samples, of this request or of others.
    must_wait: bool,
    stats: OutOfOrderStats,
}

/// Numbers and time range of out-of-order samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutOfOrderStats {
    pub(super) floats: u64,
    pub(super) histograms: u64,
    /// Timestamp of the oldest, ms; `i64::MAX` if there are none.
    pub(super) min_time: i64,
    /// Timestamp of the newest, ms; `i64::MIN` if there are none.
    pub(super) max_time: i64,
}

impl<'a> WblBatch<'a> {
    pub(super) fn new(wbl: &'a Wal) -> Self {
        let stats =
            OutOfOrderStats { floats: 0, histograms: 0, min_time: i64::MAX, max_time: i64::MIN };
        Self { wbl, batch: None, must_wait: false, stats }
    }

    /// Adds a sample. `spare` returns a batch for the first one.
    pub(super) fn push(
        &mut self,
        series: SeriesRef,
        sample: &Sample,
        spare: impl FnOnce() -> LogBatch,
    ) {
        self.batch.get_or_insert_with(spare).push_sample(series, sample);
        self.must_wait = true;
        self.stats.min_time = self.stats.min_time.min(sample.t);
        self.stats.max_time = self.stats.max_time.max(sample.t);
        match sample.value.kind() {
            ValueType::Float => self.stats.floats += 1,
            ValueType::Histogram | ValueType::FloatHistogram => self.stats.histograms += 1,
        }
    }

    /// Adds markers: the samples of the series so far are in these chunks.
    pub(super) fn push_markers(&mut self, series: SeriesRef, chunks: Vec<HeadChunkRef>) {
        if let Some(batch) = &mut self.batch {
            chunks
                .into_iter()
                .for_each(|chunk| batch.push_mmap_marker(RefMmapMarker { series, chunk }));
        }
    }

    /// Returns `true` if there are records that are not enqueued.
    pub(super) fn has_unlogged(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.is_empty())
    }

    /// Makes the response wait for the out-of-order samples of other requests.
    pub(super) fn require_wait(&mut self) {
        self.must_wait = true;
    }

    /// Enqueues the pending records. Returns the position that the response must wait for.
    pub(super) fn enqueue(&mut self) -> Option<LogPosition> {
        let batch = self.batch.as_mut().filter(|batch| !batch.is_empty());
        let position = batch.map(|batch| self.wbl.enqueue(batch));
        position.or_else(|| self.end_position())
    }

    /// Removes the pending records.
    pub(super) fn take_sealed(&mut self) -> WriteGroup {
        self.batch.as_mut().map(|batch| self.wbl.take_sealed(batch)).unwrap_or_default()
    }

    /// Returns the end of the queue if the response must wait for it.
    pub(super) fn end_position(&self) -> Option<LogPosition> {
        self.must_wait.then(|| self.wbl.position())
    }

    /// Takes the batch, for another request. It must be empty.
    pub(super) fn take_batch(&mut self) -> Option<LogBatch> {
        self.batch.take()
    }

    pub(super) fn stats(&self) -> OutOfOrderStats {
        self.stats
    }

    /// Write-behind log of this batch.
    pub(super) fn wbl(&self) -> &'a Wal {
        self.wbl
    }
}
