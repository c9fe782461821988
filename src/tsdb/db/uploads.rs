//! Which blocks another program still wants to upload as they are, before they may be compacted.
//!
//! Thanos's sidecar keeps a JSON file with the blocks that it has uploaded: `{"version":1,"uploaded":["01M8…", …]}`. Named by
//! `--storage.tsdb.delay-compact-file.path`, it holds the compaction of level-1 blocks back until they are listed. As Prometheus has it,
//! a file that can't be read holds nothing back: an uploader that is gone must not let blocks pile up.

use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

/// A list of uploads is a few KiB; more than this is not one.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The blocks that were uploaded, as far as somebody says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadedBlocks {
    /// `None` where nobody uploads, or where the list can't be read.
    uploaded: Option<HashSet<String>>,
}

#[derive(Deserialize)]
struct ShipperFile {
    #[serde(default)]
    uploaded: Option<Vec<String>>,
}

impl UploadedBlocks {
    /// Reads the list.
    #[must_use]
    pub fn read(path: Option<&Path>) -> Self {
        let Some(path) = path else { return Self::default() };
        match read_list(path) {
            Ok(list) => {
                Self { uploaded: Some(list.uploaded.unwrap_or_default().into_iter().collect()) }
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "can't read the list of uploaded blocks: compaction waits for none");
                Self::default()
            }
        }
    }

    /// Whether a block must stay as it is for now.
    #[must_use]
    pub fn delays_compaction(&self, ulid: &str, level: u32) -> bool {
        level <= 1 && self.uploaded.as_ref().is_some_and(|uploaded| !uploaded.contains(ulid))
    }
}

fn read_list(path: &Path) -> std::io::Result<ShipperFile> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("it has {size} bytes"),
        ));
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::UploadedBlocks;

    #[test]
    fn only_new_blocks_that_are_not_listed_are_held_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        std::fs::write(&path, r#"{"version":1,"uploaded":["A","B"],"more":{}}"#).unwrap();
        let uploads = UploadedBlocks::read(Some(&path));
        assert_eq!(
            ["A", "B", "C"].map(|ulid| uploads.delays_compaction(ulid, 1)),
            [false, false, true]
        );
        assert!(!uploads.delays_compaction("C", 2));
        std::fs::write(&path, r#"{"version":1,"uploaded":null}"#).unwrap();
        assert!(UploadedBlocks::read(Some(&path)).delays_compaction("A", 1));
    }

    #[test]
    fn without_a_list_that_can_be_read_nothing_is_held_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        for text in [None, Some("{"), Some("[1]")] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            assert!(!UploadedBlocks::read(Some(&path)).delays_compaction("A", 1), "{text:?}");
        }
        assert!(!UploadedBlocks::read(None).delays_compaction("A", 1));
    }
}
