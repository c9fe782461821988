//! Address of an API server and settings of its HTTP client.

use crate::config::file::http_client::settings::HttpClientConfig;
use crate::model::url::Url;

/// Address of an API server and settings of the HTTP client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClusterAccess {
    /// Address; its path is the beginning of all paths.
    pub(crate) url: Url,
    pub(crate) http_client: HttpClientConfig,
}
