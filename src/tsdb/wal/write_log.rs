//! Group commit: one write, and if needed one sync, for the records of many requests.
//!
//! ```text
//!   request ──enqueue──▶ queue ──(one waiting request, the leader)──▶ write ──▶ sync (`Always`)
//!      └──────────wait(position)──────────────────────────────────────────┴─▶ response
//! ```
//!
//! # Ordering
//! The log has the order of the queue.
//!
//! # Failure
//! [`Wal::enqueue`] never fails: accepted samples must reach the log. Otherwise a retry, which the
//! head treats as duplicates, would be acknowledged without being logged.
//! - Full disk: the records stay at the front of the queue, waiting requests fail, and
//!   [`Wal::check_writable`] rejects new requests until a write succeeds.
//! - Failed sync, or a write that failed for another reason: nothing is written or acknowledged
//!   until a restart. The kernel may have dropped pages whose write error it reported only once.
//! - Panic of the leader: counts as such a failure, so all waiting requests get a response.
//!
//! # Locking
//! The queue's mutex is held to copy records and to change states, not during writes or syncs. The
//! writer's mutex is held by the leader during its write, and by a cut, a sync and the close.

use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::error::{OpenLogError, WalError, WriteLogError};
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::log_state::LogState;
use crate::tsdb::wal::stats::WalStats;
use crate::tsdb::wal::writer::LogWriter;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Minimum time between attempts to write to a full disk.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Capacity of a group buffer that is kept for reuse, bytes.
const MAX_RETAINED_BYTES: usize = 8 << 20;

/// Sync policy, which limits what a power failure can lose. A killed process loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Only full segments are synced. A power failure loses what the kernel has not written.
    Os,
    /// Syncs at this interval. A power failure loses the writes since the last sync.
    Interval(Duration),
    /// Syncs before each response. Concurrent requests share a sync. Nothing acknowledged is lost.
    Always,
}

/// Parameters of a log.
#[derive(Debug, Clone)]
pub struct WalOptions {
    /// Directory of the segments.
    pub dir: PathBuf,
    /// Maximum size of a segment, bytes; a multiple of the page size.
    pub segment_size: u64,
    /// Compression of the records written.
    pub compression: RecordCompression,
    /// Sync policy of the log.
    pub sync: SyncMode,
    /// File system of the segments.
    pub disk: Arc<dyn Disk>,
}

/// Position in the log: all batches enqueued up to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition(u64);

/// A log open for writing, shared by all requests.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<WalShared>,
    /// Thread that syncs finished segments, and in mode `Interval` the current one.
    syncer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct WalShared {
    options: WalOptions,
    queue: Mutex<CommitQueue>,
    /// Notified when a commit ends and when the log fails.
    changed: Condvar,
    /// Notified when the log closes; the sync thread waits for it.
    closing: Condvar,
    writer: Mutex<LogWriter>,
    stats: WalStats,
}

#[derive(Debug)]
struct CommitQueue {
    group: WriteGroup,
    /// Empty group with buffers that replaces the one a leader takes.
    spare: WriteGroup,
    enqueued: LogPosition,
    written: LogPosition,
    synced: LogPosition,
    has_leader: bool,
    state: LogState,
    closing: bool,
}

