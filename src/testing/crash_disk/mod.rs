//! Disk for tests: real files, but a simulated crash drops everything that was not synced, and
//! calls fail on demand.
//!
//! | module | contents |
//! |--------|----------|
//! | `image` | names and bytes as they are, and as a power failure leaves them |
//!
//! # Effects of a crash
//! [`CrashDisk::crash`] applies the strictest interpretation of POSIX:
//! - A file has the bytes of its last sync: later writes are lost, later truncations undone.
//! - A name of a file or directory (created, linked, renamed) exists only if the directory in which
//!   it is was synced afterwards. A removed name exists again unless its directory was synced
//!   afterwards. A file that was moved to another directory is lost if only the old one was synced.
//! - A renamed or restored directory has its durable names only.
//!
//! [`CrashDisk::crash_with_names`] is the other extreme, to which file systems with a journal come
//! close: all names are durable at once, but bytes only after a sync of their file.
//!
//! # Locking
//! All state is behind one mutex. Files are changed through the disk only. Files that something
//! else creates count as durable.

mod image;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::testing::crash_disk::image::{DiskImage, NodeId, SurvivingNames};
use crate::tsdb::fs::disk::{Disk, DiskFile, DiskSpace};
use crate::tsdb::fs::os_disk::OsDisk;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Size of the file system, bytes. All of it is free unless [`CrashDisk::set_free_bytes`] was
/// called.
const SIZE: u64 = 1 << 50;

/// Disk for tests; see the module documentation. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk {
    state: Arc<Mutex<DiskState>>,
}

/// Disk operation that tests can make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskCall {
    /// [`DiskFile::append`]. A failed call writes the first half of the bytes.
    Append,
    /// [`DiskFile::write_at`]. A failed call writes the first half of the bytes.
    WriteAt,
    /// Fails [`DiskFile::sync`]; the bytes stay undurable.
    Sync,
    /// Fails [`DiskFile::truncate`] without effect.
    Truncate,
    /// Fails [`Disk::create_new`] without effect.
    Create,
    /// Fails [`Disk::create_dir`] and [`Disk::create_dir_all`] without effect.
    CreateDir,
    /// Fails [`Disk::hard_link`] without effect.
    Link,
    /// Fails [`Disk::rename`] without effect.
    Rename,
    /// Fails [`Disk::remove_file`] and [`Disk::remove_dir_all`] without effect.
    Remove,
    /// Fails [`Disk::sync_dir`] without effect.
    SyncDir,
}

#[derive(Debug, Default)]
struct DiskState {
    image: DiskImage,
    calls: HashMap<DiskCall, u64>,
    /// Error number by call and its ordinal, counted from 1 since creation of the disk.
    failures: HashMap<(DiskCall, u64), i32>,
    free_bytes: Option<u64>,
    /// Number of changes that still succeed before the power failure; `None` = no failure.
    power: Option<u64>,
    /// Whether a change failed for lack of power.
    is_off: bool,
    sync_delay: Duration,
}

/// Guard of a disk whose changes wait. Dropping it lets them continue.
#[derive(Debug)]
pub struct PausedDisk<'a> {
    _state: MutexGuard<'a, DiskState>,
}

impl CrashDisk {
    /// Returns a disk without failures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of calls, failed ones included.
    #[must_use]
    pub fn calls(&self, call: DiskCall) -> u64 {
        self.lock().calls.get(&call).copied().unwrap_or(0)
    }

    /// Makes the `nth` call from now (1 = the next) fail with EIO.
    pub fn fail_with_eio(&self, call: DiskCall, nth: u64) {
        self.fail(call, nth, EIO);
    }

    /// Makes the `nth` call from now (1 = the next) fail with ENOSPC.
    pub fn fail_with_no_space(&self, call: DiskCall, nth: u64) {
        self.fail(call, nth, ENOSPC);
    }

