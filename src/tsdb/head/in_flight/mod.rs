//! In-flight requests: the order in which they reach the log, and their visibility.
//!
//! A *commit* is everything that one request appends. Its samples go into their series one by one,
//! but readers see all of them or none, and the log gets all of them in one write or none. It
//! passes these states:
//!
//! ```text
//! begin ──▶ batch in flight ──(park)──▶ batch in flight ──(end)──▶ ended ──(publish)──▶ published
//!           └─ records of the batch belong to its request ─┘                            in the WAL
//!           └────────────────────── not visible ──────────────────────────┘             queue
//! ```
//!
//! | module            | content                                                        |
//! |-------------------|----------------------------------------------------------------|
//! | [`batch_id`]      | identifiers of commits and of their batches                    |
//! | [`commit_view`]   | commits that a read sees                                       |
//! | [`parked`]        | records of commits that wait for other commits                 |
//! | `slot_set`        | set of slots, and the closure of their dependencies            |
//!
//! # Order of the WAL
//! The WAL must hold the samples of a series in append order, and a series record before any record
//! that uses its reference. Two concurrent requests for the same series could break this: the batch
//! accepted second could reach the WAL first. Every series therefore remembers the batch that
//! touched it last ([`super::series::state::SeriesState::last_batch`]). A batch waits for another
//! in-flight batch of the series before it touches the series.
//!
//! **Invariant.** A batch that has records waits only for batches of older commits, so no two
//! batches wait for each other. Before a commit waits for a batch of a younger one, it *parks* the
//! records that it has. Parked records are in the order in which the log must have them.
//!
//! # Publication
//! A commit that touches a series with samples of an unpublished commit *depends* on that commit:
//! it is published with it or after it. An ended commit is published as soon as every commit on
//! which it depends is published or has ended as well, directly or through others. Commits that
//! depend on each other are thus published in one step, and their parked records enter the WAL
//! queue in one step, as if they were of one request. A commit without dependencies, which is
//! almost every commit, parks nothing: its request enqueues the records and then ends it.
//!
//! An acknowledgement waits for the publication, and so does that of a duplicate of a sample that
//! is not visible yet.
//!
//! # Visibility
//! Publication and snapshots take the same mutex, so a read sees a commit in every series or in
//! none: it sees the commits that were published when it took its snapshot ([`ReadSnapshot`]).
//! Which samples of a series belong to an unseen commit is remembered by the series
//! ([`super::series::unsettled`]).
//!
//! **Invariants.**
//! - Of each series, a snapshot sees a prefix, because of the dependencies.
//! - A commit is *settled* when every current and every future reader sees it. Commits settle in
//!   the order of their numbers. Series forget what they remember of settled commits. A series
//!   whose last commit is not settled is not collected.
//! - Readers never wait. A commit waits only for commits that had begun when it touched their
//!   series. The memory of a commit does not depend on its number of samples.
//! - A block is written after the commits of its samples are published
//!   ([`InFlightBatches::wait_for_older`]), and a reader takes its snapshot after it has pinned its
//!   blocks. So it sees every commit of a sample that it finds in them.
//!
//! A commit whose WAL write fails is published as well. Its samples are in memory and remain in the
//! WAL queue, and its request fails.
//!
//! # Requests
//! A request keeps its slot for several batches until it is published, and its bounds are fixed
//! when it starts. To close a time range, [`InFlightBatches::wait_for_older`] waits for all
//! requests that started before.
//!
//! # Locking
//! One mutex for begin, end, publication and snapshots, each of which holds it for less than a
//! microsecond per 64 requests in flight. It is taken within a series mutex, never around one, and
//! around the mutex of a log queue if parked records are logged. To check if a batch is in flight,
//! or a commit settled, takes one load.

pub mod batch_id;
pub mod commit_view;
pub mod parked;
mod slot_set;

