//! Child process with captured output, killed when dropped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::wait::wait_for;

/// Returns the anonymous memory of a running process, bytes.
pub(crate) fn anonymous_memory(pid: u32) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status of a process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.expect("a number of KiB") << 10
}

/// Running or exited program with its output.
pub(crate) struct Program {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts `command` without standard input and captures its output.
    pub(crate) fn spawn(name: &str, mut command: Command) -> Program {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = vec![collect(stdout, &log), collect(stderr, &log)];
        Program { name: name.to_owned(), child, log, readers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the output so far, with both streams in order of arrival.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no reader panicked").clone()
    }

    /// Returns `true` until the process has exited.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Sends SIGKILL and waits for the exit. Returns the time of the signal.
    pub(crate) fn kill(&mut self) -> Instant {
        // An error is ignored: the process may have exited.
        let _ = self.child.kill();
        let killed = Instant::now();
        self.child.wait().expect("a killed child can be waited for");
        self.drain_output();
        killed
    }

    /// Sends a signal such as `TERM` without waiting.
    pub(crate) fn signal(&self, name: &str) {
        // The shell built-in: minimal systems have no other `kill`.
        let kill = format!("kill -{name} {}", self.pid());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell runs");
        assert!(sent.success(), "{name} did not reach {}", self.name);
    }

    /// Waits for the exit. [`Program::log`] is complete afterwards.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        let status = wait_for(&what, || self.child.try_wait().expect("a child can be asked"));
        self.drain_output();
        status
    }

    fn drain_output(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panicked");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- output of {} ----\n{}\n----", self.name, tail(&self.log()));
        }
    }
}

/// Returns the last part of a long log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            log.lock()
                .expect("the log is never poisoned")
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
