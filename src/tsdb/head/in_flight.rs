//! Which batches of samples are accepted by the head but not yet in the log's queue.
//!
//! The log must hold the samples of a series in the order in which the head accepted them, and a series record before any
//! record that uses its reference. Two requests that touch the same series at once could break that: the one that was
//! accepted second might reach the log first. So every series remembers the batch that touched it last
//! ([`super::series::SeriesState::last_batch`]), and a batch that meets a series of another batch in flight first sends
//! its own samples to the log and then waits for that other one.
//!
//! Invariant: a batch never waits while it holds unlogged samples; so no two batches wait for each other.
//!
//! A request keeps its slot over several batches, and judges samples by what was valid when it began. Who closes a range of times waits
//! until all requests that began before have ended ([`InFlightBatches::wait_for_older`]).
//!
//! A [`BatchId`] is a slot number (low 8 bits) and a generation that is never used again. Whether a batch is in flight is one
//! load of its slot. 0 is no batch.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};

const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;

/// Names a batch; never given out twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BatchId(u64);

impl BatchId {
    /// No batch: what a series read from disk was touched by.
    pub const NONE: Self = Self(0);

    fn slot(self) -> usize {
        (self.0 as usize) & (SLOTS - 1)
    }
}

/// The batches in flight, at most 256 at once.
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
    /// For each slot the generation in which its request began; 0 where there is none.
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
    /// Begins a batch; waits while 256 others are in flight.
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

    /// Ends `batch`, which is in the log's queue now, and begins the next one of the same request.
    pub fn restart(&self, batch: BatchId) -> BatchId {
        let mut state = self.state.lock();
        let next = self.publish(&mut state, batch.slot() as u8);
        self.changed.notify_all();
        next
    }

    /// Ends `batch`, which is in the log's queue now or holds nothing.
    pub fn end(&self, batch: BatchId) {
        let mut state = self.state.lock();
        self.slots[batch.slot()].store(0, Ordering::Release);
        state.started_in[batch.slot()] = 0;
        state.free.push(batch.slot() as u8);
        self.changed.notify_all();
    }

    /// Whether `batch` has samples that are not in the log's queue.
    pub fn contains(&self, batch: BatchId) -> bool {
        batch != BatchId::NONE && self.slots[batch.slot()].load(Ordering::Acquire) == batch.0
    }

    /// Returns when `batch` is in the log's queue. The caller must not hold unlogged samples itself.
    pub fn wait_for(&self, batch: BatchId) {
        let mut state = self.state.lock();
        while self.contains(batch) {
            self.changed.wait(&mut state);
        }
    }

    /// Returns when every request that has begun before this call has put all its samples into the log's queue.
    pub fn wait_for_older(&self) {
        let mut state = self.state.lock();
        let now = state.generation;
        while state.started_in.iter().any(|begun| (1..=now).contains(begun)) {
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

    /// Returns when `waiter` waits, and has gone back to wait after it was woken for nothing.
    fn assert_waits<T>(in_flight: &InFlightBatches, waiter: &ScopedJoinHandle<'_, T>) {
        for _ in 0..2 {
            // Counts the threads that it wakes, so 1 means that the only other thread waits.
            while in_flight.changed.notify_all() == 0 {
                assert!(!waiter.is_finished(), "it did not wait");
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_batch_is_in_flight_from_begin_to_end_and_never_again() {
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
    fn a_waiter_goes_on_when_the_other_batch_is_logged() {
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
    fn earlier_requests_are_waited_for_whatever_their_batch_and_later_ones_are_not() {
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
    fn more_batches_than_slots_wait_for_a_free_one() {
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
