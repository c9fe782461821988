//! Launch of servers: narthex, Debian's Prometheus, its node exporter and Pushgateway.
//!
//! Each server listens on its own loopback port and is configured by flags. No system service is
//! used.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;

use rand::RngExt;

use super::http::Http;
use super::program::Program;
use super::remote::Remote;
use super::samples::Samples;
use super::wait::{wait_for, wait_until};

/// Builder of a server process.
pub(crate) struct Launch {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    /// Port of the management listener, which replaces `port` for the client of the server.
    management_port: Option<u16>,
    ready_path: &'static str,
    keeps_negative_zero: bool,
}

impl Launch {
    /// Prepares `narthex serve` on a data directory.
    pub(crate) fn narthex(data: &Path) -> Launch {
        let port = free_port();
        Launch {
            name: "narthex",
            program: PathBuf::from(env!("CARGO_BIN_EXE_narthex")),
            arguments: vec![
                "serve".to_owned(),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ],
            environment: Vec::new(),
            port,
            management_port: None,
            ready_path: "/-/ready",
            keeps_negative_zero: true,
        }
    }

    /// Prepares Debian's Prometheus as a remote write receiver that locks the directory and deletes
    /// nothing.
    ///
    /// `config` is the contents of its configuration file `<data>.yml`.
    pub(crate) fn prometheus(data: &Path, config: &str) -> Launch {
        let port = free_port();
        let file = data.with_extension("yml");
        std::fs::write(&file, config).expect("a configuration file can be written");
        Launch {
            name: "prometheus",
            program: PathBuf::from("prometheus"),
            arguments: vec![
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--web.enable-remote-write-receiver".to_owned(),
                "--storage.tsdb.use-lockfile".to_owned(),
                "--storage.tsdb.retention.time=100y".to_owned(),
            ],
            environment: Vec::new(),
            port,
            management_port: None,
            ready_path: "/-/ready",
            keeps_negative_zero: false,
        }
    }

    pub(crate) fn node_exporter() -> Launch {
        let port = free_port();
        Launch {
            name: "node exporter",
            program: PathBuf::from("prometheus-node-exporter"),
            arguments: vec![format!("--web.listen-address=127.0.0.1:{port}")],
            environment: Vec::new(),
            port,
            management_port: None,
            ready_path: "/metrics",
            keeps_negative_zero: false,
        }
    }

    pub(crate) fn pushgateway() -> Launch {
        Launch {
            name: "Pushgateway",
            program: PathBuf::from("prometheus-pushgateway"),
            ready_path: "/-/ready",
            ..Launch::node_exporter()
        }
    }

    pub(crate) fn flag(mut self, flag: impl Into<String>) -> Launch {
        self.arguments.push(flag.into());
        self
    }

    /// Sets the configuration file, written next to the data directory `data`.
    pub(crate) fn config(self, data: &Path, text: &str) -> Launch {
        let file = data.with_extension("narthex.yml");
        std::fs::write(&file, text).expect("a configuration file can be written");
        self.flag(format!("--config.file={}", file.display()))
    }

    /// Sets the path that is 200 when the server is ready.
    pub(crate) fn ready_path(mut self, path: &'static str) -> Launch {
        self.ready_path = path;
        self
    }

    /// Serves by a web configuration file. The client of the server then is one of the management
    /// listener, which has no TLS and serves `/metrics`.
    pub(crate) fn web_config(mut self, file: &Path) -> Launch {
        let port = free_port();
        self.management_port = Some(port);
        self.flag(format!("--web.config.file={}", file.display()))
            .flag(format!("--web.management-listen-address=127.0.0.1:{port}"))
            .flag("--web.management-metrics")
    }

    pub(crate) fn without_flag(mut self, flag: &str) -> Launch {
        self.arguments.retain(|argument| argument != flag);
        self
    }

    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Launch {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Pauses the process at fail points. A point is `name` or `name@hit`. Its file exists during
    /// the pause, which ends when the file is removed.
    pub(crate) fn paused_at(self, pauses: &[(String, PathBuf)]) -> Launch {
        let spec = pauses.iter().map(|(point, file)| format!("{point}=pause:{}", file.display()));
        self.env("NARTHEX_FAULT_POINTS", spec.collect::<Vec<_>>().join(";"))
    }

    pub(crate) fn port(mut self, port: u16) -> Launch {
        self.port = port;
        self.arguments.retain(|argument| !argument.starts_with("--web.listen-address="));
        self.flag(format!("--web.listen-address=127.0.0.1:{port}"))
    }

    /// Starts the server without waiting.
    pub(crate) fn spawn(self) -> Server {
        let http = Http::new(self.management_port.unwrap_or(self.port));
        let (name, port, ready_path, keeps_negative_zero) =
            (self.name, self.port, self.ready_path, self.keeps_negative_zero);
        Server {
            program: Program::spawn(name, self.command()),
            port,
            http,
            ready_path,
            keeps_negative_zero,
        }
    }

    /// Returns the command, for tests that manage the process themselves.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment);
        command
    }

    /// Returns a client for the port of the server.
    pub(crate) fn http(&self) -> Http {
        Http::new(self.port)
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(self) -> Server {
        let mut server = self.spawn();
        server.wait_ready();
        server
    }

    /// Waits for the process to exit. Returns exit status and output.
    pub(crate) fn run_to_end(self) -> (ExitStatus, String) {
        let mut server = self.spawn();
        let status = server.program.wait_exit();
        (status, server.program.log())
    }
}

pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) port: u16,
    pub(crate) http: Http,
    ready_path: &'static str,
    /// Whether remote read keeps -0; Prometheus returns 0 for it.
    keeps_negative_zero: bool,
}

impl Server {
    /// Returns the remote write and remote read client.
    pub(crate) fn remote(&self) -> Remote {
        Remote::new(self.http.clone())
    }

    /// Asserts that remote read returns exactly these samples.
    pub(crate) fn assert_holds(&self, expected: &Samples, what: &str) {
        let returned = self.remote().read_all();
        if self.keeps_negative_zero {
            returned.assert_equals(expected, what);
        } else {
            returned.assert_equals(&expected.without_negative_zero(), what);
        }
    }

    /// Waits until the server is ready. Panics if it exits before.
    pub(crate) fn wait_ready(&mut self) {
        wait_until("a server to be ready", || {
            assert!(self.program.is_running(), "a server ended instead of becoming ready");
            self.http.try_get(self.ready_path).is_ok_and(|answer| answer.status == 200)
        });
    }

    /// Sends SIGKILL. Returns the output.
    pub(crate) fn kill(mut self) -> String {
        self.program.kill();
        self.program.log()
    }

    /// Sends SIGTERM and asserts a clean exit. Returns the output.
    pub(crate) fn stop(mut self) -> String {
        self.program.signal("TERM");
        let status = self.program.wait_exit();
        assert!(status.success(), "after SIGTERM the exit status is {status}");
        self.program.log()
    }
}

/// Ports below the ephemeral range of Linux, so that no outgoing connection takes one.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// Returns an unused loopback port. Ports are random and differ per call, so that concurrent test
/// programs do not collide.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    wait_for("a free port on the loopback interface", || {
        let port = rand::rng().random_range(PORTS);
        let is_new = GIVEN.lock().expect("nothing panics with it").insert(port);
        (is_new && TcpListener::bind(("127.0.0.1", port)).is_ok()).then_some(port)
    })
}
