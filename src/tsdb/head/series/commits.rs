//! Commits of a series: what it remembers of the request that touches it, and what a read must not
//! see ([`crate::tsdb::head::series::unsettled`]). The caller holds the mutex of the series.

use crate::tsdb::head::in_flight::InFlightBatches;
use crate::tsdb::head::in_flight::batch_id::BatchId;
use crate::tsdb::head::in_flight::commit_view::CommitView;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::head::series::unsettled::{
    CommitSpan, HiddenSamples, UnsettledCommit, UnsettledSamples,
};

impl SeriesState {
    /// Makes `batch` the newest batch of the series.
    #[inline]
    pub fn touch(&mut self, batch: BatchId, commits: &InFlightBatches) {
        if self.last_batch == batch {
            return;
        }
        if self.last_batch.commit() != batch.commit() {
            if commits.is_settled(self.last_batch) {
                self.commit_span = CommitSpan::NONE;
                self.drop_unsettled();
            } else {
                self.keep_last_commit(commits);
            }
        }
        self.last_batch = batch;
    }

    /// Records an in-order sample of the newest batch, before it is pushed.
    #[inline]
    pub fn record_in_order(&mut self, t: i64) {
        let span = match self.commit_span.get() {
            None => 0,
            Some(span) => span.saturating_add(t.abs_diff(self.max_time().unwrap_or(t))),
        };
        match CommitSpan::new(span) {
            Some(span) => self.commit_span = span,
            None => {
                // The span is too long for its bytes.
                if let Some(from) = self.last_commit_from() {
                    let unsettled = &mut self.transient.get_or_insert_default().unsettled;
                    unsettled.in_order.push(UnsettledCommit { batch: self.last_batch, from });
                }
                self.commit_span = CommitSpan::ZERO;
            }
        }
    }

    /// Records an out-of-order sample of the newest batch, before it is inserted.
    pub fn record_out_of_order(&mut self, t: i64) {
        let newest_before = self.out_of_order.as_ref().map_or(i64::MIN, |ooo| ooo.max_time());
        let unsettled = &mut self.transient.get_or_insert_default().unsettled;
        unsettled.push_out_of_order(self.last_batch, t, newest_before);
    }

    /// Remembers which out-of-order samples that some reader may not see are going to be in
    /// blocks. `times` returns the timestamps of the samples, ascending.
    pub fn record_ooo_compaction(
        &mut self,
        commits: &InFlightBatches,
        times: impl FnOnce(&OutOfOrderState) -> Vec<i64>,
    ) {
        self.forget_settled(commits);
        if let (Some(transient), Some(ooo)) = (&mut self.transient, &self.out_of_order)
            && !transient.unsettled.out_of_order.is_empty()
        {
            transient.unsettled.record_compacted(&times(ooo));
        }
    }

    /// Returns the samples that a reader with this view must not see.
    #[must_use]
    pub fn hidden_samples(&self, view: &CommitView) -> HiddenSamples {
        let mut hidden = HiddenSamples::default();
        if !view.sees(self.last_batch) {
            hidden.in_order_from = self.last_commit_from();
        }
        if let Some(transient) = &self.transient {
            transient.unsettled.add_hidden(view, &mut hidden);
        }
        hidden
    }

    /// Forgets the commits that every current and every future reader sees.
    pub fn forget_settled(&mut self, commits: &InFlightBatches) {
        if commits.is_settled(self.last_batch) {
            self.commit_span = CommitSpan::NONE;
            self.drop_unsettled();
        }
    }

    /// Keeps the newest commit in mind when its samples are dropped.
    pub(super) fn keep_truncated_commit(&mut self, from: i64) {
        let unsettled = &mut self.transient.get_or_insert_default().unsettled;
        unsettled.in_order.push(UnsettledCommit { batch: self.last_batch, from });
        self.commit_span = CommitSpan::NONE;
    }

    /// Returns the timestamp of the first in-order sample of the newest commit, ms.
    pub(super) fn last_commit_from(&self) -> Option<i64> {
        let (span, newest) = self.commit_span.get().zip(self.max_time())?;
        Some(newest.saturating_sub_unsigned(span))
    }

    #[cold]
    fn keep_last_commit(&mut self, commits: &InFlightBatches) {
        if let Some(from) = self.last_commit_from() {
            let unsettled = &mut self.transient.get_or_insert_default().unsettled;
            unsettled.push_in_order(self.last_batch, from, commits);
        }
        if let Some(transient) = &mut self.transient {
            transient.unsettled.merge_out_of_order(commits);
        }
        self.commit_span = CommitSpan::NONE;
    }

