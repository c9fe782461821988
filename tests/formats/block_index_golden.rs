//! Block indexes of Prometheus 3.14.0: read, verified, and rewritten byte for byte.

use crate::support::golden;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::index::block_index::reader::IndexReader;
use narthex::tsdb::index::block_index::verify::verify;
use narthex::tsdb::index::block_index::writer::IndexWriter;
use std::path::{Path, PathBuf};

fn cases() -> Vec<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let dirs = std::fs::read_dir(golden).expect("the golden cases can be listed");
    let dirs = dirs.map(|entry| entry.expect("an entry can be read").path());
    let mut cases: Vec<String> = dirs
        .filter(|path| path.join("data.tar.gz").is_file())
        .map(|path| {
            path.file_name().expect("a directory has a name").to_string_lossy().into_owned()
        })
        .collect();
    cases.sort();
    cases
}

fn blocks(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data).expect("the data directory can be listed");
    let mut blocks: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    blocks.retain(|path| path.join("meta.json").is_file() && path.join("index").is_file());
    blocks.sort();
    blocks
}

fn assert_matches_meta(block: &Path, index: &IndexReader) {
    let meta = std::fs::read(block.join("meta.json")).expect("meta.json can be read");
    let meta: serde_json::Value = serde_json::from_slice(&meta).expect("meta.json is JSON");
    let report = verify(index).expect("a valid index");
    assert_eq!(meta["stats"]["numSeries"].as_u64(), Some(report.series), "{}", block.display());
    assert_eq!(meta["stats"]["numChunks"].as_u64(), Some(report.chunks), "{}", block.display());
    assert!(
        meta["minTime"].as_i64().is_some_and(|mint| mint <= report.mint),
        "{}",
        block.display()
    );
    assert!(meta["maxTime"].as_i64().is_some_and(|maxt| report.maxt < maxt), "{}", block.display());
}

fn rewrite(index: &IndexReader, path: &Path) {
    let mut writer = IndexWriter::create(&OsDisk, path).expect("the file can be created");
    for symbol in index.symbols() {
        writer.add_symbol(symbol.expect("a symbol can be read")).expect("a symbol is accepted");
    }
    for series in index.all_series().expect("the series can be read") {
        let entry = index.series(series).expect("a series can be read");
        writer.add_series(&entry.labels, &entry.chunks).expect("a series is accepted");
    }
    writer.finish().expect("the index can be written");
}

#[test]
fn prometheus_index_verifies_and_is_rewritten_byte_for_byte() {
    let mut num_blocks = 0;
    for case in cases() {
        let temp_dir = tempfile::tempdir().expect("a temporary directory");
        for block in blocks(&golden::unpack(&case, temp_dir.path())) {
            let index = IndexReader::open(&block.join("index")).expect("the index opens");
            assert_matches_meta(&block, &index);
            let copy = temp_dir.path().join("copy");
            rewrite(&index, &copy);
            let (theirs, ours) = (std::fs::read(block.join("index")), std::fs::read(&copy));
            assert!(theirs.expect("theirs") == ours.expect("ours"), "{case}: {}", block.display());
            num_blocks += 1;
        }
    }
    assert!(num_blocks >= 10, "only {num_blocks} blocks");
}
