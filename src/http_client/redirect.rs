//! Redirects: next request, and which headers it loses.
//!
//! Source: `net/http`, `Client.do`, and prometheus/common, `isCrossHostRedirect`.

use crate::model::url::Url;
use http::{HeaderMap, Method, StatusCode};

/// Maximum number of requests of one exchange.
pub(super) const MAX_REQUESTS: usize = 10;

/// Headers that are never sent to another host, in addition to those marked as sensitive.
const SENSITIVE: [&str; 6] = [
    "authorization",
    "cookie",
    "cookie2",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
];

/// Hosts of an exchange. Once a redirect leaves the host of the first request and its subdomains,
/// the exchange has left it for good.
pub(super) struct Trail {
    /// In lower case.
    origin: String,
    has_left: bool,
}

impl Trail {
    /// Returns the trail of an exchange that begins at `url`.
    pub(super) fn new(url: &Url) -> Self {
        Self { origin: url.host().to_ascii_lowercase(), has_left: false }
    }

    /// Follows a redirect to `url`.
    pub(super) fn follow(&mut self, url: &Url) {
        self.has_left |= !is_same_or_subdomain(&url.host().to_ascii_lowercase(), &self.origin);
    }

    /// Returns `true` if the next request must not have credentials.
    pub(super) fn has_left(&self) -> bool {
        self.has_left
    }
}

/// Returns `true` if `host` is `parent` or a subdomain of it. Both are in lower case.
fn is_same_or_subdomain(host: &str, parent: &str) -> bool {
    // An address with a zone may end like a name.
    let is_name = !host.contains([':', '%']);
    let prefix = host.strip_suffix(parent);
    host == parent || (is_name && prefix.is_some_and(|prefix| prefix.ends_with('.')))
}

/// Returns the method of the next request and whether it has the body of this one; `None` if the
/// status is no redirect.
pub(super) fn next_method(status: StatusCode, method: &Method) -> Option<(Method, bool)> {
    match status.as_u16() {
        301..=303 => {
            let next = if *method == Method::HEAD { Method::HEAD } else { Method::GET };
            Some((next, false))
        }
        307 | 308 => Some((method.clone(), true)),
        _ => None,
    }
}

/// Removes sensitive headers.
pub(super) fn remove_sensitive(headers: &mut HeaderMap) {
    for name in SENSITIVE {
        headers.remove(name);
    }
    let marked: Vec<_> = headers
        .iter()
        .filter(|(_, value)| value.is_sensitive())
        .map(|(name, _)| name.clone())
        .collect();
    for name in marked {
        headers.remove(name);
    }
}

/// Returns the header `Referer` of a request to `next`; `None` if it would reveal the URL of a
/// secure page.
pub(super) fn referer(last: &Url, next: &Url) -> Option<String> {
    let reveals = last.is_https() && !next.is_https();
    (!reveals).then(|| last.without_user().to_string())
}

#[cfg(test)]
mod tests {
    use super::{Trail, is_same_or_subdomain, next_method, referer, remove_sensitive};
    use crate::model::url::Url;
    use http::{HeaderMap, HeaderValue, Method, StatusCode};

    #[test]
    fn hosts_and_subdomains() {
        for (host, parent, expected) in [
            ("example.com", "example.com", true),
            ("www.example.com", "example.com", true),
            ("a.b.example.com", "example.com", true),
            ("example.com", "www.example.com", false),
            ("badexample.com", "example.com", false),
            ("example.com.evil", "example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("localhost", "127.0.0.1", false),
            ("::1", "::1", true),
            ("::1%.www.example.com", "example.com", false),
            ("com", "example.com", false),
        ] {
            assert_eq!(is_same_or_subdomain(host, parent), expected, "{host} {parent}");
        }
    }

    #[test]
    fn trail_that_returns_to_the_host_has_left_it() {
        let url = |text| Url::parse(text).unwrap();
        let mut trail = Trail::new(&url("http://Example.com/"));
        trail.follow(&url("https://a.EXAMPLE.com:8443/"));
        assert!(!trail.has_left());
        trail.follow(&url("http://other/"));
        assert!(trail.has_left());
        trail.follow(&url("http://example.com/"));
        assert!(trail.has_left());
    }

    #[test]
    fn method_and_body_of_redirected_requests() {
        let next = |status, method| {
            next_method(StatusCode::from_u16(status).unwrap(), &method)
                .map(|(m, b)| (m.to_string(), b))
        };
        for (status, method, expected) in [
            (301, Method::POST, Some(("GET", false))),
            (302, Method::GET, Some(("GET", false))),
            (303, Method::HEAD, Some(("HEAD", false))),
            (307, Method::POST, Some(("POST", true))),
            (308, Method::GET, Some(("GET", true))),
            (300, Method::GET, None),
            (304, Method::GET, None),
            (200, Method::GET, None),
        ] {
            let expected = expected.map(|(method, body)| (method.to_owned(), body));
            assert_eq!(next(status, method), expected, "{status}");
        }
    }

    #[test]
    fn sensitive_headers_are_removed() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-plain", "proxy-authorization"] {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let mut secret = HeaderValue::from_static("s");
        secret.set_sensitive(true);
        headers.append("x-token", HeaderValue::from_static("v"));
        headers.append("x-token", secret);
        remove_sensitive(&mut headers);
        let names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["x-plain"]);
    }

    #[test]
    fn referer_has_no_credentials_and_reveals_no_secure_page() {
        let url = |text| Url::parse(text).unwrap();
        let referer = |last, next| referer(&url(last), &url(next));
        assert_eq!(referer("http://u:p@a/x?q", "http://b/").as_deref(), Some("http://a/x?q"));
        assert_eq!(referer("https://a/x", "https://b/").as_deref(), Some("https://a/x"));
        assert_eq!(referer("https://a/x", "http://b/"), None);
    }
}
