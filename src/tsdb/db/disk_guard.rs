//! The reserve of free space: below it the database is read-only, so that a full disk never catches the log or a compaction unawares.
//!
//! ```text
//!              free < reserve, or a writer met a full disk
//!   writable ─────────────────────────────────────────────▶ read-only
//!            ◀─────────────────────────────────────────────
//!              free ≥ reserve × 1.25, and 5 s since a full disk was met
//! ```
//!
//! The distance between the two levels keeps the state from flapping; the pause lets whatever met a full disk without there being too
//! few free bytes (a quota, no free inodes) be tried again now and then. [`SpaceState`] is pure. [`DiskGuard`] looks at the file system at
//! most once a second, by whoever asks: no thread, and no state older than that while anybody writes. Its lock is held over one call
//! of the system at most; who finds it taken goes by the last look.

use crate::tsdb::fs::disk::{Disk, DiskSpace};
use crate::tsdb::fs::full::is_full;
use parking_lot::{Mutex, RwLock};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The file system is looked at no more often.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Read-only at least that long after a writer met a full disk.
const MIN_READ_ONLY_TIME: Duration = Duration::from_secs(5);
/// The reserve where nobody chose one: so many bytes, or on a small file system a fiftieth of it.
const DEFAULT_RESERVE: u64 = 1 << 30;
const DEFAULT_FRACTION: u64 = 50;

/// How much space must stay free for writes to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskReserve {
    /// 1 GiB, or 2 % of the file system where that is less.
    Default,
    /// So many bytes; 0 for none.
    Bytes(u64),
}

impl DiskReserve {
    /// In bytes, on a file system of that size.
    #[must_use]
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            Self::Default => DEFAULT_RESERVE.min(total / DEFAULT_FRACTION),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Whether there is space enough, and since when not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceState {
    /// Writes are taken.
    Enough,
    /// Less than the reserve is free.
    Low,
    /// A writer met a full disk.
    Full {
        /// When that was.
        at: Instant,
        /// Who, and what the system said.
        cause: String,
    },
}

impl SpaceState {
    /// What follows from a look at the file system.
    #[must_use]
    pub fn after_probe(self, free: u64, reserve: u64, now: Instant) -> Self {
        let refilled = free >= reserve.saturating_add(reserve / 4);
        match self {
            Self::Enough | Self::Low if free < reserve => Self::Low,
            Self::Low if !refilled => Self::Low,
            Self::Full { at, cause }
                if !refilled || now.saturating_duration_since(at) < MIN_READ_ONLY_TIME =>
            {
                Self::Full { at, cause }
            }
            Self::Enough | Self::Low | Self::Full { .. } => Self::Enough,
        }
    }

    /// Why no write is taken, for people.
    fn cause(&self, free: u64, reserve: u64) -> Option<String> {
        let resume = reserve.saturating_add(reserve / 4);
        match self {
            Self::Enough => None,
            Self::Low => Some(format!(
                "too little free space on the disk: {free} bytes are free, the reserve is {reserve}; writes are taken again from {resume}"
            )),
            Self::Full { cause, .. } => Some(format!(
                "the disk is full: {cause}; {free} bytes are free, the reserve is {reserve}"
            )),
        }
    }
}

/// Watches the space of one data directory.
#[derive(Debug)]
pub struct DiskGuard {
    reserve: DiskReserve,
    probe: Mutex<ProbeState>,
    /// Why no write is taken; what everybody reads.
    cause: RwLock<Option<String>>,
    chunk_failures: AtomicU64,
    free: AtomicU64,
    reserve_bytes: AtomicU64,
}

#[derive(Debug)]
struct ProbeState {
    state: SpaceState,
    last: Option<Instant>,
}

impl DiskGuard {
    /// A guard that has seen nothing yet.
    #[must_use]
    pub fn new(reserve: DiskReserve) -> Self {
        Self {
            reserve,
            probe: Mutex::new(ProbeState { state: SpaceState::Enough, last: None }),
            cause: RwLock::new(None),
            chunk_failures: AtomicU64::new(0),
            free: AtomicU64::new(0),
            reserve_bytes: AtomicU64::new(0),
        }
    }

