//! Errors of discovery.

/// Error of creating a provider: the configuration that contains it is invalid.
#[derive(Debug, thiserror::Error)]
pub enum CreateProviderError {
    /// The HTTP client of the provider cannot be built.
    #[error("cannot create {mechanism} discovery of job {job:?}: {reason}")]
    Client {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// Name of the first job that uses the provider.
        job: String,
        /// Text of the cause.
        reason: String,
    },
}
