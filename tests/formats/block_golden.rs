//! Blocks of Prometheus 3.14.0: samples are read bit for bit, deleted ones are not returned, and
//! the block is rewritten byte for byte.
//!
//! `tests/golden/README.md` has their origin.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::samples::{LabelSet, Samples};
use crate::support::{dir, golden};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::block::delete::delete;
use narthex::tsdb::block::meta::{BlockMeta, list_block_dirs};
use narthex::tsdb::block::open::Block;
use narthex::tsdb::block::verify::verify;
use narthex::tsdb::block::writer::{BlockWriter, NewBlockMeta};
use narthex::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
use narthex::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::chunk::histogram::append::AppendOutcome;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::query::source::{BlockSource, ChunkSeries};
use narthex::tsdb::tombstones::format::{decode, encode};
use std::sync::Arc;

/// Cases with blocks, and their number of blocks.
const CASES: [(&str, usize); 7] = [
    ("blocks-clean", 3),
    ("blocks-killed-after-compaction", 2),
    ("deletes", 1),
    ("snapshot-admin", 2),
    ("start-timestamps", 2),
    ("xor2", 2),
    ("xor2-switched", 2),
];

fn blocks(data: &Path) -> Vec<PathBuf> {
    list_block_dirs(data).expect("the data directory can be listed")
}

