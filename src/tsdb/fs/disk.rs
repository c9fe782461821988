//! Interface between the storage engine and its files: all changes of files and directories go
//! through a [`Disk`].
//!
//! [`crate::tsdb::fs::os_disk`] is the real implementation, `testing::crash_disk` the test double
//! that drops unsynced data and fails on demand. Readers open files directly.
//!
//! # Durability
//! The bytes of a file are durable after [`DiskFile::sync`]. A name in a directory (creation, link,
//! renaming, removal of a file or directory) is durable after [`Disk::sync_dir`] on that directory.
//! A renamed directory takes with it only the names that are durable in it.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Operations on files and directories.
///
/// Errors are those of the operating system.
pub trait Disk: Send + Sync + Debug {
    /// Creates an empty file.
    ///
    /// # Errors
    /// `AlreadyExists` if the name exists.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for appending.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a directory. Its name is durable after a sync of its parent.
    ///
    /// # Errors
    /// `AlreadyExists` if the name exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents, durably.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates the second name `to` for the file `from`.
    ///
    /// # Errors
    /// `AlreadyExists` if the name exists, `CrossesDevices` if it is on another file system.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file or directory, and replaces a file at the target path.
    ///
    /// # Errors
    /// `CrossesDevices` if the two paths are on different file systems.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Fails for directories.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and its content. A crash may leave any part of it, so a directory that
    /// must not be seen in part is renamed first.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns the space of the file system that contains `path`.
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
}

/// Space of a file system, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes available to unprivileged users.
    pub free: u64,
    /// Size of the file system, used space included.
    pub total: u64,
}

/// File that is open for writing.
///
/// Several threads may use it: one may sync while another appends. Writes are not buffered.
pub trait DiskFile: Send + Sync + Debug {
    /// Appends all of `bytes`, with a single system call if the system accepts them at once.
    ///
    /// # Errors
    /// After an error, the file may contain any part of `bytes`.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, over existing bytes or beyond the end.
    ///
    /// # Errors
    /// After an error, the range may contain any part of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all writes and truncations durable.
    ///
    /// # Errors
    /// After an error it is unknown which bytes are durable, and a later success does not tell
    /// either.
    fn sync(&self) -> io::Result<()>;

    /// Truncates the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Returns the length of the file in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Returns `true` if the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
