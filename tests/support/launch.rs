//! Starting the servers of the tests: narthex itself, Debian's Prometheus and its node exporter.
//!
//! Each listens on a loopback port of its own and is given everything by flags; no service of the system is used.

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

/// What is to be started; built by one of the constructors and refined by [`Launch::flag`] and [`Launch::env`].
pub(crate) struct Launch {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    ready_path: &'static str,
    keeps_negative_zero: bool,
}

impl Launch {
    /// `narthex serve` on a data directory.
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
            ready_path: "/-/ready",
            keeps_negative_zero: true,
        }
    }

    /// Debian's Prometheus on a data directory, as a remote-write receiver that holds the directory's lock and deletes nothing.
    ///
    /// `config` is the text of its configuration file, written to `<data>.yml`.
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
            ready_path: "/-/ready",
            keeps_negative_zero: false,
        }
    }

    /// Debian's node exporter.
    pub(crate) fn node_exporter() -> Launch {
        let port = free_port();
        Launch {
            name: "node exporter",
            program: PathBuf::from("prometheus-node-exporter"),
            arguments: vec![format!("--web.listen-address=127.0.0.1:{port}")],
            environment: Vec::new(),
            port,
            ready_path: "/metrics",
            keeps_negative_zero: false,
        }
    }

    /// One more argument.
    pub(crate) fn flag(mut self, flag: impl Into<String>) -> Launch {
        self.arguments.push(flag.into());
        self
    }

    /// With a configuration file of this text, written beside the data directory `data`.
    pub(crate) fn config(self, data: &Path, text: &str) -> Launch {
        let file = data.with_extension("narthex.yml");
        std::fs::write(&file, text).expect("a configuration file can be written");
        self.flag(format!("--config.file={}", file.display()))
    }

    /// Without an argument that was given before.
    pub(crate) fn without_flag(mut self, flag: &str) -> Launch {
        self.arguments.retain(|argument| argument != flag);
        self
    }

    /// One more environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Launch {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Listens there instead of on a port of its own.
    pub(crate) fn port(mut self, port: u16) -> Launch {
        self.port = port;
        self.arguments.retain(|argument| !argument.starts_with("--web.listen-address="));
        self.flag(format!("--web.listen-address=127.0.0.1:{port}"))
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(self) -> Server {
        let http = Http::new(self.port);
        let (name, ready_path, keeps_negative_zero) =
            (self.name, self.ready_path, self.keeps_negative_zero);
        Server {
            program: Program::spawn(name, self.command()),
            http,
            ready_path,
            keeps_negative_zero,
        }
    }

    /// The command itself, for a test that looks after the process and its output alone.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment);
        command
    }

    /// The port on which it will listen.
    pub(crate) fn http(&self) -> Http {
        Http::new(self.port)
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Server {
        let mut server = self.spawn();
        server.wait_ready();
        server
    }

    /// Runs it to its end, which must come by itself: the exit status and what it printed.
    pub(crate) fn run_to_end(self) -> (ExitStatus, String) {
        let mut server = self.spawn();
        let status = server.program.wait_exit();
        (status, server.program.log())
    }
}

/// A started server.
pub(crate) struct Server {
    /// The process.
    pub(crate) program: Program,
    /// Its port.
    pub(crate) http: Http,
    ready_path: &'static str,
    /// Prometheus's answer to a remote read has 0 for -0.
    keeps_negative_zero: bool,
}

impl Server {
    /// Its remote-write and remote-read side.
    pub(crate) fn remote(&self) -> Remote {
        Remote::new(self.http.clone())
    }

    /// Panics with the first differences unless its remote read gives exactly these samples.
    pub(crate) fn assert_holds(&self, expected: &Samples, what: &str) {
        let returned = self.remote().read_all();
        if self.keeps_negative_zero {
            returned.assert_equals(expected, what);
        } else {
            returned.assert_equals(&expected.without_negative_zero(), what);
        }
    }

    /// Waits until it answers as ready; panics if it ends before.
    pub(crate) fn wait_ready(&mut self) {
        wait_until("a server to be ready", || {
            assert!(self.program.is_running(), "a server ended instead of becoming ready");
            self.http.try_get(self.ready_path).is_ok_and(|answer| answer.status == 200)
        });
    }

    /// kill -9; what it printed.
    pub(crate) fn kill(mut self) -> String {
        self.program.kill();
        self.program.log()
    }

    /// SIGTERM and a clean end; what it printed.
    pub(crate) fn stop(mut self) -> String {
        self.program.signal("TERM");
        let status = self.program.wait_exit();
        assert!(status.success(), "after SIGTERM the exit status is {status}");
        self.program.log()
    }
}

/// Below the range from which Linux takes the ports of outgoing connections, so that none of these lands on it.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A loopback port that nobody listens on; each call gives another one, and by chance, so that test programs that run side by side
/// do not walk into each other.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    wait_for("a free port on the loopback interface", || {
        let port = rand::rng().random_range(PORTS);
        let is_new = GIVEN.lock().expect("nothing panics with it").insert(port);
        (is_new && TcpListener::bind(("127.0.0.1", port)).is_ok()).then_some(port)
    })
}
