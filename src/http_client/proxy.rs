//! Selection of a proxy for a request.

use crate::config::file::http_client::proxy::ProxyConfig;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::credentials::{self, InvalidHeaderError};
use crate::http_client::no_proxy::NoProxy;
use crate::model::url::Url;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// Environment variable by name; an unset one is `None`.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Proxy server.
#[derive(Debug)]
pub(super) struct ProxyServer {
    pub(super) url: Url,
    pub(super) kind: ProxyKind,
    /// `Proxy-Authorization` with the user information of the URL.
    pub(super) authorization: Option<HeaderValue>,
    /// Additional headers of `CONNECT` requests.
    pub(super) connect_headers: HeaderMap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    Https,
    Socks5,
}

/// Proxy by URL of the request.
#[derive(Debug)]
pub(super) struct ProxySelector {
    /// For `http` URLs.
    http: Option<Arc<ProxyServer>>,
    /// For `https` URLs.
    https: Option<Arc<ProxyServer>>,
    /// `None` if even the loopback addresses are reached through the proxy.
    no_proxy: Option<NoProxy>,
}

impl ProxySelector {
    /// Creates the selector of a client.
    pub(super) fn new(
        config: &ProxyConfig,
        environment: Environment<'_>,
    ) -> Result<Self, BuildClientError> {
        let headers = connect_headers(config)?;
        if config.from_environment {
            let proxy = |names| environment_proxy(names, environment, &headers);
            let no_proxy = variable(["NO_PROXY", "no_proxy"], environment);
            return Ok(Self {
                http: proxy(["HTTP_PROXY", "http_proxy"])?,
                https: proxy(["HTTPS_PROXY", "https_proxy"])?,
                no_proxy: Some(NoProxy::parse(&no_proxy.unwrap_or_default())),
            });
        }
        let proxy = config.url.as_ref().map(|url| server(url, &headers)).transpose()?;
        let no_proxy = (!config.no_proxy.is_empty()).then(|| NoProxy::parse(&config.no_proxy));
        Ok(Self { http: proxy.clone(), https: proxy, no_proxy })
    }

    /// Returns the proxy of a request.
    pub(super) fn select(&self, url: &Url) -> Option<&Arc<ProxyServer>> {
        let proxy = if url.is_https() { &self.https } else { &self.http };
        let is_direct =
            |list: &NoProxy| list.matches(&url.host().to_ascii_lowercase(), url.port_or_default());
        proxy.as_ref().filter(|_| !self.no_proxy.as_ref().is_some_and(is_direct))
    }
}

fn server(url: &Url, headers: &HeaderMap) -> Result<Arc<ProxyServer>, BuildClientError> {
    let kind = match url.scheme() {
        "http" => ProxyKind::Http,
        "https" => ProxyKind::Https,
        "socks5" | "socks5h" => ProxyKind::Socks5,
        other => return Err(BuildClientError::ProxyScheme { scheme: other.to_owned() }),
    };
    Ok(Arc::new(ProxyServer {
        kind,
        authorization: url.user().map(credentials::basic_of_url),
        connect_headers: headers.clone(),
        url: url.clone(),
    }))
}

