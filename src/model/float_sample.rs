//! Samples: one value of one series at one time.

/// The bits of the NaN by which Prometheus marks that a series has ended ("stale marker").
///
/// Source: `model/value/value.go` of Prometheus.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A float sample. Equality is that of the bits, so that NaN payloads, stale markers and -0 are told apart.
#[derive(Clone, Copy, Debug)]
pub struct FloatSample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The value, kept bit for bit.
    pub v: f64,
}

impl FloatSample {
    /// A sample at `t` milliseconds.
    #[must_use]
    pub fn new(t: i64, v: f64) -> Self {
        Self { t, v }
    }

    /// Whether this is the marker of a series' end, not a number.
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
