//! How the bytes of a body or a message are packed; `unpack` undoes it.

/// A packing, always as the sender named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyCompression {
    /// Not at all.
    Plain,
    /// One snappy block: what `snappy` means over HTTP.
    SnappyBlock,
    /// Snappy's framing format: what `x-snappy-framed` means over HTTP, and `snappy` over gRPC.
    SnappyFramed,
    /// Zstandard frames.
    Zstd,
    /// Members of gzip; only over gRPC.
    Gzip,
}

impl BodyCompression {
    /// What it is called in a sentence.
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
