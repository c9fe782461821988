//! Files of `chunks_head/`: list, open, check, quarantine.
//!
//! Invariant: the numbers of the files are consecutive whenever a process ends, in the directory
//! and in `ChunkFileSet`, because files are removed from one end only. A gap means that a file was
//! lost. The files after a gap cannot be used: replay skips WAL samples up to the last chunk of a
//! series, and would therefore skip those of the lost file.

use crate::tsdb::chunk::head_chunks::error::{HeadChunkCorruption, HeadChunksError};
use crate::tsdb::chunk::head_chunks::format::{
    self, FILE_HEADER, HeadChunkFormatError, HeadChunkRecord,
};
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::mmap::MappedFile;
use crate::tsdb::fs::quarantine::move_file;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result of opening the directory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ChunkDirReport {
    /// Last file, if it was removed because it had no content.
    pub removed_empty: Option<PathBuf>,
}

/// File of the directory, mapped into memory.
#[derive(Debug, Clone)]
pub(super) struct ChunkFile {
    pub(super) path: Arc<Path>,
    pub(super) mapped: Arc<MappedFile>,
}

/// Mapped files, by number.
#[derive(Debug, Default)]
pub(super) struct ChunkFileSet {
    by_number: BTreeMap<u32, ChunkFile>,
    unusable: Option<Unusable>,
}

/// Files from the first unusable one on, found when the directory was opened.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) corruption: HeadChunkCorruption,
    files: Vec<UnusableFile>,
}

#[derive(Debug)]
struct UnusableFile {
    number: u32,
    path: PathBuf,
    mapped: Option<Arc<MappedFile>>,
}

/// File that was moved to the quarantine.
#[derive(Debug)]
pub(super) struct QuarantinedFile {
    pub(super) number: u32,
    pub(super) moved_to: PathBuf,
    /// Content of the file, if it can be mapped.
    pub(super) mapped: Option<Arc<MappedFile>>,
}

impl ChunkFileSet {
    pub(super) fn get(&self, number: u32) -> Option<&ChunkFile> {
        self.by_number.get(&number)
    }

    pub(super) fn add(&mut self, number: u32, file: ChunkFile) {
        self.by_number.insert(number, file);
    }

    pub(super) fn remove_from_set(&mut self, number: u32) {
        self.by_number.remove(&number);
    }

    /// Returns all numbers, ascending.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.by_number.keys().copied()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.by_number.values().map(|file| &file.path)
    }

    /// Returns the highest number, or 0 if there are no files.
    pub(super) fn last_number(&self) -> u32 {
        self.by_number.last_key_value().map_or(0, |(&number, _)| number)
    }

    /// Returns the corruption that was found when the directory was opened.
    pub(super) fn opening_damage(&self) -> Option<&HeadChunkCorruption> {
        self.unusable.as_ref().map(|unusable| &unusable.corruption)
    }

    /// Moves all unusable files to `quarantine`, newest first: the ones found when the directory
    /// was opened, and the ones from `number` on.
    pub(super) fn quarantine_from(
        &mut self,
        disk: &dyn Disk,
        number: Option<u32>,
        quarantine: &Path,
    ) -> Result<Vec<QuarantinedFile>, HeadChunksError> {
        disk.create_dir_all(quarantine).map_err(io_error("create directory", quarantine))?;
        let mut moved = Vec::new();
        if let Some(unusable) = &mut self.unusable {
            while let Some(UnusableFile { number, path, mapped }) = unusable.files.last() {
                let moved_to = move_to_quarantine(disk, *number, path, quarantine)?;
                moved.push(QuarantinedFile { number: *number, moved_to, mapped: mapped.clone() });
                unusable.files.pop();
            }
        }
        self.unusable = None;
        let is_after = |last: u32| number.is_some_and(|number| last >= number);
        while let Some(last) = self.by_number.last_entry().filter(|last| is_after(*last.key())) {
            let moved_to = move_to_quarantine(disk, *last.key(), &last.get().path, quarantine)?;
            let (number, file) = last.remove_entry();
            moved.push(QuarantinedFile { number, moved_to, mapped: Some(file.mapped) });
        }
        Ok(moved)
    }
}

impl ChunkFile {
    /// Verifies every record of the file. An error includes the offset of the header or record.
    pub(super) fn check(&self) -> Result<(), (usize, HeadChunkFormatError)> {
        let bytes = self.mapped.bytes();
        format::check_file_header(bytes).map_err(|fault| (0, fault))?;
        let mut offset = FILE_HEADER;
        loop {
            let rest = &bytes[offset..];
            let Some(record) = HeadChunkRecord::parse(rest).map_err(|fault| (offset, fault))?
            else {
                return Ok(());
            };
            record.verify(rest).map_err(|fault| (offset, fault))?;
            offset += record.len();
        }
    }
}

