//! Banner of `narthex serve`: addresses, settings for `prometheus.yml`, and the effective storage
//! options.

use crate::config::external_url::{ExternalUrl, UrlPath};
use crate::config::flags::VERSION;
use crate::config::units;
use crate::config::web::contents::{ClientAuthPolicy, WebConfig};
use crate::server::management::web_state::WebState;
use crate::tsdb::db::SyncMode;
use crate::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
use crate::tsdb::db::state::shared::DbShared;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Access to the listeners at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccessInfo {
    /// Scheme of the URLs.
    scheme: &'static str,
    description: &'static str,
    /// Comments of the settings for Prometheus: what its user has to add.
    settings: &'static str,
    is_grpc_enabled: bool,
}

impl AccessInfo {
    pub(crate) fn from_config(config: &WebConfig, is_grpc_enabled: bool) -> Self {
        let policy = config.tls.as_ref().map(|tls| tls.client_auth);
        let needs_certificate = policy == Some(ClientAuthPolicy::RequireAndVerify);
        let description = match (policy.is_some(), !config.users.is_empty()) {
            (false, false) => {
                "no authentication, no TLS: anyone who reaches the port can read and write"
            }
            (false, true) => "users of basic_auth_users, no TLS: passwords are sent in clear text",
            (true, true) if needs_certificate => {
                "TLS, users of basic_auth_users with a certificate of client_ca_file"
            }
            (true, true) => "TLS, users of basic_auth_users",
            (true, false) if needs_certificate => {
                "TLS, clients with a certificate of client_ca_file"
            }
            (true, false) => {
                "TLS, no authentication: anyone who reaches the port can read and write"
            }
        };
        let settings = match (policy.is_some(), !config.users.is_empty()) {
            (false, false) => "",
            (false, true) => "    # Add basic_auth with a user and its password.\n",
            (true, false) => "    # Add tls_config with the CA (and certificate, if needed).\n",
            (true, true) => {
                "    # Add basic_auth with a user and its password.\n    \
                 # Add tls_config with the CA (and certificate, if needed).\n"
            }
        };
        let scheme = if policy.is_some() { "https" } else { "http" };
        Self { scheme, description, settings, is_grpc_enabled }
    }
}

/// Values of the banner.
struct BannerInfo<'a> {
    /// Bound addresses, with their ports.
    addresses: &'a [SocketAddr],
    /// Prefix of all routes.
    route_prefix: &'a UrlPath,
    /// URL under which clients reach the server, if it is configured.
    external_url: Option<String>,
    /// Bound address of the management listener.
    management: Option<SocketAddr>,
    access: AccessInfo,
    directory: &'a Path,
    /// Description by [`describe_retention`] or [`describe_held_retention`].
    retention: &'a str,
    /// Out-of-order window, ms; 0 = none.
    out_of_order_window_ms: i64,
    wal_sync: SyncMode,
}

/// Returns the banner of a database that is served at `addresses`.
pub(crate) fn banner(
    addresses: &[SocketAddr],
    management: Option<SocketAddr>,
    access: AccessInfo,
    web: &WebState,
    db: &DbShared,
) -> String {
    let options = db.options();
    let directory = std::path::absolute(&options.dir).unwrap_or_else(|_| options.dir.clone());
    let settings = db.settings();
    let retention = if db.retention_is_held() {
        describe_held_retention(&settings.retention)
    } else {
        describe_retention(&settings.retention)
    };
    render(&BannerInfo {
        addresses,
        route_prefix: &web.route_prefix,
        external_url: web.external_url.as_ref().and_then(ExternalUrl::url),
        management,
        access,
        directory: &directory,
        retention: &retention,
        out_of_order_window_ms: settings.out_of_order_window_ms,
        wal_sync: options.wal_sync,
    })
}

