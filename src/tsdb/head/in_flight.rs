//! In-flight batches: accepted by the head, not yet in the WAL queue.
//!
//! The WAL must hold the samples of a series in append order, and a series record before any record
//! that uses its reference. Two concurrent requests for the same series could break this: the batch
//! accepted second could reach the WAL first. Every series therefore remembers the batch that
//! touched it last ([`super::series::state::SeriesState::last_batch`]). A batch that finds a series
//! of another in-flight batch first enqueues its own samples and then waits for that batch.
//!
//! # Invariant
//! A batch never waits while it holds unlogged samples, so no two batches wait for each other.
//!
//! # Requests
//! A request keeps its slot for several batches, and its bounds are fixed when it starts. To close
//! a time range, [`InFlightBatches::wait_for_older`] waits for all requests that started before.
//!
//! # Format
//! A [`BatchId`] is a slot number (low 8 bits) and a generation that is never used again; 0 is no
//! batch. To check if a batch is in flight takes one load of its slot.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};

const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;

/// Batch identifier, unique for the lifetime of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BatchId(u64);

impl BatchId {
    /// No batch: the last batch of a series that was read from disk.
    pub const NONE: Self = Self(0);

    fn slot(self) -> usize {
        (self.0 as usize) & (SLOTS - 1)
    }
}

/// Set of the in-flight batches, at most 256.
#[derive(Debug)]
pub struct InFlightBatches {
    slots: Box<[AtomicU64]>,
    state: Mutex<SlotTable>,
    changed: Condvar,
}

#[derive(Debug)]
struct SlotTable {
    free: Vec<u8>,
    generation: u64,
    /// Generation in which the request of each slot started; 0 for a free slot.
    started_in: Box<[u64]>,
}

impl Default for InFlightBatches {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let state = SlotTable {
            free: (0..=u8::MAX).collect(),
            generation: 0,
            started_in: vec![0; SLOTS].into(),
        };
        Self { slots, state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl InFlightBatches {
    /// Starts a batch. Waits while 256 others are in flight.
    pub fn begin(&self) -> BatchId {
        let mut state = self.state.lock();
        loop {
            if let Some(slot) = state.free.pop() {
                let batch = self.publish(&mut state, slot);
                state.started_in[usize::from(slot)] = state.generation;
                return batch;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends `batch`, which is in the WAL queue, and starts the next batch of the same request.
    pub fn restart(&self, batch: BatchId) -> BatchId {
        let mut state = self.state.lock();
        let next = self.publish(&mut state, batch.slot() as u8);
        self.changed.notify_all();
        next
    }

    /// Ends `batch`, which is in the WAL queue or empty, and frees its slot.
    pub fn end(&self, batch: BatchId) {
        let mut state = self.state.lock();
        self.slots[batch.slot()].store(0, Ordering::Release);
        state.started_in[batch.slot()] = 0;
        state.free.push(batch.slot() as u8);
        self.changed.notify_all();
    }

    /// Returns `true` if `batch` has samples that are not in the WAL queue.
    pub fn contains(&self, batch: BatchId) -> bool {
        batch != BatchId::NONE && self.slots[batch.slot()].load(Ordering::Acquire) == batch.0
    }

    /// Waits until `batch` is in the WAL queue. The caller must not hold unlogged samples.
    pub fn wait_for(&self, batch: BatchId) {
        let mut state = self.state.lock();
        while self.contains(batch) {
            self.changed.wait(&mut state);
        }
    }

    /// Waits until every request that started before this call has enqueued all its samples.
    pub fn wait_for_older(&self) {
        let mut state = self.state.lock();
        let now = state.generation;
        while state.started_in.iter().any(|start| (1..=now).contains(start)) {
            self.changed.wait(&mut state);
        }
    }

    fn publish(&self, state: &mut SlotTable, slot: u8) -> BatchId {
        state.generation += 1;
        let id = state.generation << SLOT_BITS | u64::from(slot);
        self.slots[usize::from(slot)].store(id, Ordering::Release);
        BatchId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchId, InFlightBatches, SLOTS};
    use std::thread;
    use std::thread::ScopedJoinHandle;

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
        in_flight.end(second);
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
            in_flight.end(other);
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
            in_flight.end(early);
            waiter.join().unwrap();
            assert!(in_flight.contains(late));
            in_flight.end(late);
        });
    }

    #[test]
    fn begin_without_free_slot_waits() {
        let in_flight = InFlightBatches::default();
        let all: Vec<_> = (0..SLOTS).map(|_| in_flight.begin()).collect();
        thread::scope(|scope| {
            let late = scope.spawn(|| in_flight.begin());
            assert_waits(&in_flight, &late);
            in_flight.end(all[7]);
            assert_eq!(late.join().unwrap().slot(), all[7].slot());
        });
    }
}
