//! Compression formats of bodies and messages; see [`mod@crate::remote::decompress`].

/// Compression format, as the sender named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyCompression {
    /// No compression at all.
    Plain,
    /// A single snappy block: `snappy` over HTTP.
    SnappyBlock,
    /// Snappy framing format: `x-snappy-framed` over HTTP, `snappy` over gRPC.
    SnappyFramed,
    /// A sequence of Zstandard frames.
    Zstd,
    /// A sequence of gzip members; gRPC only.
    Gzip,
}

impl BodyCompression {
    /// Returns the name for error messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::SnappyBlock => "a snappy block",
            Self::SnappyFramed => "in snappy's framing format",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

impl std::fmt::Display for BodyCompression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
