//! Hosts that are reached without a proxy, as `no_proxy` and the variable `NO_PROXY` name them.
//!
//! Source: Go's `golang.org/x/net/http/httpproxy`. An entry is an IP address, a network
//! (`10.0.0.0/8`), a domain with its subdomains (`example.com`), only the subdomains
//! (`.example.com`, `*.example.com`) or `*`; all but networks may have a port.

use std::net::IpAddr;

/// Parsed list.
#[derive(Debug, Default)]
pub(super) struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    All,
    Network { address: IpAddr, prefix: u32 },
    Address { address: IpAddr, port: Option<String> },
    Domain { suffix: String, matches_itself: bool, port: Option<String> },
}

impl NoProxy {
    /// Parses a list separated by commas. As in Go, entries without a host are ignored.
    pub(super) fn parse(text: &str) -> Self {
        let entries = text.split(',').map(|entry| entry.trim().to_lowercase());
        Self { entries: entries.filter_map(|entry| parse_entry(&entry)).collect() }
    }

    /// Returns `true` if a host, in lower case and without brackets, is reached without a proxy.
    /// The loopback addresses always are.
    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
            || self.entries.iter().any(|entry| entry.matches(host, address, port))
    }
}

impl Entry {
    fn matches(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let has_port = |expected: &Option<String>| {
            expected.as_ref().is_none_or(|expected| *expected == port.to_string())
        };
        match (self, address) {
            (Self::All, _) => true,
            (Self::Network { address: network, prefix }, Some(address)) => {
                is_in_network(address, *network, *prefix)
            }
            (Self::Address { address: expected, port }, Some(address)) => {
                *expected == address && has_port(port)
            }
            (Self::Domain { suffix, matches_itself, port }, None) => {
                let is_itself = *matches_itself && host == &suffix[1..];
                (is_itself || host.ends_with(suffix.as_str())) && has_port(port)
            }
            (Self::Network { .. } | Self::Address { .. }, None)
            | (Self::Domain { .. }, Some(_)) => false,
        }
    }
}

fn parse_entry(entry: &str) -> Option<Entry> {
    if entry == "*" {
        return Some(Entry::All);
    }
    if let Some(network) = parse_network(entry) {
        return Some(network);
    }
    let (host, port) = split_port(entry);
    let port = port.filter(|port| !port.is_empty()).map(str::to_owned);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Entry::Address { address: address.to_canonical(), port });
    }
    let host = if host.starts_with("*.") { &host[1..] } else { host };
    let matches_itself = !host.starts_with('.');
    let suffix = if matches_itself { format!(".{host}") } else { host.to_owned() };
    (!host.is_empty()).then_some(Entry::Domain { suffix, matches_itself, port })
}

fn parse_network(entry: &str) -> Option<Entry> {
    let (address, prefix) = entry.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= bits)?;
    Some(Entry::Network { address, prefix })
}

/// Splits `host:port` and `[address]:port`; anything else is a host without a port.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, port)) = entry.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return (address, Some(port));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (entry, None),
    }
}

fn is_in_network(address: IpAddr, network: IpAddr, prefix: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::NoProxy;

    #[test]
    fn hosts_without_proxy() {
        for (list, host, port, expected) in [
            ("", "example.com", 80, false),
            ("", "localhost", 80, true),
            ("", "127.0.0.1", 80, true),
            ("", "127.5.0.1", 80, true),
            ("", "::1", 80, true),
            ("", "a.localhost", 80, false),
            ("*", "example.com", 80, true),
            ("*", "10.0.0.1", 80, true),
            ("a,*", "example.com", 80, true),
            ("example.com", "example.com", 80, true),
            ("example.com", "www.example.com", 80, true),
            ("example.com", "badexample.com", 80, false),
            ("EXAMPLE.com ", "example.com", 80, true),
            (".example.com", "example.com", 80, false),
            (".example.com", "www.example.com", 80, true),
            ("*.example.com", "example.com", 80, false),
            ("*.example.com", "www.example.com", 80, true),
            ("example.com:8080", "example.com", 80, false),
            ("example.com:8080", "example.com", 8080, true),
            ("example.com:", "example.com", 8080, true),
            ("*.example.com:8080", "www.example.com", 8080, true),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("10.0.0.0/8", "10.example.com", 80, false),
            ("0.0.0.0/0", "11.1.2.3", 80, true),
            ("10.1.2.3/32", "10.1.2.4", 80, false),
            ("10.0.0.0/33", "10.0.0.0", 80, false),
            ("2001:db8::/32", "2001:db8::1", 80, true),
            ("2001:db8::/32", "2001:db9::1", 80, false),
            ("10.1.2.3", "10.1.2.3", 80, true),
            ("10.1.2.3:80", "10.1.2.3", 80, true),
            ("10.1.2.3:80", "10.1.2.3", 81, false),
            ("::ffff:10.1.2.3", "10.1.2.3", 80, true),
            ("2001:db8::1", "2001:db8::1", 80, true),
            ("[2001:db8::1]:80", "2001:db8::1", 80, true),
            ("[2001:db8::1]:80", "2001:db8::1", 81, false),
            ("[2001:db8::1]", "2001:db8::1", 80, false),
            (":80", "example.com", 80, false),
            (" , ,", "example.com", 80, false),
            ("a.example, 10.0.0.0/8", "10.9.9.9", 1, true),
        ] {
            assert_eq!(
                NoProxy::parse(list).matches(host, port),
                expected,
                "{list:?} {host}:{port}"
            );
        }
    }
}
