//! Which packing the Content-Encoding of a write request means.
//!
//! | header              | packing                                  |
//! |---------------------|------------------------------------------|
//! | none, `snappy`      | one snappy block, as the specifications have it |
//! | `x-snappy-framed`   | snappy's framing format                  |
//! | `zstd`              | Zstandard                                |
//! | anything else       | 415, gzip and lists of encodings included |

use crate::remote::packing::Packing;
use crate::server::refused::Refused;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

const NAMES: [(&str, Packing); 3] =
    [("snappy", Packing::SnappyBlock), ("zstd", Packing::Zstd), ("x-snappy-framed", Packing::SnappyFramed)];

/// How the body is packed.
///
/// # Errors
/// [`Refused::Unsupported`] where it is not one of these.
pub(crate) fn packing(headers: &HeaderMap) -> Result<Packing, Refused> {
    let mut given = headers.get_all(CONTENT_ENCODING).iter().filter(|value| !value.is_empty());
    let Some(first) = given.next() else { return Ok(Packing::SnappyBlock) };
    let known = NAMES.iter().find(|(name, _)| first.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
    match (known, given.next()) {
        (Some((_, packing)), None) => Ok(*packing),
        _ => Err(Refused::Unsupported(format!(
            "content encoding {first:?} is not supported, only one of snappy, zstd and x-snappy-framed is"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::packing;
    use crate::remote::packing::Packing;
    use axum::http::{HeaderMap, HeaderValue};

    fn of(values: &[&'static str]) -> Option<Packing> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("content-encoding", HeaderValue::from_static(value));
        }
        packing(&headers).ok()
    }

    #[test]
    fn three_encodings_are_known_and_none_means_snappy() {
        for (values, expected) in [
            (&[][..], Some(Packing::SnappyBlock)),
            (&[""], Some(Packing::SnappyBlock)),
            (&["Snappy"], Some(Packing::SnappyBlock)),
            (&["zstd"], Some(Packing::Zstd)),
            (&["X-Snappy-Framed"], Some(Packing::SnappyFramed)),
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
