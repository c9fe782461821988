//! Mutual exclusion for work on blocks. An admin operation does not wait for a long compaction: it
//! cancels it, and the compaction is restarted later.

use crate::tsdb::block::ulid::BlockUlid;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Lock for work on blocks.
#[derive(Debug, Default)]
pub struct MaintenanceLock {
    state: Mutex<MaintenanceState>,
    waiting: AtomicUsize,
    /// Set if a block compaction must stop: an admin operation waits, or the process is shutting
    /// down.
    cancel: AtomicBool,
}

/// State that is kept between maintenance runs.
#[derive(Debug, Default)]
pub struct MaintenanceState {
    /// Blocks whose compaction failed, with the time before which it is not retried, ms.
    pub failed: BTreeMap<BlockUlid, i64>,
    /// Blocks that were verified since startup, including corrupted ones.
    pub verified: BTreeSet<BlockUlid>,
    /// Verified blocks that are corrupted.
    pub damaged: BTreeSet<BlockUlid>,
    /// Minimum time of the head at the last WAL truncation, ms.
    pub log_truncated: Option<i64>,
    /// Whether the head was compacted since the last OOO compaction.
    pub ooo_compaction_due: bool,
    /// Total number of out-of-order samples appended to the head, at the last OOO compaction.
    pub ooo_samples_compacted: Option<u64>,
    /// Time of the last head compaction, ms.
    pub head_compacted_at: Option<i64>,
}

/// Guard of the maintenance lock; released when dropped.
#[derive(Debug)]
pub struct MaintenanceGuard<'a> {
    /// State that the lock protects.
    pub state: MutexGuard<'a, MaintenanceState>,
    lock: &'a MaintenanceLock,
}

impl MaintenanceLock {
    /// Waits for running work and takes the lock.
    pub fn lock(&self) -> MaintenanceGuard<'_> {
        MaintenanceGuard { state: self.state.lock(), lock: self }
    }

    /// Takes the lock for an admin operation, and cancels a running block compaction.
    pub fn lock_for_admin(&self) -> MaintenanceGuard<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Running work that clears the flag sees the count.
        self.cancel.store(true, Ordering::SeqCst);
        let guard = self.lock();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    /// Cancels a running block compaction for good: further ones stop at once.
    pub fn close(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.cancel.store(true, Ordering::SeqCst);
    }
}

impl MaintenanceGuard<'_> {
    /// Flag that is set as soon as another thread wants the lock.
    #[must_use]
    pub fn cancel_flag(&self) -> &AtomicBool {
        // A previous waiter left the flag set. Clear it before the count is read: a thread that is
        // counted after the read sets the flag itself, and nothing clears it any more.
        self.lock.cancel.store(false, Ordering::SeqCst);
        if self.is_contended() {
            self.lock.cancel.store(true, Ordering::SeqCst);
        }
        &self.lock.cancel
    }

    /// Returns `true` if an admin operation waits for the lock or the process is shutting down.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        self.lock.waiting.load(Ordering::SeqCst) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::MaintenanceLock;
    use std::sync::atomic::Ordering;
    use std::thread;

    #[test]
    fn admin_operation_cancels_holder_and_close_cancels_all() {
        let lock = MaintenanceLock::default();
        let guard = lock.lock();
        assert!(!guard.cancel_flag().load(Ordering::SeqCst));
        thread::scope(|scope| {
            let admin = scope.spawn(|| drop(lock.lock_for_admin()));
            while !guard.is_contended() {
                thread::yield_now();
            }
            assert!(guard.cancel_flag().load(Ordering::SeqCst));
            drop(guard);
            admin.join().unwrap();
        });
        let guard = lock.lock();
        assert!(!guard.is_contended() && !guard.cancel_flag().load(Ordering::SeqCst));
        lock.close();
        assert!(guard.is_contended() && guard.cancel_flag().load(Ordering::SeqCst));
    }
}
