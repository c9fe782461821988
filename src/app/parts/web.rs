//! Appearance of the server to web clients.

use crate::config::cors_origin::CorsOrigin;
use crate::config::external_url::{ExternalUrl, UrlPath};
use crate::server::api::targets::global_url::ServerAddress;
use crate::server::management::host_name::host_name;
use crate::server::management::web_state::WebState;
use crate::server::transport::body::ResponseLimits;
use crate::server::transport::gzip_body::ResponseCompressor;
use std::sync::Arc;

/// URLs, CORS and compression.
#[derive(Debug, Clone)]
pub(crate) struct AppearanceConfig {
    pub(crate) external_url: Option<ExternalUrl>,
    pub(crate) route_prefix: UrlPath,
    /// Port of the first listener; 0 = chosen by the system.
    pub(crate) listen_port: u16,
    pub(crate) cors_origin: Option<CorsOrigin>,
    /// Number of threads that compress large responses.
    pub(crate) compressors: usize,
}

impl AppearanceConfig {
    /// Returns the address under which other hosts reach the server.
    pub(crate) fn server_address(&self) -> ServerAddress {
        ServerAddress::new(self.external_url.as_ref(), &host_name(), self.listen_port)
    }

    pub(crate) fn build(self, responses: &ResponseLimits) -> WebState {
        WebState {
            external_url: self.external_url,
            route_prefix: self.route_prefix,
            cors: self.cors_origin.map(Arc::new),
            compressor: ResponseCompressor::new(responses.clone(), self.compressors),
        }
    }
}
