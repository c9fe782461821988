//! Listen addresses in Prometheus's format: `:9201`, `0.0.0.0:9201`, `localhost:9201`,
//! `[::1]:9201`.
//!
//! A port alone means all addresses, IPv4 and IPv6; `0.0.0.0` means IPv4 only.

use std::fmt;
use std::str::FromStr;

/// Host and port to listen on. The host may be a name and is not resolved here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Name, or IP address without brackets; empty if only a port was given.
    pub host: String,
    /// TCP port; 0 = chosen by the system.
    pub port: u16,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || {
            format!(
                "{text:?} is not host:port; write for example 0.0.0.0:9201, [::1]:9201 or :9201"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => {
                rest.strip_suffix(']').filter(|host| !host.is_empty()).ok_or_else(invalid)?
            }
            None if host.contains([':', ']']) => return Err(invalid()),
            None => host,
        };
        Ok(Self { host: bare.to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[test]
    fn addresses_parse_like_prometheus() {
        let read = |text: &str| text.parse::<ListenAddress>().map(|address| address.to_string());
        assert_eq!(read("0.0.0.0:9201"), Ok("0.0.0.0:9201".into()));
        assert_eq!(read(":9201"), Ok(":9201".into()));
        assert_eq!(read("[::]:9201"), Ok("[::]:9201".into()));
        assert_eq!(read("[::1]:1"), Ok("[::1]:1".into()));
        assert_eq!(read("localhost:0"), Ok("localhost:0".into()));
        for invalid in ["", "9201", "[]:9201", "host:", "host:70000", "::1:9201", "[::1:9201"] {
            assert!(read(invalid).is_err(), "{invalid}");
        }
    }
}
