//! `meta.json`: what a block says of itself.
//!
//! A block is a folder named by a [`BlockUlid`]. Fields, their order, and which are left out when they are empty, are those of `BlockMeta` in
//! `tsdb/block.go` of Prometheus; what it writes is written again byte for byte:
//!
//! ```text
//! {ulid, minTime, maxTime,                      ms; the end is not included
//!  stats: {numSamples?, numFloatSamples?, numHistogramSamples?, numSeries?, numChunks?, numTombstones?},
//!  compaction: {level, sources?, deletable?, parents? [{ulid, minTime, maxTime}], failed?, hints?},
//!  version: 1}                                  indented by a tab a level, no newline at the end
//! ```
//!
//! Other programs add fields (Thanos: `thanos`); they are kept, behind those that are known. Nothing in the file is protected by a
//! checksum: what can be held against something else is, when the block is opened or verified.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::fs::durable::{FileError, replace_file};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// The file's name in the block's folder.
pub const NAME: &str = "meta.json";

/// The only version of the file that there ever was.
pub const VERSION: u32 = 1;

/// What a block says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The name of its folder.
    pub ulid: BlockUlid,
    /// Time from which it may have samples, ms.
    pub min_time: i64,
    /// Time before which its samples end, ms; not included.
    pub max_time: i64,
    /// How much is in it.
    #[serde(default)]
    pub stats: BlockStats,
    /// How it came about.
    #[serde(default)]
    pub compaction: Compaction,
    /// The version of the file, [`VERSION`].
    pub version: u32,
    /// Fields of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How much is in a block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of all types.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples; 0 also in blocks of older programs, which did not count them.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Native histograms; 0 also in blocks of older programs.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted ranges of all series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
    /// Fields of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How a block came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// 1 for a block of the head, one more than its highest parent for any other.
    pub level: u32,
    /// The blocks of level 1 that are in it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub sources: Vec<BlockUlid>,
    /// Whether a compaction found no sample in it, so that it may go.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks that it was made of, and replaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Whether a compaction of it failed.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Words by which compactions tell each other what to mind, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub hints: Vec<String>,
    /// Fields of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A block that another one was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// Its name.
    pub ulid: BlockUlid,
    /// Time from which it had samples, ms.
    pub min_time: i64,
    /// Time before which its samples ended, ms.
    pub max_time: i64,
}

/// Why a `meta.json` can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// Not the JSON of a block.
    #[error("{path}: not a block's meta.json: {source}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// Another version of the file than the one that is known.
    #[error("{path}: version {version} of a block's meta.json", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it names.
        version: u32,
    },
}

impl BlockMeta {
    /// Reads the `meta.json` of the block in `folder`.
    ///
    /// # Errors
    /// [`MetaError`] where it is missing, malformed, or of another version.
    pub fn read(folder: &Path) -> Result<Self, MetaError> {
        let path = folder.join(NAME);
        let text = fs::read(&path).map_err(FileError::for_step("read", &path))?;
        let meta: Self = serde_json::from_slice(&text)
            .map_err(|source| MetaError::Malformed { path: path.clone(), source })?;
        if meta.version != VERSION {
            return Err(MetaError::Version { path, version: meta.version });
        }
        Ok(meta)
    }

    /// Puts it into `folder`, durably, in place of the one that is there. Returns its length in bytes.
    ///
    /// # Errors
    /// [`MetaError::Io`] of the step that failed.
    pub fn write(&self, folder: &Path) -> Result<u64, MetaError> {
        let path = folder.join(NAME);
        let text =
            self.to_json().map_err(|source| MetaError::Malformed { path: path.clone(), source })?;
        replace_file(&path, &text)?;
        Ok(text.len() as u64)
    }

    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = Vec::new();
        let indented = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut text, indented))?;
        Ok(text)
    }
}

/// The folders in `dir` that have a block's name, sorted.
///
/// # Errors
/// [`MetaError::Io`] where the directory can't be listed.
pub fn list_block_dirs(dir: &Path) -> Result<Vec<PathBuf>, MetaError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::for_step("list", dir))? {
        let path = entry.map_err(FileError::for_step("list", dir))?.path();
        if path.is_dir() && dir_ulid(&path).is_some() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The block's name that a folder bears; `None` where it bears another.
#[must_use]
pub fn dir_ulid(folder: &Path) -> Option<BlockUlid> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// Go writes and reads a list that was never made as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::{BlockMeta, MetaError, list_block_dirs};
    use std::fs;

    #[test]
    fn empty_fields_are_left_out_and_those_of_other_programs_kept() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\n\t\"ulid\": \"01M82CTXRBSZKSA9A0ZWVPK1T0\",\n\t\"minTime\": -7,\n\t\"maxTime\": 2,\n\t\"stats\": {},\n\
                    \t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"deletable\": true,\n\t\t\"failed\": true,\n\t\t\"hints\": [\n\
                    \t\t\t\"from-out-of-order\"\n\t\t],\n\t\t\"more\": 5\n\t},\n\t\"version\": 1,\n\t\"thanos\": {\n\
                    \t\t\"downsample\": {\n\t\t\t\"resolution\": 0\n\t\t},\n\t\t\"labels\": {\n\t\t\t\"a\": \"b\"\n\t\t}\n\t}\n}";
        fs::write(dir.path().join("meta.json"), text).unwrap();
        let meta = BlockMeta::read(dir.path()).unwrap();
        assert_eq!(
            (meta.min_time, meta.stats.num_samples, meta.compaction.deletable),
            (-7, 0, true)
        );
        assert_eq!(meta.write(dir.path()).unwrap(), text.len() as u64);
        assert_eq!(fs::read_to_string(dir.path().join("meta.json")).unwrap(), text);
    }

    #[test]
    fn another_version_and_what_is_no_json_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(dir.path().join("meta.json"), text).unwrap();
            BlockMeta::read(dir.path())
        };
        let text = r#"{"ulid":"01M82CTXRBSZKSA9A0ZWVPK1T0","minTime":1,"maxTime":2,"version":2}"#;
        assert!(matches!(read(text), Err(MetaError::Version { version: 2, .. })));
        for text in
            ["", "{}", &text.replace("01M", "o1m"), &text.replace(":1", ":\"1\""), &text[..70]]
        {
            assert!(matches!(read(text), Err(MetaError::Malformed { .. })), "{text}");
        }
        fs::remove_file(dir.path().join("meta.json")).unwrap();
        assert!(matches!(BlockMeta::read(dir.path()), Err(MetaError::Io(_))));
    }

    #[test]
    fn only_folders_with_a_ulid_are_blocks() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["01M82CTXRBSZKSA9A0ZWVPK1T0", "01M82CTXRBSZKSA9A0ZWVPK1T0.tmp", "wal", "quarantine"]
        {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("01M82CTXT0GFC3YYDVB8TNCXWR"), "a file").unwrap();
        let folders = list_block_dirs(dir.path()).unwrap();
        assert_eq!(folders, [dir.path().join("01M82CTXRBSZKSA9A0ZWVPK1T0")]);
    }
}
