//! Block metadata in `meta.json`.
//!
//! The directory of a block is named by its [`BlockUlid`]. Fields, their order and the omission of
//! empty ones follow `BlockMeta` in `tsdb/block.go` of Prometheus. Its files are rewritten byte for
//! byte:
//!
//! ```text
//! {ulid, minTime, maxTime,                      ms; maxTime is exclusive
//!  stats: {numSamples?, numFloatSamples?, numHistogramSamples?, numSeries?, numChunks?,
//!          numTombstones?},
//!  compaction: {level, sources?, deletable?, parents? [{ulid, minTime, maxTime}], failed?,
//!               hints?},
//!  version: 1}                                  indented by one tab per level, no final newline
//! ```
//!
//! Fields of other programs (Thanos: `thanos`) are kept after the known ones. The file has no
//! checksum. Opening and [`verify`](crate::tsdb::block::verify::verify) check the fields that can
//! be compared with other data.

use crate::model::time::TimeRange;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, replace_file};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;
#[cfg(any(test, feature = "testing"))]
use std::path::PathBuf;

/// Name of the file in a block directory.
pub const NAME: &str = "meta.json";

/// The only existing version of the file.
pub const VERSION: u32 = 1;

/// Content of the `meta.json` of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// Name of the block's directory.
    pub ulid: BlockUlid,
    /// Lower bound of its timestamps, ms, inclusive.
    pub min_time: i64,
    /// Upper bound of its timestamps, ms, exclusive.
    pub max_time: i64,
    /// Counts of its content.
    #[serde(default)]
    pub stats: BlockStats,
    /// Origin of the block.
    #[serde(default)]
    pub compaction: Compaction,
    /// Version of the file, always [`VERSION`].
    pub version: u32,
    /// Unknown fields, written by other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Counts of the content of a block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Number of samples of all types.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Number of float samples; also 0 in blocks of older programs, which did not count these.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Number of native histograms; also 0 in blocks of older programs.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Number of series, with tombstones or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Number of chunks of all series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Number of deleted time ranges of all series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
    /// Unknown fields, written by other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Origin of a block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// 1 for a block of the head, otherwise one more than its highest parent.
    pub level: u32,
    /// Blocks of level 1 that were merged into it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub sources: Vec<BlockUlid>,
    /// Set if a compaction found no sample in it, so that it may be deleted.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// Blocks that it was compacted from and replaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Set if a compaction of the block failed.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Hints for later compactions, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub hints: Vec<String>,
    /// Unknown fields, written by other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Description of a parent block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// ULID of the parent.
    pub ulid: BlockUlid,
    /// Lower bound of its timestamps, ms, inclusive.
    pub min_time: i64,
    /// Upper bound of its timestamps, ms, exclusive.
    pub max_time: i64,
}

/// Error of reading or writing `meta.json`.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// A file system operation failed.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The file is invalid, or the metadata cannot be serialized.
    #[error(transparent)]
    Corrupted(#[from] Corruption<MetaDefect>),
}

/// Defect of a `meta.json`.
#[derive(Debug, thiserror::Error)]
pub enum MetaDefect {
    /// The file is not the JSON of a block; the error has its position.
    #[error("cannot parse: {0}")]
    Json(serde_json::Error),
    /// The version is not [`VERSION`].
    #[error("unknown version {version}")]
    Version {
        /// Version in the file.
        version: u32,
    },
    /// The directory is not named by the ULID.
    #[error("directory name is not {ulid}")]
    DirName {
        /// ULID in the file.
        ulid: BlockUlid,
    },
    /// The time range is empty.
    #[error("minTime {min_time} is not before maxTime {max_time}")]
    TimeRange {
        /// Lower bound in the file, ms.
        min_time: i64,
        /// Upper bound in the file, ms.
        max_time: i64,
    },
    /// A chunk is outside of the time range.
    #[error(
        "time range is {min_time}..{max_time}, but chunks have {}..={}",
        .chunks.mint, .chunks.maxt
    )]
    ChunkTimes {
        /// Lower bound in the file, ms, inclusive.
        min_time: i64,
        /// Upper bound in the file, ms, exclusive.
        max_time: i64,
        /// Time range of all chunks.
        chunks: TimeRange,
    },
    /// A count does not match the content of the block.
    #[error("{name} is {stated}, but {counted} were counted")]
    Count {
        /// Name of the field.
        name: &'static str,
        /// Number in the file.
        stated: u64,
        /// Number in the block.
        counted: u64,
    },
}

impl BlockMeta {
    /// Returns a copy without the fields of other programs.
    #[must_use]
    pub fn known_fields(&self) -> Self {
        let mut known = self.clone();
        for other in [&mut known.other, &mut known.stats.other, &mut known.compaction.other] {
            *other = Map::new();
        }
        known
    }

