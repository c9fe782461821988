//! URLs of targets as other hosts reach them.
//!
//! The URL of a target on this host has the name of the server instead of `localhost`. If its port
//! is that of the server, the target is the server itself, and the URL has the scheme and the port
//! of the external URL, too.
//!
//! Source: `getGlobalURL` in Prometheus's `web/api/v1/api.go`; `SplitHostPort` in Go's `net`.

use crate::config::external_url::ExternalUrl;

/// Names of this host.
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "::1"];
/// Characters that end the host and the port in a URL.
const AFTER_HOST: [char; 3] = ['/', '?', '#'];

/// Address under which other hosts reach this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    scheme: String,
    /// Host and, unless it is the default of the scheme, port.
    host: String,
    /// Port of the first listener.
    listen_port: String,
}

/// URL of a target for other hosts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GlobalUrl {
    pub(super) url: String,
    /// Error of the host, with which the URL is unchanged.
    pub(super) error: Option<HostError>,
}

/// Error of a host with an optional port. The texts are those of Go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {host}: {problem}")]
pub(super) struct HostError {
    host: String,
    problem: &'static str,
}

/// Host without brackets, and port, which may be empty.
#[derive(Debug, PartialEq, Eq)]
struct HostPort<'a> {
    host: &'a str,
    port: &'a str,
}

impl ServerAddress {
    /// Creates the address of a server. Without a host in the external URL it is
    /// `http://<host_name>:<listen_port>`.
    #[must_use]
    pub fn new(external: Option<&ExternalUrl>, host_name: &str, listen_port: u16) -> Self {
        let listen_port = listen_port.to_string();
        let origin = external.and_then(ExternalUrl::origin);
        let (scheme, host) = match origin.and_then(|origin| origin.split_once("://")) {
            Some((scheme, host)) => (scheme.to_owned(), host.to_owned()),
            None => ("http".to_owned(), join_host_port(host_name, &listen_port)),
        };
        Self { scheme, host, listen_port }
    }

    /// Returns the URL of a target for other hosts.
    pub(super) fn global_url(&self, url: &str) -> GlobalUrl {
        match self.replaced(url) {
            Ok(replaced) => {
                GlobalUrl { url: replaced.unwrap_or_else(|| url.to_owned()), error: None }
            }
            Err(error) => GlobalUrl { url: url.to_owned(), error: Some(error) },
        }
    }

    /// Returns `None` for a target on another host.
    fn replaced(&self, url: &str) -> Result<Option<String>, HostError> {
        let Some((scheme, rest)) = url.split_once("//") else { return Ok(None) };
        let (authority, path) = rest.split_at(rest.find(AFTER_HOST).unwrap_or(rest.len()));
        let target = HostPort::parse(authority)?;
        if !LOCAL_HOSTS.contains(&target.host) {
            return Ok(None);
        }
        if target.port == self.listen_port {
            return Ok(Some(format!("{}://{}{path}", self.scheme, self.host)));
        }
        let own = HostPort::parse(&self.host)?;
        let host = match target.port {
            "" => own.host.to_owned(),
            port => join_host_port(own.host, port),
        };
        Ok(Some(format!("{scheme}//{host}{path}")))
    }
}

impl<'a> HostPort<'a> {
    fn parse(text: &'a str) -> Result<Self, HostError> {
        let error = |problem| Err(HostError { host: text.to_owned(), problem });
        let (host, port, behind) = if let Some(bracketed) = text.strip_prefix('[') {
            let Some((host, behind)) = bracketed.split_once(']') else {
                return error("missing ']' in address");
            };
            match behind.strip_prefix(':') {
                Some(port) if port.contains(':') => return error("too many colons in address"),
                Some(port) => (host, port, behind),
                None if behind.is_empty() => (host, "", behind),
                // The part behind the bracket belongs to no host.
                None => return error("missing port in address"),
            }
        } else {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            if host.contains(':') {
                return error("too many colons in address");
            }
            (host, port, text)
        };
        if host.contains('[') || behind.contains('[') {
            return error("unexpected '[' in address");
        }
        if behind.contains(']') {
            return error("unexpected ']' in address");
        }
        Ok(Self { host, port })
    }
}

fn join_host_port(host: &str, port: &str) -> String {
    if host.contains([':', '%']) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::{GlobalUrl, ServerAddress};

    fn address(external: &str) -> ServerAddress {
        let external = external.parse().unwrap();
        ServerAddress::new(Some(&external), "name", 9201)
    }

    #[test]
    fn targets_on_this_host_get_its_name() {
        for (external, url, expected) in [
            ("http://a.b/p", "http://other:9201/m", "http://other:9201/m"),
            ("http://a.b/p", "https://localhost:1/m?x=1", "https://a.b:1/m?x=1"),
            ("http://a.b/p", "http://127.0.0.1/m", "http://a.b/m"),
            ("http://a.b/p", "http://[::1]:80", "http://a.b:80"),
            ("http://a.b:5", "http://[::1]/m", "http://a.b/m"),
            ("https://a.b/p", "http://localhost:9201/m", "https://a.b/m"),
            ("https://a.b:5/p", "http://127.0.0.1:9201/m", "https://a.b:5/m"),
            ("https://[2001:db8::1]:5", "http://127.0.0.1:1/m", "http://[2001:db8::1]:1/m"),
            ("", "http://localhost:9201/m", "http://name:9201/m"),
            ("/p", "https://localhost:9201/m", "http://name:9201/m"),
            ("", "http://localhost:1/m", "http://name:1/m"),
            ("", "http://[fe80::1]:1/m", "http://[fe80::1]:1/m"),
        ] {
            let expected = GlobalUrl { url: expected.to_owned(), error: None };
            assert_eq!(address(external).global_url(url), expected, "{external:?} {url}");
        }
    }

    #[test]
    fn invalid_hosts_are_errors_with_the_texts_of_go() {
        for (host, problem) in [
            ("a:1:2", "too many colons in address"),
            ("::1", "too many colons in address"),
            ("[::1", "missing ']' in address"),
            ("[::1]:1:2", "too many colons in address"),
            ("[::1]x:1", "missing port in address"),
            ("[a[b]:1", "unexpected '[' in address"),
            ("a]:1", "unexpected ']' in address"),
        ] {
            let url = format!("http://{host}/m");
            let global = address("").global_url(&url);
            assert_eq!(global.url, url);
            let error = global.error.unwrap().to_string();
            assert_eq!(error, format!("address {host}: {problem}"));
        }
    }
}