fn render(info: &BannerInfo<'_>) -> String {
    let BannerInfo { addresses, directory, retention, .. } = info;
    let AccessInfo { scheme, description: access, settings, is_grpc_enabled } = info.access;
    let url_at = |address: SocketAddr| {
        format!("{scheme}://{}{}", client_address(address), info.route_prefix)
    };
    let window = describe_window(info.out_of_order_window_ms);
    let mut text = format!("\nnarthex {VERSION} is ready\n\n");
    for address in *addresses {
        let place = client_address(*address);
        let url = url_at(*address);
        let grpc = if is_grpc_enabled {
            format!(
                "  gRPC           {place} (narthex.v1, Thanos's services, health, reflection)\n"
            )
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "  remote write   {url}/api/v1/write\n  \
               remote read    {url}/api/v1/read\n\
             {grpc}  \
               metrics        {url}/metrics\n  \
               check samples  curl -g '{url}/api/v1/export?match[]=up'\n\n"
        );
    }
    let local = || Some(url_at(*addresses.first()?));
    if let Some(url) = info.external_url.clone().or_else(local) {
        let _ = write!(
            text,
            "  For prometheus.yml:\n\n\
             remote_write:\n  - url: {url}/api/v1/write\n{settings}\
             remote_read:\n  - url: {url}/api/v1/read\n    read_recent: true\n{settings}\n"
        );
    }
    let sync = describe_sync(info.wal_sync);
    let management = info.management.map_or_else(String::new, |address| {
        format!("  management     {}: health checks without credentials\n", describe(address))
    });
    let listening: Vec<String> = addresses.iter().map(|address| describe(*address)).collect();
    let _ = write!(
        text,
        "  listening on   {}\n{management}  \
           directory      {}\n  \
           retention      {retention}\n  \
           out of order   {window}\n  \
           WAL sync       {sync}\n  \
           access         {access}\n\n",
        listening.join(", "),
        directory.display()
    );
    text
}

/// Describes a bound address. IPV6_V6ONLY is off for the unspecified IPv6 address.
fn describe(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => format!("{address}: every address, IPv4 only"),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("{address}: every address, IPv4 and IPv6"),
        _ => address.to_string(),
    }
}

fn describe_sync(mode: SyncMode) -> String {
    match mode {
        SyncMode::Os => {
            "os: a power failure can lose what the kernel has not written yet".to_owned()
        }
        SyncMode::Interval(interval) => {
            let interval = units::format_duration(interval);
            format!("interval: a power failure can lose the last {interval}")
        }
        SyncMode::Always => "always: a power failure loses no acknowledged samples".to_owned(),
    }
}

/// Describes the out-of-order window, in ms.
fn describe_window(window_ms: i64) -> String {
    match u64::try_from(window_ms) {
        Ok(0) | Err(_) => "out-of-order samples are rejected".to_owned(),
        Ok(window) => format!(
            "samples up to {} late are accepted",
            units::format_duration(Duration::from_millis(window))
        ),
    }
}

/// Describes the limits of the retention.
fn describe_retention(retention: &RetentionSettings) -> String {
    let mut limits = Vec::new();
    if retention.time_ms > 0 {
        let origin = match retention.origin {
            RetentionOrigin::Default => " (the default)",
            RetentionOrigin::Configured => "",
        };
        limits.push(format!("{}{origin}", format_retention_time(retention)));
    }
    if retention.percentage > 0.0 {
        limits.push(format!("{}% of the disk", retention.percentage));
    } else if retention.bytes > 0 {
        limits.push(format!("{} bytes", retention.bytes));
    }
    if limits.is_empty() { "no limit: nothing is deleted".to_owned() } else { limits.join(", ") }
}

/// Describes the default retention while it deletes nothing.
fn describe_held_retention(retention: &RetentionSettings) -> String {
    format!(
        "held: the directory has data older than the default of {}; nothing is \
         deleted\n                 until you set --storage.tsdb.retention.time (or \
         storage.tsdb.retention in the configuration file)",
        format_retention_time(retention)
    )
}

fn format_retention_time(retention: &RetentionSettings) -> String {
    units::format_duration(Duration::from_millis(retention.time_ms.unsigned_abs()))
}