    /// Reads `meta.json` of the block in `dir`.
    ///
    /// # Errors
    /// [`MetaError`] if it is missing, malformed or of another version.
    pub fn read(dir: &Path) -> Result<Self, MetaError> {
        let path = dir.join(NAME);
        let json = fs::read(&path).map_err(FileError::for_step("read", &path))?;
        let meta: Self = serde_json::from_slice(&json)
            .map_err(|error| Corruption::of_file(&path, MetaDefect::Json(error)))?;
        if meta.version != VERSION {
            let defect = MetaDefect::Version { version: meta.version };
            return Err(Corruption::of_file(path, defect).into());
        }
        Ok(meta)
    }

    /// Writes `meta.json` to `dir`, durably, and replaces an existing one. Returns its size, bytes.
    ///
    /// # Errors
    /// [`MetaError::Io`] of the failed step.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<u64, MetaError> {
        let path = dir.join(NAME);
        let json =
            self.to_json().map_err(|error| Corruption::of_file(&path, MetaDefect::Json(error)))?;
        replace_file(disk, &path, &json)?;
        Ok(json.len() as u64)
    }

    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = Vec::new();
        let indented = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut json, indented))?;
        Ok(json)
    }
}

/// Returns the directories in `dir` with the name of a block, sorted.
///
/// # Errors
/// [`MetaError::Io`] if `dir` cannot be listed.
#[cfg(any(test, feature = "testing"))]
pub fn list_block_dirs(dir: &Path) -> Result<Vec<PathBuf>, MetaError> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::for_step("list", dir))? {
        let path = entry.map_err(FileError::for_step("list", dir))?.path();
        if path.is_dir() && dir_ulid(&path).is_some() {
            dirs.push(path);
        }
    }
    dirs.sort();
    Ok(dirs)
}

/// Returns the ULID in the name of a directory; `None` if the name is not a ULID.
#[must_use]
pub fn dir_ulid(dir: &Path) -> Option<BlockUlid> {
    dir.file_name()?.to_str()?.parse().ok()
}

/// Go reads and writes a nil slice as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::{BlockMeta, MetaDefect, MetaError, list_block_dirs};
    use crate::tsdb::fs::os_disk::OsDisk;
    use std::fs;

    #[test]
    fn empty_fields_are_omitted_and_unknown_ones_kept() {
        let dir = tempfile::tempdir().unwrap();
        let json = "{\n\t\"ulid\": \"01M82CTXRBSZKSA9A0ZWVPK1T0\",\n\t\"minTime\": -7,\n\
                    \t\"maxTime\": 2,\n\t\"stats\": {},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\
                    \t\t\"deletable\": true,\n\t\t\"failed\": true,\n\t\t\"hints\": [\n\
                    \t\t\t\"from-out-of-order\"\n\t\t],\n\t\t\"more\": 5\n\t},\n\
                    \t\"version\": 1,\n\t\"thanos\": {\n\t\t\"downsample\": {\n\
                    \t\t\t\"resolution\": 0\n\t\t},\n\t\t\"labels\": {\n\t\t\t\"a\": \"b\"\n\
                    \t\t}\n\t}\n}";
        fs::write(dir.path().join("meta.json"), json).unwrap();
        let meta = BlockMeta::read(dir.path()).unwrap();
        assert_eq!(
            (meta.min_time, meta.stats.num_samples, meta.compaction.deletable),
            (-7, 0, true)
        );
        assert_eq!(meta.write(&OsDisk, dir.path()).unwrap(), json.len() as u64);
        assert_eq!(fs::read_to_string(dir.path().join("meta.json")).unwrap(), json);
    }

    #[test]
    fn unknown_version_and_malformed_json_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let read = |json: &str| {
            fs::write(dir.path().join("meta.json"), json).unwrap();
            BlockMeta::read(dir.path())
        };
        let json = r#"{"ulid":"01M82CTXRBSZKSA9A0ZWVPK1T0","minTime":1,"maxTime":2,"version":2}"#;
        let defect = |json| match read(json) {
            Err(MetaError::Corrupted(corruption)) => corruption.cause,
            other => panic!("{json}: {other:?}"),
        };
        assert!(matches!(defect(json), MetaDefect::Version { version: 2 }));
        for json in
            ["", "{}", &json.replace("01M", "o1m"), &json.replace(":1", ":\"1\""), &json[..70]]
        {
            assert!(matches!(defect(json), MetaDefect::Json(_)), "{json}");
        }
        fs::remove_file(dir.path().join("meta.json")).unwrap();
        assert!(matches!(BlockMeta::read(dir.path()), Err(MetaError::Io(_))));
    }

    #[test]
    fn only_directories_named_by_ulid_are_blocks() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["01M82CTXRBSZKSA9A0ZWVPK1T0", "01M82CTXRBSZKSA9A0ZWVPK1T0.tmp", "wal", "quarantine"]
        {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("01M82CTXT0GFC3YYDVB8TNCXWR"), "a file").unwrap();
        let dirs = list_block_dirs(dir.path()).unwrap();
        assert_eq!(dirs, [dir.path().join("01M82CTXRBSZKSA9A0ZWVPK1T0")]);
    }
}
