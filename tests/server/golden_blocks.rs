//! Blocks of the same samples as a golden case's are byte for byte those of Prometheus 3.14.0:
//! index, chunks, tombstones, and `meta.json` but for the names.
//!
//! The formats leave a writer little freedom, and what they leave is taken as Prometheus takes it:
//! where chunks are cut, the order of symbols and postings, the fields of `meta.json`.

use std::fs;

use crate::support::blocks::{self, Block};
use crate::support::launch::Launch;
use crate::support::{dir, golden};

/// Twenty minutes of data a request, as Prometheus was given it.
const REQUEST: i64 = 20 * 60_000;

#[test]
fn blocks_of_same_samples_have_same_bytes_as_in_prometheus() {
    let place = dir::temp();
    let data = place.path().join("data");
    let expected = golden::expected_floats("blocks-clean");
    let server = Launch::narthex(&data).start();
    for request in expected.to_requests(REQUEST) {
        server.remote().write_ok(&request);
    }
    blocks::wait_for_outline(&data, "0-6/2 6-8 8-10");
    server.assert_holds(&expected, "the samples of a golden case");
    server.stop();

    let theirs = golden::unpack("blocks-clean", &place.path().join("theirs"));
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
    let read = |block: &Block| fs::read(block.file(name)).expect("the file is there");
    let (ours, theirs) = (read(ours), read(theirs));
    let differs = ours.iter().zip(&theirs).position(|(our, their)| our != their);
    assert!(
        ours == theirs,
        "{name}: {} and {} bytes, which differ at {differs:?}",
        ours.len(),
        theirs.len()
    );
}

/// The text of `meta.json` with one name for every block.
fn meta_without_names(block: &Block) -> String {
    let text = fs::read_to_string(block.file("meta.json")).expect("there is a meta.json");
    let parts = text.split('"').map(|part| if blocks::is_ulid(part) { "ULID" } else { part });
    parts.collect::<Vec<_>>().join("\"")
}
