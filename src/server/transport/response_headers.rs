//! Headers of the web configuration, which HTTP responses have.
//!
//! They are added where a connection hands over its responses, so errors, redirects and responses
//! beyond the connection limit have them, too. gRPC responses do not: the headers are instructions
//! for browsers. Nor do those that come from below: to a malformed head of a request, and to plain
//! HTTP on a TLS port. A reload replaces the headers for new responses.

use crate::config::web::contents::HttpConfig;
use crate::server::transport::framing;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::RwLock;
use std::sync::Arc;

/// Current headers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ResponseHeaders(Arc<RwLock<Arc<HeaderMap>>>);

impl ResponseHeaders {
    /// Replaces the headers.
    pub(crate) fn replace(&self, config: &HttpConfig) {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            // The parser accepts only names and values for which neither is an error.
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                headers.insert(name, value);
            }
        }
        *self.0.write() = Arc::new(headers);
    }

    /// Adds the headers to those of a response. They replace headers of the same name.
    pub(crate) fn add_to(&self, response: &mut HeaderMap) {
        let headers = self.0.read().clone();
        if headers.is_empty() || framing::has_grpc_type(response) {
            return;
        }
        for (name, value) in &*headers {
            response.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseHeaders;
    use crate::config::web::contents::HttpConfig;
    use axum::http::{HeaderMap, HeaderValue};

    fn config(headers: &[(&'static str, &str)]) -> HttpConfig {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        HttpConfig { headers, ..HttpConfig::default() }
    }

    fn added(headers: &ResponseHeaders, content_type: &'static str) -> Vec<(String, String)> {
        let mut response = HeaderMap::new();
        response.insert("content-type", HeaderValue::from_static(content_type));
        headers.add_to(&mut response);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let others = response.iter().filter(|(name, _)| *name != "content-type");
        others.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }

    #[test]
    fn headers_are_replaced_and_not_sent_over_grpc() {
        let headers = ResponseHeaders::default();
        assert_eq!(added(&headers, "text/plain"), []);
        headers.replace(&config(&[
            ("X-Frame-Options", "deny"),
            ("Content-Security-Policy", "ü\t'self'"),
            ("Strict-Transport-Security", ""),
        ]));
        let shared = headers.clone();
        let expected = [
            ("x-frame-options", "deny"),
            ("content-security-policy", "ü\t'self'"),
            ("strict-transport-security", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(added(&shared, "text/plain"), expected);
        assert_eq!(added(&shared, "application/grpc"), []);
        headers.replace(&config(&[("X-Frame-Options", "sameorigin")]));
        let expected = [("x-frame-options".to_owned(), "sameorigin".to_owned())];
        assert_eq!(added(&shared, "application/json"), expected);
    }
}