/// Returns the valid prefix of a file, which is empty if the header is corrupted.
pub(super) fn readable_prefix(bytes: &[u8]) -> &[u8] {
    if format::check_file_header(bytes).is_err() {
        return &[];
    }
    let mut end = FILE_HEADER;
    while let Some(rest) = bytes.get(end..)
        && let Ok(Some(record)) = HeadChunkRecord::parse(rest)
        && record.verify(rest).is_ok()
    {
        end += record.len();
    }
    &bytes[..end]
}

/// Lists and maps all files of `dir`.
pub(super) fn open_all(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<(ChunkFileSet, ChunkDirReport), HeadChunksError> {
    disk.create_dir_all(dir).map_err(io_error("create directory", dir))?;
    let mut listed = list(dir)?;
    let mut opened = ChunkDirReport::default();
    if let Some((_, last)) = listed.pop_if(|(_, path)| is_unwritten(path).unwrap_or(false)) {
        remove(disk, &last)?;
        opened.removed_empty = Some(last);
    }
    let mut files = ChunkFileSet::default();
    for (number, path) in listed {
        let corruption =
            |fault: HeadChunkFormatError| HeadChunkCorruption::at(path.clone(), 0, fault);
        let mapped = map(&path)?;
        if let Some(unusable) = &mut files.unusable {
            unusable.files.push(UnusableFile { number, path, mapped: mapped.ok() });
            continue;
        }
        let order =
            files.by_number.last_key_value().map_or(Ok(()), |(&last, _)| follows(last, number));
        match (order, mapped) {
            (Ok(()), Ok(mapped)) => files.add(number, ChunkFile { path: path.into(), mapped }),
            (Err(fault), mapped) => {
                let corruption = corruption(fault);
                let file = UnusableFile { number, path, mapped: mapped.ok() };
                files.unusable = Some(Unusable { corruption, files: vec![file] });
            }
            (Ok(()), Err(kind)) => {
                let corruption = corruption(HeadChunkFormatError::Unmappable(kind));
                let file = UnusableFile { number, path, mapped: None };
                files.unusable = Some(Unusable { corruption, files: vec![file] });
            }
        }
    }
    Ok((files, opened))
}

/// Checks that `number` is the successor of `last`.
fn follows(last: u32, number: u32) -> Result<(), HeadChunkFormatError> {
    match number.checked_sub(last) {
        Some(1) => Ok(()),
        Some(0) | None => Err(HeadChunkFormatError::Twice),
        Some(_) => Err(HeadChunkFormatError::Gap { missing: last + 1 }),
    }
}

/// Maps a file.
///
/// The inner error is a property of the file, such as a bad sector or an entry that is not a file.
/// The outer error is a lack of permission, descriptors or memory, which is no reason to move a
/// file.
fn map(path: &Path) -> Result<Result<Arc<MappedFile>, io::ErrorKind>, HeadChunksError> {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let error = match File::open(path).and_then(|file| MappedFile::map_all(&file)) {
        Ok(mapped) => return Ok(Ok(Arc::new(mapped))),
        Err(error) => error,
    };
    let is_resource_error =
        matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::OutOfMemory)
            || matches!(error.raw_os_error(), Some(ENFILE | EMFILE));
    if is_resource_error { Err(io_error("map", path)(error)) } else { Ok(Err(error.kind())) }
}

/// Returns the files with numeric names, sorted by number.
fn list(dir: &Path) -> Result<Vec<(u32, PathBuf)>, HeadChunksError> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        let name = entry.file_name();
        let digits = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            listed.push((number, entry.path()));
        }
    }
    listed.sort_unstable();
    Ok(listed)
}

/// Returns `true` if a file is empty or all zeros: it was created, but nothing was written.
fn is_unwritten(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            n if buffer[..n].iter().any(|&byte| byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Moves the file `number` to `quarantine`, durably, and returns its new path.
fn move_to_quarantine(
    disk: &dyn Disk,
    number: u32,
    path: &Path,
    quarantine: &Path,
) -> Result<PathBuf, HeadChunksError> {
    move_file(disk, path, &unused_name(quarantine, number))
        .map_err(|FileError { step, path, source }| HeadChunksError::Io { step, path, source })
}

/// Returns an unused path in `quarantine`.
fn unused_name(quarantine: &Path, number: u32) -> PathBuf {
    let first = quarantine.join(format!("chunks_head.{number:06}"));
    let further = (1..u32::MAX).map(|n| quarantine.join(format!("chunks_head.{number:06}.{n}")));
    std::iter::once(first.clone()).chain(further).find(|path| !path.exists()).unwrap_or(first)
}

/// Removes a file. A missing file is not an error.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), HeadChunksError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Syncs the entries of a directory.
pub(super) fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), HeadChunksError> {
    disk.sync_dir(dir).map_err(io_error("sync directory", dir))
}

/// Returns the length of a file, bytes; 0 if it has been removed.
pub(super) fn len(path: &Path) -> Result<u64, HeadChunksError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error("stat", path)(error)),
    }
}

/// Returns a function that adds the step and the path to an error of the operating system.
pub(super) fn io_error<'a>(
    step: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> HeadChunksError + use<'a> {
    move |source| HeadChunksError::Io { step, path: path.to_owned(), source }
}