    /// Looks at the file system of `dir` where the last look is a second old; why no write is taken, if so.
    pub fn check(&self, disk: &dyn Disk, dir: &Path, now: Instant) -> Option<String> {
        if let Some(mut look) = self.probe.try_lock()
            && look.last.is_none_or(|last| now.saturating_duration_since(last) >= PROBE_INTERVAL)
        {
            look.last = Some(now);
            match disk.space(dir) {
                Ok(space) => self.apply_probe(&mut look, space, now),
                // Nothing is known then; a disk that is really full shows in the next write.
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %error, "can't tell how much space is free")
                }
            }
        }
        self.cause.read().clone()
    }

    /// To be told of every write other than the log's that failed for want of space (a block, a checkpoint, a chunk file).
    /// Errors of other kinds are passed over.
    pub fn report_write_error(&self, what: &str, error: &io::Error, now: Instant) {
        if !is_full(error) {
            return;
        }
        tracing::error!(what, %error, "the disk is full: read-only until there is space again");
        let mut look = self.probe.lock();
        look.state = SpaceState::Full { at: now, cause: format!("{what}: {error}") };
        // The next who asks looks at once.
        look.last = None;
        self.publish(&look.state);
    }

    /// To be told how often the head could not write chunks for want of space; one more than before counts as having met a full disk.
    pub fn report_chunk_write_failures(&self, failures: u64, now: Instant) {
        if failures > self.chunk_failures.fetch_max(failures, Ordering::Relaxed) {
            self.report_write_error(
                "the files of the head's chunks",
                &io::ErrorKind::StorageFull.into(),
                now,
            );
        }
    }

    /// Free bytes at the last look.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// The reserve in bytes; 0 before the first look.
    #[must_use]
    pub fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes.load(Ordering::Relaxed)
    }

    fn apply_probe(&self, look: &mut ProbeState, space: DiskSpace, now: Instant) {
        let reserve = self.reserve.bytes(space.total);
        self.free.store(space.free, Ordering::Relaxed);
        self.reserve_bytes.store(reserve, Ordering::Relaxed);
        let was_enough = look.state == SpaceState::Enough;
        look.state = std::mem::replace(&mut look.state, SpaceState::Enough)
            .after_probe(space.free, reserve, now);
        match (was_enough, look.state == SpaceState::Enough) {
            (true, false) => tracing::error!(
                free_bytes = space.free,
                reserve_bytes = reserve,
                "too little free space on the disk: read-only until there is more"
            ),
            (false, true) => {
                tracing::info!(
                    free_bytes = space.free,
                    "there is space on the disk again: writes are taken"
                );
            }
            _ => {}
        }
        self.publish(&look.state);
    }

    fn publish(&self, state: &SpaceState) {
        let (free, reserve) = (self.free_bytes(), self.reserve_bytes());
        let cause = state.cause(free, reserve);
        *self.cause.write() = cause;
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskGuard, DiskReserve, MIN_READ_ONLY_TIME, PROBE_INTERVAL, SpaceState};
    use crate::tsdb::fs::crash_disk::CrashDisk;
    use proptest::prelude::proptest;
    use std::io;
    use std::path::Path;
    use std::time::{Duration, Instant};

    #[test]
    fn the_default_reserve_is_a_gibibyte_or_a_fiftieth() {
        assert_eq!(DiskReserve::Default.bytes(1 << 40), 1 << 30);
        assert_eq!(DiskReserve::Default.bytes(100 << 20), 2 << 20);
        assert_eq!(DiskReserve::Bytes(7).bytes(1 << 40), 7);
    }

    #[test]
    fn writes_stop_below_the_reserve_and_come_back_well_above_it() {
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
            assert_eq!(state, expected, "{free}");
        }
        assert_eq!(
            SpaceState::Enough.after_probe(0, 0, now),
            SpaceState::Enough,
            "without a reserve only writes tell"
        );
    }

    #[test]
    fn a_full_disk_that_a_writer_met_counts_until_there_is_space_and_some_time_has_passed() {
        let at = Instant::now();
        let full = SpaceState::Full { at, cause: String::new() };
        assert_eq!(full.clone().after_probe(1000, 100, at), full);
        assert_eq!(full.clone().after_probe(99, 100, at + MIN_READ_ONLY_TIME), full);
        assert_eq!(
            full.clone().after_probe(1000, 100, at + MIN_READ_ONLY_TIME),
            SpaceState::Enough
        );
        assert_eq!(
            full.after_probe(0, 0, at + MIN_READ_ONLY_TIME),
            SpaceState::Enough,
            "without a reserve it is tried again"
        );
    }

    #[test]
    fn the_guard_looks_once_a_second_and_names_what_is_free_and_what_must_be() {
        let disk = CrashDisk::new();
        let guard = DiskGuard::new(DiskReserve::Bytes(1000));
        let (begin, dir) = (Instant::now(), Path::new("/"));
        assert_eq!(guard.check(&disk, dir, begin), None);
        disk.set_free_bytes(Some(999));
        assert_eq!(guard.check(&disk, dir, begin + PROBE_INTERVAL / 2), None, "not looked yet");
        let cause = guard.check(&disk, dir, begin + PROBE_INTERVAL).unwrap();
        assert!(
            cause.contains("999 bytes are free") && cause.contains("reserve is 1000"),
            "{cause}"
        );
        assert_eq!((guard.free_bytes(), guard.reserve_bytes()), (999, 1000));
        disk.set_free_bytes(None);
        assert_eq!(guard.check(&disk, dir, begin + 2 * PROBE_INTERVAL), None);
    }

    #[test]
    fn the_guard_is_told_of_a_full_disk_and_not_of_other_errors() {
        let disk = CrashDisk::new();
        let guard = DiskGuard::new(DiskReserve::Bytes(1000));
        let (begin, dir) = (Instant::now(), Path::new("/"));
        guard.report_write_error("a block", &io::Error::from_raw_os_error(5), begin);
        assert_eq!(guard.check(&disk, dir, begin), None);
        guard.report_write_error("a block", &io::ErrorKind::StorageFull.into(), begin);
        assert!(
            guard.check(&disk, dir, begin + Duration::from_millis(1)).unwrap().contains("a block")
        );
        let later = begin + MIN_READ_ONLY_TIME + PROBE_INTERVAL;
        assert_eq!(guard.check(&disk, dir, later), None);
        guard.report_chunk_write_failures(0, later);
        assert_eq!(guard.check(&disk, dir, later), None);
        guard.report_chunk_write_failures(2, later);
        assert!(guard.check(&disk, dir, later).unwrap().contains("chunks"));
        guard.report_chunk_write_failures(2, later + MIN_READ_ONLY_TIME);
        assert_eq!(
            guard.check(&disk, dir, later + MIN_READ_ONLY_TIME),
            None,
            "the same failure is met once"
        );
    }

    proptest! {
        #[test]
        fn no_write_is_taken_below_the_reserve(free: u64, reserve: u64, was_low: bool) {
            let now = Instant::now();
            let state = if was_low { SpaceState::Low } else { SpaceState::Enough };
            assert!(free >= reserve || state.after_probe(free, reserve, now) == SpaceState::Low);
        }
    }
}
