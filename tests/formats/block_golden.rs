//! Blocks that Prometheus 3.14.0 wrote: every sample in them is read bit for bit, what is deleted
//! is not, and what is read is written again byte for byte.
//!
//! `tests/golden/README.md` says how they were made.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::samples::{LabelSet, Samples};
use crate::support::{dir, golden};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::block::meta::{BlockMeta, list_block_dirs};
use narthex::tsdb::block::open::Block;
use narthex::tsdb::block::writer::{BlockWriter, NewBlockMeta};
use narthex::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
use narthex::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::chunk::histogram::append::AppendOutcome;
use narthex::tsdb::query::source::{BlockSource, ChunkSeries};
use narthex::tsdb::tombstones::format::{decode, encode};

/// The cases with blocks, and how many each has.
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

fn everything(block: &Block) -> Vec<ChunkSeries> {
    let all = [Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher")];
    let answer = block.select(&all, TimeRange::ALL).expect("the block can be read");
    answer.map(|series| series.expect("the block can be read")).collect()
}

/// Floats, and the start times of those that have one as bits of the same integer.
/// A chunk that is encoded again.
struct Again {
    encodings: EncodingPolicy,
    chunk: Option<AnyChunk>,
}

impl Again {
    fn new(floats: FloatEncoding) -> Again {
        Again { encodings: EncodingPolicy { floats, ..EncodingPolicy::default() }, chunk: None }
    }

    fn append(&mut self, point: Sample) {
        match &mut self.chunk {
            Some(chunk) => assert_eq!(chunk.append(&point), AppendOutcome::Appended),
            None => self.chunk = Some(AnyChunk::with_first_sample(self.encodings, &point, None)),
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
    /// Adds the floats that are not deleted. Their chunks, encoded again, are the same byte for
    /// byte.
    fn add(&mut self, series: &ChunkSeries) {
        let labels: LabelSet =
            series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for chunk in &series.chunks {
            let Some(encoding) = FloatEncoding::from_chunk_encoding(chunk.encoding) else {
                continue;
            };
            let mut again = Again::new(encoding);
            let mut stored = FloatIter::new(encoding, chunk.data.bytes());
            while let Some(sample) = stored.next() {
                let (sample, start) = (sample.expect("a whole chunk"), stored.start_timestamp());
                again.append(Sample {
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
            assert!(again.chunk().bytes() == chunk.data.bytes(), "a chunk of {}", series.labels);
        }
    }
}

#[test]
fn every_block_passes_the_deep_check() {
    for (case, count) in CASES {
        let place = dir::temp();
        let folders = blocks(&golden::unpack(case, place.path()));
        assert_eq!(folders.len(), count, "{case}");
        for folder in folders {
            let block = Block::open(&folder).unwrap_or_else(|error| panic!("{case}: {error}"));
            let facts = block.verify().unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(facts.chunks, facts.stored_chunks, "{case}");
            let whole = block.tombstones().is_empty();
            assert!(!whole || facts.series == everything(&block).len() as u64, "{case}");
        }
    }
}

#[test]
fn floats_are_those_that_prometheus_reads() {
    for (case, _) in CASES {
        let place = dir::temp();
        let (mut found, mut expected) = (Floats::default(), Floats::default());
        for folder in blocks(&golden::unpack(case, place.path())) {
            let block = Block::open(&folder).expect("a whole block");
            let meta = block.meta();
            expected
                .values
                .add_all(&golden::expected_floats(case).between(meta.min_time, meta.max_time));
            expected
                .starts
                .add_all(&golden::expected_starts(case).between(meta.min_time, meta.max_time));
            everything(&block).iter().for_each(|series| found.add(series));
        }
        assert!(expected.values.count() > 1000, "{case}");
        assert!((expected.starts.count() > 1000) == (case == "start-timestamps"), "{case}");
        found.values.assert_equals(&expected.values, case);
        found.starts.assert_equals(&expected.starts, &format!("{case}, start times"));
    }
}

#[test]
fn full_chunks_of_the_head_are_encoded_again_byte_for_byte() {
    for case in ["xor2", "xor2-switched"] {
        let place = dir::temp();
        let folder = golden::unpack(case, place.path()).join("chunks_head");
        let (mut files, _) = HeadChunkStore::open(&folder).expect("a whole folder");
        let mut found = Vec::new();
        files.for_each(place.path(), |chunk| found.push(chunk)).expect("whole files");
        let mut of_xor2 = 0;
        for meta in found {
            let Some(encoding) = FloatEncoding::from_chunk_encoding(meta.encoding) else {
                continue;
            };
            let chunk = files.read(meta.chunk_ref).expect("a whole chunk");
            let mut again = Again::new(encoding);
            let mut stored = FloatIter::new(encoding, chunk.as_ref());
            while let Some(sample) = stored.next() {
                let sample = sample.expect("a whole chunk");
                again.append(Sample {
                    start_timestamp: stored.start_timestamp(),
                    t: sample.t,
                    value: SampleValue::Float(sample.v),
                });
            }
            let again = again.chunk();
            assert!(again.bytes() == chunk.as_ref(), "{case}: {meta:?}");
            assert_eq!((again.num_samples(), again.last_t()), (meta.samples, Some(meta.maxt)));
            of_xor2 += usize::from(encoding == FloatEncoding::Xor2);
        }
        assert!(of_xor2 > 0, "{case}");
    }
}

#[test]
fn a_block_is_written_again_byte_for_byte() {
    for (case, _) in CASES {
        let place = dir::temp();
        let rewritten = dir::temp();
        for folder in blocks(&golden::unpack(case, place.path())) {
            let what = format!("{case}: {}", folder.display());
            // Without its tombstones, for the chunks that they touch to be handed out as they are.
            fs::remove_file(folder.join("tombstones")).expect("there are tombstones");
            let block = Block::open(&folder).expect("a whole block");
            let copy = rewrite(&block, rewritten.path());
            for name in ["index", "chunks/000001", "meta.json"] {
                if name == "meta.json"
                    && BlockMeta::read(&folder).expect("a whole file").stats.num_tombstones > 0
                {
                    continue;
                }
                assert!(
                    fs::read(folder.join(name)).ok() == fs::read(copy.join(name)).ok(),
                    "{what}: {name}"
                );
            }
            assert_eq!(*Block::open(&copy).expect("a whole block").meta(), *block.meta(), "{what}");
        }
    }
}

fn rewrite(block: &Block, parent: &Path) -> PathBuf {
    let meta = block.meta();
    let mut writer = BlockWriter::create(parent, meta.ulid).expect("a new folder");
    for symbol in block.symbols() {
        writer.add_symbol(symbol.expect("a symbol")).expect("symbols rise");
    }
    for series in everything(block) {
        writer.add_series(&series.labels, &series.chunks).expect("series rise");
    }
    let (min_time, max_time) = (meta.min_time, meta.max_time);
    let new = NewBlockMeta { min_time, max_time, compaction: meta.compaction.clone() };
    writer.finish(new).expect("the disk takes it").expect("it has samples");
    parent.join(meta.ulid.to_string())
}

#[test]
fn meta_and_tombstones_survive_being_written_again() {
    for (case, _) in CASES {
        let place = dir::temp();
        for folder in blocks(&golden::unpack(case, place.path())) {
            let file = |name: &str| fs::read(folder.join(name)).expect("a file");
            let before = file("meta.json");
            BlockMeta::read(&folder)
                .expect("a whole file")
                .write(&folder)
                .expect("the disk takes it");
            assert!(before == file("meta.json"), "{case}: meta.json of {}", folder.display());
            // Prometheus writes the series in no order: all else is alike.
            let before = file("tombstones");
            let tombstones = decode(&before).expect("a whole file");
            let again = encode(&tombstones);
            assert_eq!(
                (again.len(), decode(&again).as_ref()),
                (before.len(), Ok(&tombstones)),
                "{case}"
            );
        }
    }
}

#[test]
fn deletions_have_the_effect_that_they_have_in_prometheus() {
    let equal = |name, value| Matcher::new(MatchType::Equal, name, value).expect("a matcher");
    let gauge = |i| vec![equal("__name__", "golden_gauge"), equal("i", i)];
    let histogram = |case| vec![equal("__name__", "golden_hist"), equal("case", case)];
    // As flags.txt of the case has them.
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
    let place = dir::temp();
    let [folder] = <[PathBuf; 1]>::try_from(blocks(&golden::unpack("deletes", place.path())))
        .expect("one block");
    let meta = fs::read(folder.join("meta.json")).expect("a file");
    let tombstones =
        decode(&fs::read(folder.join("tombstones")).expect("a file")).expect("a whole file");
    fs::remove_file(folder.join("tombstones")).expect("there are tombstones");
    let block = Block::open(&folder).expect("a whole block");
    for (matchers, mint, maxt) in deletions {
        block.delete(&matchers, TimeRange::new(mint, maxt)).expect("the disk takes it");
    }
    assert_eq!(*block.tombstones(), tombstones);
    assert!(fs::read(folder.join("meta.json")).expect("a file") == meta, "meta.json");
}
