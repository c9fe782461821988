//! Group commit: many requests' records in one write, and one sync where a sync is asked for.
//!
//! ```text
//!   request ──enqueue──▶ queue ──(one of those who wait, the leader)──▶ write ──▶ sync (mode `always`)
//!      └──────────wait(position)──────────────────────────────────────────┴─▶ answer
//! ```
//!
//! The order of the queue is the order of the log. [`Wal::enqueue`] never fails: what the head has accepted must reach the log, or a
//! repeat of the request, which the head would find stored already, would be acknowledged without being logged. So when there is no
//! space, the records stay at the front of the queue, those who wait are told, and no new request is admitted ([`Wal::check_writable`])
//! until a write has succeeded. After a failed sync, or a write that failed for another reason, nothing is written or acknowledged
//! until a restart: the kernel may have dropped pages that it reported as written once. A panic of
//! the leader counts as such a failure, so that all who wait for it are answered.
//!
//! Locks: the queue's mutex is held for copying records and changing states; the writer's only by the leader, over its write.

use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::error::{OpenLogError, WalError, WriteLogError};
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::stats::WalStats;
use crate::tsdb::wal::writer::LogWriter;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// After a failed write, another is tried at most this often.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// The buffer of a group that grew beyond this gives its memory back.
const MAX_RETAINED_BYTES: usize = 8 << 20;

/// What a power cut may cost; a killed process costs nothing in any mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// What the operating system had not written by itself; only full segments are synced.
    Os,
    /// What was written since the last sync, which happens this often.
    Interval(Duration),
    /// Nothing that was acknowledged: every answer waits for a sync, which it shares with others.
    Always,
}

/// What a log is opened with.
#[derive(Debug, Clone)]
pub struct WalOptions {
    /// The folder of the segments.
    pub dir: PathBuf,
    /// Largest size of a segment in bytes, a multiple of the page size.
    pub segment_size: u64,
    /// How records are compressed.
    pub compression: RecordCompression,
    /// When the log is synced.
    pub sync: SyncMode,
    /// Where files are made.
    pub disk: Arc<dyn Disk>,
}

/// A place in the log: everything that was put into the queue up to then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition(u64);

/// Whether the log can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogHealth {
    /// As far as is known.
    Healthy,
    /// There was no space for the last write; another try is made about every second.
    NoSpace(String),
    /// A sync failed, or a write for another reason than space: no writes until a restart.
    Failed(String),
}

/// The log of one directory, open for writing. Shared by all requests.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<WalShared>,
    /// Syncs finished segments, and the current one in mode `interval`.
    syncer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct WalShared {
    options: WalOptions,
    queue: Mutex<CommitQueue>,
    /// Told of every change of what is written or synced, of the state and of the leader.
    changed: Condvar,
    /// Told when the log closes; the syncing thread waits here.
    closing: Condvar,
    writer: Mutex<LogWriter>,
    stats: WalStats,
}

#[derive(Debug)]
struct CommitQueue {
    group: WriteGroup,
    /// An empty group with its buffers, for when the leader takes the other.
    spare: WriteGroup,
    enqueued: LogPosition,
    written: LogPosition,
    synced: LogPosition,
    has_leader: bool,
    state: LogState,
    closing: bool,
}

#[derive(Debug)]
enum LogState {
    Good,
    NoSpace { cause: Arc<io::Error>, next_try: Instant },
    Broken { cause: Arc<io::Error> },
}

