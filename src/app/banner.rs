//! What `narthex serve` prints when it is ready: where it is, what to paste into `prometheus.yml`, and what holds.

use crate::config::flags::{ServeFlags, VERSION, WalSync};
use crate::config::units;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The text; `addresses` are those that were bound.
pub(crate) fn text(flags: &ServeFlags, addresses: &[SocketAddr], directory: &Path) -> String {
    let mut text = format!("\nnarthex {VERSION} is ready\n\n");
    for address in addresses {
        let place = place(*address);
        let _ = write!(
            text,
            "  remote write   http://{place}/api/v1/write\n  \
               remote read    http://{place}/api/v1/read\n  \
               gRPC           {place} (narthex.v1.Write, grpc.health.v1.Health)\n  \
               metrics        http://{place}/metrics\n  \
               a look inside  curl -g 'http://{place}/api/v1/export?match[]=up'\n\n"
        );
    }
    if let Some(address) = addresses.first() {
        let place = place(*address);
        let _ = write!(
            text,
            "  For prometheus.yml:\n\n\
             remote_write:\n  - url: http://{place}/api/v1/write\n\
             remote_read:\n  - url: http://{place}/api/v1/read\n    read_recent: true\n\n"
        );
    }
    let sync = match flags.storage.wal_sync {
        WalSync::Os => "os: a power cut may cost what the operating system has not written yet".to_owned(),
        WalSync::Interval => {
            format!("interval: a power cut may cost the last {}", units::display(flags.storage.wal_sync_interval))
        }
        WalSync::Always => "always: a power cut costs nothing that was acknowledged".to_owned(),
    };
    let _ = write!(
        text,
        "  directory      {}\n  \
           retention      none in this version: nothing is deleted\n  \
           out of order   no window in this version: samples older than their series' newest are refused\n  \
           log sync       {sync}\n  \
           access         no authentication, no TLS: whoever reaches the port can read and write\n\n",
        directory.display()
    );
    text
}

/// An address that a client on this machine can use.
fn place(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::config::flags::{Cli, Command};
    use clap::Parser;
    use std::path::Path;

    #[test]
    fn the_banner_names_urls_directory_sync_and_the_absence_of_auth() {
        let Command::Serve(flags) = Cli::parse_from(["narthex", "serve"]).command;
        let text = text(&flags, &["0.0.0.0:9201".parse().unwrap(), "[::1]:7".parse().unwrap()], Path::new("/data"));
        for part in [
            "http://localhost:9201/api/v1/write",
            "http://[::1]:7/api/v1/read",
            "\nremote_write:\n  - url: http://localhost:9201/api/v1/write\nremote_read:\n",
            "directory      /data\n",
            "retention      none",
            "interval: a power cut may cost the last 1s",
            "no authentication",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
