//! Queries of Consul's HTTP API.
//!
//! # Blocking queries
//! A response has an index. A query with that index waits until the result changes, at most
//! [`WAIT`].

use crate::config::file::discovery::consul::{ConsulAddress, ConsulSdConfig};
use crate::discovery::group_list::{MAX_BYTES, MAX_TARGETS};
use crate::discovery::kinds::consul::service::Instance;
use crate::http_client::body_error::BodyError;
use crate::http_client::client::HttpClient;
use crate::http_client::error::RequestError;
use crate::http_client::message::ClientRequest;
use crate::http_client::sent_secrets::SentSecrets;
use crate::model::secret::Secret;
use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum time for which a query waits for a change, as a parameter.
const WAIT: &str = "120000ms";
/// Maximum time of a query, including the jitter that the server adds to [`WAIT`].
const TIMEOUT: Duration = Duration::from_secs(135);
/// Maximum number of bytes of an error response in a message.
const MAX_EXCERPT: usize = 200;
/// Maximum size of the part of a body in which secrets are looked for, bytes.
const MAX_SEARCHED: usize = 64 << 10;
/// Header with the index of a response.
const INDEX: &str = "x-consul-index";
/// Header with the token of the access control list.
const TOKEN: &str = "x-consul-token";

/// Client of a server.
pub(super) struct ConsulApi {
    client: HttpClient,
    address: ConsulAddress,
    /// Parameters of all queries.
    scope: Vec<(&'static str, String)>,
    /// Further parameters of blocking queries.
    options: Vec<(&'static str, String)>,
    token: Option<HeaderValue>,
}

/// Result of a query and its index.
#[derive(Debug)]
pub(super) struct ConsulResponse<T> {
    pub(super) index: u64,
    pub(super) value: T,
}

/// Error of a query.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConsulError {
    /// The URL of the query is invalid.
    #[error(transparent)]
    Url(#[from] ParseUrlError),
    /// No response.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body cannot be read.
    #[error("cannot read response: {0}")]
    Body(#[from] BodyError),
    /// Another status than 200.
    #[error("server returned HTTP status {status}: {excerpt:?}")]
    Status { status: String, excerpt: String },
    /// The response has no index.
    #[error("response has no valid X-Consul-Index")]
    Index,
    /// The body has another form.
    #[error("invalid response: {0}")]
    Json(#[from] serde_json::Error),
    /// The service has more than [`MAX_TARGETS`] instances.
    #[error("service has {count} instances, more than {MAX_TARGETS}")]
    TooMany { count: usize },
    /// The server does not name its datacenter.
    #[error("response has no Config.Datacenter")]
    Datacenter,
}

#[derive(Deserialize)]
struct Agent {
    #[serde(rename = "Config")]
    config: Option<AgentConfig>,
}

#[derive(Deserialize)]
struct AgentConfig {
    #[serde(rename = "Datacenter")]
    datacenter: Option<String>,
}

impl ConsulApi {
    pub(super) fn new(config: &ConsulSdConfig, client: HttpClient) -> Self {
        let mut scope = Vec::new();
        for (name, value) in [
            ("dc", &config.datacenter),
            ("ns", &config.namespace),
            ("partition", &config.partition),
        ] {
            if !value.is_empty() {
                scope.push((name, value.clone()));
            }
        }
        let mut options = vec![("wait", WAIT.to_owned())];
        if config.allow_stale {
            options.push(("stale", String::new()));
        }
        options.extend(config.node_meta.iter().map(|(k, v)| ("node-meta", format!("{k}:{v}"))));
        let token = config.token.as_ref().and_then(token_value);
        Self { client, address: config.address.clone(), scope, options, token }
    }

    /// Returns the datacenter of the server.
    pub(super) async fn datacenter(&self) -> Result<String, ConsulError> {
        let (_, body) = self.get("/v1/agent/self", &[]).await?;
        let agent: Agent = serde_json::from_slice(&body)?;
        agent.config.and_then(|config| config.datacenter).ok_or(ConsulError::Datacenter)
    }

    /// Returns the tags of all services.
    pub(super) async fn services(
        &self,
        index: u64,
        filter: &str,
    ) -> Result<ConsulResponse<BTreeMap<String, Vec<String>>>, ConsulError> {
        let (index, body) =
            self.get("/v1/catalog/services", &self.blocking(index, filter, &[])).await?;
        let services: Option<BTreeMap<String, Option<Vec<String>>>> =
            serde_json::from_slice(&body)?;
        let services = services.unwrap_or_default().into_iter();
        let value = services.map(|(name, tags)| (name, tags.unwrap_or_default())).collect();
        Ok(ConsulResponse { index: index.ok_or(ConsulError::Index)?, value })
    }

    /// Returns the instances of a service that have all tags of the settings.
    pub(super) async fn instances(
        &self,
        service: &str,
        index: u64,
        config: &ConsulSdConfig,
    ) -> Result<ConsulResponse<Vec<Instance>>, ConsulError> {
        let path = format!("/v1/health/service/{}", escape_segment(service));
        let parameters = self.blocking(index, &config.health_filter, &config.tags);
        let (index, body) = self.get(&path, &parameters).await?;
        let value = serde_json::from_slice::<Option<Vec<Instance>>>(&body)?.unwrap_or_default();
        if value.len() > MAX_TARGETS {
            return Err(ConsulError::TooMany { count: value.len() });
        }
        Ok(ConsulResponse { index: index.ok_or(ConsulError::Index)?, value })
    }

    /// Returns the parameters of a blocking query.
    fn blocking(&self, index: u64, filter: &str, tags: &[String]) -> Vec<(&'static str, String)> {
        let mut parameters = self.options.clone();
        if index > 0 {
            parameters.push(("index", index.to_string()));
        }
        if !filter.is_empty() {
            parameters.push(("filter", filter.to_owned()));
        }
        parameters.extend(tags.iter().map(|tag| ("tag", tag.clone())));
        parameters
    }

    fn url(&self, path: &str, parameters: &[(&'static str, String)]) -> Result<Url, ParseUrlError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.scope.iter().chain(parameters));
        let query = query.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        Url::parse(&format!("{}{path}{separator}{query}", self.address.base_url))
    }

    /// Returns the index, if the response has one, and the body.
    async fn get(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<(Option<u64>, Bytes), ConsulError> {
        let mut request = ClientRequest::get(self.url(path, parameters)?);
        request.unix_socket = self.address.unix_socket.clone();
        if let Some(token) = &self.token {
            request.headers.insert(TOKEN, token.clone());
        }
        let response = self.client.send(&request, Instant::now() + TIMEOUT).await?;
        let index = response.headers.get(INDEX).and_then(|index| index.to_str().ok()?.parse().ok());
        let status = response.status;
        let (status_text, secrets) = (response.status_text(), response.secrets);
        let body = response.body.read_to_end(MAX_BYTES).await?;
        if status != StatusCode::OK {
            let excerpt = excerpt(&body, &secrets);
            return Err(ConsulError::Status { status: status_text, excerpt });
        }
        Ok((index, body))
    }
}

/// Returns the beginning of a body without the secrets of the request.
fn excerpt(body: &[u8], secrets: &SentSecrets) -> String {
    let text = secrets.hide(&String::from_utf8_lossy(&body[..body.len().min(MAX_SEARCHED)]));
    text.chars().take(MAX_EXCERPT).collect()
}

/// Returns a header value that is not shown and not sent to other hosts. The configuration only has
/// valid ones.
fn token_value(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(token.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Escapes a segment of a path.
fn escape_segment(segment: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    segment.bytes().map(escape).collect()
}
