//! Lock of a data directory, compatible with Prometheus: `flock` on the file `lock`, which a clean
//! shutdown removes.
//!
//! Prometheus may run without its lock file (as in Debian by default). So startup also checks
//! whether another process has WAL files open for writing, as far as `/proc` shows this to the
//! user. Processes that only read them, such as a backup, are ignored, because segments are never
//! modified in place.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bits of the open flags that contain the access mode.
const O_ACCMODE: u32 = 3;
/// Access mode of a read-only descriptor.
const O_RDONLY: u32 = 0;

/// Lock of a directory. Dropping it removes the lock file and releases the lock.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    file: File,
}

/// Error of locking a directory.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{path}: another process (narthex or Prometheus) has locked this data directory")]
    Held {
        /// Path of the lock file.
        path: PathBuf,
    },
    /// Another process has WAL files open for writing, without the lock.
    #[error(
        "process {pid} has {path} open for writing: stop it before narthex uses this data directory"
    )]
    InUse {
        /// Id of the process.
        pid: u32,
        /// WAL file that the process has open.
        path: PathBuf,
    },
    /// The lock file cannot be opened or locked.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// Path of the lock file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl DirLock {
    /// Locks `dir`, which must exist.
    ///
    /// # Errors
    /// [`LockError`] if another process uses the directory.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = loop {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { path }),
                Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
            }
            // Otherwise the previous owner removed the file after it was opened here.
            if is_same_file(&file, &path).map_err(failed)? {
                break file;
            }
        };
        let lock = Self { path, file };
        match written_elsewhere(&dir.join("wal")) {
            Some((pid, path)) => Err(LockError::InUse { pid, path }),
            None => Ok(lock),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Errors are ignored: the lock ends with the process at the latest.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Returns `true` if `path` still names `file`. The previous owner may have removed it between open
/// and lock.
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(theirs) => Ok(ours.dev() == theirs.dev() && ours.ino() == theirs.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns a file below `dir` that another process has open for writing, and the id of that
/// process.
fn written_elsewhere(dir: &Path) -> Option<(u32, PathBuf)> {
    let dir = dir.canonicalize().ok()?;
    let own = std::process::id();
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != own).find_map(|pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        files.flatten().find_map(|fd| {
            let file = fs::read_link(fd.path()).ok().filter(|file| file.starts_with(&dir))?;
            is_open_for_writing(pid, fd.file_name().to_str()?).then_some((pid, file))
        })
    })
}

/// Returns `true` if the descriptor `fd` of a process is open for writing, or if `/proc` does not
/// show its mode. A descriptor that was closed since then is not open.
fn is_open_for_writing(pid: u32, fd: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")) {
        Ok(info) => open_flags(&info).is_none_or(|flags| flags & O_ACCMODE != O_RDONLY),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Parses the open flags of a descriptor from its `fdinfo`: a line `flags:` with an octal number.
fn open_flags(info: &str) -> Option<u32> {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::{DirLock, LockError, open_flags};
    use std::fs::{self, File, OpenOptions};
    use std::process::{Command, Stdio};

    #[test]
    fn second_lock_is_rejected_and_released_lock_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::acquire(dir.path()).unwrap();
        assert!(matches!(DirLock::acquire(dir.path()), Err(LockError::Held { .. })));
        drop(first);
        assert!(!dir.path().join("lock").exists());
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn process_with_open_wal_and_no_lock_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("wal")).unwrap();
        let segment = dir.path().join("wal/00000000");
        let file = File::create(&segment).unwrap();
        let mut other =
            Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(file).spawn().unwrap();
        let refused = DirLock::acquire(dir.path());
        let pid = other.id();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(refused.unwrap_err().to_string(), {
            let path = segment.canonicalize().unwrap();
            format!(
                "process {pid} has {} open for writing: \
                 stop it before narthex uses this data directory",
                path.display()
            )
        });
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn wal_reader_does_not_prevent_locking() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("wal")).unwrap();
        let segment = dir.path().join("wal/00000000");
        fs::write(&segment, "records").unwrap();
        let is_rejected_with = |options: &OpenOptions| {
            let file = options.open(&segment).unwrap();
            let mut other = Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
            let is_rejected = DirLock::acquire(dir.path()).is_err();
            other.kill().unwrap();
            other.wait().unwrap();
            is_rejected
        };
        assert!(!is_rejected_with(OpenOptions::new().read(true)), "read-only");
        assert!(is_rejected_with(OpenOptions::new().append(true)), "append");
        assert!(is_rejected_with(OpenOptions::new().read(true).write(true)), "read and write");
    }

    #[test]
    fn open_flags_are_read_from_fdinfo() {
        assert_eq!(open_flags("pos:\t0\nflags:\t02100001\nmnt_id:\t29\n"), Some(0o2_100_001));
        assert_eq!(open_flags("pos:\t0\n"), None);
    }
}
