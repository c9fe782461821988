//! Samples of chunks that can't be taken over as they are, as new chunks.
//!
//! A new chunk has at most 120 samples, as where Prometheus encodes anew (`storage/series.go`).

use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::xor::XorChunk;
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::source::{Chunk, ChunkData, QueryError};

/// A new chunk takes no more samples than this.
pub const MAX_SAMPLES: usize = 120;

/// How floats are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatEncoding {
    /// What every Prometheus reads.
    #[default]
    Xor,
    /// The newer scheme. This version has no encoder for it: chunks that are encoded anew become [`Self::Xor`].
    Xor2,
}

/// Encodes the samples of `series` in `times` anew, behind the chunks that are there.
///
/// # Errors
/// [`QueryError`] where a chunk is damaged, or would be passed over: nothing is lost on the way.
pub fn recode(
    series: &Series,
    times: TimeRange,
    encoding: FloatEncoding,
    chunks: &mut Vec<Chunk>,
) -> Result<(), QueryError> {
    let stored = series.samples(times);
    if stored.unreadable_chunks() > 0 {
        return Err(QueryError::Damaged(format!("a chunk of {} is left unread", series.labels())));
    }
    let mut samples = Vec::with_capacity(MAX_SAMPLES);
    for sample in stored {
        samples.push(sample?);
        if samples.len() == MAX_SAMPLES {
            chunks.extend(chunk(&samples, encoding));
            samples.clear();
        }
    }
    chunks.extend(chunk(&samples, encoding));
    Ok(())
}

/// A chunk of these samples; `None` where there are none.
fn chunk(samples: &[Sample], encoding: FloatEncoding) -> Option<Chunk> {
    let (first, last) = (samples.first()?, samples.last()?);
    let (encoding, data) = match encoding {
        FloatEncoding::Xor | FloatEncoding::Xor2 => {
            let mut chunk = XorChunk::new();
            samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
            (Encoding::Xor, ChunkData::new(chunk.into_bytes()))
        }
    };
    Some(Chunk { mint: first.t, maxt: last.t, encoding, data, deleted: None })
}
