//! Credentials in the header `Authorization`, scheme Basic.
//!
//! Accepts the same headers as Go's `net/http`, which Prometheus uses: the scheme in any case, one
//! space, standard base64 with padding, and a colon after the user name. The password may contain
//! further colons and any bytes. If the header is repeated, the first one counts.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use std::fmt;

const SCHEME: &[u8] = b"Basic ";

/// Standard base64. As in Go, unused bits of the last character may be set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// User name and password of a request.
#[derive(PartialEq, Eq)]
pub(crate) struct BasicCredentials {
    /// User name, colon, password.
    decoded: Vec<u8>,
    /// Length of the user name, bytes.
    user_len: usize,
}

impl fmt::Debug for BasicCredentials {
    /// Hides both: senders mix them up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicCredentials")
    }
}

impl BasicCredentials {
    /// Returns the credentials of a request, or `None` if it has none or they are malformed.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        let (scheme, encoded) = value.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let decoded = BASE64.decode(encoded).ok()?;
        let user_len = decoded.iter().position(|byte| *byte == b':')?;
        Some(Self { decoded, user_len })
    }

    pub(crate) fn user(&self) -> &[u8] {
        &self.decoded[..self.user_len]
    }

    pub(crate) fn password(&self) -> &[u8] {
        &self.decoded[self.user_len + 1..]
    }
}

#[cfg(test)]
mod tests {
    use super::BasicCredentials;
    use axum::http::{HeaderMap, HeaderValue};

    fn parse(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_bytes(header).unwrap());
        let found = BasicCredentials::from_headers(&headers)?;
        Some((found.user().to_vec(), found.password().to_vec()))
    }

    #[test]
    fn user_ends_at_the_first_colon() {
        for (header, user, password) in [
            ("Basic YWxpY2U6d29uZGVy", "alice", "wonder"),
            ("basic YWxpY2U6d29uZGVy", "alice", "wonder"),
            ("BASIC Ym9iOmLDvDppbGRlcg==", "bob", "bü:ilder"),
            ("Basic Og==", "", ""),
            ("Basic OndvbmRlcg==", "", "wonder"),
            ("Basic YTo=", "a", ""),
            // Bits behind the last byte.
            ("Basic YTp=", "a", ""),
        ] {
            let expected = (user.as_bytes().to_vec(), password.as_bytes().to_vec());
            assert_eq!(parse(header.as_bytes()), Some(expected), "{header}");
        }
        assert_eq!(parse(b"Basic YTr/AA=="), Some((b"a".to_vec(), vec![0xff, 0])));
    }

    #[test]
    fn malformed_headers_have_no_credentials() {
        for header in [
            "",
            "Basic",
            "Basic ",
            "Basic  YTpi",
            "Basic !!!",
            "Basic YWxpY2U=",
            "Basic YTo",
            "Basic YTo==",
            "Basic YTo= ",
            "Basic YTpi YTpi",
            "Bearer YTpi",
            "BasicYTpi",
            "Basic\tYTpi",
        ] {
            assert_eq!(parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(parse(b"Basic \xc3\xbc"), None);
        assert_eq!(BasicCredentials::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn first_of_several_headers_counts() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Basic YTpi"));
        headers.append("authorization", HeaderValue::from_static("Basic Yzpk"));
        let found = BasicCredentials::from_headers(&headers).unwrap();
        assert_eq!((found.user(), found.password()), (&b"a"[..], &b"b"[..]));
        assert!(!format!("{found:?}").contains("a:b"));
    }
}
