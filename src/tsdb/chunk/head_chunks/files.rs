//! Which head-chunk files there are: finding and opening them, checking one, moving damaged ones away.
//!
//! Invariant: the numbers of the files follow each other without a gap, in the directory as in `ChunkFileSet`, whenever a process ends:
//! files go away from one end only. A directory that violates this lost a file. The files behind the gap cannot be used:
//! replay skips log samples up to the last chunk of a series, and so would skip those of the lost file.

use crate::tsdb::chunk::head_chunks::error::{HeadChunkCorruption, HeadChunksError};
use crate::tsdb::chunk::head_chunks::format::{
    self, FILE_HEADER, HeadChunkFormatError, HeadChunkRecord,
};
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::mmap::MappedFile;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::fs::quarantine::move_file;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What opening the directory found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ChunkDirReport {
    /// The last file, removed because it was created but never written to.
    pub removed_empty: Option<PathBuf>,
}

/// A mapped file.
#[derive(Debug, Clone)]
pub(super) struct ChunkFile {
    pub(super) path: Arc<Path>,
    pub(super) mapped: Arc<MappedFile>,
}

/// The mapped files by number.
#[derive(Debug, Default)]
pub(super) struct ChunkFileSet {
    by_number: BTreeMap<u32, ChunkFile>,
    unusable: Option<Unusable>,
}

/// The files from the first one that cannot be used, found when the directory was opened.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) damage: HeadChunkCorruption,
    files: Vec<UnusableFile>,
}

#[derive(Debug)]
struct UnusableFile {
    number: u32,
    path: PathBuf,
    mapped: Option<Arc<MappedFile>>,
}

/// A file in the quarantine.
#[derive(Debug)]
pub(super) struct QuarantinedFile {
    pub(super) number: u32,
    pub(super) moved_to: PathBuf,
    /// Its content, if it can be mapped.
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

    /// All numbers, from the lowest up.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.by_number.keys().copied()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.by_number.values().map(|file| &file.path)
    }

    /// The highest number, 0 where there is no file.
    pub(super) fn last_number(&self) -> u32 {
        self.by_number.last_key_value().map_or(0, |(&number, _)| number)
    }

    /// Damage that was found when the directory was opened.
    pub(super) fn opening_damage(&self) -> Option<&HeadChunkCorruption> {
        self.unusable.as_ref().map(|unusable| &unusable.damage)
    }

    /// Moves all files that cannot be used to `quarantine`, the last one first: those that were found
    /// unusable when the directory was opened, and those from `number` on.
    pub(super) fn quarantine_from(
        &mut self,
        number: Option<u32>,
        quarantine: &Path,
    ) -> Result<Vec<QuarantinedFile>, HeadChunksError> {
        OsDisk.create_dir_all(quarantine).map_err(io_error("create directory", quarantine))?;
        let mut moved = Vec::new();
        if let Some(unusable) = &mut self.unusable {
            while let Some(UnusableFile { number, path, mapped }) = unusable.files.last() {
                let moved_to = move_to_quarantine(*number, path, quarantine)?;
                moved.push(QuarantinedFile { number: *number, moved_to, mapped: mapped.clone() });
                unusable.files.pop();
            }
        }
        self.unusable = None;
        let is_after = |last: u32| number.is_some_and(|number| last >= number);
        while let Some(last) = self.by_number.last_entry().filter(|last| is_after(*last.key())) {
            let moved_to = move_to_quarantine(*last.key(), &last.get().path, quarantine)?;
            let (number, file) = last.remove_entry();
            moved.push(QuarantinedFile { number, moved_to, mapped: Some(file.mapped) });
        }
        Ok(moved)
    }
}

