//! Entries of `docker_sd_configs`.

use crate::config::file::discovery::dns::port;
use crate::config::file::discovery::file::refresh_interval;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::units;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::{Yaml, YamlMapping};
use crate::config::yaml::value::Value;
use crate::model::url::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Host of the daemon's API in requests over a unix socket, as in Docker's own client.
const SOCKET_HOST: &str = "api.moby.localhost";

/// Settings of Docker discovery.
#[derive(Debug, Clone, PartialEq)]
pub struct DockerSdConfig {
    /// Host as written, such as `unix:///var/run/docker.sock`.
    pub host: String,
    /// Place of the daemon.
    pub address: DockerAddress,
    /// Port of targets without a published TCP port.
    pub port: u16,
    /// Filters of containers, in the order of the file.
    pub filters: Vec<DockerFilter>,
    /// Address of containers in the network of the host.
    pub host_networking_host: String,
    /// Time between two requests, and maximum time of a request; not zero.
    pub refresh_interval: Duration,
    /// Whether a container in several networks is one target, in the first network by name.
    pub match_first_network: bool,
    /// Settings of the HTTP client, which only hosts with `http` and `https` use.
    pub http_client: HttpClientConfig,
}

/// Place of a Docker daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerAddress {
    /// Scheme, host and path without a final slash. A valid URL.
    pub base_url: String,
    /// Unix socket to connect to instead of the host.
    pub unix_socket: Option<PathBuf>,
    /// Whether the settings of the HTTP client are used, as in Prometheus.
    pub uses_http_client: bool,
}

/// Filter of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerFilter {
    /// Name, such as `label`.
    pub name: String,
    /// Values, one of which must match.
    pub values: Vec<String>,
}

impl DockerSdConfig {
    /// Default of `refresh_interval`.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(60);

    /// Returns the values of all filters, by name.
    #[must_use]
    pub fn filter_values(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for filter in self.filters.iter().filter(|filter| !filter.values.is_empty()) {
            let values = filter.values.iter().map(String::as_str);
            all.entry(&filter.name).or_default().extend(values);
        }
        all
    }
}

/// Reads an entry; `None` if it has no valid host.
pub(super) fn parse(mut entry: Mapping<'_>) -> Option<DockerSdConfig> {
    let host = match entry.get("host") {
        Some(value) => host(&value),
        None => {
            entry.value().problem("needs host");
            None
        }
    };
    let port = entry.get("port").map_or(Some(80), |value| port(&value)).unwrap_or(80);
    let filters = entry.mappings("filters").into_iter().map(filter).collect();
    let host_networking_host =
        entry.string("host_networking_host").unwrap_or_else(|| "localhost".to_owned());
    let refresh_interval = refresh_interval(&mut entry, DockerSdConfig::DEFAULT_REFRESH_INTERVAL);
    let match_first_network = entry.boolean("match_first_network").unwrap_or(true);
    let http_client = HttpClientConfig::read(&mut entry);
    let (host, address) = match host {
        Some(host) => host,
        None => {
            entry.finish();
            return None;
        }
    };
    if !address.uses_http_client && http_client != HttpClientConfig::default() {
        let place = entry.value();
        place.warning("settings of the HTTP client need a host with http or https");
    }
    entry.finish();
    Some(DockerSdConfig {
        host,
        address,
        port,
        filters,
        host_networking_host,
        refresh_interval,
        match_first_network,
        http_client,
    })
}

fn host(value: &Value<'_>) -> Option<(String, DockerAddress)> {
    let text = value.string()?;
    let address = address(&text).map_err(|reason| value.problem(reason)).ok()?;
    Some((text, address))
}

/// Returns the place of a host. Prometheus accepts any, and then has no targets.
fn address(host: &str) -> Result<DockerAddress, String> {
    if host.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let (base_url, unix_socket) = match scheme {
        "unix" if rest.is_empty() => return Err("must have the path of a socket".to_owned()),
        "unix" => (format!("http://{SOCKET_HOST}"), Some(PathBuf::from(rest))),
        "tcp" | "http" => (format!("http://{rest}"), None),
        "https" => (host.to_owned(), None),
        _ => return Err("must begin with unix://, tcp://, http:// or https://".to_owned()),
    };
    let url = Url::parse(&base_url).map_err(|error| error.to_string())?;
    if url.user().is_some() {
        return Err("must not have a user; use basic_auth".to_owned());
    }
    let base_url = url.to_string().trim_end_matches('/').to_owned();
    let uses_http_client = matches!(scheme, "http" | "https");
    Ok(DockerAddress { base_url, unix_socket, uses_http_client })
}

fn filter(mut entry: Mapping<'_>) -> DockerFilter {
    let name = entry.string("name").unwrap_or_default();
    let values = entry.list("values").iter().filter_map(Value::string).collect();
    entry.finish();
    DockerFilter { name, values }
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(config: &DockerSdConfig) -> YamlMapping {
    let mut entry = YamlMapping::default();
    config.http_client.add_to(&mut entry);
    entry.set("host", config.host.as_str());
    entry.set("port", u64::from(config.port));
    let filters = config.filters.iter().map(|filter| {
        let mut entry = YamlMapping::of("name", filter.name.as_str());
        entry.set("values", filter.values.clone());
        entry
    });
    entry.set("filters", filters.collect::<Yaml>());
    entry.set("host_networking_host", config.host_networking_host.as_str());
    entry.set("refresh_interval", units::format_prometheus_duration(config.refresh_interval));
    entry.set("match_first_network", config.match_first_network);
    entry
}
