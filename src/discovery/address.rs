//! Addresses of targets.

use std::fmt::Display;

/// Joins a host and a port. An IPv6 address gets brackets.
pub(crate) fn join_host_port(host: &str, port: impl Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::join_host_port;

    #[test]
    fn hosts_with_colons_get_brackets() {
        for (host, expected) in [
            ("10.0.0.1", "10.0.0.1:80"),
            ("h.test", "h.test:80"),
            ("fd00::2", "[fd00::2]:80"),
            ("fe80::1%eth0", "[fe80::1%eth0]:80"),
            ("", ":80"),
        ] {
            assert_eq!(join_host_port(host, 80), expected);
        }
    }
}