impl ChunkFile {
    /// Looks at every byte of the file; where there is a fault, tells where its record begins.
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

/// The bytes of a file before its first damage; none if its header is damaged.
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

/// Finds and maps all files of `dir`.
pub(super) fn open_all(dir: &Path) -> Result<(ChunkFileSet, ChunkDirReport), HeadChunksError> {
    fs::create_dir_all(dir).map_err(io_error("create directory", dir))?;
    let mut found = list(dir)?;
    let mut opened = ChunkDirReport::default();
    if let Some((_, last)) = found.pop_if(|(_, path)| is_unwritten(path).unwrap_or(false)) {
        remove(&last)?;
        opened.removed_empty = Some(last);
    }
    let mut files = ChunkFileSet::default();
    for (number, path) in found {
        let damage = |fault| HeadChunkCorruption { path: path.clone(), offset: 0, fault };
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
                let damage = damage(fault);
                let file = UnusableFile { number, path, mapped: mapped.ok() };
                files.unusable = Some(Unusable { damage, files: vec![file] });
            }
            (Ok(()), Err(kind)) => {
                let damage = damage(HeadChunkFormatError::Unmappable(kind));
                let file = UnusableFile { number, path, mapped: None };
                files.unusable = Some(Unusable { damage, files: vec![file] });
            }
        }
    }
    Ok((files, opened))
}

/// Checks that a file with the number `number` can stand behind that with the number `last`.
fn follows(last: u32, number: u32) -> Result<(), HeadChunkFormatError> {
    match number.checked_sub(last) {
        Some(1) => Ok(()),
        Some(0) | None => Err(HeadChunkFormatError::Twice),
        Some(_) => Err(HeadChunkFormatError::Gap { missing: last + 1 }),
    }
}

/// Maps a file. The inner error is a property of the file, such as a bad sector or an entry that is no file; the outer one is a
/// lack of permission, descriptors or memory, for which no file is to be moved away.
fn map(path: &Path) -> Result<Result<Arc<MappedFile>, io::ErrorKind>, HeadChunksError> {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let error = match File::open(path).and_then(|file| MappedFile::map_all(&file)) {
        Ok(mapped) => return Ok(Ok(Arc::new(mapped))),
        Err(error) => error,
    };
    let is_lack =
        matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::OutOfMemory)
            || matches!(error.raw_os_error(), Some(ENFILE | EMFILE));
    if is_lack { Err(io_error("map", path)(error)) } else { Ok(Err(error.kind())) }
}

/// The files whose names are numbers, in the order of the numbers.
fn list(dir: &Path) -> Result<Vec<(u32, PathBuf)>, HeadChunksError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        let name = entry.file_name();
        let digits = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a file was created but nothing, not even its header, reached it: it is empty or all zeros.
fn is_unwritten(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut piece = [0; 4096];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(true),
            n if piece[..n].iter().any(|&byte| byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Moves the file `number` to `quarantine`, durably, and returns its new path.
fn move_to_quarantine(
    number: u32,
    path: &Path,
    quarantine: &Path,
) -> Result<PathBuf, HeadChunksError> {
    move_file(&OsDisk, path, &unused_name(quarantine, number))
        .map_err(|FileError { step, path, source }| HeadChunksError::Io { step, path, source })
}

/// A name in `quarantine` that is not taken.
fn unused_name(quarantine: &Path, number: u32) -> PathBuf {
    let first = quarantine.join(format!("chunks_head.{number:06}"));
    let further = (1..u32::MAX).map(|n| quarantine.join(format!("chunks_head.{number:06}.{n}")));
    std::iter::once(first.clone()).chain(further).find(|path| !path.exists()).unwrap_or(first)
}

/// Removes a file; that it is gone already is no error.
pub(super) fn remove(path: &Path) -> Result<(), HeadChunksError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes the entries of a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), HeadChunksError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync directory", dir))
}

/// The length of a file in bytes; 0 where it was removed meanwhile.
pub(super) fn len(path: &Path) -> Result<u64, HeadChunksError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

/// Turns what the system says into an error with the step and the path.
pub(super) fn io_error<'a>(
    step: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> HeadChunksError + use<'a> {
    move |source| HeadChunksError::Io { step, path: path.to_owned(), source }
}
