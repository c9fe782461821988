//! Blocks of a data directory by their `meta.json`, and leftovers of unfinished work.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::data::{BEGIN, HOUR};
use super::samples::Samples;
use super::wait::wait_for;

/// Block directory and its `meta.json`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) path: PathBuf,
    pub(crate) ulid: String,
    /// Contents of `meta.json`.
    pub(crate) meta: Value,
}

impl Block {
    pub(crate) fn begin(&self) -> i64 {
        self.meta["minTime"].as_i64().expect("a block has a begin")
    }

    /// End of the block range, ms, exclusive.
    pub(crate) fn end(&self) -> i64 {
        self.meta["maxTime"].as_i64().expect("a block has an end")
    }

    pub(crate) fn level(&self) -> i64 {
        self.meta["compaction"]["level"].as_i64().expect("a block has a level")
    }

    /// Returns `true` if the block has no hints: it contains in-order samples of the head.
    pub(crate) fn is_in_order(&self) -> bool {
        self.meta["compaction"]["hints"].is_null()
    }

    /// Value in `stats`; 0 if absent, because Prometheus omits zeros.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        self.meta["stats"][name].as_u64().unwrap_or(0)
    }

    /// ULIDs of the parent blocks.
    pub(crate) fn parents(&self) -> Vec<String> {
        let parents = self.meta["compaction"]["parents"].as_array().into_iter().flatten();
        parents
            .map(|parent| parent["ulid"].as_str().expect("a parent has a ULID").to_owned())
            .collect()
    }

    /// Path of a file in the block: `index`, `tombstones`, `meta.json`, `chunks/000001`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Lists the blocks by time. A block that is being deleted is skipped.
pub(crate) fn blocks(data: &Path) -> Vec<Block> {
    let Ok(entries) = std::fs::read_dir(data) else { return Vec::new() };
    let mut blocks: Vec<Block> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let ulid = path.file_name()?.to_str().filter(|name| is_ulid(name))?.to_owned();
            let meta = serde_json::from_slice(&std::fs::read(path.join("meta.json")).ok()?).ok()?;
            Some(Block { path, ulid, meta })
        })
        .collect();
    blocks.sort_by_key(|block| (block.begin(), block.end(), block.ulid.clone()));
    blocks
}

/// Describes the blocks by hours since [`BEGIN`], with levels above 1: `0-6/2 6-8 8-10`.
pub(crate) fn outline(data: &Path) -> String {
    let hour = |t: i64| (t - BEGIN) as f64 / HOUR as f64;
    let one = |block: &Block| {
        let level = if block.level() > 1 { format!("/{}", block.level()) } else { String::new() };
        format!("{}-{}{level}", hour(block.begin()), hour(block.end()))
    };
    blocks(data).iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Waits until the blocks match an outline.
pub(crate) fn wait_for_outline(data: &Path, expected: &str) {
    let mut last = String::new();
    wait_for(&format!("the blocks {expected}"), || {
        let now = outline(data);
        if now != last {
            println!("blocks: {now}");
            last.clone_from(&now);
        }
        (now == expected).then_some(())
    });
}

/// Asserts that the statistics of each block match the samples in its range.
pub(crate) fn assert_counts(data: &Path, expected: &Samples, what: &str) {
    for block in blocks(data) {
        let within = expected.between(block.begin(), block.end());
        let counts = (block.stat("numSamples"), block.stat("numSeries"));
        assert_eq!(
            counts,
            (within.count() as u64, within.series_count() as u64),
            "{what}: {:?}",
            block.meta
        );
    }
}

/// Asserts that there are no temporary names, directories without `meta.json`, or parents of
/// existing blocks.
pub(crate) fn assert_no_leftovers(data: &Path, what: &str) {
    let found = leftovers(data);
    assert!(found.is_empty(), "{what}: {found:?} of {:?}", outline(data));
}

/// Returns the leftovers for [`assert_no_leftovers`].
pub(crate) fn leftovers(data: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let blocks = blocks(data);
    let mut folders = ["", "wal", "chunks_head", "snapshots"].map(|name| data.join(name)).to_vec();
    folders.extend(blocks.iter().map(|block| block.path.clone()));
    for folder in folders {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains(".tmp") || (is_ulid(&name) && !entry.path().join("meta.json").exists())
            {
                found.push(name);
            }
        }
    }
    let parents: Vec<String> = blocks.iter().flat_map(Block::parents).collect();
    found.extend(
        blocks.iter().filter(|block| parents.contains(&block.ulid)).map(|block| block.ulid.clone()),
    );
    found
}

/// Returns the sorted entry names of a directory; empty if it does not exist.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Returns `true` if the name is a ULID.
pub(crate) fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}
