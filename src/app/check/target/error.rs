//! Errors of the check of a target, before a scrape.

use crate::config::file::error::ConfigFileError;
use crate::discovery::error::CreateProviderError;
use crate::http_client::build_error::BuildClientError;
use crate::model::labels::BuildLabelsError;
use crate::model::url::syntax::ParseUrlError;

/// Error of the check of a target.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckTargetError {
    #[error(transparent)]
    Config(#[from] ConfigFileError),
    #[error("the configuration file has no job {0:?}")]
    UnknownJob(String),
    #[error("cannot create the HTTP client: {0}")]
    Client(BuildClientError),
    #[error(transparent)]
    Discovery(#[from] CreateProviderError),
    #[error("invalid URL of the target: {0}; write for example http://localhost:9100/metrics")]
    Url(ParseUrlError),
    #[error("cannot form the labels of the target: {0}")]
    Labels(#[from] BuildLabelsError),
    #[error("the job has no targets")]
    NoTarget,
    #[error("the job has no target {0:?}; name its URL, address or instance")]
    UnknownTarget(String),
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}
