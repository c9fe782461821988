//! The indexes of the blocks that Prometheus 3.14.0 wrote: read, verified, and written again byte
//! by byte.

use crate::support::golden;
use narthex::tsdb::index::block_index::reader::IndexReader;
use narthex::tsdb::index::block_index::writer::IndexWriter;
use std::path::{Path, PathBuf};

fn cases() -> Vec<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = std::fs::read_dir(golden).expect("the golden cases can be listed");
    let folders = folders.map(|entry| entry.expect("an entry can be read").path());
    let mut cases: Vec<String> = folders
        .filter(|path| path.join("data.tar.gz").is_file())
        .map(|path| path.file_name().expect("a folder has a name").to_string_lossy().into_owned())
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

fn assert_as_meta_says(block: &Path, index: &IndexReader) {
    let meta = std::fs::read(block.join("meta.json")).expect("meta.json can be read");
    let meta: serde_json::Value = serde_json::from_slice(&meta).expect("meta.json is JSON");
    let facts = index.verify().expect("the index is sound");
    assert_eq!(meta["stats"]["numSeries"].as_u64(), Some(facts.series), "{}", block.display());
    assert_eq!(meta["stats"]["numChunks"].as_u64(), Some(facts.chunks), "{}", block.display());
    assert!(meta["minTime"].as_i64().is_some_and(|mint| mint <= facts.mint), "{}", block.display());
    assert!(meta["maxTime"].as_i64().is_some_and(|maxt| facts.maxt < maxt), "{}", block.display());
}

fn write_again(index: &IndexReader, path: &Path) {
    let mut writer = IndexWriter::create(path).expect("the file can be made");
    for symbol in index.symbols() {
        writer.add_symbol(symbol.expect("a symbol can be read")).expect("a symbol is taken");
    }
    for series in index.all_series().expect("the series can be read") {
        let entry = index.series(series).expect("a series can be read");
        writer.add_series(&entry.labels, &entry.chunks).expect("a series is taken");
    }
    writer.finish().expect("the index can be written");
}

#[test]
fn prometheus_index_verifies_and_is_rewritten_byte_for_byte() {
    let mut seen = 0;
    for case in cases() {
        let place = tempfile::tempdir().expect("a temporary directory");
        for block in blocks(&golden::unpack(&case, place.path())) {
            let index = IndexReader::open(&block.join("index")).expect("the index opens");
            assert_as_meta_says(&block, &index);
            let again = place.path().join("again");
            write_again(&index, &again);
            let (theirs, ours) = (std::fs::read(block.join("index")), std::fs::read(&again));
            assert!(theirs.expect("theirs") == ours.expect("ours"), "{case}: {}", block.display());
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} blocks");
}
