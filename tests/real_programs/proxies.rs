//! Real proxies: squid and tinyproxy, each with one user.

use std::path::Path;
use std::process::Command;

use crate::support::launch::free_port;
use crate::support::program::Program;
use crate::support::wait::wait_until;

/// Proxy that runs until it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    _program: Program,
}

impl Proxy {
    /// Starts squid with its files in `dir`.
    pub(crate) fn squid(dir: &Path, user: &str, password: &str) -> Proxy {
        let port = free_port();
        let helper = dir.join("helper");
        // Answers each line `user password` of squid.
        let script = format!(
            "#!/bin/sh\nwhile read -r line; do\n\
             [ \"$line\" = '{user} {password}' ] && echo OK || echo ERR\ndone\n"
        );
        std::fs::write(&helper, script).expect("a helper");
        let config = format!(
            "http_port 127.0.0.1:{port}\npid_filename {0}/pid\ncache deny all\ncache_log {0}/cache.log\n\
             access_log none\ncoredump_dir {0}\nauth_param basic program /bin/sh {1}\n\
             auth_param basic children 1\nacl known proxy_auth REQUIRED\nhttp_access allow known\n\
             http_access deny all\nshutdown_lifetime 0 seconds\nvisible_hostname test\n",
            dir.display(),
            helper.display()
        );
        std::fs::write(dir.join("squid.conf"), config).expect("a configuration");
        open_to_all(dir);
        let mut command = Command::new("squid");
        command.args(["-N", "-f"]).arg(dir.join("squid.conf"));
        Proxy::start("squid", command, port)
    }

    /// Starts tinyproxy with its files in `dir`.
    pub(crate) fn tinyproxy(dir: &Path, user: &str, password: &str) -> Proxy {
        let port = free_port();
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nBasicAuth {user} {password}\n"
        );
        std::fs::write(dir.join("tinyproxy.conf"), config).expect("a configuration");
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(dir.join("tinyproxy.conf"));
        Proxy::start("tinyproxy", command, port)
    }

    /// Starts a proxy and waits until it accepts connections.
    fn start(name: &str, command: Command, port: u16) -> Proxy {
        let program = Program::spawn(name, command);
        wait_until("a proxy that listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Proxy { port, _program: program }
    }
}

/// Makes a directory writable for the user to which squid changes.
fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir, mode).expect("a mode");
}
