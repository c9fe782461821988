//! Transport: the connections of one set of TLS material. Changed files make a new one.

use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::http_client::connection::{Connection, RequestBody, SendError};
use crate::http_client::credentials::InvalidHeaderError;
use crate::http_client::dial::Dialer;
use crate::http_client::dial::route::Route;
use crate::http_client::error::RequestFailure;
use crate::http_client::files::{FileSet, Files};
use crate::http_client::pool::{Lease, Pool};
use crate::http_client::tls::error::TlsSettingsError;
use crate::http_client::tls::material::TlsMaterial;
use crate::http_client::tls::settings;
use crate::model::url::Url;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// Current transport of a client.
pub(super) struct Transports {
    tls: TlsClientConfig,
    server_name: Option<ServerName<'static>>,
    offers_http2: bool,
    current: Mutex<Arc<Transport>>,
}

/// Connections that were made with equal TLS material.
pub(super) struct Transport {
    dialer: Dialer,
    pool: Arc<Pool>,
    material: TlsMaterial,
}

/// Request to one server.
pub(super) struct Outgoing<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    /// Value of `Host`; `None` is the host of the URL.
    pub(super) host: Option<&'a str>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Transports {
    /// Creates the first transport.
    pub(super) fn new(config: &HttpClientConfig, files: &Files) -> Result<Self, TlsSettingsError> {
        let server_name = match &config.tls.server_name {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| TlsSettingsError::ServerName { name: name.clone() })?,
            ),
            None => None,
        };
        let material = TlsMaterial::new(&config.tls, files)?;
        let (tls, offers_http2) = (config.tls.clone(), config.enable_http2);
        let first = Transport::new(&tls, server_name.clone(), offers_http2, material)?;
        Ok(Self { tls, server_name, offers_http2, current: Mutex::new(Arc::new(first)) })
    }

    /// Adds the files of the settings.
    pub(super) fn add_files(&self, set: &mut FileSet) {
        TlsMaterial::add_files(&self.tls, set);
    }

    /// Returns the transport for the current contents of the files. Connections that were made with
    /// other contents are not used again.
    pub(super) fn current(&self, files: &Files) -> Result<Arc<Transport>, TlsSettingsError> {
        let material = TlsMaterial::new(&self.tls, files)?;
        let mut current = self.current.lock();
        if current.material != material {
            let name = self.server_name.clone();
            *current = Arc::new(Transport::new(&self.tls, name, self.offers_http2, material)?);
        }
        Ok(Arc::clone(&current))
    }

    /// Closes idle connections.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn close_idle(&self) {
        self.current.lock().pool.close_idle();
    }

    /// Returns the number of open connections.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.current.lock().pool.len()
    }
}

impl Transport {
    fn new(
        tls: &TlsClientConfig,
        server_name: Option<ServerName<'static>>,
        offers_http2: bool,
        material: TlsMaterial,
    ) -> Result<Self, TlsSettingsError> {
        let config = settings::client_config(tls, &material)?;
        let dialer = Dialer::new(config, server_name, offers_http2);
        Ok(Self { dialer, pool: Arc::default(), material })
    }

    /// Sends a request and returns the head of its response.
    ///
    /// If a kept connection fails before the server has responded, the request is repeated once on
    /// a new connection, unless it has a body or effects.
    pub(super) async fn round_trip(
        &self,
        route: &Route,
        outgoing: &Outgoing<'_>,
    ) -> Result<(Response<Incoming>, Lease), RequestFailure> {
        if let Some(mut lease) = self.pool.take(route) {
            match send(&mut lease, route, outgoing).await? {
                Ok(response) => return Ok((response, lease)),
                Err(failed) if failed.is_unanswered && may_repeat(outgoing) => {}
                Err(failed) => return Err(failed.error.into()),
            }
        }
        let connection = Connection::new(self.dialer.connect(route).await?).await?;
        let mut lease = self.pool.add(connection, route);
        match send(&mut lease, route, outgoing).await? {
            Ok(response) => Ok((response, lease)),
            Err(failed) => Err(failed.error.into()),
        }
    }
}

fn may_repeat(outgoing: &Outgoing<'_>) -> bool {
    outgoing.body.is_empty() && outgoing.method.is_safe()
}

type Sent = Result<Response<Incoming>, SendError>;

async fn send(
    lease: &mut Lease,
    route: &Route,
    outgoing: &Outgoing<'_>,
) -> Result<Sent, RequestFailure> {
    let Some(connection) = lease.connection() else { return Err(RequestFailure::Deadline) };
    let request = request(outgoing, route, connection.is_http2())?;
    Ok(connection.send(request).await)
}

/// Builds the request for a connection.
fn request(
    outgoing: &Outgoing<'_>,
    route: &Route,
    is_http2: bool,
) -> Result<Request<RequestBody>, InvalidHeaderError> {
    let invalid = || InvalidHeaderError { name: "Host".to_owned() };
    let url = outgoing.url;
    let authority = outgoing.host.map_or_else(|| without_zone(&url.authority()), str::to_owned);
    let path = PathAndQuery::try_from(url.path_and_query()).map_err(|_| invalid())?;
    let mut headers = outgoing.headers.clone();
    let mut uri = Uri::builder().path_and_query(path);
    let proxy = route.forwarding_proxy();
    if is_http2 || proxy.is_some() {
        let named = if is_http2 { authority.clone() } else { without_zone(&url.authority()) };
        let named = Authority::try_from(named).map_err(|_| invalid())?;
        let scheme = if url.is_https() { Scheme::HTTPS } else { Scheme::HTTP };
        uri = uri.scheme(scheme).authority(named);
    }
    if !is_http2 {
        headers.insert(HOST, HeaderValue::try_from(authority).map_err(|_| invalid())?);
    }
    if let Some(value) = proxy.and_then(|proxy| proxy.authorization.as_ref()) {
        headers.insert(PROXY_AUTHORIZATION, value.clone());
    }
    let mut request = Request::new(RequestBody::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = uri.build().map_err(|_| invalid())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Returns an authority without the zone of an IPv6 address.
fn without_zone(authority: &str) -> String {
    match (authority.split_once('%'), authority.rsplit_once(']')) {
        (Some((address, _)), Some((_, port))) => format!("{address}]{port}"),
        _ => authority.to_owned(),
    }
}
