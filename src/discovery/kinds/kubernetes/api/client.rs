//! Lists and watches of an API server.

use crate::discovery::kinds::kubernetes::access::cluster::ClusterAccess;
use crate::discovery::kinds::kubernetes::api::error::{ApiError, StatusError};
use crate::discovery::kinds::kubernetes::api::scope::ObjectScope;
use crate::discovery::kinds::kubernetes::objects::resource::ResourcePath;
use crate::discovery::metrics::KubernetesMetrics;
use crate::http_client::USER_AGENT;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::client::HttpClient;
use crate::http_client::message::{ClientRequest, ClientResponse, ResponseBody};
use crate::http_client::sent_secrets::SentSecrets;
use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;
use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum time of a request for a page.
const LIST_TIMEOUT: Duration = Duration::from_secs(120);
/// Maximum time until the head of the response to a watch.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Time after the end of a watch in which the server must close it.
const END_GRACE: Duration = Duration::from_secs(30);
/// Maximum size of a page, bytes.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Maximum size of the body of an error, bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Client of an API server.
pub(crate) struct ClusterClient {
    access: ClusterAccess,
    /// Path of the server's URL, without a final slash.
    prefix: String,
    http: HttpClient,
    metrics: KubernetesMetrics,
}

/// Page of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest<'a> {
    /// Maximum number of objects; 0 means all.
    pub(crate) limit: usize,
    /// Token of the page before; empty for the first page.
    pub(crate) token: &'a str,
}

/// Response to a watch.
#[derive(Debug)]
pub(crate) struct WatchResponse {
    pub(crate) body: ResponseBody,
    /// Secrets of the request, which a status of the server may repeat.
    pub(crate) secrets: SentSecrets,
}

impl fmt::Debug for ClusterClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterClient").field("url", &self.access.url).finish_non_exhaustive()
    }
}

impl ClusterClient {
    /// Creates a client. Proxies are those of the process's environment.
    ///
    /// # Errors
    /// The settings cannot work, such as a missing CA.
    pub(crate) fn new(
        access: ClusterAccess,
        user_agent: &str,
        metrics: KubernetesMetrics,
    ) -> Result<Self, BuildClientError> {
        let http = http_client(&access, user_agent)?;
        let path = access.url.path_and_query();
        let path = path.split('?').next().unwrap_or_default();
        Ok(Self { prefix: path.trim_end_matches('/').to_owned(), access, http, metrics })
    }

    /// Checks that a client with this access can be created.
    ///
    /// # Errors
    /// Same as for [`Self::new`].
    pub(crate) fn check(access: &ClusterAccess) -> Result<(), BuildClientError> {
        http_client(access, USER_AGENT).map(|_| ())
    }

    /// Returns the access that the client uses.
    pub(crate) fn access(&self) -> &ClusterAccess {
        &self.access
    }

    /// Returns the body of a page.
    pub(crate) async fn list(
        &self,
        resource: ResourcePath,
        scope: &ObjectScope,
        page: PageRequest<'_>,
    ) -> Result<Bytes, ApiError> {
        let limit = page.limit.to_string();
        let mut parameters = Vec::new();
        if page.limit > 0 {
            parameters.push(("limit", limit.as_str()));
        }
        if !page.token.is_empty() {
            parameters.push(("continue", page.token));
        }
        let response = self.get(resource, scope, &parameters, LIST_TIMEOUT).await?;
        Ok(response.body.read_to_end(MAX_PAGE_BYTES).await?)
    }

    /// Starts a watch of the changes after a version. The server ends it after `timeout`.
    pub(crate) async fn watch(
        &self,
        resource: ResourcePath,
        scope: &ObjectScope,
        version: &str,
        timeout: Duration,
    ) -> Result<WatchResponse, ApiError> {
        let end = Instant::now() + timeout + END_GRACE;
        let seconds = timeout.as_secs().max(1).to_string();
        let parameters = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", seconds.as_str()),
        ];
        let response = self.get(resource, scope, &parameters, HEAD_TIMEOUT).await?;
        let (mut body, secrets) = (response.body, response.secrets);
        body.set_deadline(end);
        Ok(WatchResponse { body, secrets })
    }

    async fn get(
        &self,
        resource: ResourcePath,
        scope: &ObjectScope,
        parameters: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<ClientResponse, ApiError> {
        let mut request = ClientRequest::get(self.url(resource, scope, parameters)?);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let start = Instant::now();
        let sent = self.http.send(&request, start + timeout).await;
        let status = sent.as_ref().ok().map(|response| response.status);
        let endpoint = format!("{}{}", self.prefix, scope.path(resource));
        self.metrics.observe_request(&endpoint, status, start.elapsed());
        let response = sent?;
        if response.status == StatusCode::OK {
            return Ok(response);
        }
        let header = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.trim().parse().ok().map(Duration::from_secs));
        let (code, reason) = (response.status.as_u16(), response.reason);
        let secrets = response.secrets;
        // The status says enough if the body cannot be read.
        let body = response.body.read_to_end(MAX_ERROR_BYTES).await.unwrap_or_default();
        Err(StatusError::of_response(code, &reason, retry_after, &body, &secrets).into())
    }

    fn url(
        &self,
        resource: ResourcePath,
        scope: &ObjectScope,
        parameters: &[(&str, &str)],
    ) -> Result<Url, ParseUrlError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(scope.parameters());
        query.extend_pairs(parameters);
        let (query, path) = (query.finish(), scope.path(resource));
        let separator = if query.is_empty() { "" } else { "?" };
        // A reference with a path keeps the user information.
        self.access.url.join(&format!("{}{path}{separator}{query}", self.prefix))
    }
}

fn http_client(access: &ClusterAccess, user_agent: &str) -> Result<HttpClient, BuildClientError> {
    let variable = |name: &str| std::env::var(name).ok();
    HttpClient::new(&access.http_client, user_agent, &variable)
}
