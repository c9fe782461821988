//! Entries of `consul_sd_configs`.
//!
//! # Differences
//! Prometheus also reads Consul's environment variables, such as `CONSUL_HTTP_TOKEN`.

use crate::config::file::discovery::file::refresh_interval;
use crate::config::file::http_client::auth::{BasicAuth, ClientAuth};
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::units;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use crate::model::secret::{HIDDEN, Secret};
use crate::model::url::Url;
use http::HeaderValue;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of Consul discovery.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsulSdConfig {
    /// Server as written; [`ConsulSdConfig::address`] has its parts.
    pub server: String,
    /// Prefix of all paths as written; may be empty.
    pub path_prefix: String,
    /// Scheme as written, `http` if the server has none.
    pub scheme: String,
    /// Place of the server.
    pub address: ConsulAddress,
    /// Token of the access control list.
    pub token: Option<Secret>,
    /// Empty means that of the server.
    pub datacenter: String,
    /// Namespace of Consul Enterprise; may be empty.
    pub namespace: String,
    /// Admin partition of Consul Enterprise; may be empty.
    pub partition: String,
    /// Text between tags in a label.
    pub tag_separator: String,
    /// Older keys `username` and `password`, which are the basic authentication of the client, too.
    pub user: Option<ConsulUser>,
    /// Whether any server may respond, not only the leader.
    pub allow_stale: bool,
    /// Minimum time between two queries, not zero.
    pub refresh_interval: Duration,
    /// Names of services; empty means all.
    pub services: Vec<String>,
    /// Tags that an instance must have, all of them.
    pub tags: Vec<String>,
    /// Metadata that a node must have.
    pub node_meta: BTreeMap<String, String>,
    /// Filter expression of the list of services; may be empty.
    pub filter: String,
    /// Filter expression of the instances of a service; may be empty.
    pub health_filter: String,
    /// Settings of the HTTP client.
    pub http_client: HttpClientConfig,
}

/// Place of a Consul server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulAddress {
    /// Scheme and host, with the path prefix, without a final slash. A valid URL.
    pub base_url: String,
    /// Unix socket to connect to instead of the host.
    pub unix_socket: Option<PathBuf>,
}

/// User of the older keys; a missing part is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulUser {
    /// Key `username`.
    pub name: String,
    /// Key `password`.
    pub password: Secret,
}

impl ConsulSdConfig {
    /// Default of `refresh_interval`.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(30);
    /// Default of `server`.
    pub const DEFAULT_SERVER: &str = "localhost:8500";

    /// Returns the settings of a server that have only defaults.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn of_server(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            path_prefix: String::new(),
            scheme: "http".to_owned(),
            address: ConsulAddress { base_url: format!("http://{server}"), unix_socket: None },
            token: None,
            datacenter: String::new(),
            namespace: String::new(),
            partition: String::new(),
            tag_separator: ",".to_owned(),
            user: None,
            allow_stale: true,
            refresh_interval: Self::DEFAULT_REFRESH_INTERVAL,
            services: Vec::new(),
            tags: Vec::new(),
            node_meta: BTreeMap::new(),
            filter: String::new(),
            health_filter: String::new(),
            http_client: HttpClientConfig::default(),
        }
    }
}

/// Reads an entry; `None` if its server is invalid.
pub(super) fn parse(mut entry: Mapping<'_>) -> Option<ConsulSdConfig> {
    let path_prefix = entry.string("path_prefix").unwrap_or_default();
    let scheme = scheme(&mut entry);
    let server_value = entry.get("server");
    let default_server = || Some(ConsulSdConfig::DEFAULT_SERVER.to_owned());
    let server = server_value.as_ref().map_or_else(default_server, Value::string);
    let address = server.as_deref().and_then(|server| {
        let address = address(server, &scheme, &path_prefix);
        let place = server_value.as_ref().unwrap_or(entry.value());
        address.map_err(|reason| place.problem(reason)).ok()
    });
    let token = token(&mut entry);
    let user = user(&mut entry);
    let mut http_client = HttpClientConfig::read(&mut entry);
    if let Some((value, user)) = &user {
        if http_client.auth.is_some() {
            value.problem("excludes other kinds of authentication; set one of them");
        }
        http_client.auth = Some(ClientAuth::Basic(user.basic_auth()));
    }
    let config = ConsulSdConfig {
        datacenter: entry.string("datacenter").unwrap_or_default(),
        namespace: entry.string("namespace").unwrap_or_default(),
        partition: entry.string("partition").unwrap_or_default(),
        tag_separator: entry.string("tag_separator").unwrap_or_else(|| ",".to_owned()),
        allow_stale: entry.boolean("allow_stale").unwrap_or(true),
        refresh_interval: refresh_interval(&mut entry, ConsulSdConfig::DEFAULT_REFRESH_INTERVAL),
        services: strings(&mut entry, "services"),
        tags: strings(&mut entry, "tags"),
        node_meta: node_meta(&mut entry),
        filter: entry.string("filter").unwrap_or_default(),
        health_filter: entry.string("health_filter").unwrap_or_default(),
        server: server.unwrap_or_default(),
        path_prefix,
        scheme,
        address: address.clone().unwrap_or_else(ConsulAddress::none),
        token,
        user: user.map(|(_, user)| user),
        http_client,
    };
    entry.finish();
    address.map(|_| config)
}

