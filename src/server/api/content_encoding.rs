//! Compression of a write request, from its `Content-Encoding`.
//!
//! | header              | compression                              |
//! |---------------------|------------------------------------------|
//! | none, `snappy`      | one snappy block, as specified           |
//! | `x-snappy-framed`   | snappy's framing format                  |
//! | `zstd`              | Zstandard                                |
//! | anything else       | 415, including gzip and lists            |

use crate::remote::body_compression::BodyCompression;
use crate::server::contract::request_error::RequestError;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

const NAMES: [(&str, BodyCompression); 3] = [
    ("snappy", BodyCompression::SnappyBlock),
    ("zstd", BodyCompression::Zstd),
    ("x-snappy-framed", BodyCompression::SnappyFramed),
];

/// Returns the compression of the body.
///
/// # Errors
/// [`RequestError::Unsupported`] for any other encoding.
pub(crate) fn body_compression(headers: &HeaderMap) -> Result<BodyCompression, RequestError> {
    let mut given = headers.get_all(CONTENT_ENCODING).iter().filter(|value| !value.is_empty());
    let Some(first) = given.next() else { return Ok(BodyCompression::SnappyBlock) };
    let known =
        NAMES.iter().find(|(name, _)| first.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
    match (known, given.next()) {
        (Some((_, compression)), None) => Ok(*compression),
        _ => Err(RequestError::Unsupported(format!(
            "unsupported content encoding {first:?}: use snappy, zstd or x-snappy-framed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::body_compression;
    use crate::remote::body_compression::BodyCompression;
    use axum::http::{HeaderMap, HeaderValue};

    fn of(values: &[&'static str]) -> Option<BodyCompression> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("content-encoding", HeaderValue::from_static(value));
        }
        body_compression(&headers).ok()
    }

    #[test]
    fn three_encodings_are_known_and_none_means_snappy() {
        for (values, expected) in [
            (&[][..], Some(BodyCompression::SnappyBlock)),
            (&[""], Some(BodyCompression::SnappyBlock)),
            (&["Snappy"], Some(BodyCompression::SnappyBlock)),
            (&["zstd"], Some(BodyCompression::Zstd)),
            (&["X-Snappy-Framed"], Some(BodyCompression::SnappyFramed)),
            (&["gzip"], None),
            (&["identity"], None),
            (&["deflate"], None),
            (&["snappy, snappy"], None),
            (&["snappy", "snappy"], None),
            (&["snappy", "gzip"], None),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }
}