impl Wal {
    /// Begins a new segment behind those that are there.
    ///
    /// # Errors
    /// [`WalError::Open`] where it can't be made.
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
            state: LogState::Good,
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
                let unwinding = OnPanic(&shared);
                shared.run_syncer();
                std::mem::forget(unwinding);
            }
        });
        let syncer = syncer.map_err(OpenLogError::from)?;
        Ok(Self { shared, syncer: Mutex::new(Some(syncer)) })
    }

    /// Puts the records of `batch` into the queue and empties it. Never fails; whether they are logged says [`Self::wait`].
    pub fn enqueue(&self, batch: &mut LogBatch) -> LogPosition {
        batch.seal(self.shared.options.compression);
        let mut queue = self.shared.queue.lock();
        queue.group.append(batch.sealed());
        queue.enqueued.0 += 1;
        queue.enqueued
    }

    /// The end of the queue: what a request waits for that found everything stored already.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.shared.queue.lock().enqueued
    }

    /// Returns when the log holds everything up to `position`, synced in mode `always`. May write for others too.
    ///
    /// # Errors
    /// [`WalError`] where a write or sync failed before that.
    pub fn wait(&self, position: LogPosition) -> Result<(), WalError> {
        let shared = &*self.shared;
        let mut queue = shared.queue.lock();
        loop {
            // Once it is broken nothing is acknowledged, not even what was written before: it may be gone after a restart.
            if let LogState::Broken { cause } = &queue.state {
                return Err(WalError::Failed(Arc::clone(cause)));
            }
            if shared.is_durable(&queue, position) {
                return Ok(());
            }
            if let LogState::NoSpace { cause, .. } = &queue.state {
                return Err(WalError::NoSpace(Arc::clone(cause)));
            }
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

    /// Whether a new request may append, and if not, why. After a failed write this is also where the next try is made.
    pub fn check_writable(&self) -> LogHealth {
        let queue = self.shared.queue.lock();
        let may_try = match &queue.state {
            LogState::NoSpace { next_try, .. } => !queue.has_leader && Instant::now() >= *next_try,
            LogState::Good | LogState::Broken { .. } => false,
        };
        let queue = if may_try { self.shared.commit_as_leader(queue) } else { queue };
        queue.state.health()
    }

    /// Whether the log can be written.
    #[must_use]
    pub fn health(&self) -> LogHealth {
        self.shared.queue.lock().state.health()
    }

    /// Writes what is queued, then begins a new segment; the one before is synced. The new one's number.
    ///
    /// # Errors
    /// [`WalError`]. Where there was no space the log is as it was, and goes on as it would have.
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
        let rolled = shared.cut_segment().and_then(|segment| {
            shared.sync_finished_segments().map_err(WriteLogError::Broken)?;
            Ok(segment)
        });
        rolled.map_err(|error| match error {
            WriteLogError::NoSpace(error) => WalError::NoSpace(Arc::new(error)),
            WriteLogError::Broken(error) => {
                let cause = Arc::new(error);
                shared.mark_failed(&mut shared.queue.lock().state, Arc::clone(&cause));
                shared.changed.notify_all();
                WalError::Failed(cause)
            }
        })
    }

    /// What it was opened with.
    #[must_use]
    pub fn options(&self) -> &WalOptions {
        &self.shared.options
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &WalStats {
        &self.shared.stats
    }

    /// Writes what is queued, fills the last page, syncs. Whoever waits afterwards gets [`WalError::Closed`].
    ///
    /// # Errors
    /// [`WalError`] where the last write or sync failed.
    pub fn close(&self) -> Result<(), WalError> {
        self.stop_syncer();
        let shared = &*self.shared;
        let mut queue = shared.queue.lock();
        while queue.has_leader {
            shared.changed.wait(&mut queue);
        }
        if let LogState::Broken { cause } = &queue.state {
            return Err(WalError::Failed(Arc::clone(cause)));
        }
        queue = shared.commit_as_leader(queue);
        queue.state.check()?;
        drop(queue);
        let finished = shared.writer.lock().finish();
        let finished = finished.and_then(|()| shared.sync_files().map_err(WriteLogError::Broken));
        finished.map_err(|error| match error {
            WriteLogError::NoSpace(error) => WalError::NoSpace(Arc::new(error)),
            WriteLogError::Broken(error) => WalError::Failed(Arc::new(error)),
        })
    }

    fn stop_syncer(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.closing.notify_all();
        if let Some(syncer) = self.syncer.lock().take()
            && syncer.join().is_err()
        {
            tracing::error!("the thread that syncs the log has panicked");
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.stop_syncer();
    }
}

/// Dropped only by a panic of the leader or of the syncing thread: what they had reached is not
/// known. Nothing is written any more, and nobody waits for them.
struct OnPanic<'a>(&'a WalShared);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.has_leader = false;
        let cause = io::Error::other("a thread panicked while it wrote or synced");
        self.0.mark_failed(&mut queue.state, Arc::new(cause));
        self.0.changed.notify_all();
    }
}

