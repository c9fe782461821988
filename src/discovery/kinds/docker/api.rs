//! Requests to a Docker daemon.
//!
//! # Version
//! As in Docker's own client, the first request asks for the version of the API, and the paths of
//! all later ones begin with it. A daemon that does not say it gets paths without a version.

use crate::config::file::discovery::docker::{DockerAddress, DockerSdConfig};
use crate::discovery::group_list::MAX_BYTES;
use crate::discovery::kinds::docker::containers::{Container, Network, TooManyTargetsError};
use crate::http_client::body_error::BodyError;
use crate::http_client::client::HttpClient;
use crate::http_client::error::RequestError;
use crate::http_client::message::{ClientRequest, ClientResponse};
use crate::http_client::sent_secrets::SentSecrets;
use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Newest version of the API whose lists have this form.
const MAX_VERSION: ApiVersion = ApiVersion { major: 1, minor: 54 };
/// Header with the newest version that the daemon has.
const VERSION_HEADER: &str = "api-version";
/// Maximum number of bytes of an error response in a message.
const MAX_EXCERPT: usize = 200;
/// Maximum size of the part of a body in which secrets are looked for, bytes.
const MAX_SEARCHED: usize = 64 << 10;

/// Client of a daemon.
pub(super) struct DockerApi {
    client: HttpClient,
    address: DockerAddress,
    /// Maximum time of a request.
    timeout: Duration,
    /// Query of the list of containers, with the question mark; may be empty.
    filters: String,
    /// Version of the requests; `None` before the daemon has said it.
    version: Option<ApiVersion>,
}

/// Version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// Error of a refresh.
#[derive(Debug, thiserror::Error)]
pub(super) enum DockerError {
    /// The URL of the request is invalid.
    #[error(transparent)]
    Url(#[from] ParseUrlError),
    /// No response.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body cannot be read.
    #[error("cannot read response: {0}")]
    Body(#[from] BodyError),
    /// The daemon refused the request.
    #[error("daemon returned HTTP status {status}: {message:?}")]
    Status { status: String, message: String },
    /// The body has another form.
    #[error("invalid response: {0}")]
    Json(#[from] serde_json::Error),
    /// The containers are too many.
    #[error(transparent)]
    TooMany(#[from] TooManyTargetsError),
}

/// Error response of the daemon.
#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl ApiVersion {
    /// Parses a version such as `1.47`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().trim_start_matches('v').split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl DockerApi {
    pub(super) fn new(config: &DockerSdConfig, client: HttpClient) -> Self {
        Self {
            client,
            address: config.address.clone(),
            timeout: config.refresh_interval,
            filters: filters(config),
            version: None,
        }
    }

    /// Returns the running containers that the filters select.
    pub(super) async fn containers(&mut self) -> Result<Vec<Container>, DockerError> {
        let path = format!("/containers/json{}", self.filters);
        self.list(&path).await
    }

    /// Returns all networks.
    pub(super) async fn networks(&mut self) -> Result<Vec<Network>, DockerError> {
        self.list("/networks").await
    }

    async fn list<T: DeserializeOwned>(&mut self, path: &str) -> Result<Vec<T>, DockerError> {
        if self.version.is_none() {
            self.version = self.ask_version().await?;
        }
        let version = self.version.map(|version| format!("/v{}.{}", version.major, version.minor));
        let path = format!("{}{path}", version.unwrap_or_default());
        let response = self.send(Method::GET, &path).await?;
        let is_success = response.status.is_success();
        let (status, secrets) = (response.status_text(), response.secrets);
        let body = response.body.read_to_end(MAX_BYTES).await?;
        if !is_success {
            return Err(DockerError::Status { status, message: message(&body, &secrets) });
        }
        Ok(serde_json::from_slice::<Option<Vec<T>>>(&body)?.unwrap_or_default())
    }

    /// Returns the version for the requests, if the daemon says its own.
    async fn ask_version(&self) -> Result<Option<ApiVersion>, DockerError> {
        let response = self.send(Method::HEAD, "/_ping").await?;
        let version = response.headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok());
        let version = version.and_then(ApiVersion::parse);
        let is_ok = response.status == StatusCode::OK;
        Ok(version.filter(|_| is_ok).map(|version| version.min(MAX_VERSION)))
    }

    async fn send(&self, method: Method, path: &str) -> Result<ClientResponse, DockerError> {
        let url = Url::parse(&format!("{}{path}", self.address.base_url))?;
        let mut request = ClientRequest::get(url);
        request.method = method;
        request.unix_socket = self.address.unix_socket.clone();
        Ok(self.client.send(&request, Instant::now() + self.timeout).await?)
    }
}

/// Returns the query with the filters, as JSON like `{"label":{"a=b":true}}`.
fn filters(config: &DockerSdConfig) -> String {
    let all: BTreeMap<&str, BTreeMap<&str, bool>> = config
        .filter_values()
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(|value| (value, true)).collect()))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let json = serde_json::json!(all).to_string();
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("filters", &json).finish();
    format!("?{query}")
}

/// Returns the message of an error response, or its beginning.
fn message(body: &Bytes, secrets: &SentSecrets) -> String {
    let text = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(error) => error.message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(MAX_SEARCHED)]).into_owned(),
    };
    secrets.hide(&text).trim().chars().take(MAX_EXCERPT).collect()
}