fn strings(entry: &mut Mapping<'_>, key: &'static str) -> Vec<String> {
    entry.list(key).iter().filter_map(Value::string).collect()
}

fn node_meta(entry: &mut Mapping<'_>) -> BTreeMap<String, String> {
    let Some(section) = entry.mapping("node_meta") else { return BTreeMap::new() };
    let text = |value: Value<'_>| value.string().unwrap_or_default();
    section.entries().map(|(key, value)| (key.name.to_owned(), text(value))).collect()
}

/// Reads the scheme. Prometheus accepts any, and its requests fail.
fn scheme(entry: &mut Mapping<'_>) -> String {
    let http = "http".to_owned();
    let Some(value) = entry.get("scheme") else { return http };
    match value.string().unwrap_or_default().as_str() {
        "" | "http" => http,
        "https" => "https".to_owned(),
        other => {
            value.problem(format_args!("must be http or https, not {other:?}"));
            http
        }
    }
}

/// Returns the parts of a server, which may have a scheme and a path as in Consul's own client.
fn address(server: &str, scheme: &str, prefix: &str) -> Result<ConsulAddress, String> {
    if server.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    let prefixed = |scheme: &str, host: &str, prefix: &str| {
        let path = prefix.trim_end_matches('/');
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{host}{slash}{path}")
    };
    let (base_url, unix_socket) = match server.split_once("://") {
        None => (prefixed(scheme, server, prefix), None),
        Some(("unix", path)) => (prefixed("http", "localhost", prefix), Some(path.into())),
        Some((own @ ("http" | "https"), rest)) => {
            let scheme = if own == "https" { own } else { scheme };
            let (host, prefix) = rest.split_once('/').unwrap_or((rest, prefix));
            (prefixed(scheme, host, prefix), None)
        }
        Some((other, _)) => {
            return Err(format!("scheme must be http, https or unix, not {other:?}"));
        }
    };
    let url = Url::parse(&base_url).map_err(|error| error.to_string())?;
    if url.user().is_some() {
        return Err("must not have a user; use basic_auth".to_owned());
    }
    Ok(ConsulAddress { base_url, unix_socket })
}

/// Reads the token, which is a header. As in Prometheus, it excludes other headers with tokens.
fn token(entry: &mut Mapping<'_>) -> Option<Secret> {
    let value = entry.get("token")?;
    let text = value.string().filter(|text| !text.is_empty())?;
    for other in ["authorization", "oauth2"] {
        if entry.get(other).is_some_and(|other| other.is_mapping()) {
            value.problem(format_args!("excludes {other}; set one of them"));
        }
    }
    if HeaderValue::try_from(&text).is_err() {
        value.problem("contains a control character");
    }
    Some(Secret::new(text))
}

fn user<'a>(entry: &mut Mapping<'a>) -> Option<(Value<'a>, ConsulUser)> {
    let (name, password) = (entry.get("username"), entry.get("password"));
    let text =
        |value: &Option<Value<'_>>| value.as_ref().and_then(Value::string).unwrap_or_default();
    let user = ConsulUser { name: text(&name), password: Secret::new(text(&password)) };
    let is_set = |value: &Value<'_>| value.string().is_some_and(|text| !text.is_empty());
    let value = name.filter(is_set).or(password.filter(is_set))?;
    Some((value, user))
}

impl ConsulUser {
    fn basic_auth(&self) -> BasicAuth {
        BasicAuth {
            username: (!self.name.is_empty()).then(|| Source::Inline(self.name.clone())),
            password: (!self.password.is_empty()).then(|| Source::Inline(self.password.clone())),
        }
    }
}

impl ConsulAddress {
    /// Returns the place of a server that is invalid.
    fn none() -> Self {
        Self { base_url: String::new(), unix_socket: None }
    }
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(config: &ConsulSdConfig) -> YamlMapping {
    let mut entry = YamlMapping::default();
    entry.set("server", config.server.as_str());
    entry.set_unless_zero("path_prefix", config.path_prefix.as_str());
    entry.set_unless_zero("token", config.token.as_ref().map_or("", |_| HIDDEN));
    entry.set_unless_zero("datacenter", config.datacenter.as_str());
    entry.set_unless_zero("namespace", config.namespace.as_str());
    entry.set_unless_zero("partition", config.partition.as_str());
    entry.set_unless_zero("tag_separator", config.tag_separator.as_str());
    entry.set("scheme", config.scheme.as_str());
    if let Some(user) = &config.user {
        entry.set_unless_zero("username", user.name.as_str());
        entry.set_unless_zero("password", if user.password.is_empty() { "" } else { HIDDEN });
    }
    entry.set("allow_stale", config.allow_stale);
    entry.set("refresh_interval", units::format_prometheus_duration(config.refresh_interval));
    entry.set_unless_zero("services", config.services.clone());
    entry.set_unless_zero("tags", config.tags.clone());
    entry.set_unless_zero("node_meta", YamlMapping::from_texts(&config.node_meta));
    entry.set_unless_zero("filter", config.filter.as_str());
    entry.set_unless_zero("health_filter", config.health_filter.as_str());
    config.http_client.add_to(&mut entry);
    entry
}
