//! Rebuilds the series whose references fall to it, in the order of the log: one thread of a replay.

use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::series::{HeadSeries, PushOutcome};
use crossbeam_channel::Receiver;
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a worker gets.
pub(super) enum WorkItem {
    /// A series that the log names for the first time.
    Series(Arc<HeadSeries>),
    /// A series that is known and the full chunks that were written under one of its references.
    Chunks(Arc<HeadSeries>, Vec<MappedChunk>),
    /// Points, in the order of the log.
    Points(Vec<LoggedSample>),
    /// A series that was collected at this place of the log.
    Collected(Arc<HeadSeries>),
}

/// Rebuilds the series whose references fall to it.
pub(super) struct ReplayWorker<'a> {
    head: &'a Head,
    series: HashMap<SeriesRef, Arc<HeadSeries>>,
    /// Series with sealed chunks, since the last lot.
    sealed: Vec<Arc<HeadSeries>>,
    done: WorkerStats,
}

/// A point as the log has it.
pub(super) struct LoggedSample {
    pub(super) series: SeriesRef,
    pub(super) point: Sample,
}

/// What a worker did.
#[derive(Default)]
pub(super) struct WorkerStats {
    pub(super) samples: u64,
    pub(super) samples_in_chunks: u64,
    pub(super) unknown: u64,
    pub(super) bad_histograms: u64,
    pub(super) chunks_passed_over: u64,
    pub(super) chunk_overlaps: u64,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) collected: Vec<Arc<HeadSeries>>,
    /// Series that became stale less those that came back.
    pub(super) stale: i64,
}

impl<'a> ReplayWorker<'a> {
    pub(super) fn new(head: &'a Head) -> Self {
        let done = WorkerStats { min_time: i64::MAX, max_time: i64::MIN, ..WorkerStats::default() };
        Self { head, series: HashMap::new(), sealed: Vec::new(), done }
    }

    pub(super) fn run(mut self, work: &Receiver<WorkItem>) -> WorkerStats {
        for work in work {
            match work {
                WorkItem::Series(series) => {
                    self.series.insert(series.reference, series);
                }
                WorkItem::Chunks(series, chunks) => self.chunks(&series, &chunks),
                WorkItem::Collected(series) => self.collect(series),
                WorkItem::Points(points) => {
                    points.into_iter().for_each(|point| self.apply_sample(point))
                }
            }
            self.head.mapping.map_sealed(&self.sealed, &self.head.stats);
            self.sealed.clear();
        }
        self.done
    }

    /// Gives a series the full chunks that were found for its reference.
    fn chunks(&mut self, series: &Arc<HeadSeries>, chunks: &[MappedChunk]) {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return };
        self.done.extend_range(first.mint());
        self.done.extend_range(last.maxt());
        let mut state = series.state.lock();
        if state.max_time().is_some_and(|max_time| max_time < first.mint())
            && state.min_unmapped_time().is_some()
        {
            state.seal();
            drop(state);
            self.head.mapping.map_sealed(std::slice::from_ref(series), &self.head.stats);
            state = series.state.lock();
        }
        if !state.sealed().is_empty() {
            // What is older could not be written (the disk is full): these come from the log, which has them all.
            self.done.chunks_passed_over += chunks.len() as u64;
        } else {
            let is_free = state.min_unmapped_time().is_none_or(|since| last.maxt() < since);
            if !is_free || !state.mapped.try_merge(chunks) {
                // Under a second reference the series was made anew: as Prometheus has it, the log goes on from its chunks.
                state.replace_with_mapped(chunks);
                self.done.chunk_overlaps += 1;
            }
            self.head.stats.chunks_created.fetch_add(chunks.len() as u64, Ordering::Relaxed);
        }
    }

    fn collect(&mut self, series: Arc<HeadSeries>) {
        let mut state = series.state.lock();
        state.is_collected = true;
        self.done.stale -= i64::from(state.is_stale());
        state.truncate_before(i64::MAX);
        drop(state);
        self.series.remove(&series.reference);
        self.head.series.remove(&series);
        self.done.collected.push(series);
    }

    fn apply_sample(&mut self, LoggedSample { series, mut point }: LoggedSample) {
        let Some(series) = self.series.get(&series) else {
            // A series that gets this reference later would get these samples with it, after the next checkpoint.
            self.head.reserve_ref(series);
            self.done.unknown += 1;
            return;
        };
        let mut state = series.state.lock();
        if state.max_time().is_some_and(|max_time| point.t <= max_time) {
            self.done.samples_in_chunks += 1;
            return;
        }
        if !matches!(point.value, SampleValue::Float(_))
            && point.value.normalize_for_storage().is_err()
        {
            self.done.bad_histograms += 1;
            return;
        }
        let point = state.normalize_stale_marker(point);
        self.done.stale += i64::from(point.value.is_stale()) - i64::from(state.is_stale());
        let pushed = state.push(&point, &self.head.chunk_policy());
        drop(state);
        match pushed {
            PushOutcome::IntoOpenChunk => {}
            PushOutcome::IntoFirstChunk => {
                _ = self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed)
            }
            PushOutcome::AfterSeal => {
                self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
                self.sealed.push(Arc::clone(series));
            }
        }
        self.done.samples += 1;
        self.done.extend_range(point.t);
    }
}

impl WorkerStats {
    fn extend_range(&mut self, t: i64) {
        self.min_time = self.min_time.min(t);
        self.max_time = self.max_time.max(t);
    }
}
