//! Proxy of an HTTP client.

use crate::config::file::http_client::headers::{header_values, hidden};
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use crate::model::secret::Secret;
use crate::model::url::Url;
use http::HeaderName;
use std::collections::BTreeMap;

/// Schemes of supported proxies.
const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// Proxy of an HTTP client. The default is no proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// URL of an HTTP, HTTPS or SOCKS5 proxy.
    pub url: Option<Url>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub no_proxy: String,
    /// Whether the environment variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` decide.
    pub from_environment: bool,
    /// Additional headers of `CONNECT` requests.
    pub connect_headers: BTreeMap<String, Vec<Secret>>,
}

impl ProxyConfig {
    pub(super) fn read(mapping: &mut Mapping<'_>) -> Self {
        let url_value = mapping.get("proxy_url").filter(|value| !value.is_null());
        let url = url_value.as_ref().and_then(url);
        let no_proxy_value = mapping.get("no_proxy");
        let no_proxy = no_proxy_value.as_ref().and_then(Value::string).unwrap_or_default();
        let environment = mapping.get("proxy_from_environment");
        let from_environment = environment.as_ref().and_then(Value::boolean).unwrap_or(false);
        let headers_value = mapping.get("proxy_connect_header");
        let connect_headers = headers_value.as_ref().map(headers).unwrap_or_default();

        // A URL with a problem is one, too.
        let has_url = url_value.as_ref().is_some_and(|v| v.string().is_none_or(|s| !s.is_empty()));
        if let Some(value) = environment.filter(|_| from_environment && has_url) {
            value.problem("excludes proxy_url; set one of them");
        }
        if let Some(value) = no_proxy_value.filter(|_| !no_proxy.is_empty()) {
            if from_environment {
                value.problem("excludes proxy_from_environment, which reads NO_PROXY");
            } else if url_value.is_none() {
                value.problem("needs proxy_url");
            }
        }
        let is_alone = !connect_headers.is_empty() && !from_environment && !has_url;
        if let Some(value) = headers_value.filter(|_| is_alone) {
            value.problem("needs proxy_url or proxy_from_environment");
        }
        Self { url, no_proxy, from_environment, connect_headers }
    }

    pub(super) fn add_to(&self, yaml: &mut YamlMapping) {
        if let Some(url) = &self.url {
            yaml.set("proxy_url", url.to_string());
        }
        yaml.set_unless_zero("no_proxy", self.no_proxy.as_str());
        yaml.set_unless_zero("proxy_from_environment", self.from_environment);
        let mut headers = YamlMapping::default();
        for (name, values) in &self.connect_headers {
            headers.set(name, hidden(values));
        }
        yaml.set_unless_zero("proxy_connect_header", headers);
    }
}

/// Reads the URL; `None` if it is empty or has a problem.
fn url(value: &Value<'_>) -> Option<Url> {
    let text = value.string().filter(|text| !text.is_empty())?;
    let url = Url::parse(&text).map_err(|error| value.problem(error)).ok()?;
    if !SCHEMES.contains(&url.scheme()) {
        value.problem(format_args!("scheme must be one of {}", SCHEMES.join(", ")));
        return None;
    }
    Some(url)
}

fn headers(value: &Value<'_>) -> BTreeMap<String, Vec<Secret>> {
    let Some(section) = value.mapping() else { return BTreeMap::new() };
    let mut headers = BTreeMap::new();
    for (key, value) in section.entries() {
        let values = header_values(&value.list()).into_iter().map(Secret::new).collect();
        if HeaderName::from_bytes(key.name.as_bytes()).is_err() {
            key.problem("not a valid header name");
        } else {
            headers.insert(key.name.to_owned(), values);
        }
    }
    headers
}
