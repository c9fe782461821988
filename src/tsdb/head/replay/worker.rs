//! Replay worker: one thread that rebuilds the series assigned to it, in WAL order.

use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::chunks::mapper::SealedSeries;
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::PushOutcome;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::head::stats::HeadStats;
use crossbeam_channel::Receiver;
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Parts of the head that workers share.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerParts<'a> {
    pub(super) series: &'a SeriesStore,
    pub(super) chunks: &'a ChunkStore,
    pub(super) stats: &'a HeadStats,
}

/// Work for one worker.
pub(super) enum WorkItem {
    /// Series whose first record was read.
    Series(Arc<HeadSeries>),
    /// Existing series, and the chunks in `chunks_head/` of one of its references.
    Chunks(Arc<HeadSeries>, Vec<MappedChunk>),
    /// Samples in WAL order.
    Samples(Vec<LoggedSample>),
    /// Series that was collected at this position of the WAL.
    Collected(Arc<HeadSeries>),
}

/// Worker with the series assigned to it.
pub(super) struct ReplayWorker<'a> {
    parts: WorkerParts<'a>,
    series: HashMap<SeriesRef, Arc<HeadSeries>>,
    /// Series with sealed chunks, since the last work item.
    sealed: Vec<SealedSeries>,
    stats: WorkerStats,
}

/// Sample as decoded from the WAL.
pub(super) struct LoggedSample {
    pub(super) series_ref: SeriesRef,
    pub(super) sample: Sample,
}

/// Counts of a worker.
#[derive(Default)]
pub(super) struct WorkerStats {
    pub(super) samples: u64,
    pub(super) samples_in_chunks: u64,
    pub(super) unknown_refs: u64,
    pub(super) invalid_histograms: u64,
    pub(super) chunks_skipped: u64,
    pub(super) chunk_overlaps: u64,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) collected: Vec<Arc<HeadSeries>>,
    /// Number of series that became stale, minus those that became active again.
    pub(super) stale: i64,
}

impl<'a> ReplayWorker<'a> {
    pub(super) fn new(parts: WorkerParts<'a>) -> Self {
        let stats =
            WorkerStats { min_time: i64::MAX, max_time: i64::MIN, ..WorkerStats::default() };
        Self { parts, series: HashMap::new(), sealed: Vec::new(), stats }
    }

    pub(super) fn run(mut self, work: &Receiver<WorkItem>) -> WorkerStats {
        for work in work {
            match work {
                WorkItem::Series(series) => {
                    self.series.insert(series.series_ref, series);
                }
                WorkItem::Chunks(series, chunks) => self.attach_chunks(&series, &chunks),
                WorkItem::Collected(series) => self.collect(series),
                WorkItem::Samples(samples) => {
                    samples.into_iter().for_each(|sample| self.apply_sample(sample))
                }
            }
            self.parts.chunks.mapper.map_sealed(&self.sealed, self.parts.stats);
            self.sealed.clear();
        }
        self.stats
    }

    /// Attaches the chunks of `chunks_head/` that were found for one reference of the series.
    fn attach_chunks(&mut self, series: &Arc<HeadSeries>, chunks: &[MappedChunk]) {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return };
        self.stats.extend_range(first.mint());
        self.stats.extend_range(last.maxt());
        let mut state = series.state.lock();
        if state.max_time().is_some_and(|max_time| max_time < first.mint())
            && state.min_unmapped_time().is_some()
        {
            state.seal();
            drop(state);
            let sealed = [SealedSeries { series: Arc::clone(series), until: i64::MAX }];
            self.parts.chunks.mapper.map_sealed(&sealed, self.parts.stats);
            state = series.state.lock();
        }
        if !state.sealed().is_empty() {
            // Older chunks could not be written (the disk is full). The WAL has the samples of all.
            self.stats.chunks_skipped += chunks.len() as u64;
        } else {
            let is_free = state.min_unmapped_time().is_none_or(|since| last.maxt() < since);
            if !is_free || !state.mapped.try_merge(chunks) {
                // The series was created again under a second reference. As in Prometheus, the WAL
                // continues from its chunks.
                state.replace_with_mapped(chunks);
                self.stats.chunk_overlaps += 1;
            }
            self.parts.stats.chunks_created.fetch_add(chunks.len() as u64, Ordering::Relaxed);
        }
    }

    fn collect(&mut self, series: Arc<HeadSeries>) {
        let mut state = series.state.lock();
        state.is_collected = true;
        self.stats.stale -= i64::from(state.is_stale());
        state.truncate_before(i64::MAX);
        drop(state);
        self.series.remove(&series.series_ref);
        self.parts.series.remove(&series);
        self.stats.collected.push(series);
    }

    fn apply_sample(&mut self, LoggedSample { series_ref, mut sample }: LoggedSample) {
        let Some(series) = self.series.get(&series_ref) else {
            // Reserve the reference: a series that gets it later would receive these samples after
            // the next checkpoint.
            self.parts.series.reserve_ref(series_ref);
            self.stats.unknown_refs += 1;
            return;
        };
        let mut state = series.state.lock();
        if state.max_time().is_some_and(|max_time| sample.t <= max_time) {
            self.stats.samples_in_chunks += 1;
            return;
        }
        if !matches!(sample.value, SampleValue::Float(_))
            && sample.value.normalize_for_storage().is_err()
        {
            self.stats.invalid_histograms += 1;
            return;
        }
        let sample = state.normalize_stale_marker(sample);
        self.stats.stale += i64::from(sample.value.is_stale()) - i64::from(state.is_stale());
        let outcome = state.push(&sample, &self.parts.chunks.settings.chunk_policy());
        drop(state);
        match outcome {
            PushOutcome::IntoOpenChunk => {}
            PushOutcome::IntoFirstChunk => {
                _ = self.parts.stats.chunks_created.fetch_add(1, Ordering::Relaxed)
            }
            PushOutcome::AfterSeal => {
                self.parts.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
                self.sealed.push(SealedSeries { series: Arc::clone(series), until: i64::MAX });
            }
        }
        self.stats.samples += 1;
        self.stats.extend_range(sample.t);
    }
}

impl WorkerStats {
    fn extend_range(&mut self, t: i64) {
        self.min_time = self.min_time.min(t);
        self.max_time = self.max_time.max(t);
    }
}
