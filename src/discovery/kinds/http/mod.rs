//! HTTP discovery: a server returns all groups as JSON.
//!
//! A response other than 200 with a JSON list keeps the groups of the last one.

use crate::config::file::discovery::http::HttpSdConfig;
use crate::discovery::error::CreateProviderError;
use crate::discovery::group_list;
use crate::discovery::group_list::{GroupListError, MAX_BYTES};
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::{ProviderNames, RefreshSource, refresh_every};
use crate::discovery::target_group::TargetGroup;
use crate::http_client::body_error::BodyError;
use crate::http_client::client::HttpClient;
use crate::http_client::error::RequestError;
use crate::http_client::message::ClientRequest;
use crate::metrics::registry::Counter;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use std::time::Duration;
use tokio::time::Instant;

/// Label with the URL of the server.
const URL_LABEL: &str = "__meta_url";

/// Header with the refresh interval, seconds.
const INTERVAL_HEADER: &str = "x-prometheus-refresh-interval-seconds";

/// Returns a provider of the groups that a server lists.
pub(super) fn provider(
    config: &HttpSdConfig,
    names: ProviderNames,
    environment: &Environment,
    metrics: &DiscoveryMetrics,
) -> Result<StartProvider, CreateProviderError> {
    let client = environment.http_client(&config.http_client, &names)?;
    let interval = config.refresh_interval;
    let source = HttpSource {
        client,
        request: request(config),
        url: config.shown_url.clone(),
        timeout: interval,
        known: 0,
        failures: metrics.http_failures.clone(),
    };
    let refresh = metrics.of_refresh(names.mechanism, &names.job);
    Ok(Box::new(move |sink| Box::pin(refresh_every(interval, source, names, refresh, sink))))
}

fn request(config: &HttpSdConfig) -> ClientRequest {
    let mut request = ClientRequest::get(config.url.clone());
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let seconds = config.refresh_interval.as_secs_f64().to_string();
    // Digits and a point are valid in a header.
    if let Ok(seconds) = HeaderValue::try_from(seconds) {
        request.headers.insert(INTERVAL_HEADER, seconds);
    }
    request
}

/// Source of the groups of a URL.
#[derive(Debug)]
struct HttpSource {
    client: HttpClient,
    request: ClientRequest,
    /// URL as labels show it.
    url: String,
    timeout: Duration,
    /// Number of groups of the last successful response.
    known: usize,
    failures: Counter,
}

impl RefreshSource for HttpSource {
    type Error = HttpListError;

    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, HttpListError> {
        let listed = self.list().await;
        if listed.is_err() {
            self.failures.inc();
        }
        let mut groups = listed?;
        let count = groups.len();
        let surplus = count..self.known.max(count);
        groups.extend(surplus.map(|index| TargetGroup::removed(source(&self.url, index))));
        self.known = count;
        Ok(groups)
    }
}

impl HttpSource {
    async fn list(&self) -> Result<Vec<TargetGroup>, HttpListError> {
        let response = self.client.send(&self.request, Instant::now() + self.timeout).await?;
        if response.status != StatusCode::OK {
            return Err(HttpListError::Status { status: response.status_text() });
        }
        let content_type = response.headers.get(CONTENT_TYPE);
        let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let content_type = content_type.unwrap_or_default().into_owned();
        if !is_json(&content_type) {
            return Err(HttpListError::ContentType { found: content_type });
        }
        let body = response.body.read_to_end(MAX_BYTES).await?;
        Ok(parse(&body, &self.url)?)
    }
}

/// Error of a refresh.
#[derive(Debug, thiserror::Error)]
enum HttpListError {
    /// No response.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body cannot be read.
    #[error("cannot read response: {0}")]
    Body(#[from] BodyError),
    /// Another status than 200.
    #[error("server returned HTTP status {status}")]
    Status { status: String },
    /// Another content type than JSON.
    #[error("unsupported content type {found:?}")]
    ContentType { found: String },
    /// The body is not a list of groups.
    #[error(transparent)]
    List(#[from] GroupListError),
}

/// Parses the body of a response.
fn parse(body: &[u8], url: &str) -> Result<Vec<TargetGroup>, GroupListError> {
    let mut groups = group_list::parse_json(body)?;
    for (index, group) in groups.iter_mut().enumerate() {
        group.source = source(url, index);
        group.labels.insert(URL_LABEL.to_owned(), url.to_owned());
    }
    Ok(groups)
}

/// Identifies a group of a URL, as in Prometheus.
fn source(url: &str, index: usize) -> String {
    format!("{url}:{index}")
}

/// Returns `true` for `application/json`, alone or with the character set UTF-8.
fn is_json(content_type: &str) -> bool {
    let (kind, parameter) = match content_type.trim().split_once(';') {
        Some((kind, parameter)) => (kind, Some(parameter.trim_start())),
        None => (content_type.trim(), None),
    };
    let is_utf8 = parameter.is_none_or(|parameter| {
        parameter.eq_ignore_ascii_case("charset=utf-8")
            || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
    });
    kind.eq_ignore_ascii_case("application/json") && is_utf8
}

#[cfg(test)]
mod tests;
