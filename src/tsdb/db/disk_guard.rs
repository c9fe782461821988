//! Disk guard: makes the database read-only before the disk is full, so that neither the WAL nor a
//! compaction runs out of space.
//!
//! ```text
//!              free < reserve, or a write failed for lack of space
//!   writable ─────────────────────────────────────────────▶ read-only
//!            ◀─────────────────────────────────────────────
//!              free ≥ reserve × 1.25, and 5 s since the last failed write
//! ```
//!
//! The gap between the two thresholds prevents flapping. After the pause, writes are tried again if
//! they failed although enough bytes are free (a quota, no free inodes).
//!
//! [`SpaceState`] is pure. [`DiskGuard`] has no thread: its callers probe the file system, at most
//! once per second.
//!
//! # Locking
//! The probe mutex is held for at most one system call. A caller that finds it locked uses the last
//! result.

use crate::tsdb::db::write_unavailable::ReadOnlyReason;
use crate::tsdb::fs::disk::{Disk, DiskSpace};
use crate::tsdb::fs::full::is_full;
use parking_lot::{Mutex, RwLock};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Minimum time between two probes of the file system.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Minimum read-only time after a write that failed for lack of space.
const MIN_READ_ONLY_TIME: Duration = Duration::from_secs(5);
/// Default reserve, bytes; on a small file system a fiftieth of its size.
const DEFAULT_RESERVE: u64 = 1 << 30;
const DEFAULT_FRACTION: u64 = 50;

/// Free space that must remain for writes to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskReserve {
    /// 1 GiB, or 2 % of the file system if that is less.
    Default,
    /// Number of bytes; 0 disables the reserve.
    Bytes(u64),
}

impl DiskReserve {
    /// Returns the reserve in bytes, on a file system of `total` bytes.
    #[must_use]
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            Self::Default => DEFAULT_RESERVE.min(total / DEFAULT_FRACTION),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// State of the free space.
#[derive(Debug, Clone)]
pub enum SpaceState {
    /// Enough space is free: writes are accepted.
    Enough,
    /// Less than the reserve is free, or was and less than 1.25 times the reserve is free now.
    Low,
    /// A write failed for lack of space.
    Full {
        /// Time of the failure.
        at: Instant,
        /// Verb phrase of the write, such as "write a block".
        operation: &'static str,
        /// Error of the write.
        cause: Arc<io::Error>,
    },
}

impl SpaceState {
    /// Returns the state after a probe that found `free` bytes.
    #[must_use]
    pub fn after_probe(self, free: u64, reserve: u64, now: Instant) -> Self {
        let refilled = free >= reserve.saturating_add(reserve / 4);
        match self {
            Self::Enough | Self::Low if free < reserve => Self::Low,
            Self::Low if !refilled => Self::Low,
            Self::Full { at, .. }
                if !refilled || now.saturating_duration_since(at) < MIN_READ_ONLY_TIME =>
            {
                self
            }
            Self::Enough | Self::Low | Self::Full { .. } => Self::Enough,
        }
    }

    /// Returns the reason why writes are rejected, if they are.
    fn read_only_reason(&self, free: u64, reserve: u64) -> Option<ReadOnlyReason> {
        match self {
            Self::Enough => None,
            Self::Low => {
                let resume = reserve.saturating_add(reserve / 4);
                Some(ReadOnlyReason::LowSpace { free, reserve, resume })
            }
            Self::Full { operation, cause, .. } => {
                let cause = Arc::clone(cause);
                Some(ReadOnlyReason::DiskFull { operation, cause, free, reserve })
            }
        }
    }

    fn is_enough(&self) -> bool {
        matches!(self, Self::Enough)
    }
}

/// Guard of the free space of one data directory.
#[derive(Debug)]
pub struct DiskGuard {
    reserve: DiskReserve,
    probe: Mutex<ProbeState>,
    /// Reason why writes are rejected. Read by every request, so it is not behind the probe mutex.
    reason: RwLock<Option<ReadOnlyReason>>,
    chunk_failures: AtomicU64,
    free: AtomicU64,
    size: AtomicU64,
    reserve_bytes: AtomicU64,
}

#[derive(Debug)]
struct ProbeState {
    state: SpaceState,
    last: Option<Instant>,
}

impl DiskGuard {
    /// Creates a guard that accepts writes until its first probe.
    #[must_use]
    pub fn new(reserve: DiskReserve) -> Self {
        Self {
            reserve,
            probe: Mutex::new(ProbeState { state: SpaceState::Enough, last: None }),
            reason: RwLock::new(None),
            chunk_failures: AtomicU64::new(0),
            free: AtomicU64::new(0),
            size: AtomicU64::new(0),
            reserve_bytes: AtomicU64::new(0),
        }
    }

