//! Encodings of gRPC messages.
//!
//! `snappy` is snappy's framing format, one stream per message, as Go clients (including Thanos)
//! send it.

use crate::remote::body_compression::BodyCompression;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use std::io;
use std::io::Write;

/// Encoding of the compressed messages of a request or response.
pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// Encodings that the other side can decompress.
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// Encodings that narthex can decompress.
pub(crate) const ACCEPTED: &str = "zstd,snappy,gzip,identity";
/// Name of the absence of compression.
const IDENTITY: &str = "identity";

/// zstd's fastest level above zero.
const ZSTD_LEVEL: i32 = 1;

/// Supported encoding. The order is the preference for responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GrpcEncoding {
    Zstd,
    Snappy,
    Gzip,
}

/// Error of a request with an unsupported encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported grpc-encoding {0}: use {ACCEPTED}")]
pub(crate) struct UnsupportedEncoding(String);

impl GrpcEncoding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Snappy, Self::Gzip];

    /// Returns the name in headers.
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

    /// Returns the encoding that the header of a request names, or `None` if its messages are
    /// plain.
    ///
    /// # Errors
    /// [`UnsupportedEncoding`] for any other name.
    pub(crate) fn for_request(header: &HeaderValue) -> Result<Option<Self>, UnsupportedEncoding> {
        let name = header.to_str().unwrap_or("?");
        if name == IDENTITY {
            return Ok(None);
        }
        let known = Self::ALL.into_iter().find(|encoding| encoding.name() == name);
        known.map(Some).ok_or_else(|| UnsupportedEncoding(name.to_owned()))
    }

    /// Returns the encoding for the response to a client with these headers: `own`, the encoding of
    /// the request, if the client accepts it, else the preferred one that it accepts.
    pub(crate) fn for_response(headers: &HeaderMap, own: Option<Self>) -> Option<Self> {
        let lists = headers.get_all(ACCEPT_ENCODING);
        let takes = |encoding: &Self| {
            let mut names =
                lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
            names.any(|name| name.trim() == encoding.name())
        };
        own.into_iter().chain(Self::ALL).find(takes)
    }

    pub(crate) fn compress(self, message: &[u8]) -> io::Result<Vec<u8>> {
        let buffer = Vec::with_capacity(message.len() / 2);
        match self {
            Self::Zstd => zstd::bulk::compress(message, ZSTD_LEVEL),
            Self::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(buffer);
                encoder.write_all(message)?;
                encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))
            }
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(buffer, flate2::Compression::fast());
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
    fn response_encoding_is_own_or_preferred() {
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
