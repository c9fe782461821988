//! Lookups of stored values, for duplicates. The caller holds the mutex of the series.

use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::head::chunks::mapper::ChunkMapper;
use crate::tsdb::head::out_of_order::mapped::OutOfOrderChunks;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::series::state::SeriesState;

/// Returns the stored value at `t` ms, from the chunk that covers it. An out-of-order value
/// precedes an in-order one.
pub fn find_value(mapper: &ChunkMapper, state: &SeriesState, t: i64) -> Option<SampleValue> {
    let ooo = state.out_of_order.as_deref().and_then(|ooo| find_ooo_value(mapper, ooo, t));
    ooo.or_else(|| find_in_order_value(mapper, state, t))
}

fn find_in_order_value(mapper: &ChunkMapper, state: &SeriesState, t: i64) -> Option<SampleValue> {
    if let Some(open) = state.open.as_ref().filter(|open| open.chunk.last_t() == Some(t)) {
        return open.chunk.last_sample().map(|last| last.value);
    }
    if let Some(open) = state.open.as_ref().filter(|open| open.mint <= t) {
        return value_at(open.chunk.encoding(), open.chunk.bytes(), t);
    }
    let sealed = state.sealed();
    if let Some(chunk) = sealed[..sealed.partition_point(|chunk| chunk.mint <= t)].last() {
        return value_at(chunk.encoding, &chunk.bytes, t);
    }
    let chunk = state.mapped.covering(t)?;
    let data = mapper.read(chunk.chunk_ref()).ok()?;
    value_at(chunk.encoding(), data.as_ref(), t)
}

/// Returns the newest out-of-order value at `t` ms.
fn find_ooo_value(mapper: &ChunkMapper, ooo: &OutOfOrderState, t: i64) -> Option<SampleValue> {
    let open = ooo.open.get(t).map(|sample| sample.value.clone());
    open.or_else(|| find_mapped_ooo_value(mapper, &ooo.mapped, t))
}

/// Returns the newest out-of-order value at `t` ms that is in `chunks_head/`.
pub fn find_mapped_ooo_value(
    mapper: &ChunkMapper,
    mapped: &OutOfOrderChunks,
    t: i64,
) -> Option<SampleValue> {
    mapped.covering(t).into_iter().find_map(|chunk_ref| {
        let data = mapper.read(chunk_ref).ok()?;
        value_at(data.encoding(), data.as_ref(), t)
    })
}

/// Returns the value at `t` ms in a chunk.
fn value_at(encoding: ChunkEncoding, chunk: &[u8], t: i64) -> Option<SampleValue> {
    decode_samples(encoding, chunk)
        .take_while(|sample| sample.t <= t)
        .find(|sample| sample.t == t)
        .map(|sample| sample.value)
}

/// Decodes the samples of a chunk, up to the first corruption.
pub fn decode_samples(encoding: ChunkEncoding, chunk: &[u8]) -> impl Iterator<Item = Sample> {
    AnyChunkIter::new(encoding, chunk).map_while(Result::ok)
}