    /// Probes the file system of `dir` if the last probe is at least a second old. Returns the
    /// reason why writes are rejected, if they are.
    pub fn check(&self, disk: &dyn Disk, dir: &Path, now: Instant) -> Option<ReadOnlyReason> {
        if let Some(mut probe) = self.probe.try_lock()
            && probe.last.is_none_or(|last| now.saturating_duration_since(last) >= PROBE_INTERVAL)
        {
            probe.last = Some(now);
            match disk.space(dir) {
                Ok(space) => self.apply_probe(&mut probe, space, now),
                // The state stays. If the disk is full, the next write reports it.
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %error, "cannot read free disk space")
                }
            }
        }
        self.reason.read().clone()
    }

    /// Reports a failed write outside the WAL (block, checkpoint, chunk file). Makes the database
    /// read-only if the cause is lack of space, and ignores other errors.
    ///
    /// `operation` is a verb phrase, such as "write a block".
    pub fn report_write_error(&self, operation: &'static str, error: &io::Error, now: Instant) {
        if !is_full(error) {
            return;
        }
        tracing::error!(operation, %error, "disk is full, rejecting writes until space is free");
        let mut probe = self.probe.lock();
        probe.state = SpaceState::Full { at: now, operation, cause: Arc::new(same_error(error)) };
        // The next check probes at once, for current numbers.
        probe.last = None;
        self.publish(&probe.state);
    }

    /// Takes the total number of head chunk writes that failed for lack of space. A higher number
    /// than before counts as a failed write.
    pub fn report_chunk_write_failures(&self, failures: u64, now: Instant) {
        if failures > self.chunk_failures.fetch_max(failures, Ordering::Relaxed) {
            self.report_write_error("write head chunks", &io::ErrorKind::StorageFull.into(), now);
        }
    }

    /// Free space at the last probe, bytes.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Size of the file system at the last probe, bytes; 0 before the first one.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Disk reserve, bytes; 0 before the first probe.
    #[must_use]
    pub fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes.load(Ordering::Relaxed)
    }

    fn apply_probe(&self, probe: &mut ProbeState, space: DiskSpace, now: Instant) {
        let reserve = self.reserve.bytes(space.total);
        self.free.store(space.free, Ordering::Relaxed);
        self.size.store(space.total, Ordering::Relaxed);
        self.reserve_bytes.store(reserve, Ordering::Relaxed);
        let was_enough = probe.state.is_enough();
        probe.state = std::mem::replace(&mut probe.state, SpaceState::Enough)
            .after_probe(space.free, reserve, now);
        match (was_enough, probe.state.is_enough()) {
            (true, false) => tracing::error!(
                free_bytes = space.free,
                reserve_bytes = reserve,
                "low disk space, rejecting writes until more is free"
            ),
            (false, true) => {
                tracing::info!(
                    free_bytes = space.free,
                    "disk space is sufficient again, accepting writes"
                );
            }
            _ => {}
        }
        self.publish(&probe.state);
    }

    fn publish(&self, state: &SpaceState) {
        let (free, reserve) = (self.free_bytes(), self.reserve_bytes());
        *self.reason.write() = state.read_only_reason(free, reserve);
    }
}

