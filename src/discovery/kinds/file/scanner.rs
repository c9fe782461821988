//! Files of a provider: lists them, and reads those whose content has changed.

use crate::config::glob;
use crate::discovery::group_list;
use crate::discovery::group_list::{GroupListError, MAX_BYTES};
use crate::discovery::metrics::FileMetrics;
use crate::discovery::target_group::TargetGroup;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh64::xxh64;

/// Label with the path of the file.
const PATH_LABEL: &str = "__meta_filepath";

/// Files of a provider. Blocks on the disk.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Paths whose last part may be a pattern.
    paths: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Known>,
    metrics: FileMetrics,
}

/// File that was found by the last scan.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Hash of the content of the last successful read.
    hash: Option<u64>,
    /// Number of groups of the last successful read.
    groups: usize,
}

/// Content of a file.
struct Content {
    bytes: Vec<u8>,
    modified: SystemTime,
}

/// Error of reading a file of target groups.
#[derive(Debug, thiserror::Error)]
enum ReadGroupsError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("not a regular file")]
    NotRegular,
    #[error("file exceeds {MAX_BYTES} bytes")]
    TooLarge,
    #[error("file is not UTF-8")]
    NotUtf8,
    #[error(transparent)]
    Invalid(#[from] GroupListError),
}

impl Scanner {
    pub(super) fn new(paths: Vec<PathBuf>, metrics: FileMetrics) -> Self {
        Self { paths, files: BTreeMap::new(), metrics }
    }

    /// Reads the files, and returns the groups of changed ones and removals of vanished ones. A
    /// file that cannot be read keeps its groups.
    pub(super) fn scan(&mut self) -> Vec<TargetGroup> {
        let mut changes = Vec::new();
        let found = self.list();
        for path in &found {
            let known = self.files.get(path).copied().unwrap_or_default();
            match self.read(path, known, &mut changes) {
                Ok(known) => {
                    self.files.insert(path.clone(), known);
                }
                Err(error) => {
                    self.metrics.read_errors.inc();
                    let path = path.display();
                    tracing::error!(%error, %path, "cannot read file of target groups");
                }
            }
        }
        let vanished: Vec<PathBuf> =
            self.files.keys().filter(|path| !found.contains(*path)).cloned().collect();
        for path in vanished {
            let known = self.files.remove(&path).unwrap_or_default();
            changes.extend((0..known.groups).map(|i| TargetGroup::removed(source(&path, i))));
            self.metrics.remove_file(&path.to_string_lossy());
        }
        changes
    }

    /// Returns the directories whose changes concern the files: those of the paths, and those that
    /// links lead to.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let mut dirs: BTreeSet<PathBuf> =
            self.paths.iter().map(|path| directory(path).to_owned()).collect();
        for path in self.files.keys() {
            if let Ok(real) = path.canonicalize() {
                dirs.insert(directory(&real).to_owned());
            }
        }
        dirs
    }

    fn list(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for path in &self.paths {
            match glob::matches(path) {
                Ok(paths) => found.extend(paths),
                Err(error) => {
                    let shown = path.display();
                    tracing::error!(%error, path = %shown, "cannot list files of target groups");
                    // The files of the path may still exist.
                    let is_of = |known: &&PathBuf| known.parent() == path.parent();
                    found.extend(self.files.keys().filter(is_of).cloned());
                }
            }
        }
        found
    }

    /// Appends the groups of a file to the changes unless its content is known.
    fn read(
        &self,
        path: &Path,
        known: Known,
        changes: &mut Vec<TargetGroup>,
    ) -> Result<Known, ReadGroupsError> {
        let Content { bytes, modified } = content(path)?;
        let hash = xxh64(&bytes, 0);
        let shown = path.to_string_lossy();
        if known.hash != Some(hash) {
            let groups = parse(path, &bytes)?;
            let count = groups.len();
            changes.extend(groups.into_iter().enumerate().map(|(i, mut group)| {
                group.source = source(path, i);
                group.labels.insert(PATH_LABEL.to_owned(), shown.clone().into_owned());
                group
            }));
            let surplus = count..known.groups.max(count);
            changes.extend(surplus.map(|i| TargetGroup::removed(source(path, i))));
            self.metrics.set_modified(&shown, seconds(modified));
            return Ok(Known { hash: Some(hash), groups: count });
        }
        self.metrics.set_modified(&shown, seconds(modified));
        Ok(known)
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        for path in self.files.keys() {
            self.metrics.remove_file(&path.to_string_lossy());
        }
    }
}

/// Identifies a group of a file, as in Prometheus.
fn source(path: &Path, index: usize) -> String {
    format!("{}:{index}", path.display())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as f64
}

fn content(path: &Path) -> Result<Content, ReadGroupsError> {
    // A FIFO would block the open.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ReadGroupsError::NotRegular);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(ReadGroupsError::TooLarge);
    }
    Ok(Content { bytes, modified: metadata.modified()? })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<TargetGroup>, ReadGroupsError> {
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if is_json {
        return Ok(group_list::parse_json(bytes)?);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ReadGroupsError::NotUtf8)?;
    Ok(group_list::parse_yaml(text)?)
}

/// Returns the directory of a path, not empty.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
