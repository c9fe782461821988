//! Errors of checks of a server that does not respond.

use crate::config::file::error::ConfigFileError;
use crate::http_client::body_error::BodyError;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::error::RequestError;
use crate::model::url::syntax::ParseUrlError;
use std::io;

/// Error of a check without a response.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckServerError {
    #[error("invalid URL of the server: {0}; write for example http://localhost:9201")]
    Url(#[from] ParseUrlError),
    #[error(transparent)]
    Config(#[from] ConfigFileError),
    #[error("cannot create the HTTP client: {0}")]
    Client(#[from] BuildClientError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("cannot read response: {0}")]
    Body(#[from] BodyError),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] io::Error),
}
