//! The blocks of a data directory as their `meta.json` tells, and what else a directory may hold once its work is done.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::data::{BEGIN, HOUR};
use super::samples::Samples;
use super::wait::wait_for;

/// A block's folder and what its `meta.json` says.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Its folder's name.
    pub(crate) ulid: String,
    /// The whole of `meta.json`.
    pub(crate) meta: Value,
}

impl Block {
    /// The first time, in milliseconds.
    pub(crate) fn begin(&self) -> i64 {
        self.meta["minTime"].as_i64().expect("a block has a begin")
    }

    /// The first time that is no more its own, in milliseconds.
    pub(crate) fn end(&self) -> i64 {
        self.meta["maxTime"].as_i64().expect("a block has an end")
    }

    /// How often its samples were compacted.
    pub(crate) fn level(&self) -> i64 {
        self.meta["compaction"]["level"].as_i64().expect("a block has a level")
    }

    /// A number of `stats`; 0 where it is left out, as Prometheus does it with 0.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        self.meta["stats"][name].as_u64().unwrap_or(0)
    }

    /// The names of the blocks that it was made of.
    pub(crate) fn parents(&self) -> Vec<String> {
        let parents = self.meta["compaction"]["parents"].as_array().into_iter().flatten();
        parents
            .map(|parent| parent["ulid"].as_str().expect("a parent has a ULID").to_owned())
            .collect()
    }

    /// A file of the block: `index`, `tombstones`, `meta.json`, `chunks/000001`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// The blocks by time, as they stand there now; one that is just being removed is left out.
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

/// The hours from [`BEGIN`] on that each block spans, and the level where it is above 1: `0-6/2 6-8 8-10`.
pub(crate) fn outline(data: &Path) -> String {
    let hour = |t: i64| (t - BEGIN) as f64 / HOUR as f64;
    let one = |block: &Block| {
        let level = if block.level() > 1 { format!("/{}", block.level()) } else { String::new() };
        format!("{}-{}{level}", hour(block.begin()), hour(block.end()))
    };
    blocks(data).iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Waits until the blocks are those of an outline.
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

/// Each block's statistics are those of the samples that should be in it.
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

/// Nothing half-done is left: no temporary name, no folder without `meta.json`, no block beside one that was made of it.
pub(crate) fn assert_no_leftovers(data: &Path, what: &str) {
    let found = leftovers(data);
    assert!(found.is_empty(), "{what}: {found:?} of {:?}", outline(data));
}

/// What [`assert_no_leftovers`] finds.
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

/// The names of the entries of a folder, sorted; none where there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whether a name has the form of a ULID.
pub(crate) fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}
