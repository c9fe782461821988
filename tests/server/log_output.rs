//! Log output that cannot be written: a closed pipe, an unread pipe, a full disk. Nothing else
//! changes.

use std::fs::OpenOptions;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::support::admin::{self, Admin};
use crate::support::data::{self, HOUR};
use crate::support::dir;
use crate::support::http::Http;
use crate::support::launch::Launch;
use crate::support::metrics::Metrics;
use crate::support::remote::{Remote, WRITE, WRITE_HEADERS};
use crate::support::wait::{wait_for, wait_until};

const DROPPED: &str = "narthex_log_lines_dropped_total";

/// Process whose output the test controls. Killed when dropped.
struct Process(Child);

impl Process {
    fn try_wait(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("the status of a child")
    }

    fn exit_code(&mut self) -> Option<i32> {
        wait_for("narthex to end", || self.try_wait()).code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error is ignored: the process may have exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Server whose output the test controls.
struct Server {
    process: Process,
    http: Http,
}

impl Server {
    fn start(data: &Path, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Server {
        let launch = Launch::narthex(data).flag("--web.enable-lifecycle").flag(admin::ENABLE);
        let http = launch.http();
        let mut command = launch.command();
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let process = Process(command.spawn().expect("narthex starts"));
        let mut server = Server { process, http };
        wait_until("the server to be ready", || {
            assert!(server.process.try_wait().is_none(), "the server ended before it was ready");
            server.http.try_get("/-/ready").is_ok_and(|response| response.status == 200)
        });
        server
    }

    fn reload(&self) {
        let reloaded = self.http.post("/-/reload", &[], b"");
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    }

    fn dropped(&self) -> f64 {
        Metrics::of(&self.http).sum(DROPPED).expect("a counter of dropped lines")
    }

    /// Sends SIGTERM and returns the exit code.
    fn stop(&mut self) -> Option<i32> {
        let kill = format!("kill -TERM {}", self.process.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell runs").success());
        self.process.exit_code()
    }
}

#[test]
fn closed_log_pipe_changes_nothing_else() {
    let temp_dir = dir::temp();
    let mut server = Server::start(&temp_dir.path().join("data"), Stdio::piped(), Stdio::piped());
    drop((server.process.0.stdout.take(), server.process.0.stderr.take()));
    server.reload();
    Admin::of(&server.http).snapshot();
    Remote::new(server.http.clone()).write_all(&data::assorted(HOUR));
    wait_until("dropped lines", || server.dropped() > 0.0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn log_pipe_closed_before_start_changes_nothing_else() {
    let temp_dir = dir::temp();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let stdout = writer.try_clone().expect("a pipe can be duplicated");
    let mut server = Server::start(&temp_dir.path().join("data"), stdout, writer);
    server.reload();
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn unread_log_pipe_blocks_neither_writes_nor_shutdown() {
    let temp_dir = dir::temp();
    let mut server = Server::start(&temp_dir.path().join("data"), Stdio::piped(), Stdio::piped());
    // Each deletion logs its selector.
    let selector = format!("{{job=\"{}\"}}", "x".repeat(20_000));
    wait_until("the pipe and the queue to be full", || {
        Admin::of(&server.http).delete(&selector, 0, 1);
        server.dropped() > 0.0
    });
    server.reload();
    Remote::new(server.http.clone()).write_all(&data::assorted(HOUR));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn full_disk_under_log_changes_nothing_else() {
    let temp_dir = dir::temp();
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let mut server = Server::start(&temp_dir.path().join("data"), full(), full());
    server.reload();
    Admin::of(&server.http).snapshot();
    Remote::new(server.http.clone()).write_all(&data::assorted(HOUR));
    assert!(server.dropped() > 0.0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn last_log_line_is_written_before_exit() {
    let temp_dir = dir::temp();
    let mut server = Server::start(&temp_dir.path().join("data"), Stdio::null(), Stdio::piped());
    let mut stderr = server.process.0.stderr.take().expect("standard error is piped");
    assert_eq!(server.stop(), Some(0));
    let mut log = String::new();
    stderr.read_to_string(&mut log).expect("the log is UTF-8");
    assert!(log.lines().last().is_some_and(|line| line.contains("narthex stopped")), "{log}");
}

#[test]
fn every_suppressed_line_is_reported() {
    const REQUESTS: usize = 30;
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    for _ in 0..REQUESTS {
        assert_eq!(server.http.post(WRITE, &WRITE_HEADERS, b"\xff").status, 400);
    }
    let log = server.stop();
    let about_them = log.lines().filter(|line| line.contains("rejected write request"));
    let suppressed = |line: &str| {
        let (_, rest) = line.split_once("suppressed=").expect("a number of suppressed lines");
        rest.split(' ').next().unwrap_or_default().parse::<usize>().expect("a number")
    };
    let (summaries, lines): (Vec<_>, Vec<_>) =
        about_them.partition(|line| line.contains("suppressed log lines"));
    let left_out: usize = summaries.iter().chain(&lines).map(|line| suppressed(line)).sum();
    assert_eq!(lines.len() + left_out, REQUESTS, "{log}");
    assert!(!summaries.is_empty() && lines.len() < REQUESTS, "{log}");
}

#[test]
fn closed_stderr_does_not_change_exit_codes() {
    let temp_dir = dir::temp();
    let path = format!("--storage.tsdb.path={}", temp_dir.path().join("data").display());
    let code = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_narthex"));
        command.args(arguments).stdout(Stdio::null()).stderr(writer);
        Process(command.spawn().expect("narthex starts")).exit_code()
    };
    assert_eq!(code(&["serve", "--storage.tsdb.pathh=x"]), Some(2));
    assert_eq!(code(&["serve", &path, "--config.auto-reload"]), Some(2));
    assert_eq!(code(&["serve", &path, "--config.file=/nonexistent"]), Some(1));
    assert_eq!(code(&["serve", &path, "--web.config.file=/nonexistent"]), Some(1));
    assert_eq!(code(&["serve", &path, "--web.config.file=/nonexistent"]), Some(1));
}
