//! `--web.external-url` and `--web.route-prefix`: the URL under which clients reach the server, and
//! the prefix of its routes.
//!
//! Both accept what Prometheus accepts, in the same normal form: a path starts with a slash and
//! ends without one. Values with which no route could be reached are errors, unlike in Prometheus,
//! and so are credentials, because the value is shown to clients.
//!
//! | `--web.external-url` | `--web.route-prefix` | links | routes |
//! |---|---|---|---|
//! | none | none | `/…` | `/…` |
//! | `https://host/ext/` | none | `/ext/…` | `/ext/…` |
//! | `https://host/ext` | `/` | `/ext/…` | `/…` |
//! | none | `/p` | `/p/…` | `/p/…` |

use axum::http::uri::Authority;
use std::fmt;
use std::str::FromStr;

/// Error of an external URL or a route prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalUrlError {
    /// The value begins or ends with a quotation mark, as after wrong quoting in a shell.
    #[error("it must not begin or end with quotes")]
    Quoted,
    /// The scheme is not one of a web server.
    #[error("{scheme:?} is not a scheme of a web server; write for example https://host/path")]
    Scheme {
        /// Part before the colon.
        scheme: String,
    },
    /// The host follows credentials, which the error does not repeat.
    #[error("it must not contain credentials, because clients can read it")]
    Credentials,
    /// The host or port is invalid.
    #[error("{authority:?} is not a host with an optional port")]
    Authority {
        /// Part between the scheme and the path.
        authority: String,
    },
    /// The path has a segment with which no request can reach it.
    #[error(
        "path segment {segment:?} is empty, `.` or `..`, or has characters other than letters, digits \
         and -._~!$&'()+,;=@"
    )]
    Segment {
        /// The segment, without slashes.
        segment: String,
    },
}

/// URL under which clients reach the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalUrl {
    /// Scheme and host: `https://host:port`. `None` if the value is only a path.
    origin: Option<String>,
    path: UrlPath,
}

impl ExternalUrl {
    /// Returns the URL without a slash at the end, or `None` if its host is unknown.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.origin.as_ref().map(|origin| format!("{origin}{}", self.path))
    }

    /// Returns scheme and host, or `None` if the host is unknown.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &UrlPath {
        &self.path
    }
}

impl FromStr for ExternalUrl {
    type Err = ExternalUrlError;

    fn from_str(text: &str) -> Result<Self, ExternalUrlError> {
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return Err(ExternalUrlError::Quoted);
        }
        // Query and fragment do not belong to links.
        let text = text.split(['?', '#']).next().unwrap_or_default();
        let Some((scheme, rest)) = text.split_once("://") else {
            // A colon in the first segment is a scheme without slashes, as in `localhost:9201`.
            let first = text.split('/').next().unwrap_or_default();
            if first.contains(':') {
                return Err(ExternalUrlError::Scheme { scheme: first.to_owned() });
            }
            return Ok(Self { origin: None, path: text.parse()? });
        };
        let scheme = scheme.to_ascii_lowercase();
        if !["http", "https"].contains(&scheme.as_str()) {
            return Err(ExternalUrlError::Scheme { scheme });
        }
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.contains('@') {
            return Err(ExternalUrlError::Credentials);
        }
        if host.parse::<Authority>().is_err() {
            return Err(ExternalUrlError::Authority { authority: host.to_owned() });
        }
        Ok(Self { origin: Some(format!("{scheme}://{host}")), path: path.parse()? })
    }
}

/// Path in front of other paths: empty, or with a slash at its beginning and none at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlPath(String);