use crate::tsdb::head::in_flight::batch_id::{BatchId, CommitNumber, SLOTS};
use crate::tsdb::head::in_flight::commit_view::CommitView;
use crate::tsdb::head::in_flight::parked::{CommitRecords, ParkedRecords};
use crate::tsdb::head::in_flight::slot_set::SlotSet;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Set of the in-flight requests, at most 256.
#[derive(Debug)]
pub struct InFlightBatches {
    /// For each slot its current batch, [`BatchId::ended`] from the end to the publication of its
    /// commit, 0 if it is free.
    slots: Box<[AtomicU64]>,
    /// All commits before this number are visible to every current and future reader.
    settled_before: AtomicU64,
    state: Mutex<SlotTable>,
    changed: Condvar,
}

#[derive(Debug)]
struct SlotTable {
    free: Vec<u8>,
    last_commit: CommitNumber,
    /// Slots of the commits that are not published.
    occupied: SlotSet,
    /// Those of them whose commit has ended.
    ended: SlotSet,
    slots: Box<[Slot]>,
    parked: ParkedRecords,
    /// Views of the current readers.
    readers: Vec<Arc<CommitView>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Commit of an occupied slot.
    commit: CommitNumber,
    /// Slots of the commits that must be published with this one or before.
    dependencies: SlotSet,
}

