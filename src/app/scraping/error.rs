//! Errors of preparing the jobs of a configuration.

use crate::discovery::error::CreateProviderError;
use crate::http_client::build_error::BuildClientError;

/// Error of preparing the jobs of a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareScrapingError {
    /// The HTTP client of a job cannot be created.
    #[error("cannot create the HTTP client of job {job}: {source}")]
    Client {
        /// Name of the job.
        job: String,
        /// Cause.
        source: BuildClientError,
    },
    /// A discovery cannot be created.
    #[error(transparent)]
    Discovery(#[from] CreateProviderError),
    /// The name of the job of `--self-scrape` is taken.
    #[error("--self-scrape adds a job {0}, but scrape_configs has a job of this name")]
    SelfScrapeName(String),
}
