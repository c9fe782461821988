//! Worker pool of a replay: all records of a series go to the same worker.

use crate::model::refs::SeriesRef;
use crate::model::sample::SampleValue;
use crate::tsdb::head::replay::worker::{
    LoggedSample, ReplayWorker, WorkItem, WorkerParts, WorkerStats,
};
use crossbeam_channel::Sender;
use std::thread::{Scope, ScopedJoinHandle};

/// Weight at which a batch of samples is sent to its worker.
const BATCH_WEIGHT: usize = 4096;
/// Weight of a histogram (about 1 KiB); a float has 1. Keeps queued batches small.
const HISTOGRAM_WEIGHT: usize = 32;
/// Maximum number of work items queued per worker.
const MAX_QUEUED_BATCHES: usize = 16;

/// Workers of one pass over the WAL.
pub(super) struct WorkerPool<'scope> {
    inputs: Vec<Sender<WorkItem>>,
    batches: Vec<SampleBatch>,
    threads: Vec<ScopedJoinHandle<'scope, WorkerStats>>,
}

/// Samples for one worker that are not sent yet.
#[derive(Default)]
struct SampleBatch {
    samples: Vec<LoggedSample>,
    weight: usize,
}

impl<'scope> WorkerPool<'scope> {
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        parts: WorkerParts<'env>,
        count: usize,
    ) -> Self {
        let mut workers = Self { inputs: Vec::new(), batches: Vec::new(), threads: Vec::new() };
        for _ in 0..count {
            let (input, work) = crossbeam_channel::bounded(MAX_QUEUED_BATCHES);
            workers.inputs.push(input);
            workers.batches.push(SampleBatch::default());
            workers.threads.push(scope.spawn(move || ReplayWorker::new(parts).run(&work)));
        }
        workers
    }

    pub(super) fn queue_sample(&mut self, sample: LoggedSample) {
        let index = self.index(sample.series_ref);
        let batch = &mut self.batches[index];
        batch.weight +=
            if matches!(sample.sample.value, SampleValue::Float(_)) { 1 } else { HISTOGRAM_WEIGHT };
        batch.samples.push(sample);
        if batch.weight >= BATCH_WEIGHT {
            self.flush_batch(index);
        }
    }

    /// Sends `work` on a series after the samples that precede it in the WAL.
    pub(super) fn send(&mut self, series_ref: SeriesRef, work: WorkItem) {
        let index = self.index(series_ref);
        self.flush_batch(index);
        self.send_to(index, work);
    }

    /// Waits until all work is done. Propagates the panic of a worker.
    pub(super) fn finish(mut self) -> Vec<WorkerStats> {
        for index in 0..self.inputs.len() {
            self.flush_batch(index);
        }
        self.inputs.clear();
        let joined = self.threads.into_iter().map(ScopedJoinHandle::join);
        joined.map(|stats| stats.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }

    fn index(&self, series_ref: SeriesRef) -> usize {
        (series_ref.0 % self.inputs.len() as u64) as usize
    }

    fn flush_batch(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        if !batch.samples.is_empty() {
            let capacity = batch.samples.len();
            let samples = std::mem::replace(&mut batch.samples, Vec::with_capacity(capacity));
            batch.weight = 0;
            self.send_to(index, WorkItem::Samples(samples));
        }
    }

    fn send_to(&self, index: usize, work: WorkItem) {
        // A send fails only if the worker panicked, which `finish` reports.
        let _ = self.inputs[index].send(work);
    }
}