fn connect_headers(config: &ProxyConfig) -> Result<HeaderMap, InvalidHeaderError> {
    let mut headers = HeaderMap::new();
    for (name, values) in &config.connect_headers {
        let invalid = || InvalidHeaderError { name: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        for value in values {
            let value = HeaderValue::from_bytes(value.expose().as_bytes());
            let mut value = value.map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.try_append(key.clone(), value).map_err(|_| invalid())?;
        }
    }
    Ok(headers)
}

/// Returns the value of the first variable that is set and not empty.
fn variable(names: [&'static str; 2], environment: Environment<'_>) -> Option<String> {
    names.into_iter().find_map(|name| environment(name).filter(|value| !value.is_empty()))
}

/// Returns the proxy of a variable: a URL, or `host:port` of an HTTP proxy.
fn environment_proxy(
    names: [&'static str; 2],
    environment: Environment<'_>,
    headers: &HeaderMap,
) -> Result<Option<Arc<ProxyServer>>, BuildClientError> {
    let Some(text) = variable(names, environment) else { return Ok(None) };
    let url = if text.contains("://") { text } else { format!("http://{text}") };
    let url = Url::parse(&url)
        .map_err(|source| BuildClientError::ProxyVariable { name: names[0], source })?;
    server(&url, headers).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{ProxyKind, ProxySelector};
    use crate::config::file::http_client::proxy::ProxyConfig;
    use crate::model::url::Url;

    fn select(config: &ProxyConfig, variables: &[(&str, &str)], url: &str) -> Option<String> {
        let environment = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let selector = ProxySelector::new(config, &environment).unwrap();
        selector.select(&Url::parse(url).unwrap()).map(|proxy| proxy.url.to_string())
    }

    #[test]
    fn proxy_url_is_used_for_every_host_without_no_proxy() {
        let config = ProxyConfig { url: Url::parse("http://p:1").ok(), ..ProxyConfig::default() };
        for url in ["http://h/", "https://h/", "http://localhost/", "http://127.0.0.1/"] {
            assert_eq!(select(&config, &[("NO_PROXY", "*")], url).as_deref(), Some("http://p:1"));
        }
        let config = ProxyConfig { no_proxy: "h".to_owned(), ..config };
        for url in ["http://h/", "https://a.H:1/", "http://localhost/", "http://127.0.0.1/"] {
            assert_eq!(select(&config, &[], url), None, "{url}");
        }
        assert_eq!(select(&config, &[], "http://i/").as_deref(), Some("http://p:1"));
        assert_eq!(select(&ProxyConfig::default(), &[("HTTP_PROXY", "p")], "http://h/"), None);
    }

    #[test]
    fn environment_selects_by_scheme() {
        let config = ProxyConfig { from_environment: true, ..ProxyConfig::default() };
        let variables = [
            ("HTTP_PROXY", ""),
            ("http_proxy", "plain:3128"),
            ("HTTPS_PROXY", "socks5://u:p@secure"),
            ("NO_PROXY", "internal,10.0.0.0/8"),
        ];
        for (url, expected) in [
            ("http://h/", Some("http://plain:3128")),
            ("https://h/", Some("socks5://u:xxxxx@secure")),
            ("http://x.internal/", None),
            ("https://10.1.1.1/", None),
            ("http://127.0.0.1/", None),
        ] {
            assert_eq!(select(&config, &variables, url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn unusable_proxy_is_an_error_without_its_password() {
        let build = |config: &ProxyConfig, variable: &str| {
            let environment = |name: &str| (name == "HTTPS_PROXY").then(|| variable.to_owned());
            ProxySelector::new(config, &environment).unwrap_err().to_string()
        };
        let odd = ProxyConfig { url: Url::parse("gopher://u:p@p").ok(), ..ProxyConfig::default() };
        assert_eq!(
            build(&odd, ""),
            "proxy scheme \"gopher\" is not http, https, socks5 or socks5h"
        );
        let environment = ProxyConfig { from_environment: true, ..ProxyConfig::default() };
        let expected =
            "environment variable HTTPS_PROXY is not a proxy URL: URL has an invalid port";
        assert_eq!(build(&environment, "http://u:hidden@p:port"), expected);
    }

    #[test]
    fn kinds_and_credentials_of_proxies() {
        for (url, kind, authorization) in [
            ("http://u:p@h", ProxyKind::Http, Some("Basic dTpw")),
            ("https://h", ProxyKind::Https, None),
            ("socks5h://u@h", ProxyKind::Socks5, Some("Basic dTo=")),
        ] {
            let config = ProxyConfig { url: Url::parse(url).ok(), ..ProxyConfig::default() };
            let selector = ProxySelector::new(&config, &|_| None).unwrap();
            let proxy = selector.select(&Url::parse("http://h/").unwrap()).unwrap();
            let value = proxy.authorization.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!((proxy.kind, value), (kind, authorization), "{url}");
        }
    }
}
