//! Chunks: encoded runs of samples of one series, and the files of the head's sealed chunks.
//!
//! | module | content |
//! |---|---|
//! | [`any_chunk`] | chunk and iterator for every encoding |
//! | [`chunk_segments`] | the directory `chunks/` of a block |
//! | [`cut`] | rules that end a chunk |
//! | [`float_chunk`] | iterator over float chunks of both encodings |
//! | [`head_chunks`] | the directory `chunks_head/` |
//! | [`histogram`] | codec of native histograms |
//! | [`mapped_chunk`] | in-memory entry of a chunk in `chunks_head/` |
//! | [`reencode`] | writing samples into new chunks |
//! | `varbit` | variable-width integers of XOR2 and histogram chunks |
//! | [`xor`] | codec of floats |
//! | [`xor2`] | codec of floats with start timestamps |

pub mod any_chunk;
pub mod chunk_segments;
pub mod cut;
pub mod float_chunk;
pub mod head_chunks;
pub mod histogram;
pub mod mapped_chunk;
pub mod reencode;
mod varbit;
pub mod xor;
pub mod xor2;

use crate::model::sample::ValueType;

/// Codec of a chunk. The discriminants are stored on disk.
///
/// Source: `tsdb/chunkenc/chunk.go` of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChunkEncoding {
    /// Floats in Gorilla's XOR scheme.
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
    /// Floats in the second XOR scheme, with start timestamps.
    Xor2 = 4,
    /// Integer native histograms with start timestamps.
    HistogramSt = 5,
    /// Float native histograms with start timestamps.
    FloatHistogramSt = 6,
}

impl ChunkEncoding {
    /// Returns the type of all samples in a chunk of this encoding.
    #[inline]
    #[must_use]
    pub fn value_type(self) -> ValueType {
        match self {
            Self::Xor | Self::Xor2 => ValueType::Float,
            Self::Histogram | Self::HistogramSt => ValueType::Histogram,
            Self::FloatHistogram | Self::FloatHistogramSt => ValueType::FloatHistogram,
        }
    }

    /// Returns the encoding with the given number on disk, or `None` if the number is unknown.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            4 => Self::Xor2,
            5 => Self::HistogramSt,
            6 => Self::FloatHistogramSt,
            _ => return None,
        })
    }
}