impl LogState {
    fn check(&self) -> Result<(), WalError> {
        match self {
            Self::Good => Ok(()),
            Self::NoSpace { cause, .. } => Err(WalError::NoSpace(Arc::clone(cause))),
            Self::Broken { cause } => Err(WalError::Failed(Arc::clone(cause))),
        }
    }

    fn health(&self) -> LogHealth {
        match self {
            Self::Good => LogHealth::Healthy,
            Self::NoSpace { cause, .. } => {
                LogHealth::NoSpace(format!("the log can't be written: {cause}"))
            }
            Self::Broken { cause } => LogHealth::Failed(format!("the log failed: {cause}")),
        }
    }
}

impl WalShared {
    fn is_durable(&self, queue: &CommitQueue, position: LogPosition) -> bool {
        position <= if self.options.sync == SyncMode::Always { queue.synced } else { queue.written }
    }

    /// Writes all that is queued, and syncs it in mode `always`. There is no other leader.
    fn commit_as_leader<'q>(
        &'q self,
        mut queue: MutexGuard<'q, CommitQueue>,
    ) -> MutexGuard<'q, CommitQueue> {
        queue.has_leader = true;
        let upto = queue.enqueued;
        let spare = std::mem::take(&mut queue.spare);
        let mut group = std::mem::replace(&mut queue.group, spare);
        drop(queue);
        let unwinding = OnPanic(self);
        let mut outcome = self.write(&mut group);
        if outcome.is_ok() && self.options.sync == SyncMode::Always {
            outcome = self.sync_files().map_err(WriteLogError::Broken);
        }
        std::mem::forget(unwinding);
        let mut queue = self.queue.lock();
        queue.has_leader = false;
        match outcome {
            Ok(()) => {
                queue.written = upto;
                if self.options.sync == SyncMode::Always {
                    queue.synced = upto;
                }
                if matches!(queue.state, LogState::NoSpace { .. }) {
                    tracing::info!("the log can be written again");
                    queue.state = LogState::Good;
                }
                group.clear(MAX_RETAINED_BYTES);
                queue.spare = group;
            }
            Err(WriteLogError::NoSpace(error)) => {
                let mut later = std::mem::replace(&mut queue.group, group);
                queue.group.append(&mut later);
                self.mark_no_space(&mut queue.state, error);
            }
            Err(WriteLogError::Broken(error)) => {
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
            // Cut back at once, so that also a kill finds no torn record; where space lacks even for that, the next write
            // does it first.
            return match (error, writer.truncate_torn_write()) {
                (_, Err(WriteLogError::Broken(error))) => Err(WriteLogError::Broken(error)),
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
            // As after a failed write: what was padded by halves goes at once.
            return match (error, writer.truncate_torn_write()) {
                (_, Err(WriteLogError::Broken(error))) => Err(WriteLogError::Broken(error)),
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
        let begun = Instant::now();
        let synced = file.sync();
        self.stats.sync_done(begun.elapsed());
        synced
    }

    fn mark_no_space(&self, state: &mut LogState, error: io::Error) {
        if let LogState::Broken { .. } = state {
            return;
        }
        tracing::error!(%error, "no space for the log: read-only until a write succeeds");
        *state =
            LogState::NoSpace { cause: Arc::new(error), next_try: Instant::now() + RETRY_INTERVAL };
    }

    fn mark_failed(&self, state: &mut LogState, cause: Arc<io::Error>) {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(error = %cause, "the log failed: no writes until a restart");
        *state = LogState::Broken { cause };
    }

    /// The work of the syncing thread, until the log closes.
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
                || matches!(queue.state, LogState::Broken { .. })
            {
                continue;
            }
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
