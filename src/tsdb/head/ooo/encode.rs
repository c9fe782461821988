//! Late points as chunks of bytes: one chunk for each run of one kind, and a new one where a histogram can't follow the one before
//! (`ToEncodedChunks` in `tsdb/ooo_head.go` of Prometheus). Pure.

use crate::model::refs::SeriesRef;
use crate::model::value::{Point, Value};
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::float_chunk::{FloatChunk, FloatEncoding};
use crate::tsdb::chunk::head_chunks::format::NewChunk;

/// No chunk has more points. An open chunk has more only if it could not be written for a while.
const MOST_POINTS: u16 = 120;

/// A chunk of late points.
#[derive(Clone, Debug)]
pub struct EncodedChunk {
    /// Time of its first point, ms.
    pub mint: i64,
    /// Time of its last point, ms.
    pub maxt: i64,
    /// How many points there are.
    pub samples: u16,
    /// How `bytes` are encoded.
    pub encoding: Encoding,
    /// The encoded points.
    pub bytes: Box<[u8]>,
}

impl EncodedChunk {
    /// As it is written for `series`.
    #[must_use]
    pub fn as_new(&self, series: SeriesRef) -> NewChunk<'_> {
        let Self { mint, maxt, encoding, ref bytes, .. } = *self;
        NewChunk { series, mint, maxt, encoding, out_of_order: true, bytes }
    }
}

/// Encodes points, which are sorted by time and have each time once.
#[must_use]
pub fn encode(points: &[Point], encoding: FloatEncoding) -> Vec<EncodedChunk> {
    let mut done = Vec::with_capacity(1);
    let mut open: Option<Open> = None;
    for point in points {
        let Value::Float(v) = point.value else { continue };
        let is_full = open.as_ref().is_some_and(|open| open.chunk.num_samples() >= MOST_POINTS);
        if is_full {
            done.extend(open.take().map(Open::end));
        }
        let open = open.get_or_insert_with(|| Open { chunk: FloatChunk::new(encoding), mint: point.t, maxt: point.t });
        open.chunk.append_with_start(point.start, point.t, v);
        open.maxt = point.t;
    }
    done.extend(open.map(Open::end));
    done
}

/// The chunk that grows.
struct Open {
    chunk: FloatChunk,
    mint: i64,
    maxt: i64,
}

impl Open {
    fn end(self) -> EncodedChunk {
        let (samples, encoding) = (self.chunk.num_samples(), self.chunk.encoding().into());
        EncodedChunk { mint: self.mint, maxt: self.maxt, samples, encoding, bytes: self.chunk.into_bytes() }
    }
}
