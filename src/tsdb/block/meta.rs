//! `meta.json`: what a block says of itself.
//!
//! A block is a folder named by a ULID (26 characters of Crockford's base 32). Fields and meaning are those of `BlockMeta` in
//! `tsdb/block.go` of Prometheus; only those that are needed are read, the file is never written here.

use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The hint of a block made of late samples only: it says nothing of the times that the head may still take.
const FROM_OUT_OF_ORDER: &str = "from-out-of-order";

/// What a block says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockMeta {
    /// The name of its folder.
    pub ulid: String,
    /// Time from which it may have samples, ms.
    #[serde(rename = "minTime")]
    pub min_time: i64,
    /// Time before which its samples end, ms; not included.
    #[serde(rename = "maxTime")]
    pub max_time: i64,
    /// How it came about.
    #[serde(default)]
    pub compaction: Compaction,
}

/// How a block came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Compaction {
    /// Words by which compactions tell each other what to mind.
    #[serde(default)]
    pub hints: Option<Vec<String>>,
}

/// Why the blocks of a directory can't be listed.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Not the JSON of a block.
    #[error("{path}: not a block's meta.json: {source}")]
    Malformed {
        /// What was read.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
}

impl BlockMeta {
    /// Whether the block came from the head's ordinary samples, so that the head must not take its times again.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        !self.compaction.hints.iter().flatten().any(|hint| hint == FROM_OUT_OF_ORDER)
    }

    /// Reads the `meta.json` of the block in `folder`.
    ///
    /// # Errors
    /// [`MetaError`] where it is missing or malformed.
    pub fn read(folder: &Path) -> Result<Self, MetaError> {
        let path = folder.join("meta.json");
        let text = fs::read(&path).map_err(|source| MetaError::Io { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| MetaError::Malformed { path, source })
    }
}

/// The folders in `dir` that have a block's name, sorted.
///
/// # Errors
/// [`MetaError::Io`] where the directory can't be listed.
pub fn block_folders(dir: &Path) -> Result<Vec<PathBuf>, MetaError> {
    let failed = |source| MetaError::Io { path: dir.to_owned(), source };
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() && path.file_name().and_then(|name| name.to_str()).is_some_and(is_ulid) {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn is_ulid(name: &str) -> bool {
    name.len() == 26
        && name.as_bytes()[0] <= b'7'
        && name.bytes().all(|b| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::{BlockMeta, block_folders};
    use std::fs;

    #[test]
    fn blocks_of_late_samples_are_told_apart() {
        let meta = |hints: &str| -> BlockMeta {
            let text = format!(
                r#"{{"ulid":"01M82CTXRBSZKSA9A0ZWVPK1T0","minTime":1,"maxTime":2,"compaction":{{"level":1{hints}}},"version":1}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert!(meta("").is_in_order());
        assert!(meta(r#","hints":["from-stale-series"]"#).is_in_order());
        assert!(!meta(r#","hints":["from-out-of-order"]"#).is_in_order());
    }

    #[test]
    fn only_folders_with_a_ulid_are_blocks() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["01M82CTXRBSZKSA9A0ZWVPK1T0", "01M82CTXRBSZKSA9A0ZWVPK1T0.tmp", "wal", "quarantine"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("01M82CTXT0GFC3YYDVB8TNCXWR"), "a file").unwrap();
        let folders = block_folders(dir.path()).unwrap();
        assert_eq!(folders, [dir.path().join("01M82CTXRBSZKSA9A0ZWVPK1T0")]);
    }
}
