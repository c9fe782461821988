//! Float chunks of both encodings: the choice of encoding, and an iterator.
//!
//! Formats: [`crate::tsdb::chunk::xor`], [`crate::tsdb::chunk::xor2`]. Open chunks:
//! [`crate::tsdb::chunk::any_chunk`].

use crate::model::float_sample::FloatSample;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::xor::{ChunkError, XorIter};
use crate::tsdb::chunk::xor2::decode::Xor2Iter;

/// Encoding of float chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatEncoding {
    /// XOR, readable by every version of Prometheus.
    #[default]
    Xor,
    /// XOR2: smaller, with start timestamps, readable by newer versions of Prometheus only.
    Xor2,
}

impl FloatEncoding {
    /// Returns the float encoding, or `None` if `encoding` is one of histograms.
    #[inline]
    #[must_use]
    pub fn from_chunk_encoding(encoding: ChunkEncoding) -> Option<Self> {
        match encoding {
            ChunkEncoding::Xor => Some(Self::Xor),
            ChunkEncoding::Xor2 => Some(Self::Xor2),
            _ => None,
        }
    }
}

impl From<FloatEncoding> for ChunkEncoding {
    fn from(encoding: FloatEncoding) -> Self {
        match encoding {
            FloatEncoding::Xor => Self::Xor,
            FloatEncoding::Xor2 => Self::Xor2,
        }
    }
}

/// Iterator over the samples of a float chunk. An error is the last item.
#[derive(Clone, Debug)]
pub enum FloatIter<'a> {
    /// Iterator over a chunk in the XOR encoding.
    Xor(XorIter<'a>),
    /// Iterator over a chunk in the XOR2 encoding.
    Xor2(Xor2Iter<'a>),
}

impl<'a> FloatIter<'a> {
    /// Creates an iterator over the encoded chunk `bytes`.
    #[inline]
    #[must_use]
    pub fn new(encoding: FloatEncoding, bytes: &'a [u8]) -> Self {
        match encoding {
            FloatEncoding::Xor => Self::Xor(XorIter::new(bytes)),
            FloatEncoding::Xor2 => Self::Xor2(Xor2Iter::new(bytes)),
        }
    }

    /// Returns the start timestamp of the last returned sample, ms; 0 if unknown.
    #[inline]
    #[must_use]
    pub fn start_timestamp(&self) -> i64 {
        match self {
            Self::Xor(_) => 0,
            Self::Xor2(iter) => iter.start_timestamp(),
        }
    }
}

impl Iterator for FloatIter<'_> {
    type Item = Result<FloatSample, ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Xor(iter) => iter.next(),
            Self::Xor2(iter) => iter.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Xor(iter) => iter.size_hint(),
            Self::Xor2(iter) => iter.size_hint(),
        }
    }
}
