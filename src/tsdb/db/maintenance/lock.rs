//! One piece of work on blocks at a time. What an operator orders does not wait for a long compaction: that gives way and begins anew later.

use crate::tsdb::block::ulid::BlockUlid;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Who may work on blocks.
#[derive(Debug, Default)]
pub struct MaintenanceLock {
    state: Mutex<MaintenanceState>,
    waiting: AtomicUsize,
    /// Set where a compaction of blocks is to stop: an order waits, or the process ends.
    give_way: AtomicBool,
}

/// What is remembered from one round to the next.
#[derive(Debug, Default)]
pub struct MaintenanceState {
    /// Blocks whose merging has failed, each with the time (ms) before which it is not tried again.
    pub failed: BTreeMap<BlockUlid, i64>,
    /// Blocks that were checked from end to end since the start.
    pub verified: BTreeSet<BlockUlid>,
    /// Those of them that are damaged.
    pub damaged: BTreeSet<BlockUlid>,
    /// Up to where the log was last truncated, ms.
    pub log_truncated: Option<i64>,
    /// Whether the head was compacted and its late samples were not yet.
    pub ooo_compaction_due: bool,
    /// How many late samples the head had been given when they were last compacted.
    pub ooo_samples_compacted: Option<u64>,
    /// When the head was last compacted, ms.
    pub head_compacted_at: Option<i64>,
}

/// The right to work on blocks, until dropped.
#[derive(Debug)]
pub struct MaintenanceGuard<'a> {
    /// What is remembered.
    pub state: MutexGuard<'a, MaintenanceState>,
    turns: &'a MaintenanceLock,
}

impl MaintenanceLock {
    /// Waits for what is under way.
    pub fn lock(&self) -> MaintenanceGuard<'_> {
        MaintenanceGuard { state: self.state.lock(), turns: self }
    }

    /// The same for an order: compactions of blocks give way.
    pub fn lock_for_admin(&self) -> MaintenanceGuard<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.give_way.store(true, Ordering::SeqCst);
        let turn = self.lock();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        turn
    }

    /// Lets compactions of blocks end soon and not begin again.
    pub fn close(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.give_way.store(true, Ordering::SeqCst);
    }
}

impl MaintenanceGuard<'_> {
    /// Set as soon as somebody else wants the turn.
    #[must_use]
    pub fn cancel_flag(&self) -> &AtomicBool {
        // Whoever set it before has its turn now, or waits on: then it is set again.
        self.turns.give_way.store(self.turns.waiting.load(Ordering::SeqCst) > 0, Ordering::SeqCst);
        &self.turns.give_way
    }

    /// Whether somebody else wants the turn.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        self.turns.waiting.load(Ordering::SeqCst) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::MaintenanceLock;
    use std::sync::atomic::Ordering;
    use std::thread;

    #[test]
    fn an_order_asks_the_one_at_work_to_give_way_and_a_round_does_not() {
        let turns = MaintenanceLock::default();
        let turn = turns.lock();
        assert!(!turn.cancel_flag().load(Ordering::SeqCst));
        thread::scope(|scope| {
            let order = scope.spawn(|| drop(turns.lock_for_admin()));
            while !turn.is_contended() {
                thread::yield_now();
            }
            assert!(turn.cancel_flag().load(Ordering::SeqCst));
            drop(turn);
            order.join().unwrap();
        });
        let turn = turns.lock();
        assert!(!turn.is_contended() && !turn.cancel_flag().load(Ordering::SeqCst));
        turns.close();
        assert!(turn.is_contended() && turn.cancel_flag().load(Ordering::SeqCst));
    }
}