impl Wal {
    /// Opens the log and creates a new segment after the existing ones.
    ///
    /// # Errors
    /// [`WalError::Open`] if the segment cannot be created.
    pub fn open(options: WalOptions) -> Result<Self, WalError> {
        let writer =
            LogWriter::open(options.dir.clone(), options.segment_size, Arc::clone(&options.disk))?;
        let start = LogPosition(0);
        let queue = CommitQueue {
            group: WriteGroup::default(),
            spare: WriteGroup::default(),
            enqueued: start,
            written: start,
            synced: start,
            has_leader: false,
            state: LogState::Writable,
            closing: false,
        };
        let shared = Arc::new(WalShared {
            options,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            closing: Condvar::new(),
            stats: WalStats::default(),
            writer: Mutex::new(writer),
        });
        shared.stats.segment.store(u64::from(shared.writer.lock().segment()), Ordering::Relaxed);
        let syncer = thread::Builder::new().name("wal-sync".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let panic_guard = OnPanic(&shared);
                shared.run_syncer();
                std::mem::forget(panic_guard);
            }
        });
        let syncer = syncer.map_err(OpenLogError::from)?;
        Ok(Self { shared, syncer: Mutex::new(Some(syncer)) })
    }

    /// Enqueues the records of `batch` and empties it. Never fails; [`Self::wait`] tells whether
    /// the records are logged.
    pub fn enqueue(&self, batch: &mut LogBatch) -> LogPosition {
        batch.seal(self.shared.options.compression);
        self.enqueue_sealed(batch.sealed())
    }

    /// Removes the records of `batch`, for a later [`Self::enqueue_sealed`].
    pub fn take_sealed(&self, batch: &mut LogBatch) -> WriteGroup {
        batch.seal(self.shared.options.compression);
        std::mem::take(batch.sealed())
    }

    /// Enqueues records as [`Self::enqueue`] does. The log keeps all of them together.
    pub fn enqueue_sealed(&self, records: &mut WriteGroup) -> LogPosition {
        let mut queue = self.shared.queue.lock();
        queue.group.append_request(records);
        queue.enqueued.0 += 1;
        queue.enqueued
    }

    /// Returns the end of the queue. A request with only duplicates waits for this position.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.shared.queue.lock().enqueued
    }

    /// Waits until everything up to `position` is written, and synced in mode `Always`. May write
    /// for other requests.
    ///
    /// # Errors
    /// [`WalError`] if a write or sync failed before, or the log is closed.
    pub fn wait(&self, position: LogPosition) -> Result<(), WalError> {
        let shared = &*self.shared;
        let mut queue = shared.queue.lock();
        loop {
            // After a failure nothing is acknowledged, not even earlier writes: a restart may lose
            // them.
            if let LogState::Failed { cause } = &queue.state {
                return Err(WalError::Failed(Arc::clone(cause)));
            }
            if shared.is_durable(&queue, position) {
                return Ok(());
            }
            queue.state.check()?;
            if queue.closing {
                return Err(WalError::Closed);
            }
            if queue.has_leader {
                shared.changed.wait(&mut queue);
            } else {
                queue = shared.commit_as_leader(queue);
            }
        }
    }

    /// Returns the state after a retry of a write that found a full disk, if the retry is due. A
    /// new request may append if the log is writable.
    pub fn check_writable(&self) -> LogState {
        let queue = self.shared.queue.lock();
        let may_try = match &queue.state {
            LogState::NoSpace { next_try, .. } => !queue.has_leader && Instant::now() >= *next_try,
            LogState::Writable | LogState::Failed { .. } => false,
        };
        let queue = if may_try { self.shared.commit_as_leader(queue) } else { queue };
        queue.state.clone()
    }

    /// Returns the current state.
    #[must_use]
    pub fn state(&self) -> LogState {
        self.shared.queue.lock().state.clone()
    }

    /// Writes the queue, cuts the current segment and syncs it. Returns the number of the new
    /// segment.
    ///
    /// # Errors
    /// [`WalError`]. After [`WalError::NoSpace`] the log continues in the current segment.
    pub fn next_segment(&self) -> Result<u32, WalError> {
        let shared = &*self.shared;
        let mut queue = shared.queue.lock();
        while queue.has_leader {
            shared.changed.wait(&mut queue);
        }
        queue.state.check()?;
        if queue.closing {
            return Err(WalError::Closed);
        }
        queue = shared.commit_as_leader(queue);
        queue.state.check()?;
        drop(queue);
        let new_segment = shared.cut_segment().and_then(|segment| {
            shared.sync_finished_segments().map_err(WriteLogError::Failed)?;
            Ok(segment)
        });
        new_segment.map_err(|error| {
            let error = WalError::from(error);
            if let WalError::Failed(cause) = &error {
                shared.mark_failed(&mut shared.queue.lock().state, Arc::clone(cause));
                shared.changed.notify_all();
            }
            error
        })
    }

    /// Returns the parameters of the log.
    #[must_use]
    pub fn options(&self) -> &WalOptions {
        &self.shared.options
    }

    /// Returns the counters of the log.
    #[must_use]
    pub fn stats(&self) -> &WalStats {
        &self.shared.stats
    }

    /// Writes the queue, pads the last page and syncs. Requests that wait later for an unwritten
    /// position get [`WalError::Closed`].
    ///
    /// # Errors
    /// [`WalError`] if the last write or sync failed.
    pub fn close(&self) -> Result<(), WalError> {
        self.stop_syncer();
        let shared = &*self.shared;
        let mut queue = shared.queue.lock();
        while queue.has_leader {
            shared.changed.wait(&mut queue);
        }
        if let LogState::Failed { cause } = &queue.state {
            return Err(WalError::Failed(Arc::clone(cause)));
        }
        queue = shared.commit_as_leader(queue);
        queue.state.check()?;
        drop(queue);
        let finished = shared.writer.lock().finish();
        let finished = finished.and_then(|()| shared.sync_files().map_err(WriteLogError::Failed));
        finished.map_err(WalError::from)
    }

    fn stop_syncer(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.closing.notify_all();
        if let Some(syncer) = self.syncer.lock().take()
            && syncer.join().is_err()
        {
            tracing::error!("WAL sync thread panicked");
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.stop_syncer();
    }
}

