//! Hands what the log has to the workers, each series to the same one.

use crate::model::refs::SeriesRef;
use crate::model::sample::SampleValue;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::worker::{LoggedSample, ReplayWorker, WorkItem, WorkerStats};
use crossbeam_channel::Sender;
use std::thread::{Scope, ScopedJoinHandle};

/// Points are handed to a worker in lots of this weight.
const BATCH_WEIGHT: usize = 4096;
/// What a histogram weighs, where a float weighs 1: about a kilobyte, so that lots that wait stay small.
const HISTOGRAM_WEIGHT: usize = 32;
/// Lots that may wait for one worker.
const MAX_QUEUED_BATCHES: usize = 16;

/// The workers of one pass over the log.
pub(super) struct WorkerPool<'scope> {
    inputs: Vec<Sender<WorkItem>>,
    lots: Vec<SampleBatch>,
    threads: Vec<ScopedJoinHandle<'scope, WorkerStats>>,
}

/// Points of one worker that were not handed over yet.
#[derive(Default)]
struct SampleBatch {
    points: Vec<LoggedSample>,
    weight: usize,
}

impl<'scope> WorkerPool<'scope> {
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        head: &'env Head,
        count: usize,
    ) -> Self {
        let mut workers = Self { inputs: Vec::new(), lots: Vec::new(), threads: Vec::new() };
        for _ in 0..count {
            let (input, work) = crossbeam_channel::bounded(MAX_QUEUED_BATCHES);
            workers.inputs.push(input);
            workers.lots.push(SampleBatch::default());
            workers.threads.push(scope.spawn(move || ReplayWorker::new(head).run(&work)));
        }
        workers
    }

    pub(super) fn queue_sample(&mut self, point: LoggedSample) {
        let index = self.index(point.series);
        let lot = &mut self.lots[index];
        lot.weight +=
            if matches!(point.point.value, SampleValue::Float(_)) { 1 } else { HISTOGRAM_WEIGHT };
        lot.points.push(point);
        if lot.weight >= BATCH_WEIGHT {
            self.flush_batch(index);
        }
    }

    /// Sends `work` on `series` behind the points that stand before it in the log.
    pub(super) fn send(&mut self, series: SeriesRef, work: WorkItem) {
        let index = self.index(series);
        self.flush_batch(index);
        self.send_to(index, work);
    }

    /// Waits for all work to be done.
    pub(super) fn finish(mut self) -> Vec<WorkerStats> {
        for index in 0..self.inputs.len() {
            self.flush_batch(index);
        }
        self.inputs.clear();
        let joined = self.threads.into_iter().map(ScopedJoinHandle::join);
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }

    fn index(&self, series: SeriesRef) -> usize {
        (series.0 % self.inputs.len() as u64) as usize
    }

    fn flush_batch(&mut self, index: usize) {
        let lot = &mut self.lots[index];
        if !lot.points.is_empty() {
            let room = lot.points.len();
            let points = std::mem::replace(&mut lot.points, Vec::with_capacity(room));
            lot.weight = 0;
            self.send_to(index, WorkItem::Points(points));
        }
    }

    fn send_to(&self, index: usize, work: WorkItem) {
        // A worker ends only when its input does; if it panicked, `finish` says so.
        let _ = self.inputs[index].send(work);
    }
}
