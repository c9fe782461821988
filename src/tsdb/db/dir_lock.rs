//! The lock of a data directory, as Prometheus has it: `flock` on the file `lock`, removed at a clean end.
//!
//! A Prometheus may run without its lock file (Debian's did so by default). So the start also looks whether another process has
//! files of the log open for writing, as far as `/proc` shows them to this user. Processes that only read them, such as a backup,
//! do not stop the start: segments are never changed in place.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bits of the open flags that hold the access mode.
const O_ACCMODE: u32 = 3;
/// Access mode of a descriptor that only reads.
const O_RDONLY: u32 = 0;

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
    /// Another process has files of the log open for writing, without the lock.
    #[error(
        "process {pid} has {path} open for writing: stop it before narthex uses this data directory"
    )]
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
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { path }),
                Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
            }
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
        // Nothing can be done about a failure here: the lock ends with the process in any case.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Whether `file` is still what `path` names: its last owner may have removed it between our opening and locking it.
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(theirs) => Ok(ours.dev() == theirs.dev() && ours.ino() == theirs.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file below `dir` that another process has open for writing, and that process.
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

/// Returns `true` if the descriptor `fd` of a process can write, also if `/proc` does not tell. A descriptor that was closed in
/// the meantime cannot.
fn is_open_for_writing(pid: u32, fd: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")) {
        Ok(info) => open_flags(&info).is_none_or(|flags| flags & O_ACCMODE != O_RDONLY),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Flags with which a descriptor was opened, from its `fdinfo`: a line `flags:` with an octal number.
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
        let mut other =
            Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(file).spawn().unwrap();
        let refused = DirLock::acquire(dir.path());
        let pid = other.id();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(refused.unwrap_err().to_string(), {
            let path = segment.canonicalize().unwrap();
            format!(
                "process {pid} has {} open for writing: stop it before narthex uses this data directory",
                path.display()
            )
        });
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn log_reader_does_not_block_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("wal")).unwrap();
        let segment = dir.path().join("wal/00000000");
        fs::write(&segment, "records").unwrap();
        let is_refused_beside = |options: &OpenOptions| {
            let file = options.open(&segment).unwrap();
            let mut other = Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
            let refused = DirLock::acquire(dir.path()).is_err();
            other.kill().unwrap();
            other.wait().unwrap();
            refused
        };
        assert!(!is_refused_beside(OpenOptions::new().read(true)), "a reader");
        assert!(is_refused_beside(OpenOptions::new().append(true)), "a writer");
        assert!(
            is_refused_beside(OpenOptions::new().read(true).write(true)),
            "a reader that can write"
        );
    }

    #[test]
    fn open_flags_are_read_from_fdinfo() {
        assert_eq!(open_flags("pos:\t0\nflags:\t02100001\nmnt_id:\t29\n"), Some(0o2_100_001));
        assert_eq!(open_flags("pos:\t0\n"), None);
    }
}
