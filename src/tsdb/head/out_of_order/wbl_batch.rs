//! What a request has for the WBL, on the way to its queue.
//!
//! Used by the thread of the request alone.

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::{Sample, ValueType};
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::record::mmap_markers::RefMmapMarker;
use crate::tsdb::wal::write_log::{LogPosition, Wal};

/// The logs of a database.
#[derive(Clone, Copy, Debug)]
pub struct WriteLogs<'a> {
    /// The write-ahead log.
    pub wal: &'a Wal,
    /// The write-behind log, of late points. Without it none is taken.
    pub wbl: Option<&'a Wal>,
}

impl<'a> From<&'a Wal> for WriteLogs<'a> {
    fn from(wal: &'a Wal) -> Self {
        Self { wal, wbl: None }
    }
}

/// The late points of a request.
#[derive(Debug)]
pub(in crate::tsdb::head) struct WblBatch<'a> {
    wbl: &'a Wal,
    /// Those that are not in the queue yet; `None` before the first.
    batch: Option<LogBatch>,
    /// Whether the answer depends on late points, of this request or of others.
    must_wait: bool,
    tally: OutOfOrderStats,
}

/// How many late points there were.
#[derive(Clone, Copy, Debug)]
pub(in crate::tsdb::head) struct OutOfOrderStats {
    pub(in crate::tsdb::head) floats: u64,
    pub(in crate::tsdb::head) histograms: u64,
    /// Time of the oldest, ms; `i64::MAX` where there was none.
    pub(in crate::tsdb::head) min_time: i64,
    /// Time of the newest, ms; `i64::MIN` where there was none.
    pub(in crate::tsdb::head) max_time: i64,
}

impl<'a> WblBatch<'a> {
    pub(in crate::tsdb::head) fn new(wbl: &'a Wal) -> Self {
        let tally =
            OutOfOrderStats { floats: 0, histograms: 0, min_time: i64::MAX, max_time: i64::MIN };
        Self { wbl, batch: None, must_wait: false, tally }
    }

    /// Adds a point; `spare` gives a batch for the first.
    pub(in crate::tsdb::head) fn push(
        &mut self,
        series: SeriesRef,
        point: &Sample,
        spare: impl FnOnce() -> LogBatch,
    ) {
        self.batch.get_or_insert_with(spare).push_sample(series, point);
        self.must_wait = true;
        self.tally.min_time = self.tally.min_time.min(point.t);
        self.tally.max_time = self.tally.max_time.max(point.t);
        match point.value.kind() {
            ValueType::Float => self.tally.floats += 1,
            ValueType::Histogram | ValueType::FloatHistogram => self.tally.histograms += 1,
        }
    }

    /// Adds that the points of a series so far are in these chunks.
    pub(in crate::tsdb::head) fn push_markers(
        &mut self,
        series: SeriesRef,
        chunks: Vec<HeadChunkRef>,
    ) {
        if let Some(batch) = &mut self.batch {
            chunks
                .into_iter()
                .for_each(|chunk| batch.push_mmap_marker(RefMmapMarker { series, chunk }));
        }
    }

    /// Whether it has points that are not in the queue.
    pub(in crate::tsdb::head) fn has_unlogged(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.is_empty())
    }

    /// The answer must wait for the late points of others.
    pub(in crate::tsdb::head) fn require_wait(&mut self) {
        self.must_wait = true;
    }

    /// Sends what it has to the queue, and gives what the answer waits for.
    pub(in crate::tsdb::head) fn enqueue(&mut self) -> Option<LogPosition> {
        let batch = self.batch.as_mut().filter(|batch| !batch.is_empty());
        let position = batch.map(|batch| self.wbl.enqueue(batch));
        position.or_else(|| self.must_wait.then(|| self.wbl.position()))
    }

    /// Its batch, which is empty, for another request.
    pub(in crate::tsdb::head) fn take_batch(&mut self) -> Option<LogBatch> {
        self.batch.take()
    }

    pub(in crate::tsdb::head) fn tally(&self) -> OutOfOrderStats {
        self.tally
    }

    /// The log.
    pub(in crate::tsdb::head) fn wbl(&self) -> &'a Wal {
        self.wbl
    }
}