    /// Sets the free space shared by all files; writes beyond it fail with ENOSPC. `None` =
    /// unlimited.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.lock().free_bytes = bytes;
    }

    /// Makes all changes fail after `changes` more of them. The first removal of a directory that
    /// fails removes a part of it.
    pub fn set_power(&self, changes: u64) {
        self.lock().power = Some(changes);
    }

    /// Returns `true` if a change failed for lack of power.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.lock().is_off
    }

    /// Sets the duration of each file sync.
    pub fn set_sync_delay(&self, delay: Duration) {
        self.lock().sync_delay = delay;
    }

    /// Simulates a power failure: restores the durable names and bytes of all files and rejects
    /// later changes.
    pub fn crash(&self) -> io::Result<()> {
        self.lock().crash(SurvivingNames::Synced)
    }

    /// Simulates a power failure after which all names exist, but files have their durable bytes.
    pub fn crash_with_names(&self) -> io::Result<()> {
        self.lock().crash(SurvivingNames::All)
    }

    /// Makes all changes wait until the guard is dropped.
    #[must_use]
    pub fn pause(&self) -> PausedDisk<'_> {
        PausedDisk { _state: self.lock() }
    }

    fn fail(&self, call: DiskCall, nth: u64, error: i32) {
        let mut state = self.lock();
        let at = state.calls.get(&call).copied().unwrap_or(0) + nth;
        state.failures.insert((call, at), error);
    }

    fn open(&self, node: NodeId, path: &Path, file: Arc<dyn DiskFile>) -> io::Result<CrashFile> {
        Ok(CrashFile { disk: self.clone(), node, reader: File::open(path)?, file })
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskState {
    /// Counts a call.
    ///
    /// # Errors
    /// The error that a test set for this call, or that of a power failure.
    fn call(&mut self, call: DiskCall) -> io::Result<()> {
        let count = self.calls.entry(call).or_insert(0);
        *count += 1;
        let failure = self.failures.remove(&(call, *count));
        match &mut self.power {
            Some(0) => {
                self.is_off = true;
                return Err(io::Error::other("simulated power failure"));
            }
            Some(remaining) => *remaining -= 1,
            None => {}
        }
        failure.map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn crash(&mut self, names: SurvivingNames) -> io::Result<()> {
        self.power = Some(0);
        std::mem::take(&mut self.image).restore(names)
    }

    /// Writes with `write`, which gets the bytes that fit on the disk. `new_bytes` is the number of
    /// bytes by which the file grows.
    fn write(
        &mut self,
        call: DiskCall,
        bytes: &[u8],
        new_bytes: u64,
        write: impl Fn(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Err(error) = self.call(call) {
            if !self.is_off {
                write(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        let excess = self.free_bytes.map_or(0, |free| new_bytes.saturating_sub(free));
        write(&bytes[..bytes.len() - excess as usize])?;
        if let Some(free) = &mut self.free_bytes {
            *free -= new_bytes - excess;
        }
        if excess > 0 { Err(io::Error::from_raw_os_error(ENOSPC)) } else { Ok(()) }
    }
}

impl Disk for CrashDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call(DiskCall::Create)?;
        let file = OsDisk.create_new(path)?;
        let node = state.image.create_file(path)?;
        Ok(Arc::new(self.open(node, path, file)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let file = OsDisk.open_append(path)?;
        let node = state.image.find(path)?;
        Ok(Arc::new(self.open(node, path, file)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::CreateDir)?;
        std::fs::create_dir(path)?;
        state.image.create_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::CreateDir)?;
        // Names that the disk does not know count as durable.
        std::fs::create_dir_all(path)?;
        state.image.find(path).map(drop)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::Link)?;
        std::fs::hard_link(from, to)?;
        state.image.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::Rename)?;
        state.image.keep(from)?;
        if to.exists() {
            state.image.keep(to)?;
        }
        std::fs::rename(from, to)?;
        state.image.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::Remove)?;
        state.image.keep(path)?;
        std::fs::remove_file(path)?;
        state.image.remove(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let was_off = state.is_off;
        if let Err(error) = state.call(DiskCall::Remove) {
            if state.is_off && !was_off {
                state.image.remove_first_file(path)?;
            }
            return Err(error);
        }
        state.image.keep(path)?;
        std::fs::remove_dir_all(path)?;
        state.image.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::SyncDir)?;
        state.image.sync_dir(path)
    }

    fn space(&self, _path: &Path) -> io::Result<DiskSpace> {
        Ok(DiskSpace { free: self.lock().free_bytes.unwrap_or(SIZE), total: SIZE })
    }
}

#[derive(Debug)]
struct CrashFile {
    disk: CrashDisk,
    node: NodeId,
    /// Reads the file even after it was renamed or removed.
    reader: File,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for CrashFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let len = self.file.len()?;
        state.image.begin_change(self.node, len, &self.reader)?;
        let new_bytes = bytes.len() as u64;
        state.write(DiskCall::Append, bytes, new_bytes, |fitting| self.file.append(fitting))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let end = offset + bytes.len() as u64;
        let new_bytes = end.saturating_sub(self.file.len()?).min(bytes.len() as u64);
        state.image.begin_change(self.node, offset, &self.reader)?;
        state.write(DiskCall::WriteAt, bytes, new_bytes, |fitting| {
            self.file.write_at(fitting, offset)
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let delay = state.sync_delay;
        // Appends during the sync are not covered by it.
        let len = self.file.len()?;
        drop(state);
        std::thread::sleep(delay);
        state = self.disk.lock();
        state.call(DiskCall::Sync)?;
        state.image.sync_file(self.node, len, &self.reader)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call(DiskCall::Truncate)?;
        state.image.begin_change(self.node, len, &self.reader)?;
        self.file.truncate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests;