    #[inline]
    fn drop_unsettled(&mut self) {
        if let Some(transient) = &mut self.transient
            && !transient.unsettled.is_empty()
        {
            transient.unsettled = UnsettledSamples::default();
            self.release_transient();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::float_sample::FloatSample;
    use crate::model::metadata::Metadata;
    use crate::model::time::TimeRange;
    use crate::tsdb::chunk::any_chunk::EncodingPolicy;
    use crate::tsdb::chunk::cut::CutPolicy;
    use crate::tsdb::chunk::mapped_chunk::MappedChunks;
    use crate::tsdb::head::in_flight::InFlightBatches;
    use crate::tsdb::head::in_flight::ReadSnapshot;
    use crate::tsdb::head::in_flight::batch_id::BatchId;
    use crate::tsdb::head::out_of_order::state::OutOfOrderState;
    use crate::tsdb::head::series::open_chunk::{ChunkPolicy, OpenChunk};
    use crate::tsdb::head::series::state::SeriesState;
    use crate::tsdb::head::series::unsettled::{HiddenSamples, MAX_PUBLISHED_RANGES};
    use crate::tsdb::wal::record::record_type::RecordType;
    use std::sync::Arc;

    fn push(state: &mut SeriesState, commits: &InFlightBatches, batch: BatchId, times: &[i64]) {
        let rules = ChunkPolicy {
            policy: CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 4 },
            encodings: EncodingPolicy::default(),
        };
        state.touch(batch, commits);
        for t in times {
            state.record_in_order(*t);
            state.push(&FloatSample::new(*t, 1.0).into(), &rules);
        }
    }

    fn commit(state: &mut SeriesState, commits: &InFlightBatches, times: &[i64]) {
        let batch = commits.begin();
        push(state, commits, batch, times);
        commits.end(batch, None, drop);
    }

    fn from(state: &SeriesState, snapshot: &ReadSnapshot<'_>) -> Option<i64> {
        state.hidden_samples(snapshot.view()).in_order_from
    }

    fn has_unsettled(state: &SeriesState) -> bool {
        state.transient.as_ref().is_some_and(|transient| !transient.unsettled.is_empty())
    }

    #[test]
    fn commits_cost_at_most_eight_bytes_per_series() {
        type WithoutCommits = (
            (Option<OpenChunk>, MappedChunks, Option<Box<OutOfOrderState>>),
            (Option<Box<()>>, BatchId, RecordType, Option<Arc<Metadata>>, bool),
        );
        // Six bytes and the padding that they need.
        assert!(size_of::<SeriesState>() <= size_of::<WithoutCommits>() + 8);
    }

    #[test]
    fn each_reader_sees_the_prefix_of_its_snapshot() {
        let commits = InFlightBatches::default();
        let mut state = SeriesState::new(BatchId::NONE);
        let empty = commits.snapshot();
        commit(&mut state, &commits, &[10, 20]);
        let first = commits.snapshot();
        commit(&mut state, &commits, &[30, 40, 50]);
        commit(&mut state, &commits, &[60]);
        let third = commits.snapshot();
        let in_flight = commits.begin();
        push(&mut state, &commits, in_flight, &[70, 80]);
        let hidden = [&empty, &first, &third].map(|read| from(&state, read));
        assert_eq!(hidden, [Some(10), Some(30), Some(70)]);
        commits.end(in_flight, None, drop);
        assert_eq!(from(&state, &commits.snapshot()), None);
        drop((empty, first, third));
        commit(&mut state, &commits, &[90]);
        assert!(!has_unsettled(&state));
    }

    #[test]
    fn long_read_costs_one_entry() {
        let commits = InFlightBatches::default();
        let mut state = SeriesState::new(BatchId::NONE);
        commit(&mut state, &commits, &[1]);
        let long = commits.snapshot();
        for t in 2..200 {
            let short = commits.snapshot();
            commit(&mut state, &commits, &[t]);
            assert_eq!((from(&state, &long), from(&state, &short)), (Some(2), Some(t)));
        }
        let entries = state.transient.as_ref().unwrap().unsettled.in_order.len();
        assert!(entries <= 3, "{entries} entries");
        drop(long);
        state.forget_settled(&commits);
        assert!(!has_unsettled(&state));
    }

    #[test]
    fn dropped_samples_stay_hidden() {
        let commits = InFlightBatches::default();
        let mut state = SeriesState::new(BatchId::NONE);
        commit(&mut state, &commits, &[1, 2]);
        let read = commits.snapshot();
        commit(&mut state, &commits, &[3, 4, 5, 6, 7]);
        state.truncate_before(i64::MAX);
        assert_eq!((state.max_time(), from(&state, &read)), (None, Some(3)));
        commit(&mut state, &commits, &[8]);
        assert_eq!(from(&state, &read), Some(3));
    }

    #[test]
    fn span_longer_than_its_bytes_is_exact() {
        let commits = InFlightBatches::default();
        let mut state = SeriesState::new(BatchId::NONE);
        commit(&mut state, &commits, &[TimeRange::STORABLE.mint]);
        let read = commits.snapshot();
        let wide = [TimeRange::STORABLE.mint + 7, 0, 1 << 50, TimeRange::STORABLE.maxt];
        commit(&mut state, &commits, &wide);
        assert_eq!(from(&state, &read), Some(TimeRange::STORABLE.mint + 7));
        assert_eq!(from(&state, &commits.snapshot()), None);
    }

    #[test]
    fn out_of_order_samples_are_hidden_by_time() {
        let commits = InFlightBatches::default();
        let mut state = SeriesState::new(BatchId::NONE);
        let add = |state: &mut SeriesState, times: &[i64]| {
            let batch = commits.begin();
            state.touch(batch, &commits);
            for t in times {
                state.record_out_of_order(*t);
                let sample = FloatSample::new(*t, 1.0).into();
                state.out_of_order.get_or_insert_default().insert(sample);
            }
            commits.end(batch, None, drop);
        };
        add(&mut state, &[5]);
        let read = commits.snapshot();
        add(&mut state, &[3, 10, 11, 12]);
        add(&mut state, &[13, 4]);
        let hidden = state.hidden_samples(read.view());
        let ranges: Vec<_> = hidden.out_of_order.iter().map(|r| (r.mint, r.maxt)).collect();
        assert_eq!(ranges, [(3, 4), (10, 13)]);
        assert_eq!(state.hidden_samples(commits.snapshot().view()), HiddenSamples::default());
        // Backfill in time order is one range; points in between are limited.
        (20..2_000).for_each(|t| add(&mut state, &[t]));
        assert!(state.transient.as_ref().unwrap().unsettled.out_of_order.len() < 10);
        (3_000..5_000).rev().for_each(|t| add(&mut state, &[t]));
        let kept = state.transient.as_ref().unwrap().unsettled.out_of_order.len();
        assert!(kept <= MAX_PUBLISHED_RANGES + 1, "{kept} ranges");
        drop(read);
        add(&mut state, &[6]);
        assert_eq!(state.transient.as_ref().unwrap().unsettled.out_of_order.len(), 1);
    }

    /// In-order samples can be between out-of-order ones of a run, so blocks need exact times.
    #[test]
    fn samples_that_go_to_blocks_are_hidden_exactly() {
        let commits = InFlightBatches::default();
        let mut state = SeriesState::new(BatchId::NONE);
        let add = |state: &mut SeriesState, times: &[i64]| {
            let batch = commits.begin();
            state.touch(batch, &commits);
            for t in times {
                state.record_out_of_order(*t);
                let sample = FloatSample::new(*t, 1.0).into();
                state.out_of_order.get_or_insert_default().insert(sample);
            }
            commits.end(batch, None, drop);
        };
        add(&mut state, &[5]);
        let first = commits.snapshot();
        add(&mut state, &[10, 20, 30]);
        let second = commits.snapshot();
        add(&mut state, &[25]);
        let compacted = |state: &SeriesState, read: &ReadSnapshot<'_>| -> Vec<i64> {
            let hidden = state.hidden_samples(read.view()).compacted;
            hidden.iter().flat_map(|range| range.mint..=range.maxt).collect()
        };
        assert!(compacted(&state, &first).is_empty());
        state.record_ooo_compaction(&commits, |_| vec![5, 10, 20, 25, 30]);
        assert_eq!(compacted(&state, &first), [10, 20, 25, 30]);
        assert_eq!(compacted(&state, &second), [25]);
        drop((first, second));
        state.record_ooo_compaction(&commits, |_| panic!("nothing to remember"));
        assert!(!has_unsettled(&state));
    }
}
