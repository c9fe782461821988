//! Blocks for tests, written by the real writer from given series and samples.

use crate::model::float_sample::FloatSample;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::tsdb::block::meta::{BlockMeta, Compaction};
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::block::writer::{BlockWriter, NewBlockMeta};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::xor::XorChunk;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::query::source::{Chunk, ChunkData};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Series with their samples, in the order of a block.
pub(crate) type Model = BTreeMap<Labels, Vec<FloatSample>>;

/// Builds a label set from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

/// Returns three series with up to 35 samples from 1000000 to 1340000 ms, every 10 s.
pub(crate) fn example() -> Model {
    let series = [
        (&[("__name__", "up"), ("zone", "a")][..], 35),
        (&[("__name__", "up"), ("zone", "é")], 12),
        (&[("job", "x")], 1),
    ];
    let samples =
        |count| (0..count).map(|i| FloatSample::new(1_000_000 + 10_000 * i, i as f64)).collect();
    series.into_iter().map(|(pairs, count)| (labels(pairs), samples(count))).collect()
}

/// Encodes samples, ascending by timestamp, as a chunk.
pub(crate) fn chunk(samples: &[FloatSample]) -> Chunk {
    let mut chunk = XorChunk::new();
    samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    let (mint, maxt) = (samples.first().unwrap().t, samples.last().unwrap().t);
    Chunk {
        mint,
        maxt,
        encoding: ChunkEncoding::Xor,
        data: ChunkData::new(chunk.into_bytes()),
        deleted_intervals: None,
    }
}

/// Returns a writer that got all symbols and series of `model`, in chunks of 10 samples.
pub(crate) fn populated_writer(
    parent: &Path,
    ulid: BlockUlid,
    model: &Model,
) -> BlockWriter<'static> {
    let mut writer = BlockWriter::create(&OsDisk, parent, ulid).unwrap();
    let symbols: BTreeSet<&str> =
        model.keys().flat_map(Labels::iter).flat_map(|(name, value)| [name, value]).collect();
    symbols.into_iter().for_each(|symbol| writer.add_symbol(symbol).unwrap());
    for (labels, samples) in model {
        writer.add_series(labels, &samples.chunks(10).map(chunk).collect::<Vec<_>>()).unwrap();
    }
    writer
}

/// Returns the metadata of a block of level 1.
pub(crate) fn head_block(ulid: BlockUlid, min_time: i64, max_time: i64) -> NewBlockMeta {
    NewBlockMeta {
        min_time,
        max_time,
        compaction: Compaction { level: 1, sources: vec![ulid], ..Compaction::default() },
    }
}

/// Writes a block of 0 to 2000000 ms and returns its directory.
pub(crate) fn write(parent: &Path, model: &Model) -> PathBuf {
    let ulid = BlockUlid::new(2_000_000).unwrap();
    let meta: BlockMeta = populated_writer(parent, ulid, model)
        .finish(head_block(ulid, 0, 2_000_000))
        .unwrap()
        .unwrap();
    parent.join(meta.ulid.to_string())
}
