//! Entries of `dns_sd_configs`.

use crate::config::file::discovery::file::refresh_interval;
use crate::config::units;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use std::time::Duration;

/// Settings of DNS discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSdConfig {
    /// Names to resolve, not empty.
    pub names: Vec<String>,
    /// Time between two lookups, not zero.
    pub refresh_interval: Duration,
    /// Type of the records.
    pub kind: DnsRecordType,
    /// Name of the type as it is written in the file.
    pub type_name: String,
    /// Port of the targets. SRV records have their own.
    pub port: u16,
}

/// Type of the records of DNS discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsRecordType {
    /// Services.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
}

/// Types and their names.
const TYPES: [(DnsRecordType, &str); 5] = [
    (DnsRecordType::Srv, "SRV"),
    (DnsRecordType::A, "A"),
    (DnsRecordType::Aaaa, "AAAA"),
    (DnsRecordType::Mx, "MX"),
    (DnsRecordType::Ns, "NS"),
];

impl DnsSdConfig {
    /// Default of `refresh_interval`.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(30);
}

impl DnsRecordType {
    /// Returns the name in upper case.
    #[must_use]
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// Reads an entry.
pub(super) fn parse(mut entry: Mapping<'_>) -> DnsSdConfig {
    let names: Vec<String> = entry.list("names").iter().filter_map(Value::string).collect();
    if names.is_empty() {
        entry.value().problem("needs at least one name in names");
    }
    let kind = entry.get("type").map_or(Some(DnsRecordType::Srv), |value| record_type(&value));
    let type_name = entry.string("type").unwrap_or_else(|| DnsRecordType::Srv.name().to_owned());
    let port = entry.get("port").and_then(|value| port(&value)).unwrap_or(0);
    if port == 0 && kind.is_some_and(|kind| kind != DnsRecordType::Srv) {
        entry.value().problem("needs a port for all types but SRV");
    }
    let refresh_interval = refresh_interval(&mut entry, DnsSdConfig::DEFAULT_REFRESH_INTERVAL);
    entry.finish();
    let kind = kind.unwrap_or(DnsRecordType::Srv);
    DnsSdConfig { names, refresh_interval, kind, type_name, port }
}

fn record_type(value: &Value<'_>) -> Option<DnsRecordType> {
    let text = value.string()?;
    let known = TYPES.iter().find(|(_, name)| name.eq_ignore_ascii_case(&text));
    if known.is_none() {
        value.problem(format_args!("{text:?} is not a type; use SRV, A, AAAA, MX or NS"));
    }
    known.map(|(kind, _)| *kind)
}

/// Reads a port.
pub(super) fn port(value: &Value<'_>) -> Option<u16> {
    let port = value.unsigned()?;
    let valid = u16::try_from(port).ok();
    if valid.is_none() {
        value.problem(format_args!("{port} is not a port; the maximum is 65535"));
    }
    valid
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(config: &DnsSdConfig) -> YamlMapping {
    let mut entry = YamlMapping::default();
    entry.set("names", config.names.clone());
    entry.set("refresh_interval", units::format_prometheus_duration(config.refresh_interval));
    entry.set("type", config.type_name.as_str());
    entry.set("port", u64::from(config.port));
    entry
}
