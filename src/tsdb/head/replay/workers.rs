//! Hands what the log has to the workers, each series to the same one.

use crate::model::refs::SeriesRef;
use crate::model::value::Value;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::worker::{LogPoint, Work, WorkDone, Worker};
use crossbeam_channel::Sender;
use std::thread::{Scope, ScopedJoinHandle};

/// Points are handed to a worker in lots of this weight.
const LOT: usize = 4096;
/// What a histogram weighs, where a float weighs 1: about a kilobyte, so that lots that wait stay small.
const HISTOGRAM: usize = 32;
/// Lots that may wait for one worker.
const QUEUED_LOTS: usize = 16;

/// The workers of one pass over the log.
pub(super) struct Workers<'scope> {
    inputs: Vec<Sender<Work>>,
    lots: Vec<Lot>,
    threads: Vec<ScopedJoinHandle<'scope, WorkDone>>,
}

/// Points of one worker that were not handed over yet.
#[derive(Default)]
struct Lot {
    points: Vec<LogPoint>,
    weight: usize,
}

impl<'scope> Workers<'scope> {
    pub(super) fn start<'env>(scope: &'scope Scope<'scope, 'env>, head: &'env Head, count: usize) -> Self {
        let mut workers = Self { inputs: Vec::new(), lots: Vec::new(), threads: Vec::new() };
        for _ in 0..count {
            let (input, work) = crossbeam_channel::bounded(QUEUED_LOTS);
            workers.inputs.push(input);
            workers.lots.push(Lot::default());
            workers.threads.push(scope.spawn(move || Worker::new(head).run(&work)));
        }
        workers
    }

    pub(super) fn point(&mut self, point: LogPoint) {
        let index = self.index(point.series);
        let lot = &mut self.lots[index];
        lot.weight += if matches!(point.point.value, Value::Float(_)) { 1 } else { HISTOGRAM };
        lot.points.push(point);
        if lot.weight >= LOT {
            self.send_lot(index);
        }
    }

    /// Sends `work` on `series` behind the points that stand before it in the log.
    pub(super) fn send(&mut self, series: SeriesRef, work: Work) {
        let index = self.index(series);
        self.send_lot(index);
        self.deliver(index, work);
    }

    /// Waits for all work to be done.
    pub(super) fn finish(mut self) -> Vec<WorkDone> {
        for index in 0..self.inputs.len() {
            self.send_lot(index);
        }
        self.inputs.clear();
        let joined = self.threads.into_iter().map(ScopedJoinHandle::join);
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }

    fn index(&self, series: SeriesRef) -> usize {
        (series.0 % self.inputs.len() as u64) as usize
    }

    fn send_lot(&mut self, index: usize) {
        let lot = &mut self.lots[index];
        if !lot.points.is_empty() {
            let room = lot.points.len();
            let points = std::mem::replace(&mut lot.points, Vec::with_capacity(room));
            lot.weight = 0;
            self.deliver(index, Work::Points(points));
        }
    }

    fn deliver(&self, index: usize, work: Work) {
        // A worker ends only when its input does; if it panicked, `finish` says so.
        let _ = self.inputs[index].send(work);
    }
}
