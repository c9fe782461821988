//! Chunks of every kind that Prometheus 3.14.0 wrote, in blocks and in `chunks_head/`: every one is
//! read, and what is read is encoded again byte for byte.
//!
//! `tests/golden/README.md` says how they were made.

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
use narthex::tsdb::query::source::BlockSource;

/// The cases with blocks or head chunks that hold histograms.
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

/// A chunk as it was found.
struct Found {
    encoding: ChunkEncoding,
    bytes: Vec<u8>,
    /// What the file says of it beside.
    samples: Option<u16>,
}

/// Calls `visit` with every chunk of a case.
fn each_chunk(case: &str, mut visit: impl FnMut(Found)) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    for folder in list_block_dirs(&data).expect("the data directory can be listed") {
        let block = Block::open(&folder).expect("a whole block");
        let all = [Matcher::new(MatchType::Equal, "no_such_label", "").expect("a matcher")];
        for series in block.select(&all, TimeRange::ALL).expect("the block can be read") {
            for chunk in series.expect("the block can be read").chunks {
                visit(Found {
                    encoding: chunk.encoding,
                    bytes: chunk.data.bytes().to_vec(),
                    samples: None,
                });
            }
        }
    }
    let folder = data.join("chunks_head");
    if folder.exists() {
        each_head_chunk(&folder, place.path(), visit);
    }
}

fn each_head_chunk(folder: &Path, quarantine: &Path, mut visit: impl FnMut(Found)) {
    let (mut files, _) = HeadChunkStore::open(folder).expect("a whole folder");
    let mut found = Vec::new();
    files.for_each(quarantine, |chunk| found.push(chunk)).expect("whole files");
    for meta in found {
        let bytes = files.read(meta.chunk_ref).expect("a whole chunk").as_ref().to_vec();
        visit(Found { encoding: meta.encoding, bytes, samples: Some(meta.samples) });
    }
}

/// What the header of a chunk of histograms says of counter resets.
fn header_of(found: &Found) -> CounterResetHint {
    let bits = match found.encoding {
        ChunkEncoding::Histogram | ChunkEncoding::FloatHistogram => found.bytes[2] >> 6,
        ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt => found.bytes[0] >> 6,
        ChunkEncoding::Xor | ChunkEncoding::Xor2 => 0,
    };
    [
        CounterResetHint::Unknown,
        CounterResetHint::NotReset,
        CounterResetHint::Reset,
        CounterResetHint::Gauge,
    ][usize::from(bits)]
}

/// Gives a histogram that hint.
fn hint(point: &mut Sample, hint: CounterResetHint) {
    match &mut point.value {
        SampleValue::Float(_) => {}
        SampleValue::Histogram(histogram) => histogram.reset_hint = hint,
        SampleValue::FloatHistogram(histogram) => histogram.reset_hint = hint,
    }
}

/// The chunk's points, encoded again.
fn again(found: &Found) -> AnyChunk {
    let header = header_of(found);
    let mut points: Vec<Sample> = AnyChunkIter::new(found.encoding, &found.bytes)
        .map(|point| point.expect("a whole chunk"))
        .collect();
    // A stale marker does not say that it is one of a gauge.
    let is_gauge = header == CounterResetHint::Gauge;
    points.iter_mut().filter(|_| is_gauge).for_each(|point| hint(point, header));
    let with_starts =
        matches!(found.encoding, ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt);
    let encodings = EncodingPolicy {
        floats: FloatEncoding::from_chunk_encoding(found.encoding).unwrap_or_default(),
        histogram_st_mode: if with_starts {
            HistogramStMode::WithSt
        } else {
            HistogramStMode::WithoutSt
        },
    };
    let mut first = points[0].clone();
    // A chunk that ends with the same point says that there was no reset.
    let same = AnyChunk::with_first_sample(encodings, &first, None);
    let before = (header == CounterResetHint::NotReset).then_some(&same);
    if header == CounterResetHint::Reset {
        hint(&mut first, header);
    }
    let mut chunk = AnyChunk::with_first_sample(encodings, &first, before);
    for point in &points[1..] {
        assert_eq!(chunk.append(point), AppendOutcome::Appended, "{point:?}");
    }
    chunk
}

#[test]
fn every_chunk_is_encoded_again_byte_for_byte() {
    let mut by_encoding: BTreeMap<u8, usize> = BTreeMap::new();
    for case in CASES {
        each_chunk(case, |found| {
            let chunk = again(&found);
            assert!(
                chunk.bytes() == found.bytes,
                "{case}: a chunk of {:?}\n{:?}\n{:?}",
                found.encoding,
                chunk.bytes(),
                found.bytes
            );
            assert_eq!(chunk.num_bytes(), found.bytes.len());
            assert!(found.samples.is_none_or(|samples| samples == chunk.num_samples()));
            let resumed = AnyChunk::resume(found.encoding, &found.bytes).expect("a whole chunk");
            assert_eq!((resumed.bytes(), resumed.encoding()), (&*found.bytes, found.encoding));
            assert_eq!(
                format!("{:?}", resumed.last_sample()),
                format!(
                    "{:?}",
                    AnyChunkIter::new(found.encoding, &found.bytes)
                        .last()
                        .transpose()
                        .expect("a whole chunk")
                )
            );
            *by_encoding.entry(found.encoding as u8).or_default() += 1;
        });
    }
    println!("{by_encoding:?}");
    assert!((1..=6).all(|encoding| by_encoding[&encoding] > 10), "{by_encoding:?}");
}
