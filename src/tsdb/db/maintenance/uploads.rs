//! List of uploaded blocks, which delays the compaction of blocks that are not uploaded yet.
//!
//! Thanos Sidecar writes it as JSON: `{"version":1,"uploaded":["01M8…", …]}`. Its path is set by
//! `--storage.tsdb.delay-compact-file.path`. Level-1 blocks are compacted only once they are
//! listed. As in Prometheus, an unreadable file delays nothing: blocks must not accumulate after
//! the uploader is gone.

use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

/// Maximum size of the list, bytes. A real one has a few KiB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Blocks that were uploaded, according to the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UploadedBlocks {
    /// `None` if no list is configured or it cannot be read.
    uploaded: Option<HashSet<String>>,
}

#[derive(Deserialize)]
struct ShipperFile {
    #[serde(default)]
    uploaded: Option<Vec<String>>,
}

impl UploadedBlocks {
    /// Reads the list. Returns an empty value, which delays nothing, if `path` is `None` or
    /// unreadable.
    #[must_use]
    pub(super) fn read(path: Option<&Path>) -> Self {
        let Some(path) = path else { return Self::default() };
        match read_list(path) {
            Ok(list) => {
                Self { uploaded: Some(list.uploaded.unwrap_or_default().into_iter().collect()) }
            }
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot read list of uploaded blocks, ignoring it");
                Self::default()
            }
        }
    }

    /// Returns `true` if the block must not be compacted yet.
    #[must_use]
    pub(super) fn delays_compaction(&self, ulid: &str, level: u32) -> bool {
        level <= 1 && self.uploaded.as_ref().is_some_and(|uploaded| !uploaded.contains(ulid))
    }
}

fn read_list(path: &Path) -> std::io::Result<ShipperFile> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("file has {size} bytes, limit {MAX_FILE_BYTES}"),
        ));
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::UploadedBlocks;

    #[test]
    fn only_unlisted_level_1_blocks_are_delayed() {
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
    fn unreadable_list_delays_nothing() {
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
