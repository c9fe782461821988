//! Disk for tests: real files, but a simulated crash drops everything that was not synced, and
//! calls fail on demand.
//!
//! # Effects of a crash
//! [`CrashDisk::crash`] applies the strictest interpretation of POSIX:
//! - A file has the bytes of its last sync: later appends are lost, later truncations undone.
//! - A created file exists only if its directory was synced afterwards.
//! - A renamed file has its new name only if the new directory was synced afterwards. It keeps its
//!   old name unless the old directory was synced. If only the old directory was synced, the file
//!   is lost.
//! - A removed file exists again unless its directory was synced afterwards.
//!
//! Directory creation is durable at once; removal and renaming of directories follow the rules of
//! files. A restored directory has its durable content. A directory must be synced before it is
//! renamed.
//!
//! # Locking
//! All state is behind one mutex. The files must be changed through the disk only.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// Fails [`DiskFile::sync`]; the bytes stay undurable.
    Sync,
    /// Fails [`DiskFile::set_len`] without effect.
    SetLen,
    /// Fails [`Disk::create_new`] without effect.
    Create,
    /// Fails [`Disk::sync_dir`] without effect.
    SyncDir,
}

#[derive(Debug, Default)]
struct DiskState {
    /// Durable state of each file by its current path.
    files: HashMap<PathBuf, DurableState>,
    /// Name changes that are not durable yet, oldest first.
    names: Vec<NameChange>,
    calls: HashMap<DiskCall, u64>,
    /// Error number by call and its ordinal, counted from 1 since creation of the disk.
    failures: HashMap<(DiskCall, u64), i32>,
    free_bytes: Option<u64>,
    /// Number of changes that still succeed before the power failure; `None` = no failure.
    power: Option<u64>,
    sync_delay: Duration,
}

#[derive(Debug, Default)]
struct DurableState {
    len: u64,
    /// Offset and bytes that an unsynced truncation removed.
    cut: Option<(u64, Vec<u8>)>,
}

#[derive(Debug)]
enum NameChange {
    Created { path: PathBuf },
    Renamed { from: PathBuf, to: PathBuf, old_synced: bool, new_synced: bool },
    Removed { path: PathBuf, bytes: Vec<u8> },
    RemovedDir { path: PathBuf, files: Vec<(PathBuf, Vec<u8>)> },
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

