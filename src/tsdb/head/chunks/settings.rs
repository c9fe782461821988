//! Settings for new chunks of the head.

use crate::tsdb::chunk::any_chunk::{EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::head::series::open_chunk::ChunkPolicy;
use std::sync::atomic::{AtomicBool, Ordering};

/// Cut policy and encodings. Only the encoding of floats can change while the head is in use.
#[derive(Debug)]
pub struct ChunkSettings {
    policy: CutPolicy,
    /// Whether new float chunks are encoded as XOR2.
    writes_xor2: AtomicBool,
    histogram_st_mode: HistogramStMode,
}

impl ChunkSettings {
    /// Creates the settings of a head.
    #[must_use]
    pub fn new(policy: CutPolicy, encodings: EncodingPolicy) -> Self {
        Self {
            policy,
            writes_xor2: AtomicBool::new(encodings.floats == FloatEncoding::Xor2),
            histogram_st_mode: encodings.histogram_st_mode,
        }
    }

    /// Returns the current cut policy and encodings.
    #[inline]
    #[must_use]
    pub fn chunk_policy(&self) -> ChunkPolicy {
        let floats = if self.writes_xor2.load(Ordering::Relaxed) {
            FloatEncoding::Xor2
        } else {
            FloatEncoding::Xor
        };
        let encodings = EncodingPolicy { floats, histogram_st_mode: self.histogram_st_mode };
        ChunkPolicy { policy: self.policy, encodings }
    }

    /// Sets the encoding of new float chunks; an open chunk keeps its encoding.
    pub fn set_float_encoding(&self, encoding: FloatEncoding) {
        self.writes_xor2.store(encoding == FloatEncoding::Xor2, Ordering::Relaxed);
    }
}
