//! The file `tombstones` of a block: read and replaced as a whole.
//!
//! A block without the file has no tombstones, as in Prometheus; narthex always writes the file.
//! There is no lock: the caller makes sure that only one thread replaces the file of a block.

use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, replace_file};
use crate::tsdb::tombstones::Tombstones;
use crate::tsdb::tombstones::format::{TombstonesFormatError, decode, encode};
use std::io::ErrorKind;
use std::path::Path;

/// Name of the file in the block's directory.
pub const NAME: &str = "tombstones";

/// Error of reading the file.
#[derive(Debug, thiserror::Error)]
pub enum TombstonesError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The content of the file is corrupted.
    #[error(transparent)]
    Corrupted(#[from] Corruption<TombstonesFormatError>),
}

/// Content and size of the file of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TombstonesFile {
    /// Tombstones of all series in the block.
    pub tombstones: Tombstones,
    /// Length of the file in bytes; 0 if it does not exist.
    pub file_bytes: u64,
}

/// Reads the file of the block in `dir`. A missing file is an empty set.
///
/// # Errors
/// [`TombstonesError`] if the file cannot be read or is corrupted.
pub fn read(dir: &Path) -> Result<TombstonesFile, TombstonesError> {
    let path = dir.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(TombstonesFile::default()),
        Err(error) => return Err(FileError::for_step("read", &path)(error).into()),
    };
    let tombstones = decode(&bytes)
        .map_err(|fault| Corruption::<TombstonesFormatError>::of_file(path, fault))?;
    Ok(TombstonesFile { tombstones, file_bytes: bytes.len() as u64 })
}

/// Replaces the file of the block in `dir`, durably. Returns its length in bytes.
///
/// # Errors
/// [`FileError`] of the failed step.
pub fn write(disk: &dyn Disk, dir: &Path, tombstones: &Tombstones) -> Result<u64, FileError> {
    let bytes = encode(tombstones);
    replace_file(disk, &dir.join(NAME), &bytes)?;
    Ok(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::{NAME, TombstonesError, TombstonesFile, read, write};
    use crate::model::time::TimeRange;
    use crate::tsdb::fs::os_disk::OsDisk;
    use crate::tsdb::tombstones::Tombstones;

    #[test]
    fn set_is_read_back_and_missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), TombstonesFile::default());
        let mut set = Tombstones::default();
        for series in [1, 40] {
            set.add(series, TimeRange::new(-5, 5));
            let file_bytes = write(&OsDisk, dir.path(), &set).unwrap();
            assert_eq!(
                read(dir.path()).unwrap(),
                TombstonesFile { tombstones: set.clone(), file_bytes }
            );
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(dir.path().join(NAME), "").unwrap();
        assert!(matches!(
            read(dir.path()),
            Err(TombstonesError::Corrupted(corruption)) if corruption.path.ends_with(NAME)
        ));
    }
}
