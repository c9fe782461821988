//! Settings of the system that providers use.

use std::path::PathBuf;

/// Settings of the system that providers use.
#[derive(Debug, Clone)]
pub struct Environment {
    /// File with name servers and search domains.
    pub resolv_conf: PathBuf,
    /// Port of the name servers.
    pub dns_port: u16,
}

impl Default for Environment {
    fn default() -> Self {
        Self { resolv_conf: PathBuf::from("/etc/resolv.conf"), dns_port: 53 }
    }
}