fn all_series(block: &Block) -> Vec<ChunkSeries> {
    let all = [Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher")];
    let series = block.select(&all, TimeRange::ALL).expect("the block can be read");
    series.map(|series| series.expect("the block can be read")).collect()
}

/// Float values, and the non-zero start timestamps, both as bits.
/// Chunk that is re-encoded.
struct ReencodedChunk {
    encodings: EncodingPolicy,
    chunk: Option<AnyChunk>,
}

impl ReencodedChunk {
    fn new(floats: FloatEncoding) -> ReencodedChunk {
        ReencodedChunk {
            encodings: EncodingPolicy { floats, ..EncodingPolicy::default() },
            chunk: None,
        }
    }

    fn append(&mut self, sample: Sample) {
        match &mut self.chunk {
            Some(chunk) => assert_eq!(chunk.append(&sample), AppendOutcome::Appended),
            None => self.chunk = Some(AnyChunk::with_first_sample(self.encodings, &sample, None)),
        }
    }

    fn chunk(&self) -> &AnyChunk {
        self.chunk.as_ref().expect("a chunk has samples")
    }
}

#[derive(Default)]
struct Floats {
    values: Samples,
    starts: Samples,
}

impl Floats {
    /// Adds the floats that are not deleted. Asserts that re-encoded chunks are equal byte for
    /// byte.
    fn add(&mut self, series: &ChunkSeries) {
        let labels: LabelSet =
            series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for chunk in &series.chunks {
            let Some(encoding) = FloatEncoding::from_chunk_encoding(chunk.encoding) else {
                continue;
            };
            let mut reencoded = ReencodedChunk::new(encoding);
            let mut stored = FloatIter::new(encoding, chunk.data.bytes());
            while let Some(sample) = stored.next() {
                let (sample, start) = (sample.expect("a valid chunk"), stored.start_timestamp());
                reencoded.append(Sample {
                    start_timestamp: start,
                    t: sample.t,
                    value: SampleValue::Float(sample.v),
                });
                if chunk
                    .deleted_intervals
                    .as_ref()
                    .is_some_and(|deleted| deleted.contains(sample.t))
                {
                    continue;
                }
                self.values.add(&labels, sample.t, sample.v.to_bits());
                if start != 0 {
                    self.starts.add(&labels, sample.t, start as u64);
                }
            }
            let bytes = reencoded.chunk().bytes();
            assert!(bytes == chunk.data.bytes(), "a chunk of {}", series.labels);
        }
    }
}

#[test]
fn every_block_verifies() {
    for (case, count) in CASES {
        let temp_dir = dir::temp();
        let dirs = blocks(&golden::unpack(case, temp_dir.path()));
        assert_eq!(dirs.len(), count, "{case}");
        for dir in dirs {
            let block = Block::open(&dir).unwrap_or_else(|error| panic!("{case}: {error}"));
            let report = verify(&block).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(report.chunks, report.stored_chunks, "{case}");
            let is_complete = block.tombstones().is_empty();
            assert!(!is_complete || report.series == all_series(&block).len() as u64, "{case}");
        }
    }
}

#[test]
fn floats_match_prometheus() {
    for (case, _) in CASES {
        let temp_dir = dir::temp();
        let (mut found, mut expected) = (Floats::default(), Floats::default());
        for dir in blocks(&golden::unpack(case, temp_dir.path())) {
            let block = Block::open(&dir).expect("a valid block");
            let meta = block.meta();
            expected
                .values
                .add_all(&golden::expected_floats(case).between(meta.min_time, meta.max_time));
            expected
                .starts
                .add_all(&golden::expected_starts(case).between(meta.min_time, meta.max_time));
            all_series(&block).iter().for_each(|series| found.add(series));
        }
        assert!(expected.values.count() > 1000, "{case}");
        assert!((expected.starts.count() > 1000) == (case == "start-timestamps"), "{case}");
        found.values.assert_equals(&expected.values, case);
        found.starts.assert_equals(&expected.starts, &format!("{case}, start timestamps"));
    }
}

#[test]
fn head_chunks_are_reencoded_byte_for_byte() {
    for case in ["xor2", "xor2-switched"] {
        let temp_dir = dir::temp();
        let dir = golden::unpack(case, temp_dir.path()).join("chunks_head");
        let (mut files, _) =
            HeadChunkStore::open(Arc::new(OsDisk), &dir).expect("a valid directory");
        let mut found = Vec::new();
        files.for_each(temp_dir.path(), |chunk| found.push(chunk)).expect("valid files");
        let mut num_xor2 = 0;
        for meta in found {
            let Some(encoding) = FloatEncoding::from_chunk_encoding(meta.encoding) else {
                continue;
            };
            let chunk = files.read(meta.chunk_ref).expect("a valid chunk");
            let mut reencoded = ReencodedChunk::new(encoding);
            let mut stored = FloatIter::new(encoding, chunk.as_ref());
            while let Some(sample) = stored.next() {
                let sample = sample.expect("a valid chunk");
                reencoded.append(Sample {
                    start_timestamp: stored.start_timestamp(),
                    t: sample.t,
                    value: SampleValue::Float(sample.v),
                });
            }
            let reencoded = reencoded.chunk();
            assert!(reencoded.bytes() == chunk.as_ref(), "{case}: {meta:?}");
            let found = (reencoded.num_samples(), reencoded.last_t());
            assert_eq!(found, (meta.samples, Some(meta.maxt)));
            num_xor2 += usize::from(encoding == FloatEncoding::Xor2);
        }
        assert!(num_xor2 > 0, "{case}");
    }
}

#[test]
fn block_is_rewritten_byte_for_byte() {
    for (case, _) in CASES {
        let temp_dir = dir::temp();
        let rewritten = dir::temp();
        for dir in blocks(&golden::unpack(case, temp_dir.path())) {
            let context = format!("{case}: {}", dir.display());
            // Without tombstones, so that all chunks are returned unchanged.
            fs::remove_file(dir.join("tombstones")).expect("a tombstone file");
            let block = Block::open(&dir).expect("a valid block");
            let copy = rewrite(&block, rewritten.path());
            for name in ["index", "chunks/000001", "meta.json"] {
                if name == "meta.json"
                    && BlockMeta::read(&dir).expect("a valid file").stats.num_tombstones > 0
                {
                    continue;
                }
                assert!(
                    fs::read(dir.join(name)).ok() == fs::read(copy.join(name)).ok(),
                    "{context}: {name}"
                );
            }
            assert_eq!(
                *Block::open(&copy).expect("a valid block").meta(),
                *block.meta(),
                "{context}"
            );
        }
    }
}

fn rewrite(block: &Block, parent: &Path) -> PathBuf {
    let meta = block.meta();
    let mut writer = BlockWriter::create(&OsDisk, parent, meta.ulid).expect("a new directory");
    for symbol in block.symbols() {
        writer.add_symbol(symbol.expect("a symbol")).expect("ascending symbols");
    }
    for series in all_series(block) {
        writer.add_series(&series.labels, &series.chunks).expect("ascending series");
    }
    let (min_time, max_time) = (meta.min_time, meta.max_time);
    let new = NewBlockMeta { min_time, max_time, compaction: meta.compaction.clone() };
    writer.finish(new).expect("a written block").expect("a block with samples");
    parent.join(meta.ulid.to_string())
}

#[test]
fn meta_and_tombstones_survive_rewrite() {
    for (case, _) in CASES {
        let temp_dir = dir::temp();
        for dir in blocks(&golden::unpack(case, temp_dir.path())) {
            let file = |name: &str| fs::read(dir.join(name)).expect("a file");
            let before = file("meta.json");
            let meta = BlockMeta::read(&dir).expect("a valid file");
            meta.write(&OsDisk, &dir).expect("a written file");
            assert!(before == file("meta.json"), "{case}: meta.json of {}", dir.display());
            // Prometheus writes the series in no particular order; the rest is equal.
            let before = file("tombstones");
            let tombstones = decode(&before).expect("a valid file");
            let encoded = encode(&tombstones);
            assert_eq!(
                (encoded.len(), decode(&encoded).as_ref()),
                (before.len(), Ok(&tombstones)),
                "{case}"
            );
        }
    }
}

#[test]
fn deletion_writes_tombstones_of_prometheus() {
    let equal = |name, value| Matcher::new(MatchType::Equal, name, value).expect("a matcher");
    let gauge = |i| vec![equal("__name__", "golden_gauge"), equal("i", i)];
    let histogram = |case| vec![equal("__name__", "golden_hist"), equal("case", case)];
    // The deletions in flags.txt of the case.
    let deletions = [
        (gauge("0"), 1_762_304_400_000, 1_762_311_600_000),
        (gauge("1"), 1_762_301_400_000, 1_762_302_000_000),
        (gauge("1"), 1_762_301_700_000, 1_762_302_300_001),
        (gauge("1"), 1_762_303_800_000, 1_762_303_800_000),
        (gauge("2"), 1_762_312_200_000, 1_762_312_800_000),
        (gauge("2"), 1_762_315_800_000, 1_762_315_860_000),
        (
            vec![equal("__name__", "golden_counter_total"), equal("i", "0")],
            1_762_297_200_000,
            1_762_333_200_000,
        ),
        (vec![equal("__name__", "golden_special")], 1_762_297_200_000, 1_762_333_200_000),
        (histogram("grow_schema3"), 1_762_306_800_000, 1_762_309_800_000),
        (histogram("custom_grow"), 1_762_306_800_000, 1_762_309_800_000),
    ];
    let temp_dir = dir::temp();
    let [dir] = <[PathBuf; 1]>::try_from(blocks(&golden::unpack("deletes", temp_dir.path())))
        .expect("one block");
    let meta = fs::read(dir.join("meta.json")).expect("a file");
    let tombstones =
        decode(&fs::read(dir.join("tombstones")).expect("a file")).expect("a valid file");
    fs::remove_file(dir.join("tombstones")).expect("a tombstone file");
    let block = Block::open(&dir).expect("a valid block");
    for (matchers, mint, maxt) in deletions {
        delete(&block, &OsDisk, &matchers, TimeRange::new(mint, maxt)).expect("written tombstones");
    }
    assert_eq!(*block.tombstones(), tombstones);
    assert!(fs::read(dir.join("meta.json")).expect("a file") == meta, "meta.json");
}
