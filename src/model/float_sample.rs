//! Float samples and the stale marker.

/// Bits of the stale marker, the NaN that ends a series.
///
/// Source: `model/value/value.go` of Prometheus.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Float sample. Equality compares bits, so NaN payloads, stale markers and -0 are distinct.
#[derive(Clone, Copy, Debug)]
pub struct FloatSample {
    /// Timestamp, ms since the Unix epoch.
    pub t: i64,
    /// Value; all bits are preserved.
    pub v: f64,
}

impl FloatSample {
    /// Returns a sample at `t` ms.
    #[must_use]
    pub fn new(t: i64, v: f64) -> Self {
        Self { t, v }
    }

    /// Returns `true` if the value is the stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.v.to_bits() == STALE_NAN_BITS
    }
}

impl PartialEq for FloatSample {
    fn eq(&self, other: &Self) -> bool {
        self.t == other.t && self.v.to_bits() == other.v.to_bits()
    }
}

impl Eq for FloatSample {}
