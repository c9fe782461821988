//! The file `tombstones` of a block: read at once, replaced as a whole.
//!
//! A block without the file has nothing deleted, as Prometheus takes it; its writers make the file all the same. No lock: of a block
//! one thread at a time replaces it.

use crate::tsdb::fs::durable::{FileError, replace_file};
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::format::{TombstonesFormatError, decode, encode};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file's name in the block's folder.
pub const NAME: &str = "tombstones";

/// Why the file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TombstonesError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The bytes are not what they should be.
    #[error("{path}: {fault}", path = path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: TombstonesFormatError,
    },
}

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TombstonesFile {
    /// What is deleted.
    pub tombstones: Tombstones,
    /// Length of the file, 0 where there is none.
    pub file_bytes: u64,
}

/// Reads the file in the folder of a block; none is an empty set.
///
/// # Errors
/// [`TombstonesError`] where the file can't be read or is damaged.
pub fn read(folder: &Path) -> Result<TombstonesFile, TombstonesError> {
    let path = folder.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(TombstonesFile::default()),
        Err(error) => return Err(FileError::for_step("read", &path)(error).into()),
    };
    let tombstones = decode(&bytes).map_err(|fault| TombstonesError::Corrupted { path, fault })?;
    Ok(TombstonesFile { tombstones, file_bytes: bytes.len() as u64 })
}

/// Puts the set into the folder of a block, durably, in place of the file that is there. Returns its length in bytes.
///
/// # Errors
/// [`FileError`] of the step that failed.
pub fn write(folder: &Path, tombstones: &Tombstones) -> Result<u64, FileError> {
    let bytes = encode(tombstones);
    replace_file(&folder.join(NAME), &bytes)?;
    Ok(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::{NAME, TombstonesError, TombstonesFile, read, write};
    use crate::model::time::TimeRange;
    use crate::tsdb::tombstones::Tombstones;

    #[test]
    fn a_set_survives_in_its_file_and_no_file_is_an_empty_set() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), TombstonesFile::default());
        let mut set = Tombstones::default();
        for series in [1, 40] {
            set.add(series, TimeRange::new(-5, 5));
            let file_bytes = write(dir.path(), &set).unwrap();
            assert_eq!(
                read(dir.path()).unwrap(),
                TombstonesFile { tombstones: set.clone(), file_bytes }
            );
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(dir.path().join(NAME), "").unwrap();
        assert!(
            matches!(read(dir.path()), Err(TombstonesError::Corrupted { path, .. }) if path.ends_with(NAME))
        );
    }
}
