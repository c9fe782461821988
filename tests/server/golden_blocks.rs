//! Blocks of the samples of a golden case equal those of Prometheus 3.14.0 byte for byte: index,
//! chunks, tombstones, and `meta.json` except for ULIDs.
//!
//! This covers what the formats leave to the writer: chunk cuts, the order of symbols and postings,
//! and the fields of `meta.json`.

use std::fs;

use crate::support::blocks::{self, Block};
use crate::support::launch::Launch;
use crate::support::{dir, golden};

/// Time range of a request, ms, as it was sent to Prometheus.
const REQUEST: i64 = 20 * 60_000;

#[test]
fn blocks_of_same_samples_have_same_bytes_as_in_prometheus() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let expected = golden::expected_floats("blocks-clean");
    let server = Launch::narthex(&data).start();
    for request in expected.to_requests(REQUEST) {
        server.remote().write_ok(&request);
    }
    blocks::wait_for_outline(&data, "0-6/2 6-8 8-10");
    server.assert_holds(&expected, "the samples of a golden case");
    server.stop();

    let theirs = golden::unpack("blocks-clean", &temp_dir.path().join("theirs"));
    for (ours, theirs) in blocks::blocks(&data).iter().zip(&blocks::blocks(&theirs)) {
        for name in ["chunks/000001", "index", "tombstones"] {
            assert_same_bytes(ours, theirs, name);
        }
        assert_eq!(blocks::names(&ours.file("chunks")), blocks::names(&theirs.file("chunks")));
        assert_eq!(blocks::names(&ours.path), blocks::names(&theirs.path));
        assert_eq!(meta_without_names(ours), meta_without_names(theirs));
    }
}

fn assert_same_bytes(ours: &Block, theirs: &Block, name: &str) {
    let read = |block: &Block| fs::read(block.file(name)).expect("the file exists");
    let (ours, theirs) = (read(ours), read(theirs));
    let differs = ours.iter().zip(&theirs).position(|(our, their)| our != their);
    assert!(
        ours == theirs,
        "{name}: {} and {} bytes differ at {differs:?}",
        ours.len(),
        theirs.len()
    );
}

/// Returns the text of `meta.json` with the same ULID for every block.
fn meta_without_names(block: &Block) -> String {
    let text = fs::read_to_string(block.file("meta.json")).expect("a meta.json");
    let parts = text.split('"').map(|part| if blocks::is_ulid(part) { "ULID" } else { part });
    parts.collect::<Vec<_>>().join("\"")
}
