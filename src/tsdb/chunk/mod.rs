//! Chunks: runs of samples of one series, encoded; where they are cut; the files of the head's full chunks.

pub mod any_chunk;
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

/// How a chunk's bytes are encoded. The numbers stand on disk (`tsdb/chunkenc/chunk.go` of Prometheus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChunkEncoding {
    /// Floats, Gorilla's XOR scheme.
    Xor = 1,
    /// Integer native histograms.
    Histogram = 2,
    /// Float native histograms.
    FloatHistogram = 3,
    /// Floats, the second XOR scheme, with start timestamps.
    Xor2 = 4,
    /// Integer native histograms with start timestamps.
    HistogramSt = 5,
    /// Float native histograms with start timestamps.
    FloatHistogramSt = 6,
}

impl ChunkEncoding {
    /// What the samples of such a chunk are.
    #[inline]
    #[must_use]
    pub fn value_type(self) -> ValueType {
        match self {
            Self::Xor | Self::Xor2 => ValueType::Float,
            Self::Histogram | Self::HistogramSt => ValueType::Histogram,
            Self::FloatHistogram | Self::FloatHistogramSt => ValueType::FloatHistogram,
        }
    }

    /// The encoding with that number on disk, or `None` where there is none.
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
