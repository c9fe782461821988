//! Chunks of every encoding in blocks and `chunks_head/` of Prometheus 3.14.0: decoded, and
//! re-encoded byte for byte.
//!
//! `tests/golden/README.md` has their origin.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{dir, golden};
use narthex::model::histogram::CounterResetHint;
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::block::meta::list_block_dirs;
use narthex::tsdb::block::open::Block;
use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::any_chunk::{AnyChunk, AnyChunkIter, EncodingPolicy, HistogramStMode};
use narthex::tsdb::chunk::float_chunk::FloatEncoding;
use narthex::tsdb::chunk::head_chunks::HeadChunkStore;
use narthex::tsdb::chunk::histogram::append::AppendOutcome;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::query::source::BlockSource;
use std::sync::Arc;

/// Cases with histograms in blocks or head chunks.
const CASES: [&str; 12] = [
    "all-types-killed",
    "blocks-killed-after-compaction",
    "deletes",
    "deletes-cleaned",
    "ooo-compacted",
    "ooo-compacted-overlapping",
    "ooo-killed",
    "snapshot-admin",
    "snapshot-on-shutdown",
    "start-timestamps",
    "xor2",
    "xor2-switched",
];

/// Chunk of a file.
struct StoredChunk {
    encoding: ChunkEncoding,
    bytes: Vec<u8>,
    /// Number of samples in the chunk header, if the file has one.
    samples: Option<u16>,
}

/// Calls `visit` for every chunk of a case.
fn each_chunk(case: &str, mut visit: impl FnMut(StoredChunk)) {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    for dir in list_block_dirs(&data).expect("the data directory can be listed") {
        let block = Block::open(&dir).expect("a valid block");
        let all = [Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher")];
        for series in block.select(&all, TimeRange::ALL).expect("the block can be read") {
            for chunk in series.expect("the block can be read").chunks {
                visit(StoredChunk {
                    encoding: chunk.encoding,
                    bytes: chunk.data.bytes().to_vec(),
                    samples: None,
                });
            }
        }
    }
    let dir = data.join("chunks_head");
    if dir.exists() {
        each_head_chunk(&dir, temp_dir.path(), visit);
    }
}

fn each_head_chunk(dir: &Path, quarantine: &Path, mut visit: impl FnMut(StoredChunk)) {
    let (mut files, _) = HeadChunkStore::open(Arc::new(OsDisk), dir).expect("a valid directory");
    let mut stored = Vec::new();
    files.for_each(quarantine, |chunk| stored.push(chunk)).expect("valid files");
    for meta in stored {
        let bytes = files.read(meta.chunk_ref).expect("a valid chunk").as_ref().to_vec();
        visit(StoredChunk { encoding: meta.encoding, bytes, samples: Some(meta.samples) });
    }
}

/// Returns the counter reset hint in the header of a histogram chunk.
fn reset_hint(stored: &StoredChunk) -> CounterResetHint {
    let bits = match stored.encoding {
        ChunkEncoding::Histogram | ChunkEncoding::FloatHistogram => stored.bytes[2] >> 6,
        ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt => stored.bytes[0] >> 6,
        ChunkEncoding::Xor | ChunkEncoding::Xor2 => 0,
    };
    [
        CounterResetHint::Unknown,
        CounterResetHint::NotReset,
        CounterResetHint::Reset,
        CounterResetHint::Gauge,
    ][usize::from(bits)]
}

/// Sets the counter reset hint of a histogram.
fn set_hint(sample: &mut Sample, hint: CounterResetHint) {
    match &mut sample.value {
        SampleValue::Float(_) => {}
        SampleValue::Histogram(histogram) => histogram.reset_hint = hint,
        SampleValue::FloatHistogram(histogram) => histogram.reset_hint = hint,
    }
}

/// Re-encodes the samples of the chunk.
fn reencode(stored: &StoredChunk) -> AnyChunk {
    let header = reset_hint(stored);
    let mut samples: Vec<Sample> = AnyChunkIter::new(stored.encoding, &stored.bytes)
        .map(|sample| sample.expect("a valid chunk"))
        .collect();
    // A stale marker has no gauge hint.
    let is_gauge = header == CounterResetHint::Gauge;
    samples.iter_mut().filter(|_| is_gauge).for_each(|sample| set_hint(sample, header));
    let has_st =
        matches!(stored.encoding, ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt);
    let encodings = EncodingPolicy {
        floats: FloatEncoding::from_chunk_encoding(stored.encoding).unwrap_or_default(),
        histogram_st_mode: if has_st {
            HistogramStMode::WithSt
        } else {
            HistogramStMode::WithoutSt
        },
    };
    let mut first = samples[0].clone();
    // A previous chunk with the same sample sets the hint "no reset".
    let same = AnyChunk::with_first_sample(encodings, &first, None);
    let before = (header == CounterResetHint::NotReset).then_some(&same);
    if header == CounterResetHint::Reset {
        set_hint(&mut first, header);
    }
    let mut chunk = AnyChunk::with_first_sample(encodings, &first, before);
    for sample in &samples[1..] {
        assert_eq!(chunk.append(sample), AppendOutcome::Appended, "{sample:?}");
    }
    chunk
}

#[test]
fn every_chunk_is_reencoded_byte_for_byte() {
    let mut by_encoding: BTreeMap<u8, usize> = BTreeMap::new();
    for case in CASES {
        each_chunk(case, |stored| {
            let chunk = reencode(&stored);
            assert!(
                chunk.bytes() == stored.bytes,
                "{case}: a chunk of {:?}\n{:?}\n{:?}",
                stored.encoding,
                chunk.bytes(),
                stored.bytes
            );
            assert_eq!(chunk.num_bytes(), stored.bytes.len());
            assert!(stored.samples.is_none_or(|samples| samples == chunk.num_samples()));
            let resumed = AnyChunk::resume(stored.encoding, &stored.bytes).expect("a valid chunk");
            assert_eq!((resumed.bytes(), resumed.encoding()), (&*stored.bytes, stored.encoding));
            assert_eq!(
                format!("{:?}", resumed.last_sample()),
                format!(
                    "{:?}",
                    AnyChunkIter::new(stored.encoding, &stored.bytes)
                        .last()
                        .transpose()
                        .expect("a valid chunk")
                )
            );
            *by_encoding.entry(stored.encoding as u8).or_default() += 1;
        });
    }
    println!("{by_encoding:?}");
    assert!((1..=6).all(|encoding| by_encoding[&encoding] > 10), "{by_encoding:?}");
}
