//! The encodings of gRPC messages: their names, and how an answer is compressed.
//!
//! `snappy` is snappy's framing format here, one stream for each message: that is what Go's clients of that name send, Thanos's included.

use crate::remote::body_compression::BodyCompression;
use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use std::io;
use std::io::Write;

/// How the messages of a request, or of an answer, are packed where their flag says that they are.
pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// What the other side can unpack.
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// What is unpacked here.
pub(crate) const ACCEPTED: &str = "zstd,snappy,gzip,identity";
/// No packing.
pub(crate) const IDENTITY: &str = "identity";

/// zstd's fastest level but those below 1.
const ZSTD_LEVEL: i32 = 1;

/// An encoding that is known, the best for answers first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GrpcEncoding {
    Zstd,
    Snappy,
    Gzip,
}

impl GrpcEncoding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Snappy, Self::Gzip];

    /// Its name in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
        }
    }

    pub(crate) fn body_compression(self) -> BodyCompression {
        match self {
            Self::Zstd => BodyCompression::Zstd,
            Self::Snappy => BodyCompression::SnappyFramed,
            Self::Gzip => BodyCompression::Gzip,
        }
    }

    /// The encoding of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// The encoding for answers to a client that sent these headers: its own if it takes that, or the best that it takes.
    pub(crate) fn for_response(headers: &HeaderMap, own: Option<Self>) -> Option<Self> {
        let lists = headers.get_all(ACCEPT_ENCODING);
        let takes = |encoding: &Self| {
            let mut names =
                lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
            names.any(|name| name.trim() == encoding.name())
        };
        own.into_iter().chain(Self::ALL).find(takes)
    }

    /// A message compressed.
    pub(crate) fn compress(self, message: &[u8]) -> io::Result<Vec<u8>> {
        let packed = Vec::with_capacity(message.len() / 2);
        match self {
            Self::Zstd => zstd::bulk::compress(message, ZSTD_LEVEL),
            Self::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(packed);
                encoder.write_all(message)?;
                encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))
            }
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
                encoder.write_all(message)?;
                encoder.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCEPT_ENCODING, GrpcEncoding};
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn answers_come_in_the_encoding_of_the_request_or_the_best_that_is_taken() {
        for (accepted, own, expected) in [
            ("gzip, snappy,zstd", None, Some(GrpcEncoding::Zstd)),
            ("gzip,snappy", None, Some(GrpcEncoding::Snappy)),
            ("identity,deflate,gzip", None, Some(GrpcEncoding::Gzip)),
            ("gzip,snappy,zstd", Some(GrpcEncoding::Gzip), Some(GrpcEncoding::Gzip)),
            ("snappy", Some(GrpcEncoding::Gzip), Some(GrpcEncoding::Snappy)),
            ("identity", Some(GrpcEncoding::Gzip), None),
            ("br", None, None),
        ] {
            let headers =
                HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(GrpcEncoding::for_response(&headers, own), expected, "{accepted} {own:?}");
        }
        assert_eq!(GrpcEncoding::for_response(&HeaderMap::new(), Some(GrpcEncoding::Zstd)), None);
    }
}