    /// Sets the free space shared by all files; appends beyond it fail with ENOSPC. `None` =
    /// unlimited.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.lock().free_bytes = bytes;
    }

    /// Makes all changes fail after `changes` more of them.
    pub fn set_power(&self, changes: u64) {
        self.lock().power = Some(changes);
    }

    /// Sets the duration of each file sync.
    pub fn set_sync_delay(&self, delay: Duration) {
        self.lock().sync_delay = delay;
    }

    /// Simulates a power failure: restores the durable state of all files and rejects later
    /// changes.
    pub fn crash(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.power = Some(0);
        for (path, durable) in std::mem::take(&mut state.files) {
            durable.restore(&path)?;
        }
        while let Some(change) = state.names.pop() {
            change.undo()?;
        }
        Ok(())
    }

    fn fail(&self, call: DiskCall, nth: u64, error: i32) {
        let mut state = self.lock();
        let at = state.calls.get(&call).copied().unwrap_or(0) + nth;
        state.failures.insert((call, at), error);
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
        self.spend_power()?;
        failure.map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn spend_power(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => Err(io::Error::other("simulated power failure")),
            Some(remaining) => {
                *remaining -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Removes and returns the undurable name changes below the directory `path`, newest first.
    fn take_names_in(&mut self, path: &Path) -> Vec<NameChange> {
        let (inside, other) =
            std::mem::take(&mut self.names).into_iter().partition(|change| change.is_in(path));
        self.names = other;
        let mut inside: Vec<_> = inside;
        inside.reverse();
        inside
    }

    /// Removes and returns the durable state of the files in the directory `path`.
    fn take_files_in(&mut self, path: &Path) -> Vec<(PathBuf, DurableState)> {
        self.files.extract_if(|file, _| file.parent() == Some(path)).collect()
    }

    /// Returns the durable state of `path`. An untracked file counts as fully durable.
    fn durable(&mut self, path: &Path) -> io::Result<&mut DurableState> {
        if !self.files.contains_key(path) {
            let len = std::fs::metadata(path)?.len();
            self.files.insert(path.to_owned(), DurableState { len, cut: None });
        }
        self.files.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DurableState {
    fn restore(self, path: &Path) -> io::Result<()> {
        let mut bytes = std::fs::read(path)?;
        let (end, cut) = self.cut.unwrap_or((self.len, Vec::new()));
        bytes.truncate(end as usize);
        bytes.extend_from_slice(&cut);
        std::fs::write(path, bytes)
    }
}

impl NameChange {
    /// Records a sync of the directory `dir`. Returns `true` if the change is now durable.
    fn mark_synced(&mut self, dir: &Path) -> bool {
        match self {
            Self::Created { path } | Self::Removed { path, .. } | Self::RemovedDir { path, .. } => {
                path.parent() == Some(dir)
            }
            Self::Renamed { from, to, old_synced, new_synced } => {
                *old_synced |= from.parent() == Some(dir);
                *new_synced |= to.parent() == Some(dir);
                *old_synced && *new_synced
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        match self {
            Self::Created { path } | Self::Removed { path, .. } | Self::RemovedDir { path, .. } => {
                path.starts_with(dir)
            }
            Self::Renamed { from, to, .. } => from.starts_with(dir) || to.starts_with(dir),
        }
    }

    fn undo(self) -> io::Result<()> {
        match self {
            Self::RemovedDir { path, files } => {
                std::fs::create_dir_all(path)?;
                files.iter().try_for_each(|(path, bytes)| std::fs::write(path, bytes))
            }
            Self::Created { path } => std::fs::remove_file(path),
            Self::Removed { path, bytes } => std::fs::write(path, bytes),
            Self::Renamed { to, old_synced: true, .. } => std::fs::remove_file(to),
            Self::Renamed { from, to, new_synced: true, .. } => std::fs::copy(to, from).map(drop),
            Self::Renamed { from, to, .. } => std::fs::rename(to, from),
        }
    }
}

impl Disk for CrashDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call(DiskCall::Create)?;
        let file = OsDisk.create_new(path)?;
        state.files.insert(path.to_owned(), DurableState::default());
        state.names.push(NameChange::Created { path: path.to_owned() });
        Ok(Arc::new(CrashFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let file = OsDisk.open_append(path)?;
        state.durable(path)?;
        Ok(Arc::new(CrashFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.lock().spend_power()?;
        std::fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.spend_power()?;
        if to.exists() {
            return Err(io::Error::other("cannot replace a file on the test disk"));
        }
        if from.is_dir() {
            // The rename is a change in the parent directory, so the names inside must be durable
            // before it.
            if state.names.iter().any(|change| change.is_in(from)) {
                return Err(io::Error::other("a directory must be synced before it is renamed"));
            }
            OsDisk.rename(from, to)?;
            for (file, durable) in state.take_files_in(from) {
                state.files.insert(to.join(file.file_name().unwrap_or_default()), durable);
            }
        } else {
            state.durable(from)?;
            OsDisk.rename(from, to)?;
            if let Some(durable) = state.files.remove(from) {
                state.files.insert(to.to_owned(), durable);
            }
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        state.names.push(NameChange::Renamed { from, to, old_synced: false, new_synced: false });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.spend_power()?;
        let durable = std::mem::take(state.durable(path)?);
        durable.restore(path)?;
        let bytes = std::fs::read(path)?;
        OsDisk.remove_file(path)?;
        state.files.remove(path);
        state.names.push(NameChange::Removed { path: path.to_owned(), bytes });
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.spend_power()?;
        for (file, durable) in state.take_files_in(path) {
            durable.restore(&file)?;
        }
        state.take_names_in(path).into_iter().try_for_each(NameChange::undo)?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let file = entry?.path();
            files.push((file.clone(), std::fs::read(file)?));
        }
        OsDisk.remove_dir_all(path)?;
        state.names.push(NameChange::RemovedDir { path: path.to_owned(), files });
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(DiskCall::SyncDir)?;
        state.names.retain_mut(|change| !change.mark_synced(path));
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<DiskSpace> {
        Ok(DiskSpace { free: self.lock().free_bytes.unwrap_or(SIZE), total: SIZE })
    }
}

#[derive(Debug)]
struct CrashFile {
    disk: CrashDisk,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for CrashFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        if let Err(error) = state.call(DiskCall::Append) {
            if state.power != Some(0) {
                self.file.append(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        let fits = state.free_bytes.map_or(bytes.len(), |free| bytes.len().min(free as usize));
        self.file.append(&bytes[..fits])?;
        if let Some(free) = &mut state.free_bytes {
            *free -= fits as u64;
        }
        if fits < bytes.len() { Err(io::Error::from_raw_os_error(ENOSPC)) } else { Ok(()) }
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
        let durable = state.durable(&self.path)?;
        *durable = DurableState { len, cut: None };
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call(DiskCall::SetLen)?;
        let durable = state.durable(&self.path)?;
        let (end, cut) = durable.cut.take().unwrap_or((durable.len, Vec::new()));
        if len < end {
            let bytes = std::fs::read(&self.path)?;
            let mut removed = bytes[len as usize..end as usize].to_vec();
            removed.extend_from_slice(&cut);
            durable.cut = Some((len, removed));
        } else if !cut.is_empty() {
            durable.cut = Some((end, cut));
        }
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{CrashDisk, DiskCall};
    use crate::tsdb::fs::disk::Disk;

    #[test]
    fn crash_keeps_synced_bytes_only() {
        let dir = tempfile::tempdir().unwrap();
        let (path, unsynced) = (dir.path().join("kept"), dir.path().join("unsynced"));
        let disk = CrashDisk::new();
        let file = disk.create_new(&path).unwrap();
        disk.sync_dir(dir.path()).unwrap();
        disk.create_new(&unsynced).unwrap().sync().unwrap();
        file.append(b"12345").unwrap();
        file.sync().unwrap();
        file.append(b"67").unwrap();
        file.set_len(4).unwrap();
        file.append(b"xyz").unwrap();
        file.set_len(3).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"123");
        disk.crash().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"12345");
        assert!(!unsynced.exists());
        assert!(file.append(b"x").is_err());
    }

    #[test]
    fn crash_undoes_unsynced_renames_and_removals() {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        for (sync_new, sync_old, expected) in [
            (false, false, (true, false)),
            (true, false, (true, true)),
            (false, true, (false, false)),
            (true, true, (false, true)),
        ] {
            let _ = std::fs::remove_dir_all(&old);
            let _ = std::fs::remove_dir_all(&new);
            std::fs::create_dir(&old).unwrap();
            std::fs::create_dir(&new).unwrap();
            std::fs::write(old.join("f"), b"bytes").unwrap();
            std::fs::write(old.join("removed"), b"more").unwrap();
            let disk = CrashDisk::new();
            disk.rename(&old.join("f"), &new.join("f")).unwrap();
            disk.remove_file(&old.join("removed")).unwrap();
            if sync_new {
                disk.sync_dir(&new).unwrap();
            }
            if sync_old {
                disk.sync_dir(&old).unwrap();
            }
            disk.crash().unwrap();
            assert_eq!((old.join("f").exists(), new.join("f").exists()), expected);
            assert_eq!(old.join("removed").exists(), !sync_old);
        }
    }

    #[test]
    fn crash_undoes_unsynced_directory_changes() {
        for synced in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let (made, renamed, removed) = (
                root.path().join("made"),
                root.path().join("renamed"),
                root.path().join("removed"),
            );
            std::fs::create_dir(&removed).unwrap();
            std::fs::write(removed.join("old"), b"old").unwrap();
            let disk = CrashDisk::new();
            disk.create_dir_all(&made).unwrap();
            let file = disk.create_new(&made.join("f")).unwrap();
            file.append(b"1").unwrap();
            file.sync().unwrap();
            file.append(b"2").unwrap();
            assert!(disk.rename(&made, &renamed).is_err(), "directory has an undurable name");
            disk.sync_dir(&made).unwrap();
            disk.rename(&made, &renamed).unwrap();
            let lost = disk.create_new(&removed.join("new")).unwrap();
            lost.append(b"x").unwrap();
            disk.remove_dir_all(&removed).unwrap();
            if synced {
                disk.sync_dir(root.path()).unwrap();
            }
            disk.crash().unwrap();
            assert_eq!(
                (made.exists(), renamed.exists(), removed.exists()),
                (!synced, synced, !synced)
            );
            assert_eq!(std::fs::read(if synced { renamed } else { made }.join("f")).unwrap(), b"1");
            if !synced {
                assert_eq!(std::fs::read(removed.join("old")).unwrap(), b"old");
                assert!(!removed.join("new").exists());
            }
        }
    }

    #[test]
    fn requested_calls_fail() {
        let dir = tempfile::tempdir().unwrap();
        let disk = CrashDisk::new();
        let path = dir.path().join("f");
        let file = disk.create_new(&path).unwrap();
        disk.fail_with_eio(DiskCall::Append, 2);
        file.append(b"1").unwrap();
        assert_eq!(file.append(b"2345").unwrap_err().raw_os_error(), Some(5));
        disk.set_free_bytes(Some(2));
        assert_eq!(file.append(b"678").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        disk.set_free_bytes(None);
        file.append(b"9").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"123679");
        disk.fail_with_eio(DiskCall::Sync, 1);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!((disk.calls(DiskCall::Append), disk.calls(DiskCall::Sync)), (4, 2));
        disk.set_power(1);
        file.append(b"a").unwrap();
        assert!(file.append(b"b").is_err());
    }
}
