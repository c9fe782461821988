//! The seam between the engine and its files: everything that is written durably goes through a [`Disk`].
//!
//! `os_disk.rs` is the real one; `crash_disk.rs` is a double for tests that forgets what was not synced and fails on demand.
//! Reading is not part of it: readers open files directly.
//!
//! A file's bytes are durable once [`DiskFile::sync`] returned. That a file exists, has a name or is gone is durable once
//! [`Disk::sync_dir`] of its directory returned.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Steps on files and directories.
pub trait Disk: Send + Sync + Debug {
    /// Creates an empty file for appending.
    ///
    /// # Errors
    /// `AlreadyExists` where there is a file of that name; else what the system says.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists, for appending.
    ///
    /// # Errors
    /// What the system says.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a directory and those above it, where they do not exist, and makes that durable.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or directory another name, in place of a file that has it.
    ///
    /// # Errors
    /// What the system says; `CrossesDevices` where the two names lie in different file systems.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and what is in it. A crash may leave any part of it.
    ///
    /// # Errors
    /// What the system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which files a directory has.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// How much space the file system of `path` has.
    ///
    /// # Errors
    /// What the system says.
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What can still be written without being root.
    pub free: u64,
    /// All of it, whoever has it.
    pub total: u64,
}

/// A file that is only appended to and cut. Usable by several threads at once: one may sync while another appends.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bytes` at the end, with a single call to the system where that takes them all.
    ///
    /// # Errors
    /// What the system says. Any part of `bytes` may then stand in the file.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was appended and cut durable.
    ///
    /// # Errors
    /// What the system says. Nothing is then known about what is durable, and trying again tells nothing either.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
