//! Appends of samples to one series after another: decision, log record, chunk.
//!
//! # Out-of-order samples
//! They go into the open OOO chunk of the series and into the WBL batch. The response waits for WAL
//! and WBL. The WBL thus has the OOO samples of a series in append order, and a request with a
//! duplicate waits until the stored sample is logged.
//!
//! A full chunk is written at once, and its m-map marker follows its last sample. A chunk file must
//! not contain a series that the WAL lacks, so chunks of series that this request created wait for
//! later samples, and so do all chunks of a request that depends on others in flight.

use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::bounds::RequestBounds;
use crate::tsdb::head::append::request_log::RequestLog;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::append::stats::AppendStats;
use crate::tsdb::head::chunks::lookup::find_value;
use crate::tsdb::head::chunks::mapper::SealedSeries;
use crate::tsdb::head::chunks::out_of_order::OutOfOrderWriter;
use crate::tsdb::head::chunks::store::ChunkStore;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::{PushOutcome, SeriesState};
use crate::tsdb::head::stats::HeadStats;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Appender of the samples of one request.
#[derive(Debug)]
pub(super) struct SampleAppender<'a> {
    chunks: &'a ChunkStore,
    stats: &'a HeadStats,
    pub(super) bounds: RequestBounds<'a>,
    /// First series that this request created.
    first_created: Option<SeriesRef>,
    /// Series of which this request sealed a chunk.
    sealed: Vec<SealedSeries>,
    pub(super) counts: AppendStats,
}

/// The series was collected before any of these samples was examined.
pub(super) struct SeriesCollected<I>(pub(super) I);

/// Treatment of samples that are older than the newest one of their series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfOrderPolicy {
    /// Stores them if they are within the out-of-order window.
    Accept,
    /// Rejects them, also if they are stored already. For samples that their sender makes later
    /// than the time that they bear, and that must not land between others: delayed stale markers,
    /// zeros at a start timestamp.
    Reject,
}

/// Decision about one sample.
enum AppendDecision {
    Append,
    AppendOutOfOrder,
    Duplicate,
    Reject(SampleRejection),
}

impl<'a> SampleAppender<'a> {
    /// Fixes the bounds unless the head is empty.
    pub(super) fn new(head: &'a Head, has_wbl: bool) -> Self {
        Self {
            chunks: &head.chunks,
            stats: &head.stats,
            bounds: RequestBounds::new(&head.times, has_wbl),
            first_created: None,
            sealed: Vec::new(),
            counts: AppendStats::default(),
        }
    }

    /// Remembers a series that this request created.
    pub(super) fn add_created(&mut self, series_ref: SeriesRef) {
        self.first_created.get_or_insert(series_ref);
    }