impl Default for InFlightBatches {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let state = SlotTable {
            free: (0..=u8::MAX).collect(),
            last_commit: CommitNumber::default(),
            occupied: SlotSet::default(),
            ended: SlotSet::default(),
            slots: vec![Slot::default(); SLOTS].into(),
            parked: ParkedRecords::default(),
            readers: Vec::new(),
        };
        let settled_before = AtomicU64::new(state.last_commit.next().as_u64());
        Self { slots, settled_before, state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl InFlightBatches {
    /// Starts a commit and its first batch. Waits while 256 others are in flight.
    pub fn begin(&self) -> BatchId {
        let mut state = self.state.lock();
        loop {
            if let Some(slot) = state.free.pop() {
                state.last_commit = state.last_commit.next();
                let commit = state.last_commit;
                state.occupied.insert(slot.into());
                state.slots[usize::from(slot)].commit = commit;
                let batch = BatchId::first_of(commit, slot);
                self.slots[batch.slot()].store(batch.as_u64(), Ordering::Release);
                return batch;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends `batch`, which is in the WAL queue, and starts the next batch of the same commit.
    pub fn restart(&self, batch: BatchId) -> BatchId {
        let _state = self.state.lock();
        self.restart_locked(batch)
    }

    /// Ends `batch`, parks its records, and starts the next batch of the same commit.
    pub fn park(&self, batch: BatchId, records: CommitRecords) -> BatchId {
        let mut state = self.state.lock();
        state.parked.push(batch.slot(), records);
        self.restart_locked(batch)
    }

    /// Passes all parked records to `log`, which enqueues them. They may be in another write than
    /// the rest of their commits.
    pub fn log_parked(&self, log: impl FnOnce(CommitRecords)) {
        let mut state = self.state.lock();
        if !state.parked.is_empty() {
            let occupied = state.occupied;
            log(state.parked.take(&occupied));
        }
    }

    /// Ends `batch`, the last one of its commit. `records` are those that are not in the WAL queue;
    /// they may be `None` only if the commit has parked nothing and depends on no other. Publishes
    /// the commits that can be published, and passes their parked records to `log`, which enqueues
    /// them.
    pub fn end(
        &self,
        batch: BatchId,
        records: Option<CommitRecords>,
        log: impl FnOnce(CommitRecords),
    ) {
        let mut state = self.state.lock();
        let slot = batch.slot();
        if let Some(records) = records {
            state.parked.push(slot, records);
        }
        self.slots[slot].store(batch.ended().as_u64(), Ordering::Release);
        state.ended.insert(slot);
        let SlotTable { ended, slots, .. } = &*state;
        let published = ended.closed_subset(|slot| slots[slot].dependencies);
        if !state.parked.is_empty() {
            log(state.parked.take(&published));
        }
        self.publish(&mut state, published);
        self.changed.notify_all();
    }

    /// Records that the commit of `batch` must not be published before that of `other`.
    pub fn add_dependency(&self, batch: BatchId, other: BatchId) {
        let mut state = self.state.lock();
        if self.is_unpublished(other) {
            state.slots[batch.slot()].dependencies.insert(other.slot());
        }
    }

    /// Returns `true` if `batch` has not ended, so that its records may still be with its request.
    #[inline]
    pub fn contains(&self, batch: BatchId) -> bool {
        batch != BatchId::NONE && self.slot(batch) == batch
    }

    /// Returns `true` if the samples of the commit of `batch` are not visible yet.
    #[inline]
    pub fn is_unpublished(&self, batch: BatchId) -> bool {
        batch != BatchId::NONE && self.slot(batch).commit() == batch.commit()
    }

    /// Returns `true` if every current and every future reader sees the commit of `batch`.
    #[inline]
    pub fn is_settled(&self, batch: BatchId) -> bool {
        batch.commit().as_u64() < self.settled_before.load(Ordering::Acquire)
    }

    /// Returns `true` if every current and every future reader sees either both commits or none.
    pub fn are_seen_together(&self, a: BatchId, b: BatchId) -> bool {
        let state = self.state.lock();
        !self.is_unpublished(a)
            && !self.is_unpublished(b)
            && state.readers.iter().all(|view| view.sees(a) == view.sees(b))
    }

    /// Waits until `batch` has ended. The caller must not have records, except parked ones, unless
    /// `batch` belongs to an older commit.
    pub fn wait_for(&self, batch: BatchId) {
        let mut state = self.state.lock();
        while self.contains(batch) {
            self.changed.wait(&mut state);
        }
    }

    /// Waits until the commit of `batch`, which has ended, is published.
    pub fn wait_for_publication(&self, batch: BatchId) {
        if !self.is_unpublished(batch) {
            return;
        }
        let mut state = self.state.lock();
        while self.is_unpublished(batch) {
            self.changed.wait(&mut state);
        }
    }

    /// Waits until every commit that started before this call is published.
    pub fn wait_for_older(&self) {
        let mut state = self.state.lock();
        let newest = state.last_commit;
        while state.occupied.iter().any(|slot| state.slots[slot].commit <= newest) {
            self.changed.wait(&mut state);
        }
    }

    /// Returns a snapshot of the commits that are published now.
    pub fn snapshot(&self) -> ReadSnapshot<'_> {
        let mut state = self.state.lock();
        let mut in_flight: Box<[CommitNumber]> =
            state.occupied.iter().map(|slot| state.slots[slot].commit).collect();
        in_flight.sort_unstable();
        let view = Arc::new(CommitView { next: state.last_commit.next(), in_flight });
        state.readers.push(Arc::clone(&view));
        ReadSnapshot::new(self, view)
    }

    /// Ends the read that has this view.
    fn end_read(&self, view: &Arc<CommitView>) {
        let mut state = self.state.lock();
        if let Some(at) = state.readers.iter().position(|other| Arc::ptr_eq(view, other)) {
            state.readers.swap_remove(at);
        }
        self.update_settled(&state);
    }

    fn publish(&self, state: &mut SlotTable, published: SlotSet) {
        state.occupied.remove_all(&published);
        state.ended.remove_all(&published);
        for slot in published.iter() {
            state.slots[slot] = Slot::default();
            state.free.push(slot as u8);
            self.slots[slot].store(0, Ordering::Release);
        }
        for slot in state.occupied.iter() {
            state.slots[slot].dependencies.remove_all(&published);
        }
        self.update_settled(state);
    }

    fn restart_locked(&self, batch: BatchId) -> BatchId {
        let next = batch.next_part();
        self.slots[next.slot()].store(next.as_u64(), Ordering::Release);
        self.changed.notify_all();
        next
    }

    /// Recomputes the oldest commit that some current or future reader does not see.
    fn update_settled(&self, state: &SlotTable) {
        let in_flight = state.occupied.iter().map(|slot| state.slots[slot].commit);
        let unseen = state.readers.iter().map(|view| view.oldest_unseen());
        let oldest = in_flight.chain(unseen).min().unwrap_or(state.last_commit.next());
        self.settled_before.store(oldest.as_u64(), Ordering::Release);
    }

    #[inline]
    fn slot(&self, batch: BatchId) -> BatchId {
        BatchId::from_u64(self.slots[batch.slot()].load(Ordering::Acquire))
    }
}

/// View of a read, registered while the read lasts, so that series remember which of their samples
/// it does not see.
#[derive(Debug)]
pub struct ReadSnapshot<'a> {
    batches: &'a InFlightBatches,
    view: Arc<CommitView>,
}

impl<'a> ReadSnapshot<'a> {
    fn new(batches: &'a InFlightBatches, view: Arc<CommitView>) -> Self {
        Self { batches, view }
    }

    /// Commits that the read sees.
    #[must_use]
    pub fn view(&self) -> &CommitView {
        &self.view
    }
}

impl Drop for ReadSnapshot<'_> {
    fn drop(&mut self) {
        self.batches.end_read(&self.view);
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchId, CommitRecords, InFlightBatches, ReadSnapshot, SLOTS};
    use crate::tsdb::wal::compression::{Compressor, RecordCompression};
    use std::thread;
    use std::thread::ScopedJoinHandle;

    fn nothing_parked(records: CommitRecords) {
        assert!(records.wal.is_done() && records.wbl.is_done());
    }

    /// Returns when `waiter` waits, and waits again after a spurious wakeup.
    fn assert_waits<T>(in_flight: &InFlightBatches, waiter: &ScopedJoinHandle<'_, T>) {
        for _ in 0..2 {
            // `notify_all` returns the number of woken threads: 1 means that the other thread
            // waits.
            while in_flight.changed.notify_all() == 0 {
                assert!(!waiter.is_finished(), "the thread did not wait");
                thread::yield_now();
            }
        }
    }

    #[test]
    fn batch_is_in_flight_from_begin_to_end() {
        let in_flight = InFlightBatches::default();
        let first = in_flight.begin();
        assert!(in_flight.contains(first));
        let second = in_flight.restart(first);
        assert!(!in_flight.contains(first));
        assert!(in_flight.contains(second));
        in_flight.end(second, None, nothing_parked);
        let third = in_flight.begin();
        assert!(
            !in_flight.contains(first) && !in_flight.contains(second) && in_flight.contains(third)
        );
        assert!(!in_flight.contains(BatchId::NONE));
    }

    #[test]
    fn wait_for_returns_when_batch_ends() {
        let in_flight = InFlightBatches::default();
        let other = in_flight.begin();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| in_flight.wait_for(other));
            assert_waits(&in_flight, &waiter);
            in_flight.end(other, None, nothing_parked);
            waiter.join().unwrap();
        });
    }

    #[test]
    fn wait_for_older_ignores_later_requests() {
        let in_flight = InFlightBatches::default();
        let early = in_flight.begin();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| in_flight.wait_for_older());
            assert_waits(&in_flight, &waiter);
            let late = in_flight.begin();
            let early = in_flight.restart(early);
            assert_waits(&in_flight, &waiter);
            in_flight.end(early, None, nothing_parked);
            waiter.join().unwrap();
            assert!(in_flight.contains(late));
            in_flight.end(late, None, nothing_parked);
        });
    }

    #[test]
    fn begin_without_free_slot_waits() {
        let in_flight = InFlightBatches::default();
        let all: Vec<_> = (0..SLOTS).map(|_| in_flight.begin()).collect();
        thread::scope(|scope| {
            let late = scope.spawn(|| in_flight.begin());
            assert_waits(&in_flight, &late);
            in_flight.end(all[7], None, nothing_parked);
            assert_eq!(late.join().unwrap().slot(), all[7].slot());
        });
    }

    #[test]
    fn snapshot_sees_published_commits_only() {
        let in_flight = InFlightBatches::default();
        let (first, second) = (in_flight.begin(), in_flight.begin());
        let before = in_flight.snapshot();
        in_flight.end(second, None, nothing_parked);
        let between = in_flight.snapshot();
        let third = in_flight.begin();
        let first_again = in_flight.restart(first);
        assert!(in_flight.is_unpublished(first) && !in_flight.is_unpublished(second));
        in_flight.end(first_again, None, nothing_parked);
        let after = in_flight.snapshot();
        let seen = |view: &ReadSnapshot<'_>| {
            [BatchId::NONE, first, second, third].map(|batch| view.view().sees(batch))
        };
        assert_eq!(seen(&before), [true, false, false, false]);
        assert_eq!(seen(&between), [true, false, true, false]);
        assert_eq!(seen(&after), [true, true, true, false]);
        in_flight.end(third, None, nothing_parked);
    }

    #[test]
    fn commits_settle_when_oldest_reader_ends() {
        let in_flight = InFlightBatches::default();
        let settled = |batches: [BatchId; 3]| batches.map(|batch| in_flight.is_settled(batch));
        assert!(in_flight.is_settled(BatchId::NONE));
        let first = in_flight.begin();
        in_flight.end(first, None, nothing_parked);
        let second = in_flight.begin();
        let read = in_flight.snapshot();
        in_flight.end(second, None, nothing_parked);
        let third = in_flight.begin();
        in_flight.end(third, None, nothing_parked);
        assert_eq!(settled([first, second, third]), [true, false, false]);
        assert!(in_flight.are_seen_together(second, third));
        let late_read = in_flight.snapshot();
        assert!(!in_flight.are_seen_together(first, second));
        drop(read);
        assert_eq!(settled([first, second, third]), [true, true, true]);
        drop(late_read);
    }

    #[test]
    fn dependent_commits_are_published_together() {
        let in_flight = InFlightBatches::default();
        let [a, b, c] = [in_flight.begin(), in_flight.begin(), in_flight.begin()];
        in_flight.add_dependency(a, b);
        in_flight.add_dependency(b, a);
        in_flight.add_dependency(c, b);
        in_flight.end(a, None, nothing_parked);
        in_flight.end(c, None, nothing_parked);
        assert!([a, b, c].iter().all(|batch| in_flight.is_unpublished(*batch)));
        // Logged, so nobody waits for their batches.
        assert_eq!([a, b, c].map(|batch| in_flight.contains(batch)), [false, true, false]);
        thread::scope(|scope| {
            let acknowledgement = scope.spawn(|| in_flight.wait_for_publication(c));
            assert_waits(&in_flight, &acknowledgement);
            in_flight.end(b, None, nothing_parked);
            acknowledgement.join().unwrap();
        });
        let view = in_flight.snapshot();
        assert!([a, b, c].iter().all(|batch| view.view().sees(*batch)));
        // A dependency on a published commit has no effect.
        let d = in_flight.begin();
        in_flight.add_dependency(d, a);
        in_flight.end(d, None, nothing_parked);
        assert!(!in_flight.is_unpublished(d));
    }

    #[test]
    fn parked_records_are_logged_together_in_order() {
        let in_flight = InFlightBatches::default();
        let mut compressor = Compressor::new(RecordCompression::None);
        let mut records = |byte: u8| {
            let mut records = CommitRecords::default();
            records.wal.push(&mut compressor, &[byte]);
            records
        };
        let logged = |records: CommitRecords| -> Vec<u8> {
            records.wal.unwritten().map(|record| record.data[0]).collect()
        };
        let [a, b, c] = [in_flight.begin(), in_flight.begin(), in_flight.begin()];
        let a = in_flight.park(a, records(1));
        in_flight.add_dependency(b, a);
        in_flight.end(b, Some(records(2)), |none| assert!(logged(none).is_empty()));
        in_flight.add_dependency(a, b);
        // Independent of the others.
        in_flight.end(c, None, |none| assert!(logged(none).is_empty()));
        let mut found = Vec::new();
        in_flight.end(a, Some(records(3)), |records| found = logged(records));
        assert_eq!(found, [1, 2, 3]);
        assert!(![a, b, c].iter().any(|batch| in_flight.is_unpublished(*batch)));
    }
}
