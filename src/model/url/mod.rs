//! Absolute URLs with a host, as HTTP clients use them.
//!
//! The rules are those of Go's `net/url`, because Prometheus's configuration files are read with
//! it. Differences: a fragment is dropped, since no request contains it, and a host must be ASCII.
//!
//! | module | content |
//! |---|---|
//! | [`syntax`] | parts, escapes, dot segments |

pub mod syntax;

use crate::model::url::syntax::{
    ParseUrlError, UserInfo, authority, escape_path, escape_query, escape_user, split, without_dots,
};
use serde::{Serialize, Serializer};
use std::fmt;

/// Text shown for a password, as in Prometheus.
const HIDDEN_PASSWORD: &str = "xxxxx";

/// Absolute URL. [`Display`](fmt::Display), [`Debug`] and [`Serialize`] hide the password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// In lower case.
    scheme: String,
    user: Option<UserInfo>,
    /// Name or IP address, an IPv6 address without brackets. Not empty.
    host: String,
    port: Option<u16>,
    /// Empty, or begins with a slash; escaped.
    path: String,
    /// Escaped; without the question mark.
    query: Option<String>,
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// The text is no absolute URL with a host.
    pub fn parse(text: &str) -> Result<Self, ParseUrlError> {
        let parts = split(text)?;
        let scheme = parts.scheme.ok_or(ParseUrlError::NoScheme)?;
        let authority = authority(parts.authority.ok_or(ParseUrlError::NoHost)?)?;
        Ok(Self {
            scheme,
            user: authority.user,
            host: authority.host,
            port: authority.port,
            path: escape_path(parts.path)?,
            query: parts.query.map(escape_query),
        })
    }

    /// Returns the URL that a reference, such as the value of `Location`, denotes relative to this
    /// one (RFC 3986, 5.2). Like Go's, a reference without a host keeps the user information.
    ///
    /// # Errors
    /// The reference is no valid URL.
    pub fn join(&self, reference: &str) -> Result<Self, ParseUrlError> {
        let parts = split(reference)?;
        if parts.scheme.is_some() {
            let url = Self::parse(reference)?;
            return Ok(Self { path: without_dots(&url.path), ..url });
        }
        if parts.authority.is_none()
            && parts.path.split('/').next().is_some_and(|s| s.contains(':'))
        {
            return Err(ParseUrlError::NoScheme);
        }
        let path = escape_path(parts.path)?;
        let query = parts.query.map(escape_query);
        if let Some(text) = parts.authority {
            let authority = authority(text)?;
            return Ok(Self {
                scheme: self.scheme.clone(),
                user: authority.user,
                host: authority.host,
                port: authority.port,
                path: without_dots(&path),
                query,
            });
        }
        let (path, query) = if path.is_empty() {
            (self.path.clone(), query.or_else(|| self.query.clone()))
        } else if path.starts_with('/') {
            (without_dots(&path), query)
        } else {
            let folder = self.path.rfind('/').map_or("/", |end| &self.path[..=end]);
            (without_dots(&format!("{folder}{path}")), query)
        };
        Ok(Self { path, query, ..self.clone() })
    }

    /// Returns the scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns `true` if the scheme is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Returns the user information.
    #[must_use]
    pub fn user(&self) -> Option<&UserInfo> {
        self.user.as_ref()
    }

    /// Returns the name or IP address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port of the URL, or that of its scheme; 0 if the scheme has none.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.scheme.as_str() {
            "http" => 80,
            "https" => 443,
            "socks5" | "socks5h" => 1080,
            _ => 0,
        })
    }

    /// Returns host and port as a `Host` header has them: an IPv6 address in brackets, and a port
    /// only if the URL has one.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// Returns host and port, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port_or_default())
    }

    /// Returns the path, which is not empty, and the query as a request line has them.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        self.query.as_ref().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// Returns the URL without user information.
    #[must_use]
    pub fn without_user(&self) -> Self {
        Self { user: None, ..self.clone() }
    }
}

/// Returns the host with brackets if it is an IPv6 address.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(&escape_user(&user.name))?;
            if user.password.is_some() {
                write!(f, ":{HIDDEN_PASSWORD}")?;
            }
            f.write_str("@")?;
        }
        write!(f, "{}{}", self.authority(), self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
