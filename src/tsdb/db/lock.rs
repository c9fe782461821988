//! The lock of a data directory, as Prometheus has it: `flock` on the file `lock`, removed at a clean end.
//!
//! A Prometheus may run without its lock file (Debian's did so by default). So the start also looks whether another process has
//! files of the log open, as far as `/proc` shows them to this user.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A held lock; released, and its file removed, when dropped.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    file: File,
}

/// Why the directory can't be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{path}: another process (narthex or Prometheus) has locked this data directory")]
    Held {
        /// The lock file.
        path: PathBuf,
    },
    /// Another process has files of the log open, without the lock.
    #[error("process {pid} has {path} open: stop it before narthex uses this data directory")]
    InUse {
        /// Its process id.
        pid: u32,
        /// The file that it has open.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl DirLock {
    /// Locks `dir`, which must exist.
    ///
    /// # Errors
    /// [`LockError`] where another process uses the directory.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { path }),
                Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
            }
            if is_at(&file, &path).map_err(failed)? {
                break file;
            }
        };
        let lock = Self { path, file };
        match open_elsewhere(&dir.join("wal")) {
            Some((pid, path)) => Err(LockError::InUse { pid, path }),
            None => Ok(lock),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Nothing can be done about a failure here: the lock ends with the process in any case.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Whether `file` is still what `path` names: its last owner may have removed it between our opening and locking it.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(theirs) => Ok(ours.dev() == theirs.dev() && ours.ino() == theirs.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file below `dir` that another process has open, and that process.
fn open_elsewhere(dir: &Path) -> Option<(u32, PathBuf)> {
    let dir = dir.canonicalize().ok()?;
    let own = std::process::id();
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != own).find_map(|pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        files
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .find(|file| file.starts_with(&dir))
            .map(|f| (pid, f))
    })
}

#[cfg(test)]
mod tests {
    use super::{DirLock, LockError};
    use std::fs::{self, File};
    use std::process::{Command, Stdio};

    #[test]
    fn a_second_lock_is_refused_and_a_released_one_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::acquire(dir.path()).unwrap();
        assert!(matches!(DirLock::acquire(dir.path()), Err(LockError::Held { .. })));
        drop(first);
        assert!(!dir.path().join("lock").exists());
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_process_that_has_the_log_open_without_a_lock_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("wal")).unwrap();
        let segment = dir.path().join("wal/00000000");
        let file = File::create(&segment).unwrap();
        let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(file).spawn().unwrap();
        let refused = DirLock::acquire(dir.path());
        let pid = other.id();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(refused.unwrap_err().to_string(), {
            let path = segment.canonicalize().unwrap();
            format!("process {pid} has {} open: stop it before narthex uses this data directory", path.display())
        });
        DirLock::acquire(dir.path()).unwrap();
    }
}
