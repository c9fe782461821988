//! Entries of `http_sd_configs`.

use crate::config::file::discovery::file::refresh_interval;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::units;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use crate::model::url::Url;
use std::time::Duration;

/// Settings of HTTP discovery.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSdConfig {
    /// URL of the list of groups.
    pub url: Url,
    /// Text of the URL as the label `__meta_url` has it, without a password.
    pub shown_url: String,
    /// Time between two requests, and maximum time of a request; not zero.
    pub refresh_interval: Duration,
    /// Settings of the HTTP client.
    pub http_client: HttpClientConfig,
}

impl HttpSdConfig {
    /// Default of `refresh_interval`.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(60);
}

/// Reads an entry; `None` if it has no valid URL.
pub(super) fn parse(mut entry: Mapping<'_>) -> Option<HttpSdConfig> {
    let url = match entry.get("url") {
        Some(value) => url(&value),
        None => {
            entry.value().problem("needs url");
            None
        }
    };
    let refresh_interval = refresh_interval(&mut entry, HttpSdConfig::DEFAULT_REFRESH_INTERVAL);
    let http_client = HttpClientConfig::read(&mut entry);
    entry.finish();
    let (url, shown_url) = url?;
    Some(HttpSdConfig { url, shown_url, refresh_interval, http_client })
}

/// Reads the URL and its text without a password. Prometheus shows the password.
fn url(value: &Value<'_>) -> Option<(Url, String)> {
    let text = value.string()?;
    if text.is_empty() {
        value.problem("must not be empty");
        return None;
    }
    let url = Url::parse(&text).map_err(|error| value.problem(error)).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        value.problem("scheme must be http or https");
        return None;
    }
    let has_password = url.user().is_some_and(|user| user.password.is_some());
    let shown = if has_password { url.to_string() } else { text };
    Some((url, shown))
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(config: &HttpSdConfig) -> YamlMapping {
    let mut entry = YamlMapping::default();
    config.http_client.add_to(&mut entry);
    entry.set("refresh_interval", units::format_prometheus_duration(config.refresh_interval));
    entry.set("url", config.shown_url.as_str());
    entry
}