/// Guard that is dropped only if the leader or the sync thread panics. The state of the log is then
/// unknown: writing ends, and waiting requests fail.
struct OnPanic<'a>(&'a WalShared);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.has_leader = false;
        let cause = io::Error::other("thread panicked during a write or sync");
        self.0.mark_failed(&mut queue.state, Arc::new(cause));
        self.0.changed.notify_all();
    }
}

impl WalShared {
    fn is_durable(&self, queue: &CommitQueue, position: LogPosition) -> bool {
        position <= if self.options.sync == SyncMode::Always { queue.synced } else { queue.written }
    }

    /// Writes the queue and syncs it in mode `Always`. The caller must have found no other leader.
    fn commit_as_leader<'q>(
        &'q self,
        mut queue: MutexGuard<'q, CommitQueue>,
    ) -> MutexGuard<'q, CommitQueue> {
        queue.has_leader = true;
        let upto = queue.enqueued;
        let spare = std::mem::take(&mut queue.spare);
        let mut group = std::mem::replace(&mut queue.group, spare);
        drop(queue);
        let panic_guard = OnPanic(self);
        let mut outcome = self.write(&mut group);
        if outcome.is_ok() && self.options.sync == SyncMode::Always {
            outcome = self.sync_files().map_err(WriteLogError::Failed);
        }
        std::mem::forget(panic_guard);
        let mut queue = self.queue.lock();
        queue.has_leader = false;
        match outcome {
            Ok(()) => {
                queue.written = upto;
                if self.options.sync == SyncMode::Always {
                    queue.synced = upto;
                }
                if matches!(queue.state, LogState::NoSpace { .. }) {
                    let dir = self.options.dir.display();
                    tracing::info!(%dir, "WAL is writable again");
                    queue.state = LogState::Writable;
                }
                group.clear(MAX_RETAINED_BYTES);
                queue.spare = group;
            }
            Err(WriteLogError::NoSpace(error)) => {
                // Unwritten records return to the front, so that the log keeps the order of the
                // queue.
                let mut later = std::mem::replace(&mut queue.group, group);
                queue.group.append(&mut later);
                self.mark_no_space(&mut queue.state, error);
            }
            Err(WriteLogError::Failed(error)) => {
                self.mark_failed(&mut queue.state, Arc::new(error))
            }
        }
        self.changed.notify_all();
        queue
    }

    fn write(&self, group: &mut WriteGroup) -> Result<(), WriteLogError> {
        let mut writer = self.writer.lock();
        if let Err(error) = writer.write(group) {
            self.stats.write_failures.fetch_add(1, Ordering::Relaxed);
            // Truncate at once, so that a killed process leaves no torn record. If the disk is too
            // full even for that, the next write truncates first.
            return match (error, writer.truncate_torn_write()) {
                (_, Err(WriteLogError::Failed(error))) => Err(WriteLogError::Failed(error)),
                (error, _) => Err(error),
            };
        }
        self.stats.records.fetch_add(group.record_count() as u64, Ordering::Relaxed);
        self.stats.record_bytes.fetch_add(group.byte_len() as u64, Ordering::Relaxed);
        self.stats.writes.fetch_add(1, Ordering::Relaxed);
        self.stats.segment.store(u64::from(writer.segment()), Ordering::Relaxed);
        Ok(())
    }

    fn cut_segment(&self) -> Result<u32, WriteLogError> {
        let mut writer = self.writer.lock();
        if let Err(error) = writer.cut_segment() {
            // As after a failed write: partial padding is removed at once.
            return match (error, writer.truncate_torn_write()) {
                (_, Err(WriteLogError::Failed(error))) => Err(WriteLogError::Failed(error)),
                (error, _) => Err(error),
            };
        }
        self.stats.segment.store(u64::from(writer.segment()), Ordering::Relaxed);
        Ok(writer.segment())
    }

    /// Syncs finished segments, then the current one.
    fn sync_files(&self) -> io::Result<()> {
        let (finished, current) = {
            let mut writer = self.writer.lock();
            (writer.take_finished(), writer.file())
        };
        finished.iter().chain([&current]).try_for_each(|file| self.sync_file(&**file))
    }

    fn sync_file(&self, file: &dyn DiskFile) -> io::Result<()> {
        let started = Instant::now();
        let synced = file.sync();
        self.stats.sync_done(started.elapsed());
        synced
    }

    fn mark_no_space(&self, state: &mut LogState, error: io::Error) {
        if let LogState::Failed { .. } = state {
            return;
        }
        let dir = self.options.dir.display();
        tracing::error!(%dir, %error, "no space for the WAL, read-only until a write succeeds");
        *state =
            LogState::NoSpace { cause: Arc::new(error), next_try: Instant::now() + RETRY_INTERVAL };
    }

    fn mark_failed(&self, state: &mut LogState, cause: Arc<io::Error>) {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        let dir = self.options.dir.display();
        tracing::error!(%dir, error = %cause, "WAL failed, rejecting writes until restart");
        *state = LogState::Failed { cause };
    }

    /// Body of the sync thread, until the log closes.
    fn run_syncer(&self) {
        let interval = match self.options.sync {
            SyncMode::Interval(interval) => interval,
            SyncMode::Os | SyncMode::Always => Duration::from_secs(1),
        };
        let mut queue = self.queue.lock();
        while !queue.closing {
            let tick = Instant::now() + interval;
            while !queue.closing && !self.closing.wait_until(&mut queue, tick).timed_out() {}
            if queue.closing
                || self.options.sync == SyncMode::Always
                || matches!(queue.state, LogState::Failed { .. })
            {
                continue;
            }
            // Read before the sync, which may not cover later writes.
            let upto = queue.written;
            if upto == queue.synced {
                continue;
            }
            drop(queue);
            let synced = match self.options.sync {
                SyncMode::Os => self.sync_finished_segments(),
                SyncMode::Interval(_) | SyncMode::Always => self.sync_files(),
            };
            queue = self.queue.lock();
            match synced {
                Ok(()) => queue.synced = upto,
                Err(error) => {
                    self.mark_failed(&mut queue.state, Arc::new(error));
                    self.changed.notify_all();
                }
            }
        }
    }

    fn sync_finished_segments(&self) -> io::Result<()> {
        let finished = self.writer.lock().take_finished();
        finished.iter().try_for_each(|file| self.sync_file(&**file))
    }
}
