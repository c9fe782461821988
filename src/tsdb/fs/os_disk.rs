//! Implementation of [`Disk`] on the operating system's files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::tsdb::fs::disk::{Disk, DiskFile, DiskSpace};

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsFile::open(OpenOptions::new().write(true).create_new(true), path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsFile::open(OpenOptions::new().write(true), path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir_all(parent)?;
        }
        match std::fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
                return Err(error);
            }
            _ => {}
        }
        self.sync_dir(parent.unwrap_or(Path::new(".")))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(DiskSpace {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

/// Open file and the position of its end.
#[derive(Debug)]
struct OsFile {
    file: File,
    /// Length of the file, bytes. Tracked here because Linux ignores the offset of a write to a
    /// file that is open for appending.
    end: Mutex<u64>,
}

impl OsFile {
    fn open(options: &OpenOptions, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = options.open(path)?;
        let end = Mutex::new(file.metadata()?.len());
        Ok(Arc::new(Self { file, end }))
    }
}

impl DiskFile for OsFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut end = self.end.lock();
        let written = self.file.write_all_at(bytes, *end);
        // After an error, the next append follows whatever was written.
        *end = if written.is_ok() { *end + bytes.len() as u64 } else { self.len()? };
        written
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut end = self.end.lock();
        let written = self.file.write_all_at(bytes, offset);
        let reached = if written.is_ok() { offset + bytes.len() as u64 } else { self.len()? };
        *end = reached.max(*end);
        written
    }

    fn sync(&self) -> io::Result<()> {
        // Readers need data and length. The modification time may be lost.
        self.file.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut end = self.end.lock();
        self.file.set_len(len)?;
        *end = len;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::OsDisk;
    use crate::tsdb::fs::disk::Disk;

    #[test]
    fn space_of_missing_path_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let space = OsDisk.space(dir.path()).unwrap();
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        assert!(OsDisk.space(&dir.path().join("nothing")).is_err());
    }

    #[test]
    fn append_after_truncate_writes_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        OsDisk.create_dir_all(&deep).unwrap();
        OsDisk.create_dir_all(&deep).unwrap();
        let path = deep.join("file");
        let file = OsDisk.create_new(&path).unwrap();
        assert!(OsDisk.create_new(&path).is_err());
        file.append(b"12345").unwrap();
        file.truncate(2).unwrap();
        file.append(b"xy").unwrap();
        file.sync().unwrap();
        OsDisk.open_append(&path).unwrap().append(b"z").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"12xyz");
        assert_eq!(file.len().unwrap(), 5);
        OsDisk.hard_link(&path, &deep.join("link")).unwrap();
        assert!(OsDisk.hard_link(&path, &deep.join("link")).is_err());
        OsDisk.rename(&path, &deep.join("other")).unwrap();
        OsDisk.sync_dir(&deep).unwrap();
        OsDisk.remove_file(&deep.join("other")).unwrap();
        assert!(OsDisk.open_append(&path).is_err());
        assert_eq!(std::fs::read(deep.join("link")).unwrap(), b"12xyz");
    }

    #[test]
    fn write_at_overwrites_and_extends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = OsDisk.create_new(&path).unwrap();
        file.append(b"12345").unwrap();
        file.write_at(b"xy", 1).unwrap();
        file.append(b"6").unwrap();
        file.write_at(b"ab", 5).unwrap();
        file.append(b"c").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"1xy45abc");
        assert!(OsDisk.create_dir(&path).is_err());
        OsDisk.create_dir(&dir.path().join("dir")).unwrap();
        assert!(OsDisk.create_dir(&dir.path().join("dir")).is_err());
    }
}