    /// Appends to a series unless it was collected.
    pub(super) fn append_to<I: Iterator<Item = Sample>>(
        &mut self,
        log: &mut RequestLog<'_>,
        series: &Arc<HeadSeries>,
        policy: OutOfOrderPolicy,
        samples: I,
        reject: &mut impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesCollected<I>> {
        let mut state = log.lock_series(series);
        if state.is_collected {
            return Err(SeriesCollected(samples));
        }
        let mut sealed = false;
        for mut sample in samples {
            if !log.has_start_timestamps() {
                sample.start_timestamp = 0;
            }
            let sample = state.normalize_stale_marker(sample);
            match self.decide(&state, policy, &sample) {
                AppendDecision::Append => {
                    log.push_sample(series.series_ref, &mut state, &sample);
                    sealed |= self.append_in_order(&mut state, &sample);
                }
                AppendDecision::AppendOutOfOrder => {
                    self.append_out_of_order(log, series.series_ref, &mut state, sample)
                }
                AppendDecision::Duplicate => {
                    self.counts.duplicates += 1;
                    if state.out_of_order.is_some() {
                        // The response waits until the stored sample is logged.
                        log.require_wbl_wait();
                    }
                }
                AppendDecision::Reject(reason) => reject(sample, reason),
            }
        }
        if let Some(last) = state.sealed().last().filter(|_| sealed) {
            self.sealed.push(SealedSeries { series: Arc::clone(series), until: last.maxt });
        }
        Ok(())
    }

    /// Writes the sealed chunks of the request to `chunks_head/`. Their samples are in the WAL.
    pub(super) fn map_sealed(&mut self) {
        let sealed = std::mem::take(&mut self.sealed);
        self.chunks.mapper.map_sealed(&sealed, self.stats);
    }

    /// Appends an accepted sample. Returns `true` if the series has sealed chunks after a chunk was
    /// cut.
    fn append_in_order(&mut self, state: &mut SeriesState, sample: &Sample) -> bool {
        self.counts.count(state, sample);
        match state.push(sample, &self.chunks.settings.chunk_policy()) {
            PushOutcome::IntoOpenChunk => return false,
            PushOutcome::IntoFirstChunk | PushOutcome::AfterSeal => {}
        }
        self.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
        !state.sealed().is_empty()
    }

    /// Appends an accepted out-of-order sample.
    fn append_out_of_order(
        &mut self,
        log: &mut RequestLog<'_>,
        series_ref: SeriesRef,
        state: &mut SeriesState,
        sample: Sample,
    ) {
        if !log.push_ooo_sample(series_ref, state, &sample) {
            return;
        }
        self.counts.appended += 1;
        let ooo = state.out_of_order.get_or_insert_default();
        ooo.insert(sample);
        let may_write =
            self.first_created.is_none_or(|first| series_ref < first) && !log.depends_on_others();
        if ooo.open.is_full() && may_write {
            match OutOfOrderWriter::new(self.chunks, self.stats).flush(series_ref, ooo) {
                Ok(chunks) => log.push_markers(series_ref, chunks),
                // The samples stay in memory and in the WBL.
                Err(_) => ooo.open.retry_later(),
            }
        }
    }

    fn decide(
        &mut self,
        state: &SeriesState,
        policy: OutOfOrderPolicy,
        sample: &Sample,
    ) -> AppendDecision {
        if !TimeRange::STORABLE.contains(sample.t) {
            return AppendDecision::Reject(SampleRejection::OutOfRange);
        }
        let bounds = self.bounds.at(sample.t);
        let is_next = sample.t >= bounds.min_valid
            && state.max_time().is_none_or(|max_time| sample.t > max_time);
        if is_next && state.out_of_order.as_ref().is_none_or(|ooo| !ooo.may_contain_from(sample.t))
        {
            return AppendDecision::Append;
        }
        if policy == OutOfOrderPolicy::Reject {
            if state.max_time().is_some_and(|max_time| sample.t < max_time) {
                return AppendDecision::Reject(SampleRejection::OutOfOrder);
            }
            if sample.t < bounds.min_valid {
                return AppendDecision::Reject(SampleRejection::OutOfBounds);
            }
        }
        match find_value(&self.chunks.mapper, state, sample.t) {
            Some(stored) if is_duplicate(&stored, &sample.value) => AppendDecision::Duplicate,
            Some(_) => AppendDecision::Reject(SampleRejection::DuplicateTimestamp),
            None if is_next => AppendDecision::Append,
            None if bounds.accepts_ooo(sample.t) => AppendDecision::AppendOutOfOrder,
            None if bounds.min_ooo_time.is_some() => {
                AppendDecision::Reject(SampleRejection::TooOld)
            }
            None => AppendDecision::Reject(
                bounds.rejection_for(sample.t).unwrap_or(SampleRejection::OutOfOrder),
            ),
        }
    }
}

/// Returns `true` if `value` is stored already. Stale markers are equal whatever their type.
fn is_duplicate(stored: &SampleValue, value: &SampleValue) -> bool {
    stored.is_equivalent(value) || stored.is_stale() && value.is_stale()
}
