//! Appearance of the server to web clients: external URL, route prefix, CORS, compression.

use crate::config::cors_origin::CorsOrigin;
use crate::config::external_url::{ExternalUrl, UrlPath};
use crate::server::transport::gzip_body::ResponseCompressor;
use std::sync::Arc;

/// Paths and response headers for web clients.
#[derive(Debug)]
pub struct WebState {
    /// URL under which clients reach the server; `None` if it is not configured.
    pub external_url: Option<ExternalUrl>,
    /// Prefix of all HTTP routes. gRPC has none.
    pub route_prefix: UrlPath,
    /// Origins whose scripts may read responses; `None` = CORS is off.
    pub cors: Option<Arc<CorsOrigin>>,
    /// Compressor of responses.
    pub compressor: ResponseCompressor,
}

impl WebState {
    /// Returns the path in front of the paths of links.
    #[must_use]
    pub fn link_base(&self) -> &UrlPath {
        self.external_url.as_ref().map_or(&self.route_prefix, ExternalUrl::path)
    }

    /// Returns the pattern of a route without the prefix.
    #[must_use]
    pub fn without_prefix<'a>(&self, pattern: &'a str) -> &'a str {
        pattern
            .strip_prefix(self.route_prefix.as_str())
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(pattern)
    }
}