impl UrlPath {
    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path for display, which is `/` if it is empty.
    #[must_use]
    pub fn display(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// Returns `true` if the path is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for UrlPath {
    type Err = ExternalUrlError;

    fn from_str(text: &str) -> Result<Self, ExternalUrlError> {
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Ok(Self::default());
        }
        // Requests for paths with other segments never match: they are redirected to clean paths,
        // and percent-encoded.
        let is_reachable = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()+,;=@".contains(&b))
        };
        match trimmed.split('/').find(|segment| !is_reachable(segment)) {
            Some(segment) => Err(ExternalUrlError::Segment { segment: segment.to_owned() }),
            None => Ok(Self(format!("/{trimmed}"))),
        }
    }
}

impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Value of `--web.route-prefix`. An empty one counts as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePrefixFlag(Option<UrlPath>);

impl RoutePrefixFlag {
    /// Returns the prefix of all routes, which defaults to the path of the external URL.
    #[must_use]
    pub fn or_path_of(&self, external: Option<&ExternalUrl>) -> UrlPath {
        let external = || external.map(|url| url.path().clone());
        self.0.clone().or_else(external).unwrap_or_default()
    }
}

impl FromStr for RoutePrefixFlag {
    type Err = ExternalUrlError;

    fn from_str(text: &str) -> Result<Self, ExternalUrlError> {
        Ok(Self(if text.is_empty() { None } else { Some(text.parse()?) }))
    }
}

#[cfg(test)]
mod tests {
    use super::{ExternalUrl, ExternalUrlError, RoutePrefixFlag};

    fn parse(text: &str) -> Result<ExternalUrl, ExternalUrlError> {
        text.parse()
    }

    #[test]
    fn urls_are_normalized_as_in_prometheus() {
        for (text, url, path) in [
            ("http://proxy.com/prometheus", Some("http://proxy.com/prometheus"), "/prometheus"),
            ("HTTPS://a.b:1/x/y//", Some("https://a.b:1/x/y"), "/x/y"),
            ("https://double--dash.de", Some("https://double--dash.de"), ""),
            ("http://[::1]:9201/", Some("http://[::1]:9201"), ""),
            ("http://host/x?y=1#z", Some("http://host/x"), "/x"),
            ("/prometheus/", None, "/prometheus"),
            ("prometheus", None, "/prometheus"),
            ("/", None, ""),
            ("", None, ""),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!((parsed.url().as_deref(), parsed.path().as_str()), (url, path), "{text}");
        }
    }

    #[test]
    fn invalid_url_is_an_error() {
        for text in ["'https://url/prometheus'", "'relative/path'", "'http://a/quote", "quote\""] {
            assert_eq!(parse(text), Err(ExternalUrlError::Quoted), "{text}");
        }
        for text in ["http://user:secret@host/x", "https://user@host"] {
            assert_eq!(parse(text), Err(ExternalUrlError::Credentials), "{text}");
        }
        for text in ["localhost:9201", "ftp://host/x", "://host"] {
            assert!(matches!(parse(text), Err(ExternalUrlError::Scheme { .. })), "{text}");
        }
        for text in ["http://", "http:///path", "http://a b/", "http://host:port:1/"] {
            assert!(matches!(parse(text), Err(ExternalUrlError::Authority { .. })), "{text}");
        }
        for text in ["http://host/a//b", "/a/../b", "/a/%zz", "/{x}", "/a b", "/*", "/ü"] {
            assert!(matches!(parse(text), Err(ExternalUrlError::Segment { .. })), "{text}");
        }
    }

    #[test]
    fn route_prefix_defaults_to_the_path_of_the_url() {
        let external = parse("https://host/ext/").unwrap();
        for (flag, with_url, without) in
            [("", "/ext", ""), ("/", "", ""), ("p/", "/p", "/p"), ("/p/q", "/p/q", "/p/q")]
        {
            let flag: RoutePrefixFlag = flag.parse().unwrap();
            assert_eq!(flag.or_path_of(Some(&external)).as_str(), with_url, "{flag:?}");
            assert_eq!(flag.or_path_of(None).as_str(), without, "{flag:?}");
        }
        assert_eq!(RoutePrefixFlag::default().or_path_of(None).display(), "/");
    }
}
