//! Python clients in tests/clients, which know narthex only by its port and its .proto files.
//!
//! A program prints its steps as JSON lines. If the test must act after a step, the program waits
//! for a line of input. It exits with success only if all its checks passed.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::wait::wait_for;

/// Variable with the path of the Python that has the packages; set by tests/run.
const PYTHON: &str = "NARTHEX_TEST_PYTHON";

/// Maximum wait for the next line, long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Foreign {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl Foreign {
    /// Starts a program of tests/clients.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Foreign {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(program);
        let mut command = Command::new(python());
        // No bytecode files in the clone.
        command.arg("-B").arg(path).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let input = child.stdin.take().expect("stdin is piped");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut errors = child.stderr.take().expect("stderr is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Foreign { name: program.to_owned(), child, input, lines, errors: Some(errors) }
    }

    /// Waits for the next step, which must have this name. Returns its JSON line.
    pub(crate) fn step(&mut self, name: &str) -> Value {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{}: still waiting for {name:?} after {PATIENCE:?}", self.name)
            }
            Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended before {name:?}")),
        };
        self.parse(name, &line)
    }

    /// Parses the line of a step.
    fn parse(&self, name: &str, line: &str) -> Value {
        let said: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name));
        assert_eq!(said["step"], name, "{}: {line}", self.name);
        said
    }

    /// Returns the steps that the program has printed and that nobody waited for. All must have
    /// this name.
    pub(crate) fn printed(&mut self, name: &str) -> Vec<Value> {
        let lines: Vec<String> = self.lines.try_iter().collect();
        lines.iter().map(|line| self.parse(name, line)).collect()
    }

    /// Sends the line that continues the program.
    pub(crate) fn go_on(&mut self) {
        self.send(&Value::Object(serde_json::Map::new()));
    }

    /// Sends a line of input.
    pub(crate) fn send(&mut self, value: &Value) {
        if let Err(error) = self.input.write_all(format!("{value}\n").as_bytes()) {
            self.fail(&format!("does not listen ({error})"));
        }
    }

    /// Waits for a successful exit without another step.
    pub(crate) fn finish(mut self) {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => panic!("{}: not at its end: {line}", self.name),
            Err(RecvTimeoutError::Timeout) => {
                panic!("{}: still waiting for its end after {PATIENCE:?}", self.name)
            }
            Err(RecvTimeoutError::Disconnected) => {}
        }
        let what = format!("{} to end", self.name);
        let status = wait_for(&what, || self.child.try_wait().expect("a child can be asked"));
        if !status.success() {
            self.fail(&format!("ended with {status}"));
        }
    }

    /// Panics with the output of standard error.
    fn fail(&mut self, what: &str) -> ! {
        let _ = self.child.kill();
        let errors = self.errors.take().map(|errors| errors.join().expect("no reader panicked"));
        panic!("{} {what}:\n{}", self.name, errors.unwrap_or_default());
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // An error is ignored: the program may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> PathBuf {
    let path = std::env::var_os(PYTHON).map(PathBuf::from);
    path.unwrap_or_else(|| {
        panic!("{PYTHON} does not name a Python with the packages of tests/clients: run tests/run")
    })
}
