//! Errors of write requests that are malformed or exceed a limit; nothing of them is stored.

use crate::remote::wire::protobuf::DecodeMessageError;

/// Error of decoding a write request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeWriteRequestError {
    /// The 1.0 message is malformed or truncated.
    #[error("the body is not a prometheus.WriteRequest: {0}")]
    Malformed(#[from] DecodeMessageError),
    /// The 2.0 message is malformed or truncated.
    #[error("the body is not an io.prometheus.write.v2.Request: {0}")]
    MalformedV2(DecodeMessageError),
    /// Too many symbols (2.0; limit).
    #[error("the request has more than {0} symbols")]
    TooManySymbols(u64),
    /// Labels and metadata with resolved symbols are too large (2.0; limit in bytes).
    #[error("labels and metadata of the request exceed {0} bytes with resolved symbols")]
    TooMuchText(usize),
    /// Too many entries in `timeseries` (limit).
    #[error("the request has more than {0} series")]
    TooManySeries(u64),
    /// Too many samples, exemplars and histograms (limit).
    #[error("the request has more than {0} samples")]
    TooManySamples(u64),
}

impl DecodeWriteRequestError {
    /// Returns `true` if the body is malformed, and `false` if it exceeds a limit.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::MalformedV2(_))
    }
}
