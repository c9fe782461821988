//! Reading a chunk of floats of either encoding. The formats stand in [`crate::tsdb::chunk::xor`] and [`crate::tsdb::chunk::xor2`]; chunks that
//! grow in [`crate::tsdb::chunk::any_chunk`].

use crate::model::float_sample::FloatSample;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::xor::{ChunkError, XorIter};
use crate::tsdb::chunk::xor2::decode::Xor2Iter;

/// How floats are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatEncoding {
    /// What every Prometheus reads.
    #[default]
    Xor,
    /// Smaller, with start times; only newer ones read it.
    Xor2,
}

impl FloatEncoding {
    /// The encoding of floats that `encoding` is, or `None` where it is one of histograms.
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

/// The samples of a chunk of floats; the first error is the last item.
#[derive(Clone, Debug)]
pub enum FloatIter<'a> {
    /// Of XOR.
    Xor(XorIter<'a>),
    /// Of XOR2.
    Xor2(Xor2Iter<'a>),
}

impl<'a> FloatIter<'a> {
    /// Reads the chunk `bytes`.
    #[inline]
    #[must_use]
    pub fn new(encoding: FloatEncoding, bytes: &'a [u8]) -> Self {
        match encoding {
            FloatEncoding::Xor => Self::Xor(XorIter::new(bytes)),
            FloatEncoding::Xor2 => Self::Xor2(Xor2Iter::new(bytes)),
        }
    }

    /// The start time, ms, that belongs to the sample given last; 0 where none is known.
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
