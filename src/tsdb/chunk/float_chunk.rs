//! A chunk of floats of either encoding: [`FloatChunk`] grows, [`FloatIter`] reads. The formats stand in
//! [`crate::tsdb::chunk::xor`] and [`crate::tsdb::chunk::xor2`].
//!
//! Neither holds a lock.

use crate::model::sample::Sample;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::xor::{ChunkError, XorChunk, XorIter};
use crate::tsdb::chunk::xor2::decode::Xor2Iter;
use crate::tsdb::chunk::xor2::encode::Xor2Chunk;

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
    pub fn of(encoding: Encoding) -> Option<Self> {
        match encoding {
            Encoding::Xor => Some(Self::Xor),
            Encoding::Xor2 => Some(Self::Xor2),
            _ => None,
        }
    }
}

impl From<FloatEncoding> for Encoding {
    fn from(encoding: FloatEncoding) -> Self {
        match encoding {
            FloatEncoding::Xor => Self::Xor,
            FloatEncoding::Xor2 => Self::Xor2,
        }
    }
}

/// An open chunk of floats.
///
/// The newer and rarer scheme has more to remember: it stands elsewhere, so that the many chunks of the other stay small.
#[derive(Clone, Debug)]
pub enum FloatChunk {
    /// Of XOR.
    Xor(XorChunk),
    /// Of XOR2.
    Xor2(Box<Xor2Chunk>),
}

impl FloatChunk {
    /// A chunk without samples.
    #[inline]
    #[must_use]
    pub fn new(encoding: FloatEncoding) -> Self {
        match encoding {
            FloatEncoding::Xor => Self::Xor(XorChunk::new()),
            FloatEncoding::Xor2 => Self::Xor2(Box::default()),
        }
    }

    /// Continues a chunk that was begun elsewhere; bytes after its last sample are dropped.
    ///
    /// # Errors
    /// [`ChunkError`] where the bytes are not a whole chunk.
    pub fn resume(encoding: FloatEncoding, bytes: &[u8]) -> Result<Self, ChunkError> {
        Ok(match encoding {
            FloatEncoding::Xor => Self::Xor(XorChunk::resume(bytes)?),
            FloatEncoding::Xor2 => Self::Xor2(Box::new(Xor2Chunk::resume(bytes)?)),
        })
    }

    /// How it is encoded.
    #[inline]
    #[must_use]
    pub fn encoding(&self) -> FloatEncoding {
        match self {
            Self::Xor(_) => FloatEncoding::Xor,
            Self::Xor2(_) => FloatEncoding::Xor2,
        }
    }

    /// Appends a sample of which no start is known.
    #[inline]
    pub fn append(&mut self, t: i64, v: f64) {
        match self {
            Self::Xor(chunk) => chunk.append(t, v),
            Self::Xor2(chunk) => chunk.append(t, v),
        }
    }

    /// Appends a sample whose counter began at `start` ms, 0 where that is not known. XOR has no place for it.
    #[inline]
    pub fn append_with_start(&mut self, start: i64, t: i64, v: f64) {
        match self {
            Self::Xor(chunk) => chunk.append(t, v),
            Self::Xor2(chunk) => chunk.append_with_start(start, t, v),
        }
    }

    /// How many samples are in it.
    #[inline]
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        match self {
            Self::Xor(chunk) => chunk.num_samples(),
            Self::Xor2(chunk) => chunk.num_samples(),
        }
    }

    /// The chunk as it stands: whole.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Xor(chunk) => chunk.bytes(),
            Self::Xor2(chunk) => chunk.bytes(),
        }
    }

    /// The length of [`Self::bytes`].
    #[inline]
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        match self {
            Self::Xor(chunk) => chunk.num_bytes(),
            Self::Xor2(chunk) => chunk.num_bytes(),
        }
    }

    /// The last sample.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<Sample> {
        match self {
            Self::Xor(chunk) => chunk.last(),
            Self::Xor2(chunk) => chunk.last(),
        }
    }

    /// The bytes of the chunk, and no more allocated than they take.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        match self {
            Self::Xor(chunk) => chunk.into_bytes(),
            Self::Xor2(chunk) => chunk.into_bytes(),
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
    pub fn start(&self) -> i64 {
        match self {
            Self::Xor(_) => 0,
            Self::Xor2(iter) => iter.start(),
        }
    }
}

impl Iterator for FloatIter<'_> {
    type Item = Result<Sample, ChunkError>;

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
