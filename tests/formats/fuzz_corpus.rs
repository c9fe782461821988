//! Properties of the fuzz targets on the stable toolchain, for every input of the corpus and for
//! changed ones.
//!
//! `tests/fuzz_corpus/TARGET/` has small inputs: parts of files of Prometheus, inputs that reached
//! new code, and every input that found a fault. The properties are in `fuzz/checks/`.

#[path = "../../fuzz/checks/mod.rs"]
mod checks;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use std::path::{Path, PathBuf};

/// Fuzz target: name of its directory, and its property.
#[derive(Clone, Copy, Debug)]
struct Target {
    name: &'static str,
    check: fn(&[u8]),
}

const TARGETS: [Target; 24] = [
    Target { name: "block_index", check: checks::block_index::check },
    Target { name: "write_request", check: checks::write_request::check },
    Target { name: "write_request_v2", check: checks::write_request_v2::check },
    Target { name: "read_request", check: checks::read_request::check },
    Target { name: "series_request", check: checks::series_request::check },
    Target { name: "stream_request", check: checks::stream_request::check },
    Target { name: "unpack", check: checks::unpack::check },
    Target { name: "thanos_write_request", check: checks::thanos_write_request::check },
    Target { name: "wal_reader", check: checks::wal_reader::check },
    Target { name: "wal_record", check: checks::wal_record::check },
    Target { name: "xor_chunk", check: checks::xor_chunk::check },
    Target { name: "xor2_chunk", check: checks::xor2_chunk::check },
    Target { name: "histogram_chunk", check: checks::histogram_chunk::check },
    Target { name: "head_chunks", check: checks::head_chunks::check },
    Target { name: "matcher", check: checks::matcher::check },
    Target { name: "relabel_rule", check: checks::relabel_rule::check },
    Target { name: "tombstones", check: checks::tombstones::check },
    Target { name: "chunk_segment", check: checks::chunk_segment::check },
    Target { name: "expression", check: checks::expression::check },
    Target { name: "config_file", check: checks::config_file::check },
    Target { name: "exposition_text", check: checks::exposition::check_text },
    Target { name: "exposition_openmetrics", check: checks::exposition::check_openmetrics },
    Target { name: "web_config_file", check: checks::web_config_file::check },
    Target { name: "exposition_protobuf", check: checks::exposition_protobuf::check },
];

impl Target {
    /// Returns the inputs of the corpus with their paths, sorted by name.
    fn inputs(self) -> Vec<(PathBuf, Vec<u8>)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz_corpus").join(self.name);
        let entries = std::fs::read_dir(&dir).expect("the corpus can be listed");
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.expect("an entry can be read").path()).collect();
        paths.sort();
        assert!(paths.len() >= 5, "{} has only {} inputs", dir.display(), paths.len());
        let read =
            |path: PathBuf| (path.clone(), std::fs::read(path).expect("an input can be read"));
        paths.into_iter().map(read).collect()
    }
}

#[test]
fn corpus_inputs_keep_property() {
    for target in TARGETS {
        for (path, input) in target.inputs() {
            println!("{}", path.display());
            (target.check)(&input);
        }
    }
}

#[test]
fn shortest_inputs_keep_property() {
    for target in TARGETS {
        (target.check)(&[]);
        (0..=u8::MAX).for_each(|byte| (target.check)(&[byte]));
    }
}

/// Change of an input. Positions are modulo its length.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Flip(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Cut(usize),
    Copy(usize, usize, usize),
}

impl Change {
    fn apply(&self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let len = input.len();
        match self {
            Self::Set(at, byte) => input[at % len] = *byte,
            Self::Flip(at, bit) => input[at % len] ^= 1 << bit,
            Self::Insert(at, bytes) => {
                drop(input.splice(at % len..at % len, bytes.iter().copied()))
            }
            Self::Remove(at, count) => drop(input.drain(at % len..len.min(at % len + count))),
            Self::Cut(at) => input.truncate(at % len),
            Self::Copy(from, to, count) => {
                let piece = input[from % len..len.min(from % len + count)].to_vec();
                input.splice(to % len..to % len, piece);
            }
        }
    }
}

fn arb_change() -> impl Strategy<Value = Change> {
    let at = || 0..1usize << 16;
    let edge_byte =
        prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    prop_oneof![
        (at(), edge_byte).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), prop::collection::vec(any::<u8>(), 1..5))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..5usize).prop_map(|(at, count)| Change::Remove(at, count)),
        at().prop_map(Change::Cut),
        (at(), at(), 1..40usize).prop_map(|(from, to, count)| Change::Copy(from, to, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_inputs_keep_property(changes in prop::collection::vec(arb_change(), 1..4)) {
        for target in TARGETS {
            for (path, mut input) in target.inputs() {
                changes.iter().for_each(|change| change.apply(&mut input));
                println!("{} after {changes:?}", path.display());
                (target.check)(&input);
            }
        }
    }
}
