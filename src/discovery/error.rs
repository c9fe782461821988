//! Errors of discovery.

use crate::http_client::build_error::BuildClientError;

/// Error of creating a provider: the configuration that contains it is invalid.
#[derive(Debug, thiserror::Error)]
#[error("cannot create {mechanism} discovery of job {job:?}: {source}")]
pub struct CreateProviderError {
    /// Name of the mechanism.
    pub mechanism: &'static str,
    /// First job that uses the provider.
    pub job: String,
    /// Error of its HTTP client.
    pub source: Box<BuildClientError>,
}
