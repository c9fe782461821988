//! Flags of the listeners.

use crate::config::address::ListenAddress;
use crate::config::cors_origin::CorsOrigin;
use crate::config::external_url::{ExternalUrl, RoutePrefixFlag, UrlPath};
use crate::config::flags::values::{message_size, positive_count, positive_duration};
use crate::config::units;
use crate::config::units::ByteSize;
use crate::config::web::DEFAULT_MAX_BCRYPT_COST;
use clap::{Args, value_parser};
use std::path::PathBuf;
use std::time::Duration;

/// Flags of the listeners.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Web")]
pub struct WebFlags {
    /// Path of the web configuration file, which can enable TLS and authentication. It applies to
    /// HTTP and gRPC. Changes are applied without a restart.
    #[arg(id = "web_config_file", long = "web.config.file", value_name = "PATH")]
    pub config_file: Option<PathBuf>,
    /// Maximum bcrypt cost of a password hash in the web configuration file.
    #[arg(
        long = "web.auth-max-bcrypt-cost", value_name = "COST",
        default_value_t = DEFAULT_MAX_BCRYPT_COST, value_parser = value_parser!(u32).range(4..=31)
    )]
    pub auth_max_bcrypt_cost: u32,
    /// Address to listen on for HTTP and gRPC. Can be repeated. A port alone (:9201) means all IPv4
    /// and IPv6 addresses.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9201")]
    pub listen_address: Vec<ListenAddress>,
    /// Address of a second, plain HTTP listener for /-/healthy and /-/ready. It needs no
    /// credentials.
    #[arg(long = "web.management-listen-address", value_name = "ADDRESS")]
    pub management_listen_address: Option<ListenAddress>,
    /// Whether the management listener serves /metrics, too. Needs
    /// --web.management-listen-address.
    #[arg(
        long = "web.management-metrics",
        requires = "management_listen_address",
        overrides_with = "no_management_metrics"
    )]
    pub management_metrics: bool,
    /// Negative form of --web.management-metrics.
    #[arg(long = "no-web.management-metrics", hide = true, overrides_with = "management_metrics")]
    pub no_management_metrics: bool,
    /// URL under which clients reach narthex, for example through a reverse proxy. Its path is the
    /// prefix of links and, by default, of all HTTP routes.
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<ExternalUrl>,
    /// Prefix of all HTTP routes. Without it, the path of --web.external-url.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<RoutePrefixFlag>,
    /// Regular expression for the origins whose scripts may read responses of the API. It is fully
    /// anchored. Without it, CORS is off.
    #[arg(long = "web.cors.origin", value_name = "REGEX")]
    pub cors_origin: Option<CorsOrigin>,
    /// Serve /-/healthy and /-/ready without credentials, for probes that have none.
    #[arg(long = "web.health-without-auth", overrides_with = "no_health_without_auth")]
    pub health_without_auth: bool,
    /// Negative form of --web.health-without-auth.
    #[arg(
        long = "no-web.health-without-auth",
        hide = true,
        overrides_with = "health_without_auth"
    )]
    pub no_health_without_auth: bool,
    /// Maximum number of simultaneous connections across all listeners. Further connections get
    /// 503.
    #[arg(
        long = "web.max-connections", value_name = "COUNT", default_value = "512",
        value_parser = positive_count
    )]
    pub max_connections: u64,
    /// Maximum time for a request to arrive, for its response to be taken, and between requests of
    /// a connection. The head of an HTTP/1.1 request, and the first request of an HTTP/2
    /// connection, have at most 30s.
    #[arg(
        long = "web.read-timeout", value_name = "DURATION", default_value = "5m",
        value_parser = positive_duration
    )]
    pub read_timeout: Duration,
    /// Maximum time of an admin operation until its response, which is then 503. An operation that
    /// has started continues; one that waits for its turn is dropped.
    #[arg(
        long = "web.admin-timeout", value_name = "DURATION", default_value = "6h",
        value_parser = positive_duration
    )]
    pub admin_timeout: Duration,
    /// Maximum time of a request to the status API, a page, health, metrics or reload. Then 503.
    #[arg(
        long = "web.request-timeout", value_name = "DURATION", default_value = "1m",
        value_parser = positive_duration
    )]
    pub request_timeout: Duration,
    /// Maximum time to discard what a client still sends after the response to a request that was
    /// not read completely. The client reads the response instead of a connection reset.
    #[arg(
        long = "web.lingering-timeout", value_name = "DURATION", default_value = "5s",
        value_parser = positive_duration
    )]
    pub lingering_timeout: Duration,
    /// Maximum memory for all request bodies and responses, half for each. Further requests get
    /// 503.
    #[arg(
        long = "web.max-bytes-in-flight", value_name = "SIZE", default_value = "256MB",
        value_parser = message_size
    )]
    pub max_bytes_in_flight: ByteSize,
    /// Maximum number of streams of one HTTP/2 connection.
    #[arg(
        long = "web.max-concurrent-streams", value_name = "COUNT", default_value = "128",
        value_parser = positive_count
    )]
    pub max_concurrent_streams: u64,
    /// Maximum number of subscribers that receive live notifications at the same time. Further ones
    /// get 204. 0 = none.
    #[arg(long = "web.max-notifications-subscribers", value_name = "COUNT", default_value = "16")]
    pub max_notifications_subscribers: u64,
    /// Enable API endpoints for admin control actions: delete series, clean tombstones, take
    /// snapshots.
    #[arg(long = "web.enable-admin-api", overrides_with = "no_enable_admin_api")]
    pub enable_admin_api: bool,
    /// Negative form of --web.enable-admin-api.
    #[arg(long = "no-web.enable-admin-api", hide = true, overrides_with = "enable_admin_api")]
    pub no_enable_admin_api: bool,
    /// Enable shutdown and reload via HTTP request.
    #[arg(long = "web.enable-lifecycle", overrides_with = "no_enable_lifecycle")]
    pub enable_lifecycle: bool,
    /// Negative form of --web.enable-lifecycle.
    #[arg(long = "no-web.enable-lifecycle", hide = true, overrides_with = "enable_lifecycle")]
    pub no_enable_lifecycle: bool,
    /// Maximum time to drain requests at a shutdown.
    #[arg(
        long = "web.shutdown-timeout", value_name = "DURATION", default_value = "30s",
        value_parser = units::parse_duration
    )]
    pub shutdown_timeout: Duration,
}

impl WebFlags {
    /// Returns the effective prefix of all HTTP routes.
    #[must_use]
    pub fn effective_route_prefix(&self) -> UrlPath {
        self.route_prefix.clone().unwrap_or_default().or_path_of(self.external_url.as_ref())
    }
}
