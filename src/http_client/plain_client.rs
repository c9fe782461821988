//! HTTP client without authentication: exchanges with redirects, proxies, kept connections.

use crate::config::file::http_client::settings::HttpClientConfig;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::credentials;
use crate::http_client::dial::route::Route;
use crate::http_client::error::{RequestError, RequestFailure};
use crate::http_client::files::{FileSet, Files};
use crate::http_client::header_rules::HeaderRules;
use crate::http_client::message::{ClientRequest, ClientResponse};
use crate::http_client::proxy::{Environment, ProxySelector};
use crate::http_client::redirect::{self, MAX_REQUESTS, Trail};
use crate::http_client::sent_secrets::SentSecrets;
use crate::http_client::tls::material::TlsMaterial;
use crate::http_client::transport::{Outgoing, Transports};
use crate::model::url::Url;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

/// Maximum size of the body of a redirect that is read to keep its connection, bytes.
const MAX_REDIRECT_BODY: usize = 2 << 10;

/// Client without authentication.
pub(super) struct PlainClient {
    headers: HeaderRules,
    follow_redirects: bool,
    proxy: ProxySelector,
    transports: Transports,
    user_agent: HeaderValue,
}

/// Data of the settings for a request.
pub(super) struct Provided<'a> {
    /// Contents of the files that [`PlainClient::add_files`] names.
    pub(super) files: &'a Files,
    /// Value of `Authorization`, unless the request or its URL has one.
    pub(super) authorization: Option<HeaderValue>,
}

/// Request of an exchange, the first one or that of a redirect.
struct Hop {
    method: Method,
    url: Url,
    body: Bytes,
    referer: Option<String>,
}

impl PlainClient {
    /// Creates a client, and ignores the authentication of the settings.
    pub(super) fn new(
        config: &HttpClientConfig,
        user_agent: &str,
        environment: Environment<'_>,
    ) -> Result<Self, BuildClientError> {
        let mut files = FileSet::default();
        TlsMaterial::add_files(&config.tls, &mut files);
        Ok(Self {
            headers: HeaderRules::new(&config.headers)?,
            follow_redirects: config.follow_redirects,
            proxy: ProxySelector::new(&config.proxy, environment)?,
            transports: Transports::new(config, &files.read_blocking())?,
            user_agent: credentials::plain_value("User-Agent", user_agent)?,
        })
    }

    /// Adds the files that each request needs.
    pub(super) fn add_files(&self, set: &mut FileSet) {
        self.transports.add_files(set);
        self.headers.add_files(set);
    }

    /// Sends a request and follows redirects. The deadline is also that of the body.
    pub(super) async fn send(
        &self,
        request: &ClientRequest,
        provided: Provided<'_>,
        deadline: Instant,
    ) -> Result<ClientResponse, RequestError> {
        let mut hop = Hop {
            method: request.method.clone(),
            url: request.url.clone(),
            body: request.body.clone(),
            referer: None,
        };
        let exchange = self.exchange(request, &provided, &mut hop, deadline);
        let result = tokio::time::timeout_at(deadline, exchange).await;
        match result.unwrap_or(Err(RequestFailure::Deadline)) {
            Ok(response) => Ok(response),
            Err(failure) => Err(RequestError::new(&hop.method, &hop.url, failure)),
        }
    }

    /// Closes idle connections.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn close_idle(&self) {
        self.transports.close_idle();
    }

    /// Returns the number of open connections of the current transport.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.transports.connections()
    }

    async fn exchange(
        &self,
        request: &ClientRequest,
        provided: &Provided<'_>,
        hop: &mut Hop,
        deadline: Instant,
    ) -> Result<ClientResponse, RequestFailure> {
        let mut trail = Trail::new(&hop.url);
        for requests in 1.. {
            let response = self.hop(request, provided, hop, &trail, deadline).await?;
            let next = redirect::next_method(response.status, &hop.method);
            let Some((method, keeps_body)) = next.filter(|_| self.follow_redirects) else {
                return Ok(response);
            };
            let location = response.headers.get(LOCATION).map(HeaderValue::as_bytes);
            let Some(location) = location.filter(|location| !location.is_empty()) else {
                return Ok(response);
            };
            let url = hop.url.join(&String::from_utf8_lossy(location));
            response.body.drain(MAX_REDIRECT_BODY).await;
            let url = url.map_err(RequestFailure::Location)?;
            trail.follow(&url);
            let referer = redirect::referer(&hop.url, &url);
            let body = if keeps_body { std::mem::take(&mut hop.body) } else { Bytes::new() };
            *hop = Hop { method, url, body, referer };
            if requests >= MAX_REQUESTS {
                break;
            }
            if trail.has_left() && !hop.body.is_empty() {
                return Err(RequestFailure::BodyLeaves);
            }
        }
        Err(RequestFailure::Redirects(MAX_REQUESTS))
    }

    async fn hop(
        &self,
        request: &ClientRequest,
        provided: &Provided<'_>,
        hop: &Hop,
        trail: &Trail,
        deadline: Instant,
    ) -> Result<ClientResponse, RequestFailure> {
        if !matches!(hop.url.scheme(), "http" | "https") {
            return Err(RequestFailure::Scheme { scheme: hop.url.scheme().to_owned() });
        }
        // A redirect to another host leaves the socket and the name, too.
        let is_same_host = !trail.has_left();
        let outgoing = Outgoing {
            method: &hop.method,
            url: &hop.url,
            host: request.host.as_deref().filter(|_| is_same_host),
            headers: self.headers_of(request, provided, hop, trail)?,
            body: hop.body.clone(),
        };
        let unix_socket = request.unix_socket.as_deref().filter(|_| is_same_host);
        let route = Route::new(&hop.url, unix_socket, self.proxy.select(&hop.url));
        let transport = self.transports.current(provided.files)?;
        let (response, lease) = transport.round_trip(&route, &outgoing).await?;
        let secrets = SentSecrets::of(&outgoing.headers);
        Ok(ClientResponse::new(response, lease, deadline, secrets))
    }

    /// Returns the headers of a request. They have no credentials once the host has been left,
    /// except those of the URL.
    fn headers_of(
        &self,
        request: &ClientRequest,
        provided: &Provided<'_>,
        hop: &Hop,
        trail: &Trail,
    ) -> Result<HeaderMap, RequestFailure> {
        let mut headers = request.headers.clone();
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, self.user_agent.clone());
        }
        if !request.body.is_empty() && hop.body.is_empty() {
            headers.remove(CONTENT_TYPE);
        }
        if let Some(referer) = &hop.referer {
            headers.insert(REFERER, credentials::plain_value("Referer", referer)?);
        }
        self.headers.append(&mut headers, provided.files)?;
        if trail.has_left() {
            redirect::remove_sensitive(&mut headers);
        }
        let of_url = hop.url.user().map(credentials::basic_of_url);
        let of_settings = || provided.authorization.clone().filter(|_| !trail.has_left());
        if let Some(value) = of_url.or_else(of_settings) {
            headers.entry(AUTHORIZATION).or_insert(value);
        }
        Ok(headers)
    }
}