/// Returns an error with the code or kind of `error`, which cannot be cloned.
fn same_error(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::{DiskGuard, DiskReserve, MIN_READ_ONLY_TIME, PROBE_INTERVAL, SpaceState};
    use crate::testing::crash_disk::CrashDisk;
    use crate::tsdb::db::write_unavailable::ReadOnlyReason;
    use crate::tsdb::fs::disk::Disk;
    use proptest::prelude::proptest;
    use std::io;
    use std::mem::discriminant;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[test]
    fn default_reserve_is_a_gibibyte_or_a_fiftieth() {
        assert_eq!(DiskReserve::Default.bytes(1 << 40), 1 << 30);
        assert_eq!(DiskReserve::Default.bytes(100 << 20), 2 << 20);
        assert_eq!(DiskReserve::Bytes(7).bytes(1 << 40), 7);
    }

    #[test]
    fn writes_stop_below_reserve_and_resume_above_threshold() {
        let now = Instant::now();
        let mut state = SpaceState::Enough;
        for (free, expected) in [
            (100, SpaceState::Enough),
            (99, SpaceState::Low),
            (100, SpaceState::Low),
            (124, SpaceState::Low),
            (125, SpaceState::Enough),
            (101, SpaceState::Enough),
            (0, SpaceState::Low),
        ] {
            state = state.after_probe(free, 100, now);
            assert_eq!(discriminant(&state), discriminant(&expected), "{free}");
        }
        assert!(
            SpaceState::Enough.after_probe(0, 0, now).is_enough(),
            "without a reserve only failed writes count"
        );
    }

    #[test]
    fn full_disk_lasts_until_space_is_free_and_pause_is_over() {
        let at = Instant::now();
        let cause = Arc::new(io::ErrorKind::StorageFull.into());
        let full = SpaceState::Full { at, operation: "write a block", cause };
        let is_full = |state| matches!(state, SpaceState::Full { at: since, .. } if since == at);
        assert!(is_full(full.clone().after_probe(1000, 100, at)));
        assert!(is_full(full.clone().after_probe(99, 100, at + MIN_READ_ONLY_TIME)));
        assert!(full.clone().after_probe(1000, 100, at + MIN_READ_ONLY_TIME).is_enough());
        assert!(
            full.after_probe(0, 0, at + MIN_READ_ONLY_TIME).is_enough(),
            "writes are tried again without a reserve"
        );
    }

    #[test]
    fn guard_probes_once_per_second_and_reports_bytes() {
        let disk = CrashDisk::new();
        let guard = DiskGuard::new(DiskReserve::Bytes(1000));
        let (begin, dir) = (Instant::now(), Path::new("/"));
        assert!(guard.check(&disk, dir, begin).is_none());
        assert_eq!(guard.size_bytes(), disk.space(dir).unwrap().total);
        disk.set_free_bytes(Some(999));
        assert!(guard.check(&disk, dir, begin + PROBE_INTERVAL / 2).is_none(), "not probed yet");
        let reason = guard.check(&disk, dir, begin + PROBE_INTERVAL).unwrap();
        assert_eq!(
            reason.to_string(),
            "low disk space: 999 bytes are free, the reserve is 1000 bytes, \
             writes resume at 1250 bytes"
        );
        assert_eq!((guard.free_bytes(), guard.reserve_bytes()), (999, 1000));
        disk.set_free_bytes(None);
        assert!(guard.check(&disk, dir, begin + 2 * PROBE_INTERVAL).is_none());
    }

    #[test]
    fn only_lack_of_space_makes_the_guard_reject_writes() {
        let disk = CrashDisk::new();
        let guard = DiskGuard::new(DiskReserve::Bytes(1000));
        let (begin, dir) = (Instant::now(), Path::new("/"));
        guard.report_write_error("write a block", &io::Error::from_raw_os_error(5), begin);
        assert!(guard.check(&disk, dir, begin).is_none());
        guard.report_write_error("write a block", &io::ErrorKind::StorageFull.into(), begin);
        let operation = |now| match guard.check(&disk, dir, now) {
            Some(ReadOnlyReason::DiskFull { operation, .. }) => Some(operation),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(operation(begin + Duration::from_millis(1)), Some("write a block"));
        let later = begin + MIN_READ_ONLY_TIME + PROBE_INTERVAL;
        assert_eq!(operation(later), None);
        guard.report_chunk_write_failures(0, later);
        assert_eq!(operation(later), None);
        guard.report_chunk_write_failures(2, later);
        assert_eq!(operation(later), Some("write head chunks"));
        guard.report_chunk_write_failures(2, later + MIN_READ_ONLY_TIME);
        assert_eq!(operation(later + MIN_READ_ONLY_TIME), None, "the same failure counts once");
    }

    proptest! {
        #[test]
        fn writes_are_rejected_below_the_reserve(free: u64, reserve: u64, was_low: bool) {
            let now = Instant::now();
            let state = if was_low { SpaceState::Low } else { SpaceState::Enough };
            assert!(free >= reserve || matches!(state.after_probe(free, reserve, now), SpaceState::Low));
        }
    }
}