/// Returns the address for a client on this machine.
fn client_address(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessInfo, BannerInfo, describe_held_retention, describe_retention, render};
    use crate::config::external_url::UrlPath;
    use crate::config::web::contents::{PasswordHash, WebConfig};
    use crate::tsdb::db::SyncMode;
    use crate::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn retention_is_described() {
        let of = |time_ms, bytes, percentage, origin| {
            describe_retention(&RetentionSettings { time_ms, bytes, percentage, origin })
        };
        assert_eq!(describe_retention(&RetentionSettings::default()), "15d (the default)");
        assert_eq!(of(3_600_000, 1024, 0.0, RetentionOrigin::Configured), "1h, 1024 bytes");
        assert_eq!(of(0, 1024, 80.0, RetentionOrigin::Configured), "80% of the disk");
        assert_eq!(of(0, 0, 0.0, RetentionOrigin::Configured), "no limit: nothing is deleted");
        let held = describe_held_retention(&RetentionSettings::default());
        assert!(held.contains("15d") && held.contains("--storage.tsdb.retention.time"), "{held}");
    }

    #[test]
    fn banner_names_urls_directory_sync_and_access() {
        let addresses =
            ["[::]:9201", "[::1]:7", "0.0.0.0:8"].map(|address| address.parse().unwrap());
        let text = render(&BannerInfo {
            addresses: &addresses,
            route_prefix: &UrlPath::default(),
            external_url: None,
            management: Some("127.0.0.1:9".parse().unwrap()),
            access: AccessInfo::from_config(&WebConfig::default(), true),
            directory: Path::new("/data"),
            retention: "15d",
            out_of_order_window_ms: 7_200_000,
            wal_sync: SyncMode::Interval(Duration::from_secs(1)),
        });
        for part in [
            "http://localhost:9201/api/v1/write",
            "http://[::1]:7/api/v1/read",
            "\nremote_write:\n  - url: http://localhost:9201/api/v1/write\nremote_read:\n",
            "listening on   [::]:9201: every address, IPv4 and IPv6, [::1]:7, \
             0.0.0.0:8: every address, IPv4 only\n",
            "management     127.0.0.1:9: health checks without credentials\n",
            "directory      /data\n",
            "retention      15d\n",
            "out of order   samples up to 2h late are accepted\n",
            "interval: a power failure can lose the last 1s",
            "no authentication",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn urls_of_the_banner_have_the_route_prefix() {
        let text = render(&BannerInfo {
            addresses: &["127.0.0.1:9201".parse().unwrap()],
            route_prefix: &"/p".parse().unwrap(),
            external_url: Some("https://host/ext".to_owned()),
            management: None,
            access: AccessInfo::from_config(&WebConfig::default(), true),
            directory: Path::new("/data"),
            retention: "15d",
            out_of_order_window_ms: 0,
            wal_sync: SyncMode::Os,
        });
        for part in [
            "remote write   http://127.0.0.1:9201/p/api/v1/write\n",
            "curl -g 'http://127.0.0.1:9201/p/api/v1/export?match[]=up'\n",
            "gRPC           127.0.0.1:9201 (",
            "\nremote_write:\n  - url: https://host/ext/api/v1/write\nremote_read:\n  \
             - url: https://host/ext/api/v1/read\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("  management"), "{text}");
    }

    #[test]
    fn settings_for_prometheus_name_the_credentials_to_add() {
        let render_with = |config: &WebConfig| {
            render(&BannerInfo {
                addresses: &["127.0.0.1:9201".parse().unwrap()],
                route_prefix: &UrlPath::default(),
                external_url: None,
                management: None,
                access: AccessInfo::from_config(config, true),
                directory: Path::new("/data"),
                retention: "15d",
                out_of_order_window_ms: 0,
                wal_sync: SyncMode::Os,
            })
        };
        assert!(!render_with(&WebConfig::default()).contains('#'));
        let users = [("a".to_owned(), PasswordHash(String::new()))].into();
        let text = render_with(&WebConfig { users, ..WebConfig::default() });
        for path in ["write", "read"] {
            let (_, settings) =
                text.split_once(&format!("- url: http://127.0.0.1:9201/api/v1/{path}")).unwrap();
            let (settings, _) = settings.split_once("remote_read:").unwrap_or((settings, ""));
            assert!(settings.contains("\n    # Add basic_auth with a user"), "{path}: {text}");
            assert!(!settings.contains("tls_config"), "{path}: {text}");
        }
    }

    #[test]
    fn banner_without_grpc_does_not_name_it() {
        let text = |is_grpc_enabled| {
            render(&BannerInfo {
                addresses: &["127.0.0.1:9201".parse().unwrap()],
                route_prefix: &UrlPath::default(),
                external_url: None,
                management: None,
                access: AccessInfo::from_config(&WebConfig::default(), is_grpc_enabled),
                directory: Path::new("/data"),
                retention: "15d",
                out_of_order_window_ms: 0,
                wal_sync: SyncMode::Os,
            })
        };
        let place = "127.0.0.1:9201 (narthex.v1, Thanos's services, health, reflection)";
        let line = format!("  gRPC           {place}\n");
        assert!(text(true).contains(&line));
        assert_eq!(text(false), text(true).replace(&line, ""));
    }
}
